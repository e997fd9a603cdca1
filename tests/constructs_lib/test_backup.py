"""The backup of a database: dumped, uploaded, checked, and only then are old ones removed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    BackupJobs,
    Bucket,
    CronSchedule,
    DatabaseBackup,
    DatabaseBackupProps,
    DatabaseName,
    InvalidPropsError,
    PodOptions,
    Quantity,
    SecretKey,
    User,
    backup_jobs,
)
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import BESIDE_THE_SERVER, LARGE, PLACEMENT, POSTGRESQL, RCLONE, SERVER, SMALL
from tests.objects import Object, container, environment, one, pod_spec

BUCKET = Bucket(
    name="backups",
    endpoint="https://objects.example",
    region="eu",
    access_key_id=SecretKey("backup", "id"),
    secret_access_key=SecretKey("backup", "key"),
)
PROPS = DatabaseBackupProps(
    placement=BESIDE_THE_SERVER,
    server=SERVER,
    database=DatabaseName("shop"),
    role=DatabaseName("shop_role"),
    bucket=BUCKET,
    image=POSTGRESQL,
    upload_image=RCLONE,
    schedule=CronSchedule("30 3 * * 1-5"),
    retention_days=14,
)


def test_the_defaults_are_these() -> None:
    assert required(DatabaseBackupProps) == {
        "placement", "server", "database", "role", "bucket", "image", "upload_image", "schedule", "retention_days",
    }  # fmt: skip
    assert defaults(DatabaseBackupProps) == {
        "scratch": Quantity("10Gi"),
        "name": "db-backup",
        "resources": None,
        "upload_resources": None,
        "user": User(70, 70),
        "deadline": 3600,
        "options": PodOptions(),
    }
    assert required(Bucket) == {"name", "endpoint", "region", "access_key_id", "secret_access_key"}
    assert defaults(Bucket) == {"provider": "Other", "prefix": "postgres"}


@pytest.fixture
def cron_job(render: Render) -> Object:
    """The CronJob of a backup of which nobody said more than what is required."""
    return one(render(DatabaseBackup, PROPS), "CronJob")


def test_it_runs_when_it_should_one_at_a_time_and_not_for_ever(cron_job: Object) -> None:
    spec = cron_job["spec"]

    assert (cron_job["metadata"]["name"], cron_job["metadata"]["namespace"]) == ("db-backup", "data")
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("30 3 * * 1-5", "Forbid")
    assert spec["startingDeadlineSeconds"] == spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 3600
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 2
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    assert pod_spec(cron_job)["restartPolicy"] == "Never"


def test_the_dump_is_done_before_the_upload_begins(cron_job: Object) -> None:
    spec = pod_spec(cron_job)

    assert [part["name"] for part in spec["initContainers"]] == ["dump"]
    assert [part["name"] for part in spec["containers"]] == ["upload"]
    assert (container(cron_job, "dump")["image"], container(cron_job, "upload")["image"]) == (
        str(POSTGRESQL),
        str(RCLONE),
    )


def test_each_container_calls_the_tools_that_its_image_has(cron_job: Object) -> None:
    dump, upload = (container(cron_job, name)["command"][2] for name in ("dump", "upload"))

    assert "pg_dump --no-password -Fc" in dump
    assert "rclone" not in dump
    assert not re.search(r"\b(psql|pg_\w+)\b", upload)


def test_nothing_is_removed_before_the_new_one_was_read_back(cron_job: Object) -> None:
    script = container(cron_job, "upload")["command"][2]

    steps = ["copyto --immutable", 'cat "$remote/$1" | sha256sum', "sha256; do\n  send", "complete=yes", "deletefile"]
    places = [script.index(step) for step in steps]
    assert places == sorted(places)
    assert script.startswith("set -eu\n")


def test_the_dump_connects_as_the_administrator(cron_job: Object) -> None:
    assert environment(container(cron_job, "dump")) == {
        "PGHOST": "db.data.svc.cluster.local",
        "PGPORT": "5432",
        "PGDATABASE": "shop",
        "PGUSER": {"secretKeyRef": {"name": "db-admin", "key": "username"}},
        "PGPASSWORD": {"secretKeyRef": {"name": "db-admin", "key": "password"}},
        "PGCONNECT_TIMEOUT": "10",
    }


def test_the_upload_knows_the_bucket_and_not_the_database(cron_job: Object) -> None:
    assert environment(container(cron_job, "upload")) == {
        "RCLONE_CONFIG": "/tmp/rclone.conf",
        "RCLONE_CACHE_DIR": "/tmp/rclone",
        "RCLONE_CONFIG_BACKUP_TYPE": "s3",
        "RCLONE_CONFIG_BACKUP_PROVIDER": "Other",
        "RCLONE_CONFIG_BACKUP_ENDPOINT": "https://objects.example",
        "RCLONE_CONFIG_BACKUP_REGION": "eu",
        "RCLONE_CONFIG_BACKUP_ACCESS_KEY_ID": {"secretKeyRef": {"name": "backup", "key": "id"}},
        "RCLONE_CONFIG_BACKUP_SECRET_ACCESS_KEY": {"secretKeyRef": {"name": "backup", "key": "key"}},
        "RCLONE_CONFIG_BACKUP_NO_CHECK_BUCKET": "true",
        "RCLONE_CONTIMEOUT": "15s",
        "RCLONE_TIMEOUT": "60s",
        "RCLONE_LOW_LEVEL_RETRIES": "3",
        "BACKUP_BUCKET": "backups",
        "BACKUP_PREFIX": "postgres",
        "BACKUP_DATABASE": "shop",
        "BACKUP_RETENTION_DAYS": "14",
    }


def test_a_dump_that_grows_too_large_does_not_fill_the_node(render: Render) -> None:
    cron_job = one(render(DatabaseBackup, replace(PROPS, scratch=Quantity("2Gi"))), "CronJob")

    assert {"name": "backup", "emptyDir": {"sizeLimit": "2Gi"}} in pod_spec(cron_job)["volumes"]
    assert all(
        {"name": "backup", "mountPath": "/backup"} in container(cron_job, name)["volumeMounts"]
        for name in ("dump", "upload")
    )


def test_each_container_gets_the_resources_that_are_its_own(render: Render) -> None:
    cron_job = one(render(DatabaseBackup, replace(PROPS, resources=LARGE, upload_resources=SMALL)), "CronJob")

    assert container(cron_job, "dump")["resources"] == LARGE.manifest()
    assert container(cron_job, "upload")["resources"] == SMALL.manifest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"placement": PLACEMENT},
            "DatabaseBackup db-backup: placement.namespace: found 'shop', expected the server's, 'data': "
            "the administrator's credentials stay there",
        ),
        ({"retention_days": 0}, "DatabaseBackup db-backup: retention_days: found 0, expected 1 or more"),
        (
            {"bucket": replace(BUCKET, endpoint="objects.example")},
            "DatabaseBackup db-backup: bucket.endpoint: found 'objects.example', expected a URL without a path",
        ),
        ({"bucket": replace(BUCKET, endpoint="https://objects.example/")}, "bucket.endpoint: found"),
        ({"name": "Backup"}, "DatabaseBackup Backup: name: found 'Backup', expected a DNS label"),
        ({"name": "b" * 53}, "name: found 53 characters, expected at most 52"),
        (
            {"database": DatabaseName("d" * 39)},
            "database: found 39 characters, expected at most 38: a restore makes another one of its name beside it",
        ),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)


def test_the_longest_name_is_taken(render: Render) -> None:
    assert one(render(DatabaseBackup, replace(PROPS, name="b" * 52)), "CronJob")["metadata"]["name"] == "b" * 52


@pytest.fixture
def jobs() -> BackupJobs:
    """The Jobs that somebody asks for."""
    return backup_jobs(PROPS)


def test_a_backup_that_somebody_asks_for_is_what_the_cron_job_takes(cron_job: Object, jobs: BackupJobs) -> None:
    assert jobs.take["spec"]["template"]["spec"] == pod_spec(cron_job)
    assert jobs.take["spec"]["activeDeadlineSeconds"] == 3600


def test_what_somebody_asks_for_runs_beside_the_server_and_goes_after_a_day(jobs: BackupJobs) -> None:
    for what in ("take", "list", "restore", "rehearse", "discard"):
        job = getattr(jobs, what)
        assert re.fullmatch(f"db-backup-{what}-[0-9a-f]{{10}}", job["metadata"]["name"])
        assert job["metadata"]["namespace"] == "data"
        assert job["spec"]["ttlSecondsAfterFinished"] == 86400


def test_a_restore_that_failed_is_not_repeated(jobs: BackupJobs) -> None:
    assert jobs.restore["spec"]["backoffLimit"] == jobs.rehearse["spec"]["backoffLimit"] == 0


def test_a_rehearsal_is_the_restore_without_a_swap(jobs: BackupJobs) -> None:
    rehearse, restore = container(jobs.rehearse, "rehearse"), container(jobs.restore, "restore")

    assert container(jobs.rehearse, "download") == container(jobs.restore, "download")
    assert {**rehearse, "name": "", "command": []} == {**restore, "name": "", "command": []}
    assert "RENAME" in restore["command"][2]
    assert not re.search("RENAME|ALTER|pg_terminate_backend", rehearse["command"][2])


def test_whoever_runs_a_job_says_which_backup_or_database_it_is_about(jobs: BackupJobs) -> None:
    for part in ("download", "restore"):
        assert environment(container(jobs.restore, part))[jobs.BACKUP_NAME] == ""
    assert environment(container(jobs.discard, "discard"))[jobs.KEPT_DATABASE] == ""


def test_a_restore_gives_the_database_to_its_role_and_the_bucket_to_another_container(jobs: BackupJobs) -> None:
    restore = environment(container(jobs.restore, "restore"))

    assert (restore["DATABASE_NAME"], restore["DATABASE_ROLE"], restore["PGDATABASE"]) == (
        "shop", "shop_role", "postgres",
    )  # fmt: skip
    assert not any(name.startswith("RCLONE") for name in restore)
    assert not any(name.startswith("PG") for name in environment(container(jobs.restore, "download")))


def test_the_list_is_in_the_logs_of_two_containers(jobs: BackupJobs) -> None:
    spec = pod_spec(jobs.list)

    assert [part["name"] for part in (*spec["initContainers"], *spec["containers"])] == ["files", "kept"]


def test_no_name_is_pasted_into_a_script(jobs: BackupJobs) -> None:
    for job in (jobs.take, jobs.list, jobs.restore, jobs.rehearse, jobs.discard):
        spec = pod_spec(job)
        for part in (*spec.get("initContainers", ()), *spec["containers"]):
            assert "shop" not in part["command"][2]
