"""The Jobs that make a database and its role, and that remove them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    DatabaseJob,
    DatabaseJobProps,
    DatabaseName,
    InvalidPropsError,
    ObjectRef,
    PodOptions,
    SecretKey,
    User,
    drop_job,
)
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import BESIDE_THE_SERVER, PLACEMENT, POSTGRESQL, SERVER, SMALL
from tests.objects import Object, container, environment, one, pod_spec

PROPS = DatabaseJobProps(
    placement=BESIDE_THE_SERVER,
    server=SERVER,
    image=POSTGRESQL,
    database=DatabaseName("shop_pr_7"),
    role=DatabaseName("shop_role_pr_7"),
    verifier=SecretKey("db-role-pr-7", "verifier"),
    suffix="pr-7",
)


def test_the_defaults_are_these() -> None:
    assert required(DatabaseJobProps) == {"placement", "server", "image", "database", "role", "verifier"}
    assert defaults(DatabaseJobProps) == {
        "suffix": "",
        "connection_limit": 20,
        "after": (),
        "resources": None,
        "user": User(70, 70),
        "deadline": 300,
        "retries": 2,
        "options": PodOptions(),
    }


@pytest.fixture
def created(render: Render) -> Object:
    """The Job that makes the database."""
    return one(render(DatabaseJob, PROPS), "Job")


def script(job: Object) -> str:
    """What its one container runs."""
    (part,) = pod_spec(job)["containers"]
    shell, option, text = part["command"]
    assert (shell, option) == ("sh", "-c")
    return str(text)


def test_the_job_runs_beside_the_server_whenever_something_changed(created: Object) -> None:
    assert re.fullmatch(r"db-init-pr-7-[0-9a-f]{10}", created["metadata"]["name"])
    assert created["metadata"]["namespace"] == "data"
    assert created["metadata"]["annotations"] == {
        "deploy.aphiria.com/job-class": "ensure",
        "deploy.aphiria.com/runs-again-with": "/namespaces/data/PersistentVolumeClaim/db-pv-claim",
    }
    assert pod_spec(created)["restartPolicy"] == "Never"


def test_names_and_secrets_come_from_the_environment(created: Object) -> None:
    assert environment(container(created, "db-init")) == {
        "PGHOST": "db.data.svc.cluster.local",
        "PGPORT": "5432",
        "PGDATABASE": "postgres",
        "PGUSER": {"secretKeyRef": {"name": "db-admin", "key": "username"}},
        "PGPASSWORD": {"secretKeyRef": {"name": "db-admin", "key": "password"}},
        "PGCONNECT_TIMEOUT": "10",
        "DATABASE_NAME": "shop_pr_7",
        "DATABASE_ROLE": "shop_role_pr_7",
        "DATABASE_PASSWORD_VERIFIER": {"secretKeyRef": {"name": "db-role-pr-7", "key": "verifier"}},
        "DATABASE_CONNECTION_LIMIT": "20",
    }


@pytest.mark.parametrize("make", ["create", "drop"])
def test_no_name_is_pasted_into_sql_and_no_error_is_passed_over(created: Object, make: str) -> None:
    text = script(created if make == "create" else drop_job(PROPS))

    assert "shop_" not in text
    assert "--set ON_ERROR_STOP=1 2>&1 <<'SQL'" in text
    assert "||" not in text
    assert re.findall(r"\\getenv (\w+) (\w+)", text)[:2] == [("role", "DATABASE_ROLE"), ("database", "DATABASE_NAME")]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE ROLE %I",
        "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS",
        "CREATE DATABASE %I OWNER %I",
        "ALTER DATABASE %I OWNER TO %I",
        "REVOKE ALL ON DATABASE %I FROM PUBLIC",
    ],
)
def test_afterwards_the_role_owns_the_database_and_reaches_no_other(created: Object, statement: str) -> None:
    assert statement in script(created)


def test_the_drop_reads_back_that_both_are_gone() -> None:
    job = drop_job(PROPS)

    assert re.fullmatch(r"db-drop-pr-7-[0-9a-f]{10}", job["metadata"]["name"])
    assert job["metadata"]["annotations"] == {"deploy.aphiria.com/job-class": "always"}
    text = script(job)
    steps = ["DROP DATABASE %I WITH (FORCE)", "DROP ROLE %I", "FROM pg_database", "FROM pg_roles", "is still there"]
    assert all(step in text for step in steps)
    assert text.index("DROP DATABASE") < text.index("DROP ROLE") < text.index("is still there")


def test_a_server_outside_of_the_cluster_has_no_object_that_it_is_known_by(render: Render) -> None:
    job = one(render(DatabaseJob, replace(PROPS, server=replace(SERVER, claim=None))), "Job")

    assert "deploy.aphiria.com/runs-again-with" not in job["metadata"]["annotations"]


@pytest.mark.parametrize("prop", ["database", "role"])
@pytest.mark.parametrize("name", ["shop", "shop_pr_", "shop_pr_0", "shop_pr_7_old"])
def test_only_what_is_called_like_a_previews_can_be_dropped(prop: str, name: str) -> None:
    message = f"{prop}: found '{name}', expected a preview's, such as site_pr_N: nothing else is ever dropped"

    changed: dict[str, Any] = {prop: DatabaseName(name)}
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        drop_job(replace(PROPS, **changed))


def test_the_drop_knows_no_password_of_the_role() -> None:
    assert "db-role-pr-7" not in str(drop_job(PROPS))


def test_a_job_without_a_suffix_is_the_servers_only_one(render: Render) -> None:
    job = one(render(DatabaseJob, replace(PROPS, suffix="")), "Job")

    assert re.fullmatch(r"db-init-[0-9a-f]{10}", job["metadata"]["name"])


def test_what_the_site_says_reaches_the_job(render: Render) -> None:
    server = ObjectRef(group="apps", kind="Deployment", namespace="data", name="db")
    props = replace(
        PROPS,
        resources=SMALL,
        connection_limit=3,
        after=[server],
        deadline=60,
        retries=0,
        options=PodOptions(env={"A": "1"}),
    )

    job = one(render(DatabaseJob, props), "Job")

    run = container(job, "db-init")
    assert run["resources"] == SMALL.manifest()
    assert environment(run)["DATABASE_CONNECTION_LIMIT"] == "3"
    assert environment(run)["A"] == "1"
    assert job["metadata"]["annotations"]["config.kubernetes.io/depends-on"] == str(server)
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["backoffLimit"]) == (60, 0)


def test_the_migrations_wait_for_it(chart: Any) -> None:
    made = DatabaseJob(chart, "it", PROPS)

    assert (made.ref.kind, made.ref.namespace) == ("Job", "data")
    assert made.ref.name.startswith("db-init-pr-7-")


@pytest.mark.parametrize("database", ["shop_pr_8", "shop_pr_70"])
def test_another_database_is_another_job(chart: Any, database: str) -> None:
    one_job = DatabaseJob(chart, "one", PROPS).ref
    other_job = DatabaseJob(chart, "other", replace(PROPS, database=DatabaseName(database))).ref

    assert one_job.name != other_job.name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"placement": PLACEMENT},
            "DatabaseJob shop_pr_7: placement.namespace: found 'shop', expected the server's, 'data': "
            "the administrator's credentials stay there",
        ),
        ({"connection_limit": 0}, "DatabaseJob shop_pr_7: connection_limit: found 0, expected 1 or more"),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)
