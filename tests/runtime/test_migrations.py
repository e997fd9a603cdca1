"""Migrations: the Job's wait and its command, against a real PostgreSQL."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from constructs_lib._k8s import Construct
from constructs_lib.migration_job import MigrationJob, MigrationJobProps
from constructs_lib.pod import EnvSource
from tests.runtime import postgres, sets
from tests.runtime.databases import IMAGE, PASSWORD, connection, container, init_job, kill, props, run, start, variables
from tests.runtime.pods import Manifest
from tests.runtime.postgres import INSTALLATIONS, Server

pytestmark = pytest.mark.xdist_group("runtime-postgresql")

# A site's migrations, as a tool such as Phinx runs them: each in a transaction with its record.
_MIGRATE = """\
set -eu
for version in 1 2 3; do
psql -XAqt -v ON_ERROR_STOP=1 -v version=$version <<'SQL'
CREATE TABLE IF NOT EXISTS migrations (version int PRIMARY KEY);
BEGIN;
LOCK TABLE migrations;
SELECT format('CREATE TABLE posts_%s (id int PRIMARY KEY)', :version)
 WHERE NOT EXISTS (SELECT FROM migrations WHERE version = :version) \\gexec
INSERT INTO migrations VALUES (:version) ON CONFLICT DO NOTHING;
COMMIT;
SQL
done
echo migrated
"""


@pytest.fixture(scope="module", params=INSTALLATIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with postgres.server(request.param, settings={"max_connections": 250}) as running:
        yield running


def _job(name: str, command: Sequence[str] = ("sh", "-c", _MIGRATE)) -> Manifest:
    def build(scope: Construct) -> None:
        job = MigrationJobProps(
            placement=sets.PLACEMENT,
            image=IMAGE,
            client_image=IMAGE,
            command=command,
            environment=EnvSource(config_map="env-vars", checksum=""),
            database=connection(name),
        )
        MigrationJob(scope, "migrations", job)

    return sets.Set.of(build).only("Job")


def _wait(job: Manifest) -> Manifest:
    (part,) = job["spec"]["template"]["spec"]["initContainers"]
    return dict(part)


def _migrate(server: Server, job: Manifest) -> subprocess.Popen[str]:
    """Starts the site's command with the site's variables, which here are libpq's."""
    return server.start(container(job)["command"], variables(_wait(job)))


def _shortened(part: Manifest, seconds: int) -> Mapping[str, Sequence[str]]:
    script = part["command"][2]
    assert "+ 75))" in script
    return {**part, "command": [*part["command"][:2], script.replace("+ 75))", f"+ {seconds}))")]}


def test_they_wait_until_their_own_database_lets_them_in(server: Server) -> None:
    wait = _wait(_job("site_late"))
    waiting, with_another_password = start(server, wait), start(server, wait, "not yet")
    try:
        time.sleep(1)
        assert waiting.poll() is None

        run(server, init_job(props("site_late")))

        log, _ = waiting.communicate(timeout=20)
        assert waiting.returncode == 0
        assert "waiting for the database: " in log
        assert 'password authentication failed for user "site_late"' in log
        assert with_another_password.poll() is None
    finally:
        for process in (waiting, with_another_password):
            if process.poll() is None:
                kill(process)


def test_an_open_port_is_not_enough(server: Server) -> None:
    run(server, init_job(props("site_closed")))
    server.query("ALTER ROLE site_closed CONNECTION LIMIT 0")

    waiting = start(server, _shortened(_wait(_job("site_closed")), 2))
    log, _ = waiting.communicate(timeout=30)

    assert subprocess.run(["pg_isready"], env=server.variables, check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert waiting.returncode == 1
    assert "error: no connection as site_closed to database site_closed within" in log
    assert 'too many connections for role "site_closed"' in log
    assert PASSWORD not in log


def test_running_twice_does_no_harm(server: Server) -> None:
    run(server, init_job(props("site_twice")))
    as_role = {"database": "site_twice", "user": "site_twice", "password": PASSWORD}

    for _ in range(2):
        process = _migrate(server, _job("site_twice"))
        assert process.communicate(timeout=60)[0].splitlines()[-1] == "migrated"
        server.query("INSERT INTO posts_1 VALUES (1) ON CONFLICT DO NOTHING", **as_role)

    assert server.query("SELECT string_agg(version::text, ',' ORDER BY version) FROM migrations", **as_role) == "1,2,3"
    assert server.query("SELECT count(*) FROM posts_1", **as_role) == "1"


def test_a_kill_in_the_middle_leaves_what_the_next_run_completes(server: Server) -> None:
    for number in range(6):
        name = f"site_cut_{number}"
        run(server, init_job(props(name)))
        process = _migrate(server, _job(name))
        time.sleep(number * 0.03)
        kill(process)

        again = _migrate(server, _job(name))
        assert again.communicate(timeout=60)[0].splitlines()[-1] == "migrated"
        as_role = {"database": name, "user": name, "password": PASSWORD}
        assert server.query("SELECT count(*) FROM pg_tables WHERE tablename ~ '^posts_'", **as_role) == "3"


def test_a_migration_that_fails_fails_with_what_it_said_and_can_run_again(server: Server) -> None:
    run(server, init_job(props("site_faulty")))
    faulty = _job(
        "site_faulty", ["sh", "-c", _MIGRATE.replace("posts_%s (id int PRIMARY KEY)", "posts_%s (id nonsense)")]
    )

    process = _migrate(server, faulty)
    log, _ = process.communicate(timeout=30)

    assert process.returncode == 3
    assert 'ERROR:  type "nonsense" does not exist' in log
    mended = _migrate(server, _job("site_faulty"))
    assert mended.communicate(timeout=60)[0].splitlines()[-1] == "migrated"


def test_ten_previews_at_once_come_and_migrate_and_none_fails_for_anothers_sake(server: Server) -> None:
    """Each as a deploy has it: the database, the wait, the migrations; one of them takes all that it may."""
    limit = 20
    names = [f"shop_pr_{number}" for number in range(1, 11)]
    waits = {name: start(server, _wait(_job(name))) for name in names}
    creations = {name: start(server, container(init_job(props(name, connection_limit=limit)))) for name in names}
    for name, process in {**creations, **waits}.items():
        log, _ = process.communicate(timeout=90)
        assert process.returncode == 0, (name, log)

    greedy, *others = names
    as_greedy = {"PGDATABASE": greedy, "PGUSER": greedy, "PGPASSWORD": PASSWORD}
    run_migrations = _migrate(server, _job(greedy))
    assert run_migrations.communicate(timeout=60)[0].splitlines()[-1] == "migrated"
    held = [server.start(["psql", "-Xc", "SELECT pg_sleep(120)"], as_greedy) for _ in range(limit + 10)]
    try:
        migrations = {name: _migrate(server, _job(name)) for name in others}
        for name, process in migrations.items():
            log, _ = process.communicate(timeout=90)
            assert (process.returncode, log.splitlines()[-1]) == (0, "migrated"), (name, log)

        assert int(server.query(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{greedy}'")) <= limit
    finally:
        for process in held:
            kill(process)
