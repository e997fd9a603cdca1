"""Databases that go: the script of the Job that removes one, against a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from constructs_lib.database_job import drop_job
from constructs_lib.errors import InvalidPropsError
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
    props,
    roles,
    run,
    start,
)
from tests.runtime.pods import wait_until
from tests.runtime.postgres import INSTALLATIONS, Server

pytestmark = pytest.mark.xdist_group("runtime-postgresql")


@pytest.fixture(scope="module", params=INSTALLATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with postgres.server(request.param) as running:
        for name in ("site_pr_1", "aphiria"):
            run(running, init_job(props(name)))
        yield running


def _gone(name: str) -> str:
    return f"database {name} and role {name} are gone"


def test_a_preview_leaves_nothing_and_takes_no_other_along(server: Server) -> None:
    doomed, spared = props("doomed_pr_1"), props("doomed_pr_10")
    for of in (doomed, spared):
        run(server, init_job(of))

    first, second = run(server, drop_job(doomed)), run(server, drop_job(doomed))

    assert first.strip() == second.strip() == _gone("doomed_pr_1")
    assert databases(server, "doomed_") == ["doomed_pr_10 of doomed_pr_10"]
    assert roles(server, "doomed_") == ["doomed_pr_10"]


def test_a_database_in_use_is_dropped_all_the_same(server: Server) -> None:
    of = props("busy_pr_1")
    run(server, init_job(of))
    as_role = {"PGDATABASE": "busy_pr_1", "PGUSER": "busy_pr_1", "PGPASSWORD": PASSWORD}
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'busy_pr_1'"
    sleeper = server.start(["psql", "-Xc", "SELECT pg_sleep(60)"], as_role)
    writer = server.start(["psql", "-Xc", "BEGIN; CREATE TABLE held (); LOCK TABLE held; SELECT pg_sleep(60)"], as_role)
    # Pods that are still there connect again and again.
    storm = server.start(["sh", "-c", "while :; do psql -Xqc 'SELECT 1' >/dev/null 2>&1; done"], as_role)
    try:
        wait_until(lambda: int(server.query(sessions)) >= 2, timeout=10)

        assert run(server, drop_job(of)).strip() == _gone("busy_pr_1")

        for process in (sleeper, writer):
            assert "terminating connection" in process.communicate(timeout=10)[0]
    finally:
        kill(storm)
    assert databases(server, "busy_") == []


def test_many_drops_and_creations_of_one_preview_at_once_end_in_one_of_the_two(server: Server) -> None:
    of = props("torn_pr_1")
    parts = [container(init_job(of)), container(drop_job(of))] * 8

    for process in [start(server, part) for part in parts]:
        finish(process)

    assert databases(server, "torn_") in ([], ["torn_pr_1 of torn_pr_1"])
    assert run(server, drop_job(of)).strip() == _gone("torn_pr_1")


def test_a_kill_after_any_statement_leaves_what_the_next_run_completes(server: Server) -> None:
    parts = killed_after(drop_job(props("killed_pr_1")))
    for number, part in enumerate(parts):
        name = f"killed_pr_{number + 1}"
        of = props(name)
        run(server, init_job(of))
        process = start(server, part, given={"DATABASE_NAME": name, "DATABASE_ROLE": name})
        log, _ = process.communicate(timeout=60)
        assert process.returncode == 137, log

        assert run(server, drop_job(of)).strip() == _gone(name)
    assert len(parts) >= 8
    assert databases(server, "killed_") == roles(server, "killed_") == []


def test_a_kill_at_any_moment_leaves_what_the_next_run_completes(server: Server) -> None:
    for number in range(10):
        of = props(f"shot_pr_{number + 1}")
        run(server, init_job(of))
        process = start(server, container(drop_job(of)))
        time.sleep(number * 0.015)
        kill(process)

        run(server, drop_job(of))
    assert databases(server, "shot_") == roles(server, "shot_") == []


def test_a_preview_that_a_crash_left_half_dropped_is_dropped(server: Server) -> None:
    of = props("broken_pr_1")
    run(server, init_job(of))
    server.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken_pr_1'")

    assert run(server, drop_job(of)).strip() == _gone("broken_pr_1")


@pytest.mark.parametrize("missing", ["DATABASE", "ROLE"])
def test_half_of_a_preview_is_dropped(server: Server, missing: str) -> None:
    of = props("half_pr_1")
    run(server, init_job(of))
    if missing == "ROLE":
        server.query(f"ALTER DATABASE half_pr_1 OWNER TO {postgres.ADMIN}")
    server.query(f"DROP {missing} half_pr_1")

    assert run(server, drop_job(of)).strip() == _gone("half_pr_1")


def test_what_an_administrator_granted_a_preview_goes_with_it(server: Server) -> None:
    of = props("granted_pr_1")
    run(server, init_job(of))
    server.query("GRANT CONNECT ON DATABASE postgres TO granted_pr_1")
    server.query("GRANT pg_monitor TO granted_pr_1; ALTER ROLE granted_pr_1 SET work_mem = '8MB'")

    assert run(server, drop_job(of)).strip() == _gone("granted_pr_1")


def test_what_a_preview_owns_elsewhere_stays_and_fails_the_job_with_the_servers_message(server: Server) -> None:
    of = props("rich_pr_1")
    run(server, init_job(of))
    server.query("CREATE DATABASE estate OWNER rich_pr_1")

    log = fail(server, drop_job(of))

    assert 'role "rich_pr_1" cannot be dropped because some objects depend on it' in log
    assert "owner of database estate" in log
    assert databases(server, "estate") == ["estate of rich_pr_1"]
    server.query("DROP DATABASE estate")
    assert run(server, drop_job(of)).strip() == _gone("rich_pr_1")


_NO_PREVIEWS = ["aphiria", "site", "site_pr", "site_pr_", "site_pr_0", "site_pr_07", "site_pr_1_old", "sitepr_1"]


@pytest.mark.parametrize("name", _NO_PREVIEWS)
@pytest.mark.parametrize("prop", ["database", "role"])
def test_a_drop_of_what_is_no_previews_cannot_be_made(name: str, prop: str) -> None:
    of = props("site_pr_1", **{prop: DatabaseName(name)})

    with pytest.raises(InvalidPropsError, match=f"{prop}: found '{name}', expected a preview's, such as site_pr_N"):
        drop_job(of)


@pytest.mark.parametrize(
    "name",
    [
        *_NO_PREVIEWS,
        "postgres",
        "template1",
        postgres.ADMIN,
        "",
        "site_pr_1\n",
        "\nsite_pr_1",
        "x'; -- _pr_1",
        "Site_pr_1",
    ],
)
@pytest.mark.parametrize("variable", ["DATABASE_NAME", "DATABASE_ROLE"])
def test_a_script_that_gets_such_a_name_all_the_same_drops_nothing(server: Server, name: str, variable: str) -> None:
    before = databases(server, ""), roles(server, "")

    log = fail(server, drop_job(props("site_pr_1")), given={variable: name})

    assert f"{name} is no preview's, expected a name such as site_pr_N: nothing was dropped" in log
    assert (databases(server, ""), roles(server, "")) == before


def test_a_server_that_is_not_there_fails_the_job_with_what_was_waited_for(server: Server) -> None:
    part = container(drop_job(props("absent_pr_1")))
    shortened = {**part, "command": [*part["command"][:2], part["command"][2].replace("+ 75))", "+ 2))")]}
    assert shortened != part

    process = server.start(["env", "PGPORT=1", *shortened["command"]], {"PGPASSWORD": "x", "PGUSER": "y"})
    log, _ = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "Connection refused" in log
