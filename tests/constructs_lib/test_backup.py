"""The backup of a database: dumped, uploaded, checked, and only then are old ones removed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
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
        "placement", "server", "database", "bucket", "image", "upload_image", "schedule", "retention_days",
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
    assert "pg_dumpall --no-password --roles-only --no-role-passwords" in dump
    assert "rclone" not in dump
    assert "pg_dump" not in upload


def test_nothing_is_removed_before_the_new_one_was_checked(cron_job: Object) -> None:
    lines = container(cron_job, "upload")["command"][2].splitlines()

    assert lines[0] == "set -eu"
    assert [line.split()[1] for line in lines[1:]] == ["copy", "check", "delete"]
    assert '--min-age "${BACKUP_RETENTION_DAYS}d"' in lines[3]


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
        "RCLONE_CONFIG_BACKUP_TYPE": "s3",
        "RCLONE_CONFIG_BACKUP_PROVIDER": "Other",
        "RCLONE_CONFIG_BACKUP_ENDPOINT": "https://objects.example",
        "RCLONE_CONFIG_BACKUP_REGION": "eu",
        "RCLONE_CONFIG_BACKUP_ACCESS_KEY_ID": {"secretKeyRef": {"name": "backup", "key": "id"}},
        "RCLONE_CONFIG_BACKUP_SECRET_ACCESS_KEY": {"secretKeyRef": {"name": "backup", "key": "key"}},
        "RCLONE_CONFIG_BACKUP_NO_CHECK_BUCKET": "true",
        "BACKUP_BUCKET": "backups",
        "BACKUP_PREFIX": "postgres",
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
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)


def test_the_longest_name_is_taken(render: Render) -> None:
    assert one(render(DatabaseBackup, replace(PROPS, name="b" * 52)), "CronJob")["metadata"]["name"] == "b" * 52
