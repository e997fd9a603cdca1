"""Databases that are their own: one preview tries to break into another one's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtime import postgres
from tests.runtime.databases import PASSWORD, init_job, kill, open_to_anyone, props, run
from tests.runtime.pods import wait_until
from tests.runtime.postgres import INSTALLATIONS, Server

pytestmark = pytest.mark.xdist_group("runtime-postgresql")

_MINE, _THEIRS = "site_pr_1", "site_pr_2"
_SECRET = "sesame"


@pytest.fixture(scope="module", params=INSTALLATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with two previews, one of which has a secret, and is telling it just now."""
    with postgres.server(request.param) as running:
        open_to_anyone(running)
        for name in (_MINE, _THEIRS):
            run(running, init_job(props(name)))
        owner = {"database": _THEIRS, "user": _THEIRS, "password": PASSWORD}
        running.query(f"CREATE TABLE {_SECRET}_table AS SELECT '{_SECRET}' AS {_SECRET}_column", **owner)
        running.query(f"COMMENT ON TABLE {_SECRET}_table IS '{_SECRET}'; ANALYZE", **owner)
        telling = running.start(
            ["psql", "-Xc", f"SELECT '{_SECRET}', pg_advisory_lock(7), pg_sleep(600)"],
            {"PGDATABASE": _THEIRS, "PGUSER": _THEIRS, "PGPASSWORD": PASSWORD, "PGAPPNAME": "worker"},
        )
        wait_until(lambda: _SECRET in running.query("SELECT query FROM pg_stat_activity"), timeout=10)
        try:
            yield running
        finally:
            kill(telling)


def _as_mine(server: Server, sql: str, database: str = _MINE) -> str:
    return server.query(sql, database=database, user=_MINE, password=PASSWORD)


def test_it_can_connect_to_no_database_but_its_own(server: Server) -> None:
    others = server.query(f"SELECT datname FROM pg_database WHERE datallowconn AND datname <> '{_MINE}'").splitlines()

    assert _as_mine(server, "SELECT 1") == "1"
    assert set(others) == {"postgres", "template1", _THEIRS}
    for other in others:
        with pytest.raises(PermissionError, match=f'permission denied for database "{other}"'):
            _as_mine(server, "SELECT 1", other)
    with pytest.raises(PermissionError, match='database "template0" is not currently accepting connections'):
        _as_mine(server, "SELECT 1", "template0")


def test_its_password_opens_no_other_role(server: Server) -> None:
    for user in (_THEIRS, postgres.ADMIN):
        with pytest.raises(PermissionError, match="password authentication failed"):
            server.query("SELECT 1", database=_THEIRS, user=user, password="another")


@pytest.mark.parametrize(
    "attempt",
    [
        f"SET ROLE {_THEIRS}",
        f"SET SESSION AUTHORIZATION {_THEIRS}",
        f"SET ROLE {postgres.ADMIN}",
        f"GRANT {_THEIRS} TO {_MINE}",
        f"GRANT pg_read_all_data TO {_MINE}",
        f"ALTER ROLE {_THEIRS} PASSWORD 'mine'",
        f"ALTER ROLE {_THEIRS} NOLOGIN",
        f"DROP ROLE {_THEIRS}",
        f"ALTER ROLE {_MINE} SUPERUSER",
        f"ALTER ROLE {_MINE} CREATEDB",
        f"ALTER ROLE {_MINE} CONNECTION LIMIT 100",
        f"ALTER ROLE {_MINE} BYPASSRLS",
        "CREATE ROLE accomplice LOGIN",
        f"DROP DATABASE {_THEIRS}",
        f"DROP DATABASE {_THEIRS} WITH (FORCE)",
        f"ALTER DATABASE {_THEIRS} RENAME TO stolen",
        f"ALTER DATABASE {_THEIRS} OWNER TO {_MINE}",
        f"ALTER DATABASE {_THEIRS} CONNECTION LIMIT 0",
        f"ALTER DATABASE {_THEIRS} SET work_mem = '1GB'",
        f"ALTER DATABASE {_MINE} OWNER TO {_THEIRS}",
        f"ALTER DATABASE {_MINE} RENAME TO aphiria",
        f"GRANT CONNECT ON DATABASE {_THEIRS} TO {_MINE}",
        "GRANT CONNECT ON DATABASE postgres TO PUBLIC",
        f"REVOKE CONNECT ON DATABASE {_THEIRS} FROM {_THEIRS}",
        f"CREATE DATABASE copy TEMPLATE {_THEIRS}",
        f"REASSIGN OWNED BY {_THEIRS} TO {_MINE}",
        "SELECT rolpassword FROM pg_authid",
        "SELECT passwd FROM pg_shadow",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_read_binary_file('global/pg_control')",
        "SELECT pg_ls_dir('base')",
        "SELECT lo_import('/etc/passwd')",
        "CREATE TABLE loot (line text); COPY loot FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/loot'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "ALTER SYSTEM SET log_statement = 'all'",
        "SET log_statement = 'all'",
        "SET session_replication_role = 'replica'",
        "SET temp_file_limit = -1",
        "LOAD '/tmp/loot.so'",
        "CREATE FUNCTION run() RETURNS int LANGUAGE c AS '/tmp/loot.so', 'run'",
        "CREATE FUNCTION run() RETURNS int LANGUAGE internal AS 'pg_read_file_off_len'",
        "CREATE TABLESPACE loot LOCATION '/tmp'",
        f"CREATE SUBSCRIPTION spy CONNECTION 'dbname={_THEIRS}' PUBLICATION all_of_it",
        "CREATE EVENT TRIGGER spy ON ddl_command_start EXECUTE FUNCTION pg_catalog.now()",
        "SELECT pg_create_physical_replication_slot('hoard')",
        "SELECT pg_create_logical_replication_slot('spy', 'pgoutput')",
        "SELECT pg_reload_conf()",
        "SELECT pg_switch_wal()",
        "SELECT pg_stat_reset_shared('bgwriter')",
        "BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE",
    ],
)
def test_it_can_do_nothing_to_another(server: Server, attempt: str) -> None:
    with pytest.raises(
        PermissionError, match=r"permission denied|must (be|have)|[Oo]nly (superuser|roles)|is not allowed"
    ):
        _as_mine(server, attempt)


