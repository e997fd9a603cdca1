"""The site's migrations: once for an image and a command, before any pod of the new version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    InvalidPropsError,
    InvalidValueError,
    MigrationJob,
    MigrationJobProps,
    ObjectRef,
    PodOptions,
    User,
)
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import API, CONNECTION, ENVIRONMENT, LARGE, PLACEMENT, POSTGRESQL, SMALL
from tests.objects import container, environment, one, pod_spec

PROPS = MigrationJobProps(
    placement=PLACEMENT,
    image=API,
    command=["bin/migrate", "--all"],
    environment=ENVIRONMENT,
    database=CONNECTION,
    client_image=POSTGRESQL,
)


def test_the_defaults_are_these() -> None:
    assert required(MigrationJobProps) == {
        "placement", "image", "command", "environment", "database", "client_image",
    }  # fmt: skip
    assert defaults(MigrationJobProps) == {
        "working_directory": None,
        "name": "db-migration",
        "app": "db-migration",
        "after": (),
        "resources": None,
        "wait_resources": None,
        "user": User(33, 33),
        "client_user": User(70, 70),
        "writable_paths": ("/tmp",),
        "deadline": 300,
        "retries": 2,
        "options": PodOptions(),
    }


def test_the_migrations_run_once_within_their_time(render: Render) -> None:
    (job,) = render(MigrationJob, PROPS)

    assert job["kind"] == "Job"
    assert job["metadata"]["annotations"]["deploy.aphiria.com/job-class"] == "once"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (2, 300)
    assert pod_spec(job)["restartPolicy"] == "Never"


def test_the_sites_own_command_runs_with_all_that_the_api_has(render: Render) -> None:
    job = one(render(MigrationJob, replace(PROPS, working_directory="/app")), "Job")

    migrate = container(job, "db-migration")
    assert [part["name"] for part in pod_spec(job)["containers"]] == ["db-migration"]
    assert (migrate["image"], migrate["command"]) == (str(API), ["bin/migrate", "--all"])
    assert migrate["workingDir"] == "/app"
    assert migrate["envFrom"] == ENVIRONMENT.manifest()
    assert migrate["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_they_wait_until_the_role_reaches_its_database(render: Render) -> None:
    job = one(render(MigrationJob, PROPS), "Job")

    wait = container(job, "wait-for-db")
    assert [part["name"] for part in pod_spec(job)["initContainers"]] == ["wait-for-db"]
    assert wait["image"] == str(POSTGRESQL)
    assert "psql" in wait["command"][2]
    assert environment(wait) == {
        "PGHOST": "db.data.svc.cluster.local",
        "PGPORT": "5432",
        "PGDATABASE": "shop",
        "PGUSER": "shop_role",
        "PGPASSWORD": {"secretKeyRef": {"name": "env-secrets", "key": "DB_PASSWORD"}},
        "PGCONNECT_TIMEOUT": "5",
    }


def test_each_container_gets_the_resources_that_are_its_own(render: Render) -> None:
    job = one(render(MigrationJob, replace(PROPS, resources=LARGE, wait_resources=SMALL)), "Job")

    assert container(job, "db-migration")["resources"] == LARGE.manifest()
    assert container(job, "wait-for-db")["resources"] == SMALL.manifest()


def test_the_workloads_wait_for_it(chart: Any) -> None:
    database = ObjectRef(group="batch", kind="Job", namespace="data", name="db-init")

    made = MigrationJob(chart, "it", replace(PROPS, after=[database]))

    job = made.to_json()
    assert str(made.ref) == f"batch/namespaces/shop/Job/{job['metadata']['name']}"
    assert job["metadata"]["annotations"]["config.kubernetes.io/depends-on"] == str(database)


def test_another_image_is_another_job(chart: Any) -> None:
    first = MigrationJob(chart, "first", PROPS).ref
    again = MigrationJob(chart, "again", PROPS).ref
    other = MigrationJob(chart, "other", replace(PROPS, image=POSTGRESQL)).ref

    assert first == again
    assert first.name != other.name


def test_without_a_command_there_is_nothing_to_run() -> None:
    with pytest.raises(
        InvalidPropsError, match="MigrationJob db-migration: command: found nothing, expected what it runs"
    ):
        replace(PROPS, command=[])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Migrate"}, "name: found 'Migrate-"),
        ({"deadline": 0}, "Job db-migration: found 'deadline 0, retries 2', expected 1 or more, and 0 or more"),
        ({"retries": -1}, "Job db-migration: found 'deadline 300, retries -1'"),
    ],
)
def test_props_that_make_no_sense_are_refused(render: Render, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        render(MigrationJob, replace(PROPS, **changes))
