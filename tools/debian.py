"""Install the Debian packages that tests run the real programs of, where that may be done.

`python -m tools.debian` never fails: where it may not install them, it says what is missing, which tests are
skipped for it, and the one command that installs it. It needs the standard library alone, since it runs
itself again under sudo.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class Requirement:
    """A Debian package, by the programs that tests start from it."""

    package: str
    # Patterns of file names, of which each must be found.
    programs: tuple[str, ...]
    tests: str


REQUIREMENTS: Final = (
    Requirement(
        "nginx-light",
        ("nginx",),
        "tests/runtime: the Api's and the WebApp's nginx configuration; tests/aphiria_deploy: a site that is verified",
    ),
    Requirement("php-fpm", ("php-fpm*",), "tests/runtime: the Api behind PHP-FPM, ending without a lost request"),
    Requirement("postgresql", ("initdb", "postgres", "pg_dump"), "tests/runtime: database Jobs, backups"),
    Requirement("busybox", ("busybox",), "tests/runtime: the scripts of database Jobs, in the shell of their images"),
    Requirement("rclone", ("rclone",), "tests/runtime: backups"),
    Requirement("chromium", ("chromium",), "tests/runtime: a page that reads its configuration"),
    Requirement("wrk", ("wrk",), "tests/runtime: requests under load"),
    Requirement("etcd-server", ("etcd",), "tests/e2e: a real API server"),
    Requirement("skopeo", ("skopeo",), "tests/aphiria_deploy/github: images that are pushed to a real registry"),
    Requirement("docker-registry", ("docker-registry",), "tests/aphiria_deploy: a real image registry"),
)

# Debian keeps servers out of the PATH of those who are not root, and PostgreSQL's out of everybody's.
_FOLDERS: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_POSTGRESQL: Final = Path("/usr/lib/postgresql")

_APT: Final = (
    "apt-get",
    "--yes",
    "--no-install-recommends",
    # Nothing of the machine's is given up for a test.
    "--no-remove",
    "--option=DPkg::Lock::Timeout=120",
)
_LOCK: Final = Path("/run/lock/aphiria-deploy-packages")
_LAST_LINES: Final = 15


def program_folders(path: str, postgresql: Path = _POSTGRESQL) -> list[Path]:
    """Where programs are looked for: a PATH, Debian's own folders, and those of each PostgreSQL."""
    folders = [Path(folder) for folder in [*path.split(os.pathsep), *_FOLDERS] if folder]
    return [*folders, *sorted(postgresql.glob("*/bin"))]


def missing_requirements(folders: Sequence[Path]) -> list[Requirement]:
    """The requirements of which a program is in none of the folders."""
    return [
        requirement
        for requirement in REQUIREMENTS
        if not all(_is_found(program, folders) for program in requirement.programs)
    ]


@dataclass(frozen=True)
class Services:
    """The files by which Debian decides what a newly installed package starts."""

    policy: Path = Path("/usr/sbin/policy-rc.d")
    units: Path = Path("/etc/systemd/system")
    clusters: Path = Path("/etc/postgresql-common/createcluster.d")


@contextmanager
def held_back(services: Services) -> Iterator[None]:
    """Let packages be installed without their services being started or enabled, then restore what was there.

    Tests start programs of their own, with configurations and ports of their own; a web server and a database
    that a test run leaves running on somebody's machine, now and at each boot, would be a surprise. So:

    - a `policy-rc.d` that answers 101, "forbidden", keeps packages from starting services
      (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt);
    - it has no say about enabling, so the links of units that appear meanwhile are taken away again, which
      is what `systemctl disable` does;
    - postgresql would create a cluster, and is told not to in the folder that its configuration includes.
    """
    saved = services.policy.with_name(f"{services.policy.name}.before-aphiria-deploy")
    cluster_rule = services.clusters / "aphiria-deploy.conf"
    # A run that was killed left these: the saved policy is the machine's own.
    if saved.exists() or saved.is_symlink():
        saved.replace(services.policy)
    enabled = _links(services.units)
    if services.policy.exists() or services.policy.is_symlink():
        services.policy.replace(saved)
    try:
        services.policy.write_text("#!/bin/sh\nexit 101\n")
        services.policy.chmod(0o755)
        services.clusters.mkdir(parents=True, exist_ok=True)
        cluster_rule.write_text("create_main_cluster = false\n")
        yield
    finally:
        cluster_rule.unlink(missing_ok=True)
        services.policy.unlink(missing_ok=True)
        if saved.exists() or saved.is_symlink():
            saved.replace(services.policy)
        for link in _links(services.units) - enabled:
            link.unlink()


def install(packages: Sequence[str], services: Services, lock: Path = _LOCK) -> str | None:
    """Install packages as root; return None, or why it failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Another checkout's run would take our policy for the machine's own.
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with held_back(services):
            failure = _run([*_APT, "install", *packages], environment)
            if failure is None:
                return None
            # The lists are missing, as in an image, or name files that the archive has no more.
            return _run(["apt-get", "update"], environment) or _run([*_APT, "install", *packages], environment)


def main(environ: Mapping[str, str] | None = None) -> int:
    """Run the command; return its exit code, which is always 0."""
    path = (os.environ if environ is None else environ).get("PATH", "")
    missing = missing_requirements(program_folders(path))
    if not missing:
        return 0
    packages = [requirement.package for requirement in missing]
    if shutil.which("apt-get", path=path) is None:
        reason: str | None = "there is no apt-get here"
    elif os.geteuid() == 0:
        _say(f"Installing for the tests: {' '.join(packages)}")
        try:
            reason = install(packages, Services())
        except OSError as error:
            reason = f"the machine's settings cannot be changed ({error})"
    elif _run(["sudo", "-n", "true"], os.environ) is None:
        # -B: leave no files of root's in the checkout.
        return subprocess.run(  # noqa: S603
            ["sudo", "-n", sys.executable, "-B", str(Path(__file__).resolve())],  # noqa: S607
            check=False,
        ).returncode
    else:
        reason = "this user may not install packages (neither root, nor sudo without a password)"
    missing = missing_requirements(program_folders(path))
    if missing:
        _say(explain(missing, reason or "the packages do not hold the programs"))
    return 0


def explain(missing: Sequence[Requirement], reason: str) -> str:
    """What is missing, what is skipped for it, and what installs it."""
    packages = " ".join(requirement.package for requirement in missing)
    return "\n".join(
        [
            f"Not installed, since {reason}:",
            *(f"  {each.package}; without it are skipped: {each.tests}" for each in missing),
            f"To install them: sudo apt-get install --no-install-recommends {packages}",
        ]
    )


def _is_found(program: str, folders: Sequence[Path]) -> bool:
    return any(os.access(file, os.X_OK) for folder in folders for file in folder.glob(program))


def _links(units: Path) -> set[Path]:
    return {file for file in units.glob("**/*") if file.is_symlink()}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Run a command with its output kept back; return None, or its last lines."""
    try:
        run = subprocess.run(  # noqa: S603
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return f"{command[0]} cannot be run ({error})"
    if run.returncode == 0:
        return None
    last = "\n    ".join(run.stdout.strip().splitlines()[-_LAST_LINES:])
    return f"`{' '.join(command)}` failed with exit code {run.returncode}:\n    {last}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
