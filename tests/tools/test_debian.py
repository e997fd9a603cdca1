import subprocess
from pathlib import Path

import pytest

from tools import debian
from tools.debian import REQUIREMENTS, Services, explain, held_back, install, missing_requirements


def executable(file: Path, text: str = "#!/bin/sh\n") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.fixture
def services(tmp_path: Path) -> Services:
    policy = executable(tmp_path / "sbin" / "policy-rc.d", "#!/bin/sh\nexit 104\n")
    units = tmp_path / "system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (units / "multi-user.target.wants" / "own.service").symlink_to("/lib/systemd/system/own.service")
    return Services(policy, units, tmp_path / "postgresql-common" / "createcluster.d")


def test_everything_is_missing_where_there_is_nothing(tmp_path: Path) -> None:
    assert missing_requirements([tmp_path]) == list(REQUIREMENTS)


def test_programs_are_found_in_debians_places(tmp_path: Path) -> None:
    for program in ("nginx", "php-fpm8.2", "busybox", "rclone", "chromium", "wrk", "etcd", "docker-registry"):
        executable(tmp_path / "sbin" / program)
    for program in ("initdb", "postgres", "pg_dump"):
        executable(tmp_path / "postgresql" / "15" / "bin" / program)

    folders = debian.program_folders("", tmp_path / "postgresql")

    assert missing_requirements([tmp_path / "sbin", *folders]) == []


def test_a_file_that_is_no_program_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "wrk").touch()

    assert "wrk" in [requirement.package for requirement in missing_requirements([tmp_path])]


def test_part_of_a_package_is_not_the_package(tmp_path: Path) -> None:
    executable(tmp_path / "pg_dump")

    assert "postgresql" in [requirement.package for requirement in missing_requirements([tmp_path])]


def test_nothing_may_start_while_packages_are_installed_and_the_machines_policy_is_restored(
    services: Services,
) -> None:
    with held_back(services):
        answer = subprocess.run([services.policy, "nginx", "start"], check=False).returncode
        cluster_rules = [file.read_text() for file in services.clusters.iterdir()]

    assert answer == 101
    assert cluster_rules == ["create_main_cluster = false\n"]
    assert services.policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert [file.name for file in services.policy.parent.iterdir()] == ["policy-rc.d"]
    assert list(services.clusters.iterdir()) == []


def test_no_policy_is_left_where_there_was_none(services: Services) -> None:
    services.policy.unlink()

    with held_back(services):
        pass

    assert list(services.policy.parent.iterdir()) == []


def test_what_packages_enable_is_disabled_and_what_was_enabled_stays(services: Services) -> None:
    wants = services.units / "multi-user.target.wants"

    with held_back(services):
        (wants / "nginx.service").symlink_to("/lib/systemd/system/nginx.service")

    assert [link.name for link in wants.iterdir()] == ["own.service"]


def test_everything_is_restored_after_a_failure(services: Services) -> None:
    with pytest.raises(KeyboardInterrupt), held_back(services):
        raise KeyboardInterrupt

    assert services.policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert list(services.clusters.iterdir()) == []


def test_the_machines_policy_survives_a_run_that_was_killed(services: Services) -> None:
    killed = held_back(services)
    killed.__enter__()

    with held_back(services):
        pass

    assert services.policy.read_text() == "#!/bin/sh\nexit 104\n"


def fake_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    log = tmp_path / "apt.log"
    executable(tmp_path / "bin" / "apt-get", f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> {log}\n{script}\n')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return log


def test_the_lists_are_fetched_only_where_the_first_attempt_fails(
    tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    updated = tmp_path / "updated"
    log = fake_apt(tmp_path, monkeypatch, f'case "$*" in update) touch {updated} ;; *) test -e {updated} ;; esac')

    assert install(["wrk"], services, tmp_path / "lock") is None
    assert install(["wrk"], services, tmp_path / "lock") is None

    arguments = "--yes --no-install-recommends --no-remove --option=DPkg::Lock::Timeout=120 install wrk"
    assert log.read_text().splitlines() == [
        f"noninteractive {arguments}",
        "noninteractive update",
        f"noninteractive {arguments}",
        f"noninteractive {arguments}",
    ]


def test_a_failure_gives_the_last_lines(tmp_path: Path, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt(tmp_path, monkeypatch, "echo 'E: Unable to locate package wrk'; test $1 = update || exit 100")

    failure = install(["wrk"], services, tmp_path / "lock")

    assert failure is not None
    assert failure.endswith("install wrk` failed with exit code 100:\n    E: Unable to locate package wrk")


@pytest.mark.parametrize(("uid", "reason"), [(0, "there is no apt-get here"), (1000, "there is no apt-get here")])
def test_the_run_goes_on_without_apt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], uid: int, reason: str
) -> None:
    monkeypatch.setattr(debian, "program_folders", lambda _: [tmp_path])
    monkeypatch.setattr("os.geteuid", lambda: uid)

    assert debian.main({"PATH": str(tmp_path)}) == 0
    assert reason in capsys.readouterr().err


def test_a_user_without_rights_is_told_the_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_apt(tmp_path, monkeypatch, "exit 1")
    executable(tmp_path / "bin" / "sudo", "#!/bin/sh\necho 'a password is required' >&2; exit 1\n")
    monkeypatch.setattr(debian, "program_folders", lambda _: [tmp_path])
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert debian.main() == 0

    assert (
        capsys.readouterr().err
        == explain(REQUIREMENTS, "this user may not install packages (neither root, nor sudo without a password)")
        + "\n"
    )


def test_the_explanation_names_packages_skipped_tests_and_the_command() -> None:
    wrk = next(requirement for requirement in REQUIREMENTS if requirement.package == "wrk")

    assert explain([wrk], "there is no apt-get here") == (
        "Not installed, since there is no apt-get here:\n"
        "  wrk; without it are skipped: tests/runtime: requests under load\n"
        "To install them: sudo apt-get install --no-install-recommends wrk"
    )
