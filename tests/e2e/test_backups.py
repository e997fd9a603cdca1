"""`aphiria-deploy db` on a real API server: the Jobs of the release that runs, and what their logs say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from aphiria_deploy.backup_listing import Backup, Kept, Listing, NoBackupError
from aphiria_deploy.backups import BackupError, Backups, Request
from aphiria_deploy.bundle import BackupJobs, Bundle, Rehearsal
from aphiria_deploy.engine.lease import Holder, LockedError, held
from aphiria_deploy.engine.marker import STACK, WrongClusterError
from aphiria_deploy.engine.waiting import NotReadyError
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Cancellation, Ref
from constructs_lib import backup_jobs
from tests.constructs_lib import test_backup as constructs
from tests.e2e.command import Commands
from tests.e2e.engine import OUTPUTS, Cluster, Heard, soon
from tests.e2e.pod_status import Behaviour
from tests.e2e.small import SHARED, Small

pytestmark = pytest.mark.xdist_group("site-cluster")

_NAME = "2026/01/31/020000Z-shop"
_OLDER = "2026/01/30/020000Z-shop"
_KEPT = "shop_before_20260201093000"


def _bundle(small: Small) -> Bundle:
    """A small environment with the library's Jobs."""
    props = replace(
        constructs.PROPS,
        placement=replace(constructs.PROPS.placement, namespace=SHARED),
        server=replace(constructs.PROPS.server, namespace=SHARED),
    )
    jobs = backup_jobs(props)
    backup = BackupJobs(
        take=jobs.take,
        list=jobs.list,
        restore=jobs.restore,
        restore_variable=jobs.BACKUP_NAME,
        discard=jobs.discard,
        discard_variable=jobs.KEPT_DATABASE,
        rehearsal=Rehearsal(job=jobs.rehearse, variable=jobs.BACKUP_NAME, database=str(props.database)),
    )
    return msgspec.structs.replace(small.bundle(), backup=backup, hash="")


@pytest.fixture(scope="module")
def small() -> Small:
    return Small()


@pytest.fixture(scope="module", autouse=True)
def _deployed(site_cluster: Cluster, small: Small) -> None:
    report = site_cluster.deploy(_bundle(small))
    assert report.result == "deployed", report.error


@pytest.fixture(autouse=True)
def _logs(site_cluster: Cluster) -> Iterator[None]:
    yield
    site_cluster.kubelet.logs.clear()


def _backups(cluster: Cluster, environment: str, heard: Heard | None = None) -> Backups:
    request = Request(environment=environment, timeout=60.0)
    return Backups(cluster.client, request, heard or Heard(), Cancellation())


