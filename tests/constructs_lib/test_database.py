"""A PostgreSQL server: its claim, its configuration and a stop that leaves the data whole."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    Database,
    DatabaseConnection,
    DatabaseProps,
    DatabaseServer,
    InvalidPropsError,
    InvalidValueError,
    PodOptions,
    Quantity,
    Resources,
    User,
    manifests,
)
from constructs_lib.database import postgresql_conf
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import BESIDE_THE_SERVER, CONNECTION, PLACEMENT, POSTGRESQL, SERVER
from tests.objects import Object, container, environment, one, pod_spec

PROPS = DatabaseProps(placement=BESIDE_THE_SERVER, server=SERVER, image=POSTGRESQL, storage=Quantity("20Gi"))


def test_the_defaults_are_these() -> None:
    assert required(DatabaseProps) == {"placement", "server", "image", "storage"}
    assert defaults(DatabaseProps) == {
        "storage_class": None,
        "settings": {},
        "resources": None,
        "user": User(70, 70),
        "options": PodOptions(),
    }
    assert required(DatabaseServer) == {"name", "namespace", "admin_username", "admin_password"}
    assert defaults(DatabaseServer) == {"port": 5432, "claim": "db-pv-claim"}
    assert required(DatabaseConnection) == {"host", "port", "database", "role", "password"}


@pytest.fixture
def deployment(render: Render) -> Object:
    """The Deployment of a server of which nobody said more than what is required."""
    return one(render(Database, PROPS), "Deployment")


def test_its_name_resolves_in_every_namespace() -> None:
    assert SERVER.host == "db.data.svc.cluster.local"


def test_a_server_is_a_deployment_with_a_service_a_claim_and_its_configuration(render: Render) -> None:
    assert [(item["kind"], item["metadata"]["name"]) for item in render(Database, PROPS)] == [
        ("ConfigMap", "db-config"),
        ("PersistentVolumeClaim", "db-pv-claim"),
        ("Service", "db"),
        ("Deployment", "db"),
    ]


def test_it_comes_with_the_base_before_any_job(chart: Any) -> None:
    made = Database(chart, "it", PROPS)

    assert str(made.ref) == "apps/namespaces/data/Deployment/db"
    assert {phase.value for phase, _ in manifests(chart)} == {"10-base"}


def test_one_server_owns_the_claim(deployment: Object) -> None:
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_the_claim_is_written_by_one_node(render: Render) -> None:
    claim = one(render(Database, PROPS), "PersistentVolumeClaim")

    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}


def test_the_claim_may_have_a_class_and_a_name(render: Render) -> None:
    objects = render(Database, replace(PROPS, server=replace(SERVER, claim="data"), storage_class="fast"))

    assert one(objects, "PersistentVolumeClaim", "data")["spec"]["storageClassName"] == "fast"
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data"}} in pod_spec(one(objects, "Deployment"))[
        "volumes"
    ]


def test_it_is_stopped_before_it_would_be_killed(deployment: Object) -> None:
    stop = container(deployment, "postgresql")["lifecycle"]["preStop"]["exec"]["command"]

    assert stop == ["pg_ctl", "stop", "-m", "fast", "-t", "60"]
    assert pod_spec(deployment)["terminationGracePeriodSeconds"] == 90


def test_the_administrator_comes_from_a_secret(deployment: Object) -> None:
    variables = environment(container(deployment, "postgresql"))

    assert variables["POSTGRES_USER"] == {"secretKeyRef": {"name": "db-admin", "key": "username"}}
    assert variables["POSTGRES_PASSWORD"] == {"secretKeyRef": {"name": "db-admin", "key": "password"}}
    assert "scram-sha-256" in variables["POSTGRES_INITDB_ARGS"]


def test_the_data_lies_below_the_mount_and_is_the_servers_own(deployment: Object) -> None:
    server = container(deployment, "postgresql")

    assert {"name": "data", "mountPath": "/var/lib/postgresql/data"} in server["volumeMounts"]
    assert environment(server)["PGDATA"] == "/var/lib/postgresql/data/pgdata"
    assert pod_spec(deployment)["securityContext"]["fsGroup"] == 70


@pytest.mark.parametrize(
    ("probe", "failures", "period"), [("startupProbe", 60, 5), ("readinessProbe", 3, 5), ("livenessProbe", 5, 30)]
)
def test_it_is_asked_over_tcp_whether_it_is_there(deployment: Object, probe: str, failures: int, period: int) -> None:
    asked = container(deployment, "postgresql")[probe]

    assert "pg_isready --host 127.0.0.1 --port 5432" in asked["exec"]["command"][2]
    assert (asked["failureThreshold"], asked["periodSeconds"]) == (failures, period)


def test_another_port_is_used_everywhere(render: Render) -> None:
    objects = render(Database, replace(PROPS, server=replace(SERVER, port=5433)))

    deployment = one(objects, "Deployment")
    assert one(objects, "Service")["spec"]["ports"][0]["port"] == 5433
    assert container(deployment, "postgresql")["ports"] == [{"name": "postgresql", "containerPort": 5433}]
    assert "--port 5433" in container(deployment, "postgresql")["readinessProbe"]["exec"]["command"][2]
    assert "port = 5433\n" in one(objects, "ConfigMap")["data"]["postgresql.conf"]


def test_it_reads_the_configuration_that_is_mounted(deployment: Object) -> None:
    server = container(deployment, "postgresql")

    assert server["args"] == ["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"]
    assert {"name": "db-config", "mountPath": "/etc/postgresql", "readOnly": True} in server["volumeMounts"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "max_connections = 100"),
        ({}, "listen_addresses = '*'"),
        ({}, "password_encryption = 'scram-sha-256'"),
        ({"max_connections": 250}, "max_connections = 250"),
        ({"fsync": True}, "fsync = on"),
        ({"fsync": False}, "fsync = off"),
        ({"search_path": "it's"}, "search_path = 'it''s'"),
        ({"archive_command": "a\\b"}, "archive_command = 'a\\\\b'"),
        ({"auto_explain.log_min_duration": "1s"}, "auto_explain.log_min_duration = '1s'"),
    ],
)
def test_settings_are_quoted_as_postgresql_reads_them(settings: dict[str, str | int | bool], line: str) -> None:
    assert line in postgresql_conf(replace(PROPS, settings=settings)).splitlines()


def test_a_setting_stands_once() -> None:
    lines = postgresql_conf(replace(PROPS, settings={"max_connections": 7})).splitlines()

    assert [line for line in lines if line.startswith("max_connections")] == ["max_connections = 7"]


def test_a_change_of_settings_restarts_it(chart: Any) -> None:
    def checksum(construct_id: str, props: DatabaseProps) -> str:
        made = Database(chart, construct_id, props)
        (item,) = (node.to_json() for node in made.node.find_all() if node.node.id == "deployment")  # type: ignore[attr-defined]
        return str(item["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert checksum("a", PROPS) == checksum("b", PROPS)
    assert checksum("c", PROPS) != checksum("d", replace(PROPS, settings={"max_connections": 7}))


@pytest.mark.parametrize("memory", ["512Mi", "0.5Gi", "1Gi", "536870912"])
def test_enough_memory_to_start_is_enough(render: Render, memory: str) -> None:
    resources = Resources.parse("1/256Mi", f"1/{memory}")

    deployment = one(render(Database, replace(PROPS, resources=resources)), "Deployment")

    assert container(deployment, "postgresql")["resources"]["limits"]["memory"] == memory


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"placement": PLACEMENT},
            "Database db: server.namespace: found 'data', expected the placement's, 'shop'",
        ),
        (
            {"resources": Resources.parse("1/256Mi", "1/511Mi")},
            "Database db: resources.memory_limit: found 511Mi, expected 512Mi or more: PostgreSQL does not start with "
            "less",
        ),
        (
            {"settings": {"max connections": 1}},
            "Database db: settings: found 'max connections', expected the name of a setting such as max_connections",
        ),
        ({"settings": {"a = 1\nb": 1}}, "Database db: settings: found 'a = 1\\nb'"),
        (
            {"server": replace(SERVER, claim=None)},
            "Database db: server.claim: found none, expected the name of the claim that holds the data",
        ),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)


def test_a_server_is_known_by_its_claim_where_it_has_one() -> None:
    assert str(SERVER.identity) == "/namespaces/data/PersistentVolumeClaim/db-pv-claim"
    assert replace(SERVER, claim=None).identity is None
    with pytest.raises(InvalidValueError, match="name: found 'Data', expected a DNS label"):
        replace(SERVER, claim="Data")


def test_a_connection_is_what_libpq_reads() -> None:
    variables = {item["name"]: item.get("value") for item in CONNECTION.env()}

    assert variables == {
        "PGHOST": "db.data.svc.cluster.local",
        "PGPORT": "5432",
        "PGDATABASE": "shop",
        "PGUSER": "shop_role",
        "PGPASSWORD": None,
        "PGCONNECT_TIMEOUT": "5",
    }
