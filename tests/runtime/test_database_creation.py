"""Databases that come: the script of the database's Job, against a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from constructs_lib.errors import InvalidValueError
from constructs_lib.values import DatabaseName
from tests.runtime import postgres
from tests.runtime.databases import (
    PASSWORD,
    container,
    databases,
    fail,
    finish,
    init_job,
    kill,
    killed_after,
    open_to_anyone,
    props,
    roles,
    run,
    start,
)
from tests.runtime.pods import wait_until
from tests.runtime.postgres import INSTALLATIONS, Server

pytestmark = pytest.mark.xdist_group("runtime-postgresql")

# What names could do, if they were pasted: as SQL, as a command of psql, as an argument of a shell, as a format.
_HOSTILE = [
    "hostile'; DROP ROLE hostile_witness; --",
    'hostile"; DROP DATABASE hostile_witness; --',
    "hostile\\",
    "hostile\\! touch /tmp/hostile",
    "hostile\nSQL\nDROP DATABASE hostile_witness;",
    "hostile\n\\! kill $PPID",
    "hostile $(exit 7) `exit 7` ${PATH}",
    "hostile %s %I %%",
    "hostile $do$ $$ :'role' :database",
    "hostile; --help",
    "-hostile",
    "HOSTILE",
    "h\u00f6stile \U0001f4a5",
]


@pytest.fixture(scope="module", params=INSTALLATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    # As many connections as the cluster of the previews has.
    with postgres.server(request.param, settings={"max_connections": 250, "log_statement": "all"}) as running:
        yield running


def test_role_owns_its_database_and_logs_in_with_its_password(server: Server) -> None:
    log = run(server, init_job(props("site_one")))

    assert log.strip() == "database site_one belongs to role site_one"
    as_role = {"database": "site_one", "user": "site_one", "password": PASSWORD}
    server.query("CREATE TABLE posts (title text); INSERT INTO posts VALUES ('first')", **as_role)
    assert server.query("SELECT current_user, title FROM posts", **as_role) == "site_one|first"
    with pytest.raises(PermissionError, match="password authentication failed"):
        server.query("SELECT 1", **as_role | {"password": "another"})


def test_running_again_keeps_the_data_and_changes_the_password(server: Server) -> None:
    job = init_job(props("site_again"))
    as_role = {"database": "site_again", "user": "site_again"}

    run(server, job)
    server.query("CREATE TABLE kept AS SELECT 42 AS answer", **as_role, password=PASSWORD)
    run(server, job)
    assert server.query("SELECT answer FROM kept", **as_role, password=PASSWORD) == "42"
    run(server, job, password="rotated")

    assert server.query("SELECT answer FROM kept", **as_role, password="rotated") == "42"
    with pytest.raises(PermissionError, match="password authentication failed"):
        server.query("SELECT 1", **as_role, password=PASSWORD)


def test_role_has_no_power_beyond_its_database(server: Server) -> None:
    server.query("CREATE ROLE site_weak SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS")
    server.query("GRANT pg_read_all_data, pg_execute_server_program TO site_weak")
    server.query(f"GRANT {postgres.ADMIN} TO site_weak WITH ADMIN OPTION")

    run(server, init_job(props("site_weak", connection_limit=3)))

    powers = server.query(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit"
        " FROM pg_roles WHERE rolname = 'site_weak'"
    )
    assert powers == "f|f|f|f|f|3"
    assert server.query("SELECT count(*) FROM pg_auth_members WHERE member = 'site_weak'::regrole") == "0"


@pytest.mark.parametrize("name", [*_HOSTILE, "postgres", "template1", "pg_mine", "", "a" * 64])
def test_no_name_that_could_leave_its_quotes_reaches_a_script(name: str) -> None:
    with pytest.raises(InvalidValueError, match="database name"):
        DatabaseName(name)


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_script_that_gets_a_hostile_name_all_the_same_takes_it_as_a_name(server: Server, name: str) -> None:
    run(server, init_job(props("hostile_witness")))
    job = init_job(props("site_plain"))

    for _ in range(2):
        log = run(server, job, given={"DATABASE_NAME": name, "DATABASE_ROLE": name})
        assert log.rstrip("\n") == f"database {name} belongs to role {name}"

    found = server.query("SELECT quote_literal(datname) FROM pg_database WHERE datname !~ '^(site|hostile|crowd)_'")
    assert server.query(f"SELECT quote_literal($name${name}$name$)") in found
    assert databases(server, "hostile_") == ["hostile_witness of hostile_witness"]
    as_role = {"database": name, "user": name, "password": PASSWORD}
    # libpq takes a database name with a = in it for a connection string; there is none here.
    assert server.query("SELECT current_user", **as_role) == name


def test_two_hundred_at_once_half_of_them_for_the_same_names(server: Server) -> None:
    open_to_anyone(server)
    alone = [f"crowd_{number:03}" for number in range(100)]
    shared = [f"crowd_shared_{number}" for number in range(10)]
    parts = {name: container(init_job(props(name))) for name in [*alone, *shared]}

    running = [(name, start(server, parts[name])) for pair in zip(alone, shared * 10, strict=True) for name in pair]
    ended = [(name, process.communicate(timeout=240)[0], process.returncode) for name, process in running]

    assert [(name, log) for name, log, code in ended if code] == []
    assert len(ended) == 200
    assert {log.splitlines()[-1] for _, log, _ in ended} == {
        f"database {name} belongs to role {name}" for name in parts
    }
    assert databases(server, "crowd_") == [f"{name} of {name}" for name in sorted(parts)]
    for name in (alone[-1], shared[-1]):
        assert server.query("SELECT 1", database=name, user=name, password=PASSWORD) == "1"


def test_a_kill_after_any_statement_leaves_what_the_next_run_completes(server: Server) -> None:
    of = props("site_killed_0")
    parts = killed_after(init_job(of))

    for number, part in enumerate(parts):
        name = f"site_killed_{number}"
        given = {"DATABASE_NAME": name, "DATABASE_ROLE": name}
        process = start(server, part, given=given)
        log, _ = process.communicate(timeout=60)
        assert process.returncode == 137, log

        assert run(server, init_job(of), given=given).strip() == f"database {name} belongs to role {name}"
        assert server.query("SELECT 1", database=name, user=name, password=PASSWORD) == "1"
    assert len(parts) > 15


def test_a_kill_at_any_moment_leaves_what_the_next_run_completes(server: Server) -> None:
    for number in range(12):
        name = f"site_shot_{number}"
        job = init_job(props(name))
        process = start(server, container(job))
        time.sleep(number * 0.02)
        kill(process)

        # Its statement may go on in the server; the next one waits for that.
        assert run(server, job).strip() == f"database {name} belongs to role {name}"
        assert databases(server, f"{name}") == [f"{name} of {name}"]


def test_a_database_that_a_crash_left_half_dropped_is_made_anew(server: Server) -> None:
    job = init_job(props("site_broken"))
    run(server, job)
    # What the server writes before it removes the files, and what is left of a database where it then dies.
    server.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'site_broken'")

    run(server, job)

    assert server.query("SELECT 1", database="site_broken", user="site_broken", password=PASSWORD) == "1"
    assert server.query("SELECT datconnlimit FROM pg_database WHERE datname = 'site_broken'") == "-1"


def test_a_database_that_the_administrator_made_by_hand_becomes_the_roles(server: Server) -> None:
    server.query("CREATE DATABASE site_found")

    run(server, init_job(props("site_found")))

    assert databases(server, "site_found") == ["site_found of site_found"]


def test_a_database_of_another_role_is_not_taken_from_it(server: Server) -> None:
    run(server, init_job(props("site_owner")))

    log = fail(server, init_job(props("site_owner", role=DatabaseName("site_thief"))))

    assert "database site_owner belongs to role site_owner, expected site_thief: it is another one's" in log
    assert databases(server, "site_owner") == ["site_owner of site_owner"]
    assert roles(server, "site_thief") == []


def test_the_administrator_never_becomes_a_sites_role(server: Server) -> None:
    log = fail(server, init_job(props(postgres.ADMIN)))

    assert "role admin is the administrator, expected a role for database admin alone" in log
    assert server.query("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "t"


@pytest.mark.parametrize("verifier", ["", "sesame", "SCRAM-SHA-256$4096:c2FsdA==", "md5" + "0" * 32])
def test_what_is_no_verifier_is_refused_and_shown_nowhere(server: Server, verifier: str) -> None:
    log = fail(server, init_job(props("site_plainly")), given={"DATABASE_PASSWORD_VERIFIER": verifier})

    assert "DATABASE_PASSWORD_VERIFIER: found something else, expected a SCRAM-SHA-256 verifier" in log
    assert not verifier or verifier not in log + server.log
    assert roles(server, "site_plainly") == []


def test_the_verifier_is_in_no_log_of_the_server_also_where_it_fails(server: Server) -> None:
    job = init_job(props("site_discreet"))
    run(server, job)
    assert "statement: SELECT" in server.log
    fail(server, job, given={"DATABASE_CONNECTION_LIMIT": "-7"})

    assert "CREATE ROLE site_discreet" not in server.log
    assert "SCRAM-SHA-256$4096:" not in server.log


def test_an_unexpected_error_fails_the_job_with_the_servers_message(server: Server) -> None:
    server.query(f"CREATE ROLE helpless LOGIN PASSWORD '{postgres.scram_verifier(PASSWORD)}'")
    server.query("GRANT CONNECT ON DATABASE postgres TO helpless")

    log = fail(server, init_job(props("site_never")), given={"PGUSER": "helpless", "PGPASSWORD": PASSWORD})

    assert "ERROR:  permission denied" in log
    assert databases(server, "site_never") == []


def test_a_wrong_password_of_the_administrator_fails_at_once_and_is_not_shown(server: Server) -> None:
    started = time.monotonic()

    log = fail(server, init_job(props("site_never")), given={"PGPASSWORD": "mistaken"})

    assert 'password authentication failed for user "admin"' in log
    assert "mistaken" not in log
    assert time.monotonic() - started < 10


def test_a_server_that_goes_away_in_the_middle_and_comes_back_is_waited_for(server: Server) -> None:
    name = "site_patient"
    with_lock = server.start(
        ["psql", "-XAtc", f"SELECT pg_advisory_lock(hashtextextended('{name}', 0)), pg_sleep(60)"],
        {"PGDATABASE": "postgres", "PGUSER": postgres.ADMIN, "PGPASSWORD": postgres.ADMIN_PASSWORD},
    )
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = {}"
    wait_until(lambda: server.query(locks.format("true")) == "1", timeout=10)
    process = start(server, container(init_job(props(name))))
    wait_until(lambda: server.query(locks.format("false")) == "1", timeout=10)

    server.crash()
    kill(with_lock)
    time.sleep(2)
    server.run()

    log = finish(process)
    assert log.splitlines()[-1] == f"database {name} belongs to role {name}"
    assert "waiting for the server: " in log
    assert databases(server, name) == [f"{name} of {name}"]


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_none_fails_where_the_server_has_fewer_connections_than_jobs(installation: str) -> None:
    with postgres.server(installation, settings={"max_connections": 6}) as small:
        parts = [container(init_job(props(f"queue_{number:02}"))) for number in range(30)]

        logs = [finish(process) for process in [start(small, part) for part in parts]]

        assert any("sorry, too many clients already" in log for log in logs)
        assert len(databases(small, "queue_")) == 30