def test_the_other_one_goes_on_as_if_nothing_had_been_tried(server: Server) -> None:
    owner = {"database": _THEIRS, "user": _THEIRS, "password": PASSWORD}

    assert (
        server.query(f"SELECT current_user, {_SECRET}_column FROM {_SECRET}_table", **owner) == f"{_THEIRS}|{_SECRET}"
    )


@pytest.mark.parametrize("extension", ["dblink", "postgres_fdw", "file_fdw", "adminpack", "pg_stat_statements"])
def test_no_extension_lets_it_out(server: Server, extension: str) -> None:
    with pytest.raises(PermissionError, match=r"permission denied to create extension|not available"):
        _as_mine(server, f"CREATE EXTENSION {extension}")


def test_the_catalogue_tells_nothing_of_another_but_names_and_numbers(server: Server) -> None:
    relations = _as_mine(
        server,
        "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'v') AND relpersistence = 'p'"
        " AND relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1",
    ).splitlines()
    refused: list[tuple[str, bool]] = []
    silent = 0

    for relation in relations:
        try:
            own = "AND usename IS DISTINCT FROM current_user" if relation == "pg_stat_activity" else ""
            told = _as_mine(server, f"SELECT count(*) FROM {relation} AS row WHERE row::text LIKE '%{_SECRET}%' {own}")
        except PermissionError as error:
            refused.append((relation, "permission denied" in str(error)))
        else:
            assert told == "0", relation
            silent += 1

    assert silent > 150
    assert {("pg_authid", True), ("pg_shadow", True), ("pg_statistic", True)} <= set(refused)
    assert all(denied for _, denied in refused)
    # PostgreSQL has no way to keep these from a role: that others are there, under which names, what their clients call
    # themselves, and how busy they are.
    assert _as_mine(server, f"SELECT count(*) FROM pg_database WHERE datname = '{_THEIRS}'") == "1"
    assert _as_mine(server, f"SELECT count(*) FROM pg_roles WHERE rolname = '{_THEIRS}'") == "1"
    activity = _as_mine(
        server,
        "SELECT query, application_name, client_addr, state FROM pg_stat_activity"
        f" WHERE datname = '{_THEIRS}' AND usename = '{_THEIRS}'",
    )
    assert activity == "<insufficient privilege>|worker||"


def test_one_that_uses_all_of_its_connections_takes_none_of_anothers(server: Server) -> None:
    run(server, init_job(props("greedy_pr_1", connection_limit=4)))
    greedy = {"PGDATABASE": "greedy_pr_1", "PGUSER": "greedy_pr_1", "PGPASSWORD": PASSWORD}
    held = [server.start(["psql", "-Xc", "SELECT pg_sleep(60)"], greedy) for _ in range(4)]
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'greedy_pr_1'"
    try:
        wait_until(lambda: server.query(sessions) == "4", timeout=10)

        with pytest.raises(PermissionError, match='too many connections for role "greedy_pr_1"'):
            server.query("SELECT 1", database="greedy_pr_1", user="greedy_pr_1", password=PASSWORD)
        assert _as_mine(server, "SELECT 1") == "1"
    finally:
        for process in held:
            kill(process)
