"""The scripts of the database's Jobs, and of the migrations' wait, against a real PostgreSQL."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from constructs_lib._k8s import Construct
from constructs_lib.database import DatabaseConnection, DatabaseServer
from constructs_lib.database_job import DatabaseJob, DatabaseJobProps, drop_job
from constructs_lib.errors import InvalidValueError
from constructs_lib.migration_job import MigrationJob, MigrationJobProps
from constructs_lib.placement import Placement
from constructs_lib.pod import EnvSource
from constructs_lib.values import DatabaseName, ImageRef, SecretKey
from tests.runtime import postgres, sets
from tests.runtime.pods import Manifest, resolve_env, wait_until
from tests.runtime.postgres import Server

pytestmark = pytest.mark.xdist_group("runtime-postgresql")

_IMAGE = ImageRef.parse("registry.example/postgres:16")
_SERVER = DatabaseServer(
    name="db",
    namespace="databases",
    admin_username=SecretKey("db-admin", "username"),
    admin_password=SecretKey("db-admin", "password"),
)
_PASSWORD = "a role's own"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres.server() as running:
        yield running


def _props(name: str, **props: object) -> DatabaseJobProps:
    defaults = DatabaseJobProps(
        placement=Placement(namespace="databases", part_of="site", instance=name.replace("_", "-")),
        server=_SERVER,
        image=_IMAGE,
        database=DatabaseName(name),
        role=DatabaseName(name),
        verifier=SecretKey("verifiers", name),
    )
    return replace(defaults, **props)  # type: ignore[arg-type]


def _init_job(props: DatabaseJobProps) -> Manifest:
    return sets.Set.of(lambda scope: DatabaseJob(scope, "database", props)).only("Job")


def _start(server: Server, part: Manifest, password: str = _PASSWORD) -> subprocess.Popen[str]:
    """Starts a container of a Job."""

    class Verifiers(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return postgres.scram_verifier(password)

    secrets = {
        "db-admin": {"username": postgres.ADMIN, "password": postgres.ADMIN_PASSWORD},
        "verifiers": Verifiers(),
        "site": {"password": password},
    }
    variables = resolve_env(part, {}, secrets)
    assert variables["PGHOST"] == "db.databases.svc.cluster.local"
    return server.start(part["command"], variables)


def _run(server: Server, job: Manifest, password: str = _PASSWORD) -> str:
    """Runs a Job to its end, and gives its log."""
    (part,) = job["spec"]["template"]["spec"]["containers"]
    process = _start(server, part, password)
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 0, log
    return log


def _open_to_anyone(server: Server) -> None:
    """Makes a server's own databases what they are on a fresh one."""
    for database in ("postgres", "template1"):
        server.query(f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO PUBLIC")


def _databases(server: Server, prefix: str) -> list[str]:
    return server.query(
        "SELECT datname || ' of ' || rolname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba"
        f" WHERE starts_with(datname, '{prefix}') ORDER BY 1"
    ).split()[::3]


def test_role_owns_its_database_and_logs_in_with_its_password(server: Server) -> None:
    log = _run(server, _init_job(_props("site_one")))

    assert log.strip() == "database site_one belongs to role site_one"
    as_role = {"database": "site_one", "user": "site_one", "password": _PASSWORD}
    server.query("CREATE TABLE posts (title text); INSERT INTO posts VALUES ('first')", **as_role)
    assert server.query("SELECT current_user, title FROM posts", **as_role) == "site_one|first"
    with pytest.raises(PermissionError, match="password authentication failed"):
        server.query("SELECT 1", **as_role | {"password": "another"})


def test_running_again_keeps_the_data_and_changes_the_password(server: Server) -> None:
    job = _init_job(_props("site_again"))
    as_role = {"database": "site_again", "user": "site_again"}

    _run(server, job)
    server.query("CREATE TABLE kept AS SELECT 42 AS answer", **as_role, password=_PASSWORD)
    _run(server, job)
    assert server.query("SELECT answer FROM kept", **as_role, password=_PASSWORD) == "42"
    _run(server, job, password="rotated")

    assert server.query("SELECT answer FROM kept", **as_role, password="rotated") == "42"
    with pytest.raises(PermissionError, match="password authentication failed"):
        server.query("SELECT 1", **as_role, password=_PASSWORD)


def test_role_has_no_power_beyond_its_database(server: Server) -> None:
    server.query("CREATE ROLE site_weak SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS")

    _run(server, _init_job(_props("site_weak", connection_limit=3)))

    powers = server.query(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit"
        " FROM pg_roles WHERE rolname = 'site_weak'"
    )
    assert powers == "f|f|f|f|f|3"


def test_role_can_connect_to_no_database_but_its_own(server: Server) -> None:
    _open_to_anyone(server)
    for name in ("site_mine", "site_theirs"):
        _run(server, _init_job(_props(name)))
    as_role = {"user": "site_mine", "password": _PASSWORD}
    others = server.query("SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'site_mine'").splitlines()

    assert server.query("SELECT 1", database="site_mine", **as_role) == "1"
    assert {"postgres", "template1", "site_theirs"} <= set(others)
    for other in others:
        with pytest.raises(PermissionError, match=f'permission denied for database "{other}"'):
            server.query("SELECT 1", database=other, **as_role)


def test_many_at_once_do_not_disturb_each_other(server: Server) -> None:
    _open_to_anyone(server)
    names = [f"crowd_{number}" for number in range(5)]
    jobs = [_init_job(_props(name)) for name in names] * 4
    parts = [job["spec"]["template"]["spec"]["containers"][0] for job in jobs]

    running = [_start(server, part) for part in parts]
    logs = [process.communicate(timeout=60)[0] for process in running]

    assert [process.returncode for process in running] == [0] * 20, "\n".join(logs)
    assert _databases(server, "crowd_") == names


def test_dropping_ends_the_connections_and_leaves_nothing_and_no_other(server: Server) -> None:
    doomed, spared = _props("doomed_one"), _props("doomed_two")
    for props in (doomed, spared):
        _run(server, _init_job(props))
    connected = server.start(
        ["psql", "--no-psqlrc", "-c", "SELECT pg_sleep(60)"],
        {"PGDATABASE": "doomed_one", "PGUSER": "doomed_one", "PGPASSWORD": _PASSWORD},
    )
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'doomed_one'"
    wait_until(lambda: server.query(sessions) == "1", timeout=10)

    first, second = _run(server, drop_job(doomed)), _run(server, drop_job(doomed))

    assert first.strip() == second.strip() == "database doomed_one and role doomed_one are gone"
    assert "terminating connection" in connected.communicate(timeout=10)[0]
    assert _databases(server, "doomed_") == ["doomed_two"]
    assert server.query("SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'doomed_')") == "doomed_two"


@pytest.mark.parametrize("name", ["site'; DROP ROLE admin; --", 'site"', "site\\", "site one", "$(id)", "postgres"])
def test_no_name_that_could_leave_its_quotes_reaches_a_script(name: str) -> None:
    with pytest.raises(InvalidValueError, match="database name"):
        DatabaseName(name)


def test_job_fails_where_the_administrator_may_not_do_its_work(server: Server) -> None:
    server.query(f"CREATE ROLE helpless LOGIN PASSWORD '{postgres.scram_verifier(_PASSWORD)}'")
    server.query("GRANT CONNECT ON DATABASE postgres TO helpless")
    job = _init_job(_props("site_never"))
    (part,) = job["spec"]["template"]["spec"]["containers"]
    variables = resolve_env(
        part,
        {},
        {"db-admin": {"username": "helpless", "password": _PASSWORD}, "verifiers": {"site_never": "SCRAM-SHA-256$"}},
    )

    process = server.start(part["command"], variables)
    log, _ = process.communicate(timeout=30)

    assert process.returncode != 0
    assert "ERROR" in log
    assert _databases(server, "site_never") == []


def test_migrations_wait_until_their_own_database_lets_them_in(server: Server) -> None:
    connection = DatabaseConnection(
        host=_SERVER.host,
        port=_SERVER.port,
        database=DatabaseName("site_late"),
        role=DatabaseName("site_late"),
        password=SecretKey("site", "password"),
    )

    def build(scope: Construct) -> None:
        props = MigrationJobProps(
            placement=sets.PLACEMENT,
            image=_IMAGE,
            client_image=_IMAGE,
            command=["migrate"],
            environment=EnvSource(config_map="env-vars", checksum=""),
            database=connection,
        )
        MigrationJob(scope, "migrations", props)

    (wait,) = sets.Set.of(build).only("Job")["spec"]["template"]["spec"]["initContainers"]
    waiting, with_another_password = _start(server, wait), _start(server, wait, "not yet")
    try:
        time.sleep(1)
        assert waiting.poll() is None, waiting.communicate()[0]

        _run(server, _init_job(_props("site_late")))

        assert waiting.wait(timeout=10) == 0
        assert with_another_password.poll() is None
    finally:
        for process in (waiting, with_another_password):
            process.kill()
            process.communicate()
