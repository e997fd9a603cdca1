"""The server itself: the configuration, the arguments and the commands of its Deployment, on a real PostgreSQL."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from constructs_lib.database import Database, DatabaseProps
from constructs_lib.values import Quantity
from tests.runtime import postgres, sets
from tests.runtime.databases import IMAGE, SERVER, kill, props
from tests.runtime.pods import Manifest, resolve_env, wait_until
from tests.runtime.postgres import INSTALLATIONS, Server

pytestmark = pytest.mark.xdist_group("runtime-postgresql")


@dataclass
class _Deployed:
    """A server that runs as its Deployment says.

    Attributes:
        server: The server.
        container: The Deployment's container.
        variables: The container's variables.
    """

    server: Server
    container: Manifest
    variables: dict[str, str]


@pytest.fixture(params=INSTALLATIONS)
def deployed(request: pytest.FixtureRequest) -> Iterator[_Deployed]:
    port = postgres.free_port()
    of = DatabaseProps(
        placement=props("any").placement,
        server=replace(SERVER, port=port),
        image=IMAGE,
        storage=Quantity("1Gi"),
        settings={"max_connections": 42, "log_line_prefix": "it's %m \\ >"},
    )
    made = sets.Set.of(lambda scope: Database(scope, "database", of))
    (part,) = made.only("Deployment")["spec"]["template"]["spec"]["containers"]
    secrets = {"db-admin": {"username": postgres.ADMIN, "password": postgres.ADMIN_PASSWORD}}
    variables = resolve_env(part, {}, secrets)
    assert part["args"] == ["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"]
    with tempfile.TemporaryDirectory() as mounted:
        # Where the ConfigMap is mounted, for the server's own user too; the image's entry point runs initdb with these.
        config = Path(mounted, "postgresql.conf")
        config.write_text(made.only("ConfigMap")["data"]["postgresql.conf"])
        config.parent.chmod(0o755)
        with postgres.server(
            request.param,
            initdb=variables["POSTGRES_INITDB_ARGS"].split(),
            settings={"config_file": str(config), "port": port},
        ) as server:
            yield _Deployed(server, part, variables | {"PGDATA": str(server.data)})


def _show(server: Server, setting: str) -> str:
    return server.query(f"SELECT current_setting('{setting}')")


def test_its_configuration_is_read_and_its_data_has_checksums(deployed: _Deployed) -> None:
    server = deployed.server

    # All but what the test says otherwise on its command line.
    wrong = server.query("SELECT name FROM pg_file_settings WHERE error IS NOT NULL ORDER BY 1").splitlines()
    assert wrong == ["listen_addresses", "unix_socket_directories"]
    assert _show(server, "data_checksums") == "on"
    assert _show(server, "max_connections") == "42"
    assert _show(server, "log_line_prefix") == "it's %m \\ >"
    assert _show(server, "password_encryption") == "scram-sha-256"
    assert _show(server, "TimeZone") == "UTC"
    methods = server.query("SELECT DISTINCT auth_method FROM pg_hba_file_rules WHERE type = 'host'")
    assert methods == "scram-sha-256"


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_its_probes_answer_whether_it_is_there_and_leave_no_error_in_its_log(deployed: _Deployed, probe: str) -> None:
    command = deployed.container[probe]["exec"]["command"]

    def asked() -> int:
        environment = deployed.variables | {"PATH": str(deployed.server.image)}
        return subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL, timeout=30).returncode

    assert asked() == 0
    assert "FATAL" not in deployed.server.log.rpartition("ready to accept connections")[2]
    deployed.server.stop()
    assert asked() == 2
    deployed.server.run()


def test_its_stop_is_clean_also_with_connections_open(deployed: _Deployed) -> None:
    server = deployed.server
    admin = {"PGDATABASE": "postgres", "PGUSER": postgres.ADMIN, "PGPASSWORD": postgres.ADMIN_PASSWORD}
    server.query("CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) AS n")
    busy = server.start(["psql", "-Xc", "BEGIN; DELETE FROM kept; SELECT pg_sleep(600)"], admin)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    wait_until(lambda: server.query(sleeping) == "1", timeout=10)

    hook = deployed.container["lifecycle"]["preStop"]["exec"]["command"]
    stopped = subprocess.run(
        [*server.user, server.programs / hook[0], *hook[1:]],
        env=deployed.variables | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=70,
        cwd=server.folder,
    )

    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    kill(busy)
    control = subprocess.run(
        [server.programs / "pg_controldata", server.data],
        env={"LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Database cluster state:               shut down\n" in control
    written = len(server.log)
    server.run()
    assert "recovery" not in server.log[written:]
    assert server.query("SELECT count(*) FROM kept") == "1000"