def _jobs(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    return [job for job in cluster.listed("batch/v1", "Job", SHARED) if job["metadata"]["name"].startswith(name)]


def test_a_backup_is_taken_and_has_a_name(site_cluster: Cluster, small: Small) -> None:
    site_cluster.kubelet.logs["upload"] = [
        "2026/01/31 02:00:01 NOTICE: Config file not found",
        f"backup {_NAME}: uploaded, and read back",
        f"backup {_OLDER}: removed",
    ]
    heard = Heard()

    first = _backups(site_cluster, small.environment, heard).take()
    second = _backups(site_cluster, small.environment).take()

    assert first == second == _NAME
    assert f"backup {_NAME}: uploaded, and read back" in heard.lines
    made = _jobs(site_cluster, "db-backup-take-")
    assert len({job["metadata"]["name"] for job in made}) == 2
    assert {job["metadata"]["labels"]["deploy.aphiria.com/environment"] for job in made} == {small.environment}
    assert site_cluster.find("coordination.k8s.io/v1", "Lease", small.environment, "aphiria-deploy") is None


def test_what_there_is_is_listed_the_newest_first(site_cluster: Cluster, small: Small) -> None:
    site_cluster.kubelet.logs["files"] = [
        "[",
        *(
            json.dumps({"Path": f"{name}.{part}", "Name": "x", "Size": size, "IsDir": False}) + ","
            for name, parts in {
                _OLDER: {"dump": 100, "roles.sql": 20, "rows": 3, "sha256": 1},
                _NAME: {"dump": 200, "rows": 3},
            }.items()
            for part, size in parts.items()
        ),
        json.dumps({"Path": "keep/me.dump", "Name": "x", "Size": 7, "IsDir": False}),
        "]",
    ]
    site_cluster.kubelet.logs["kept"] = [json.dumps({"database": _KEPT, "bytes": 4096})]

    listing = _backups(site_cluster, small.environment).listed()

    assert listing == Listing([Backup(_NAME, 203, False), Backup(_OLDER, 124, True)], [Kept(_KEPT, 4096)])
    assert listing.backups[0].taken.isoformat() == "2026-01-31T02:00:00+00:00"


def test_a_restore_is_told_which_and_the_migrations_run_again(site_cluster: Cluster, small: Small) -> None:
    migration = site_cluster.get("batch/v1", "Job", small.migration_job, small.namespace)
    site_cluster.kubelet.logs["restore"] = [
        f"backup {_NAME}: verified, 5 tables with every row",
        json.dumps({"restored": "shop", "kept": _KEPT}),
    ]

    restored = _backups(site_cluster, small.environment).restore(_NAME)

    assert (restored.backup, restored.database, restored.kept, restored.error) == (_NAME, "shop", _KEPT, None)
    (job,) = _jobs(site_cluster, "db-backup-restore-")
    spec = job["spec"]["template"]["spec"]
    given = {
        part["name"]: {item["name"]: item.get("value") for item in part["env"]}["BACKUP_NAME"]
        for part in (*spec["initContainers"], *spec["containers"])
    }
    assert given == {"download": _NAME, "restore": _NAME}
    again = site_cluster.get("batch/v1", "Job", small.migration_job, small.namespace)
    assert again["metadata"]["uid"] != migration["metadata"]["uid"]
    [pod] = (pod for pod in site_cluster.listed("v1", "Pod", small.namespace) if _is_of(pod, again))
    assert pod["status"]["phase"] == "Succeeded"
    # As a deploy would have it: the next one has nothing to do.
    assert site_cluster.deploy(_bundle(small)).result == "unchanged"


def test_a_restore_whose_migrations_fail_says_that_it_is_done_and_what_failed(
    site_cluster: Cluster, small: Small
) -> None:
    site_cluster.kubelet.logs["restore"] = [json.dumps({"restored": "shop", "kept": None})]

    with site_cluster.behaving(small.namespace, migrate=Behaviour.FAIL):
        restored = _backups(site_cluster, small.environment).restore(_NAME)

    assert (restored.database, restored.kept) == ("shop", None)
    assert isinstance(restored.error, NotReadyError)
    assert small.migration_job in str(restored.error)
    assert _backups(site_cluster, small.environment).restore(_NAME).error is None


def test_a_restore_that_fails_runs_no_migration(site_cluster: Cluster, small: Small) -> None:
    migration = site_cluster.get("batch/v1", "Job", small.migration_job, small.namespace)
    site_cluster.kubelet.logs["download"] = [f"error: backup {_NAME} cannot be restored; database shop is as it was;"]
    heard = Heard()

    with site_cluster.behaving(SHARED, download=Behaviour.FAIL), pytest.raises(NotReadyError) as raised:
        _backups(site_cluster, small.environment, heard).restore(_NAME)

    assert "db-backup-restore" in str(raised.value)
    assert any("cannot be restored; database shop is as it was" in line for line in heard.lines)
    again = site_cluster.get("batch/v1", "Job", small.migration_job, small.namespace)
    assert again["metadata"]["uid"] == migration["metadata"]["uid"]


def _in_the_bucket(cluster: Cluster, *names: str, parts: str = "dump roles.sql rows sha256") -> None:
    cluster.kubelet.logs["files"] = [
        json.dumps({"Path": f"{name}.{part}", "Size": 1024}) for name in names for part in parts.split()
    ]
    cluster.kubelet.logs["kept"] = []


def _name(cluster: Cluster, age: timedelta, database: str = "shop") -> str:
    return f"{cluster.client.now() - age:%Y/%m/%d/%H%M%SZ}-{database}"


def _of_a_rehearsal(name: str) -> list[str]:
    return [
        f"backup {name}: verified, 5 tables with every row",
        json.dumps({"rehearsed": name, "tables": 5, "rows": 5402, "bytes": 9000000}),
    ]


def test_the_newest_complete_backup_of_the_database_is_rehearsed(site_cluster: Cluster, small: Small) -> None:
    newest, older, cut, foreign = (
        _name(site_cluster, timedelta(hours=3)),
        _name(site_cluster, timedelta(hours=30)),
        _name(site_cluster, timedelta(hours=2)),
        _name(site_cluster, timedelta(hours=1), "blog"),
    )
    _in_the_bucket(site_cluster, older, newest, foreign)
    site_cluster.kubelet.logs["files"] += [json.dumps({"Path": f"{cut}.dump", "Size": 9})]
    site_cluster.kubelet.logs["rehearse"] = _of_a_rehearsal(newest)
    migration = site_cluster.get("batch/v1", "Job", small.migration_job, small.namespace)

    rehearsed = _backups(site_cluster, small.environment).rehearse(timedelta(hours=36))

    assert (rehearsed.backup, rehearsed.bytes, rehearsed.restored_bytes) == (newest, 4096, 9000000)
    assert (rehearsed.tables, rehearsed.rows) == (5, 5402)
    assert timedelta(hours=3) <= rehearsed.age < timedelta(hours=3, minutes=2)
    assert 0 < rehearsed.seconds < 60
    job = _jobs(site_cluster, "db-backup-rehearse-")[-1]
    spec = job["spec"]["template"]["spec"]
    for part in (*spec["initContainers"], *spec["containers"]):
        assert {"name": "BACKUP_NAME", "value": newest} in part["env"]
    # Neither a restore nor a migration ran.
    again = site_cluster.get("batch/v1", "Job", small.migration_job, small.namespace)
    assert again["metadata"]["uid"] == migration["metadata"]["uid"]
    assert site_cluster.find("coordination.k8s.io/v1", "Lease", small.environment, "aphiria-deploy") is None


def test_without_a_backup_that_is_new_enough_nothing_is_rehearsed(site_cluster: Cluster, small: Small) -> None:
    before = len(_jobs(site_cluster, "db-backup-rehearse-"))
    backups = _backups(site_cluster, small.environment)

    _in_the_bucket(site_cluster, _name(site_cluster, timedelta(hours=1), "blog"))
    with pytest.raises(NoBackupError, match="database shop: found no complete backup and 0 incomplete"):
        backups.rehearse(timedelta(hours=36))
    _in_the_bucket(site_cluster, _name(site_cluster, timedelta(hours=1)), parts="dump rows roles.sql")
    with pytest.raises(NoBackupError, match="database shop: found no complete backup and 1 incomplete"):
        backups.rehearse(timedelta(hours=36))
    old = _name(site_cluster, timedelta(hours=50, minutes=10))
    _in_the_bucket(site_cluster, old)
    with pytest.raises(NoBackupError, match=f"found {old}, 50h1.m old, .* expected one of the last 36h00m"):
        backups.rehearse(timedelta(hours=36))

    assert len(_jobs(site_cluster, "db-backup-rehearse-")) == before


def test_a_release_of_an_older_version_has_no_rehearsal_and_says_what_to_do(site_cluster: Cluster) -> None:
    other = Small()
    bundle = _bundle(other)
    assert bundle.backup
    older = msgspec.structs.replace(bundle.backup, rehearsal=None)
    assert site_cluster.deploy(msgspec.structs.replace(bundle, backup=older, hash="")).result == "deployed"

    with pytest.raises(InputError, match=r"found no rehearsal in release 1, .*deploy the environment again"):
        _backups(site_cluster, other.environment).rehearse(timedelta(hours=36))


def test_what_was_kept_is_discarded_by_its_name(site_cluster: Cluster, small: Small) -> None:
    _backups(site_cluster, small.environment).discard(_KEPT)

    (job,) = _jobs(site_cluster, "db-backup-discard-")
    (part,) = job["spec"]["template"]["spec"]["containers"]
    assert {"name": "KEPT_DATABASE", "value": _KEPT} in part["env"]


@pytest.mark.parametrize("log", [[], ["backup: uploaded"], ["{not json"]])
def test_a_log_that_does_not_say_what_was_done_is_an_error(site_cluster: Cluster, small: Small, log: list[str]) -> None:
    site_cluster.kubelet.logs |= {"upload": log, "restore": log}

    with pytest.raises(BackupError):
        _backups(site_cluster, small.environment).restore(_NAME)
    if log != ["{not json"]:
        with pytest.raises(BackupError, match="found no name in its log"):
            _backups(site_cluster, small.environment).take()


@pytest.mark.parametrize("name", ["", "latest", "../x", "2026/01/31/020000Z-shop;id", "2026/01/31/020000Z-SHOP"])
def test_a_name_that_is_none_runs_nothing(site_cluster: Cluster, small: Small, name: str) -> None:
    with site_cluster.asked() as (client, requests):
        backups = Backups(client, Request(environment=small.environment), Heard(), Cancellation())
        with pytest.raises(InputError, match="expected one such as 2026/01/31/020000Z-site"):
            backups.restore(name)
        with pytest.raises(InputError, match="expected one such as site_before_20260131020000"):
            backups.discard(name)

    assert not requests.made


def test_an_environment_that_is_not_deployed_or_has_no_backup_says_so(site_cluster: Cluster) -> None:
    other = Small()
    with pytest.raises(InputError, match=f"{other.environment}: found no release that was deployed"):
        _backups(site_cluster, other.environment).take()
    assert site_cluster.deploy(other.bundle()).result == "deployed"

    with pytest.raises(InputError, match=f"{other.environment}: found no backup in release 1"):
        _backups(site_cluster, other.environment).listed()


def test_somebody_else_at_work_keeps_it_from_beginning(site_cluster: Cluster, small: Small) -> None:
    before = len(_jobs(site_cluster, "db-backup-"))
    cancellation = Cancellation()
    with (
        held(site_cluster.client, small.environment, Holder("deploy"), soon(), cancellation),
        pytest.raises(LockedError, match=r"found .* at work"),
    ):
        _backups(site_cluster, small.environment).restore(_NAME)

    assert len(_jobs(site_cluster, "db-backup-")) == before


def test_another_cluster_is_left_alone(site_cluster: Cluster, small: Small) -> None:
    marker = site_cluster.get("v1", "ConfigMap", "cluster", "aphiria-deploy")
    site_cluster.client.patch(Ref.of(marker), {"data": {STACK: "production"}}, soon())
    try:
        with pytest.raises(WrongClusterError, match="nothing was changed"):
            _backups(site_cluster, small.environment).take()
    finally:
        site_cluster.client.patch(Ref.of(marker), {"data": marker["data"]}, soon())


@pytest.fixture(scope="module")
def commands(site_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("commands"), site_cluster.plane.kubeconfig, OUTPUTS)


def test_the_command_takes_lists_restores_and_discards(site_cluster: Cluster, small: Small, commands: Commands) -> None:
    logs, name = site_cluster.kubelet.logs, small.environment
    logs["upload"] = [f"backup {_NAME}: uploaded, and read back"]
    logs["files"] = [json.dumps({"Path": f"{_NAME}.dump", "Size": 5 * 1024 * 1024})]
    logs["kept"] = [json.dumps({"database": _KEPT, "bytes": 100})]
    logs["restore"] = [json.dumps({"restored": "shop", "kept": _KEPT})]

    taken = commands.ask("db", "backup", name)
    listed = commands.ask("db", "list", name)
    listed_as_data = commands.ask("db", "list", name, "--output", "json")
    restored = commands.ask("db", "restore", name, _NAME)
    discarded = commands.ask("db", "discard", name, _KEPT, "--output", "json")

    assert (taken.code, taken.out) == (0, f"{_NAME}\n"), taken
    assert listed.out.splitlines() == [
        f"{_NAME}     5.0 MiB  incomplete: it cannot be restored",
        f"{_KEPT}       100 B  kept by a restore",
    ]
    assert listed_as_data.data == {
        "environment": name,
        "backups": [{"name": _NAME, "taken": "2026-01-31T02:00:00+00:00", "bytes": 5242880, "complete": False}],
        "kept": [{"database": _KEPT, "bytes": 100}],
    }
    assert restored.out.splitlines() == [
        f"shop is what it was at {_NAME}",
        f"what was there before is kept as {_KEPT}, until `aphiria-deploy db discard {name} {_KEPT}`",
    ]
    assert discarded.data == {"environment": name, "discarded": _KEPT}


def test_the_command_rehearses_and_says_what_it_has_seen(
    site_cluster: Cluster, small: Small, commands: Commands
) -> None:
    environment, name = small.environment, _name(site_cluster, timedelta(hours=26, minutes=5))
    _in_the_bucket(site_cluster, name)
    site_cluster.kubelet.logs["rehearse"] = _of_a_rehearsal(name)

    told = commands.ask("db", "rehearse", environment)
    data = commands.ask("db", "rehearse", environment, "--output", "json")

    assert told.code == 0, told
    first, second, third = told.out.splitlines()
    assert first == f"{name} restores: 5 tables with all of their 5402 rows"
    assert re.fullmatch(r"26h0[5-7]m old, 4\.0 KiB in the bucket, 8\.6 MiB as a database, in [0-9.]+ s", second)
    assert third == f"{environment}'s database was not touched"
    report = data.data
    seconds, age = report.pop("seconds"), report.pop("ageSeconds")
    assert (0 < seconds < 60, 26 * 3600 < age < 27 * 3600) == (True, True)
    assert report.pop("taken").endswith("+00:00")
    assert report == {
        "environment": environment, "backup": name, "bytes": 4096, "restoredBytes": 9000000, "tables": 5, "rows": 5402,
    }  # fmt: skip


def test_the_command_ends_with_1_where_a_rehearsal_fails(
    site_cluster: Cluster, small: Small, commands: Commands
) -> None:
    environment, name = small.environment, _name(site_cluster, timedelta(hours=5))
    _in_the_bucket(site_cluster, name)
    site_cluster.kubelet.logs["rehearse"] = ["error: found other numbers of rows (+) than were backed up (-)"]

    too_old = commands.ask("db", "rehearse", environment, "--max-age", "4h30m")
    no_age = commands.ask("db", "rehearse", environment, "--max-age", "a day")
    unanswered = commands.ask("db", "rehearse", environment)
    with site_cluster.behaving(SHARED, rehearse=Behaviour.FAIL):
        failed = commands.ask("db", "rehearse", environment)

    assert (too_old.code, too_old.out) == (1, "")
    assert f"found {name}, 5h0" in too_old.err
    assert "expected one of the last 4h30m" in too_old.err
    assert no_age.code == 2
    assert (unanswered.code, unanswered.out) == (1, "")
    assert "found no answer in its log" in unanswered.err
    assert (failed.code, failed.out) == (1, "")
    assert "found other numbers of rows (+) than were backed up (-)" in failed.err


def test_the_command_fails_as_what_it_did_failed(site_cluster: Cluster, small: Small, commands: Commands) -> None:
    name = small.environment
    site_cluster.kubelet.logs["restore"] = [json.dumps({"restored": "shop", "kept": None})]

    no_name = commands.ask("db", "restore", name, "latest")
    with site_cluster.behaving(small.namespace, migrate=Behaviour.FAIL):
        migrations = commands.ask("db", "restore", name, _NAME, "--output", "json")
    with site_cluster.behaving(SHARED, upload=Behaviour.FAIL):
        upload = commands.ask("db", "backup", name)

    assert (no_name.code, no_name.out) == (2, "")
    assert "expected one such as 2026/01/31/020000Z-site" in no_name.err
    assert (migrations.code, migrations.data["result"], migrations.data["database"]) == (1, "failed", "shop")
    assert small.migration_job in migrations.data["error"]
    assert (upload.code, upload.out) == (1, "")
    assert "db-backup-take" in upload.err


def _is_of(pod: dict[str, Any], job: dict[str, Any]) -> bool:
    return any(owner["uid"] == job["metadata"]["uid"] for owner in pod["metadata"].get("ownerReferences", ()))
