"""Restores: into a new database, verified, swapped; what was there is kept until somebody says otherwise."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.runtime import needs, postgres, s3
from tests.runtime.backups import DATABASE, PREFIX, Site, fill, machine_of
from tests.runtime.databases import PASSWORD, container, databases, init_job, props, variables
from tests.runtime.jobs import kill
from tests.runtime.pods import wait_until
from tests.runtime.postgres import INSTALLATIONS

pytestmark = pytest.mark.xdist_group("runtime-restore")

_AS_OWNER = {"database": DATABASE, "user": DATABASE, "password": PASSWORD}
_OWNER = {"PGDATABASE": DATABASE, "PGUSER": DATABASE, "PGPASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def bucket() -> Iterator[s3.Bucket]:
    needs.namespaces()
    with s3.server() as running:
        yield running


@pytest.fixture(scope="module", params=INSTALLATIONS)
def site(request: pytest.FixtureRequest, bucket: s3.Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        postgres.server(request.param) as server,
        machine_of(server, bucket, tmp_path_factory.mktemp("machine")) as made,
    ):
        fill(server)
        yield made


@pytest.fixture(scope="module")
def backup(site: Site) -> tuple[str, str]:
    """The name of a backup, and what it holds."""
    return site.take(), site.content()


@pytest.fixture(autouse=True)
def _nothing_beside(site: Site) -> Iterator[None]:
    yield
    for name in site.beside():
        site.server.query(f"DROP DATABASE {name} WITH (FORCE)")


def _answer(log: str) -> dict[str, str | None]:
    answer: dict[str, str | None] = json.loads(log.splitlines()[-1])
    return answer


def test_what_was_backed_up_comes_back_and_what_was_there_is_kept(site: Site, backup: tuple[str, str]) -> None:
    name, content = backup
    site.server.query("DELETE FROM posts; DROP TABLE measured; CREATE TABLE newer AS SELECT 1 AS a", **_AS_OWNER)
    lost = site.content()
    assert lost != content

    ended = site.restore(name)

    assert ended.code == 0, ended.log
    assert f"backup {name}: verified, 5 tables with every row" in ended.log
    assert site.content() == content
    (kept,) = site.beside()
    assert _answer(ended.log) == {"restored": DATABASE, "kept": kept}
    assert site.content(kept) == lost
    assert databases(site.server, DATABASE) == [f"{DATABASE} of {DATABASE}", f"{kept} of {DATABASE}"]
    # The site goes on with the password that it has, and nobody else comes in.
    assert site.server.query("SELECT count(*) FROM posts", **_AS_OWNER) == "5000"
    for database in (DATABASE, kept):
        with pytest.raises(PermissionError, match="permission denied for database"):
            _other_role(site, database)


def _other_role(site: Site, database: str) -> str:
    site.server.query(
        "DO $$BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END$$;"
        f"ALTER ROLE stranger PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'"
    )
    return site.server.query("SELECT 1", database=database, user="stranger", password=PASSWORD)


def test_it_comes_back_on_an_empty_server_with_its_roles(
    site: Site, backup: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, content = backup
    installation = "debian" if site.server.programs.is_relative_to("/usr") else "wheel"
    with (
        postgres.server(installation) as empty,
        machine_of(empty, site.bucket, tmp_path_factory.mktemp("empty")) as other,
    ):
        ended = other.restore(name)

        assert ended.code == 0, ended.log
        assert _answer(ended.log) == {"restored": DATABASE, "kept": None}
        assert other.content() == content
        roles = "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname IN ('shop', 'reader', 'reporting') ORDER BY 1"
        assert empty.query(roles).splitlines() == ["reader|t", "reporting|f", "shop|t"]
        assert empty.query("SELECT pg_has_role('reader', 'reporting', 'USAGE')") == "t"
        # Nobody knows a password yet: the database's Job sets it, as it does on every server that is new.
        with pytest.raises(PermissionError, match="password authentication failed"):
            empty.query("SELECT 1", **_AS_OWNER)
        part = container(init_job(props(DATABASE)))
        made = empty.start(part["command"], variables(part))
        assert made.wait(timeout=60) == 0
        assert empty.query("SELECT count(*) FROM posts", **_AS_OWNER) == "5000"


def test_roles_that_are_there_stay_as_they_are(site: Site, backup: tuple[str, str]) -> None:
    site.server.query("ALTER ROLE reader NOLOGIN CONNECTION LIMIT 1")

    ended = site.restore(backup[0])

    assert ended.code == 0, ended.log
    assert site.server.query("SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname = 'reader'") == "f|1"
    site.server.query("ALTER ROLE reader LOGIN CONNECTION LIMIT -1")


def test_a_database_in_use_is_swapped_all_the_same(site: Site, backup: tuple[str, str]) -> None:
    sleeper = site.server.start(["psql", "-Xc", "BEGIN; SELECT count(*) FROM posts; SELECT pg_sleep(60)"], _OWNER)
    storm = site.server.start(["sh", "-c", "while :; do psql -Xqc 'SELECT 1' >/dev/null 2>&1; done"], _OWNER)
    try:
        ended = site.restore(backup[0])
    finally:
        kill(storm)

    assert ended.code == 0, ended.log
    assert "terminating connection" in sleeper.communicate(timeout=10)[0]
    assert site.content() == backup[1]


def test_whoever_asks_meanwhile_finds_the_old_one_or_the_new_one(site: Site, backup: tuple[str, str]) -> None:
    site.server.query("CREATE TABLE mark AS SELECT 'old' AS age", **_AS_OWNER)
    seen: list[str] = []
    done = threading.Event()

    def ask() -> None:
        sql = "SELECT CASE WHEN to_regclass('mark') IS NULL THEN 'new' ELSE 'old' END"
        while not done.is_set():
            run = subprocess.run(
                [site.server.programs / "psql", "-XAtc", sql],
                env=site.server.variables | _OWNER,
                capture_output=True,
                text=True,
                check=False,
            )
            seen.append(run.stdout.strip() or run.stderr.strip())

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        ended = site.restore(backup[0])
        time.sleep(0.3)
    finally:
        done.set()
        asking.join()

    assert ended.code == 0, ended.log
    answers = [answer for answer in seen if answer in {"old", "new"}]
    assert answers == sorted(answers, reverse=True)
    assert (answers[0], answers[-1]) == ("old", "new")
    # Thrown out at the moment of the swap, or told that a database of that name is just going.
    others = [answer for answer in seen if answer not in {"old", "new"}]
    assert len(others) <= 3
    assert all("terminating connection" in answer or "does not exist" in answer for answer in others), others


@pytest.mark.parametrize("part", ["dump", "roles.sql", "rows", "sha256"])
def test_a_truncated_object_is_found_before_anything_is_touched(site: Site, backup: tuple[str, str], part: str) -> None:
    name = backup[0]
    path = f"{PREFIX}/{name}.{part}"
    whole, before = site.bucket.read(path), site.content()
    site.bucket.write(path, whole[:-7])
    try:
        ended = site.restore(name)
    finally:
        site.bucket.write(path, whole)

    assert ended.code != 0
    assert f"backup {name} cannot be restored; database shop is as it was; of it the bucket has:" in ended.log
    if part != "sha256":
        assert f"{name}.{part}: found {len(whole) - 7} bytes that are not those which were uploaded" in ended.log
    assert list(ended.logs) == ["download"]
    assert (site.content(), site.beside()) == (before, [])


@pytest.mark.parametrize("part", ["dump", "roles.sql", "rows", "sha256"])
def test_half_a_backup_is_none(site: Site, backup: tuple[str, str], part: str) -> None:
    name = backup[0]
    path = f"{PREFIX}/{name}.{part}"
    whole, before = site.bucket.read(path), site.content()
    site.bucket.remove(path)
    try:
        ended = site.restore(name)
    finally:
        site.bucket.write(path, whole)

    assert ended.code != 0
    assert f"backup {name} cannot be restored; database shop is as it was; of it the bucket has:" in ended.log
    assert sum(line.endswith(f"{name}.{other}") for line in ended.log.splitlines() for other in ("dump", "rows")) >= 1
    assert (site.content(), site.beside()) == (before, [])


@pytest.mark.parametrize(
    "name", ["", "latest", "2026/01/31/020000Z-blog", "../../other", "2026/01/31/020000Z-shop; id", "*", "{{.*}}"]
)
def test_what_is_no_name_of_a_backup_is_refused(site: Site, name: str) -> None:
    ended = site.restore(name)

    assert ended.code == 1
    assert f"found {name}, expected the name of a backup, such as 2026/01/31/020000Z-shop" in ended.log


def test_one_that_is_not_there_is_told(site: Site) -> None:
    ended = site.restore("2020/01/31/020000Z-shop")

    assert ended.code == 1
    assert (
        "found no 2020/01/31/020000Z-shop.sha256, expected the checksums that a complete backup ends with" in ended.log
    )


def test_one_that_restores_to_other_rows_is_not_swapped_in(site: Site, backup: tuple[str, str]) -> None:
    """A dump that cannot be what was backed up: its list of rows, with a checksum that fits, says something else."""
    name, before = backup[0], site.content()
    rows, sums = f"{PREFIX}/{name}.rows", f"{PREFIX}/{name}.sha256"
    whole, checksums = site.bucket.read(rows), site.bucket.read(sums)
    other = whole.replace(b"public.posts|5000", b"public.posts|5001")
    site.bucket.write(rows, other)
    site.bucket.write(sums, checksums.replace(_sha256(whole), _sha256(other)))
    try:
        ended = site.restore(name)
    finally:
        site.bucket.write(rows, whole)
        site.bucket.write(sums, checksums)

    assert ended.code == 1
    assert "-public.posts|5001" in ended.log
    assert "+public.posts|5000" in ended.log
    assert f"error: backup {name} was not restored; database shop is as it was" in ended.log
    assert site.content() == before


def test_a_server_that_dies_in_the_middle_leaves_the_database_as_it_was(site: Site, backup: tuple[str, str]) -> None:
    before = site.content()
    spec = site.jobs.restore["spec"]["template"]["spec"]
    pod, given = site.machine.new_pod(), {"BACKUP_NAME": backup[0]}
    (download,), (restore,) = spec["initContainers"], spec["containers"]
    assert site.machine.start(spec, download, pod, given).wait(timeout=60) == 0
    process = site.machine.start(spec, restore, pod, given)
    wait_until(lambda: any("_restoring_" in name for name in site.beside()), timeout=20)

    site.server.crash()
    log, _ = process.communicate(timeout=60)
    site.server.run()

    assert process.returncode != 0
    assert f"error: backup {backup[0]} was not restored; database shop is as it was" in log
    assert site.content() == before
    again = site.restore(backup[0])
    assert again.code == 0, again.log
    assert not any("_restoring_" in name for name in site.beside())


def test_a_kill_at_any_moment_leaves_the_old_one_or_the_new_one(site: Site, backup: tuple[str, str]) -> None:
    spec = site.jobs.restore["spec"]["template"]["spec"]
    given = {"BACKUP_NAME": backup[0]}
    (download,), (restore,) = spec["initContainers"], spec["containers"]
    pod = site.machine.new_pod()
    assert site.machine.start(spec, download, pod, given).wait(timeout=60) == 0
    for number in range(5):
        process = site.machine.start(spec, restore, pod, given)
        time.sleep(0.15 + number * 0.2)
        kill(process)
        assert site.content() == backup[1]

    # What runs in the server for a client that is gone ends when it notices.
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname ~ '_restoring_'"
    wait_until(lambda: site.server.query(idle) == "0", timeout=20)
    time.sleep(1)
    ended = site.restore(backup[0])
    assert ended.code == 0, ended.log
    assert not any("_restoring_" in name for name in site.beside())


def test_what_is_kept_is_listed_and_goes_when_somebody_says_so(site: Site, backup: tuple[str, str]) -> None:
    restored = site.restore(backup[0])
    kept = str(_answer(restored.log)["kept"])

    listed = site.machine.run(site.jobs.list)
    entries = [json.loads(line) for line in listed.logs["kept"].splitlines()]
    assert [entry["database"] for entry in entries] == [kept]
    assert entries[0]["bytes"] > 1_000_000
    first, second = site.discard(kept), site.discard(kept)

    assert (first.code, second.code) == (0, 0)
    assert first.log.strip() == second.log.strip() == f"database {kept} is gone"
    assert site.beside() == []


@pytest.mark.parametrize(
    "name", [DATABASE, "postgres", "", f"{DATABASE}_before_1", "blog_before_20260131020000", "x'; --"]
)
def test_nothing_else_is_ever_discarded(site: Site, name: str) -> None:
    before = databases(site.server, "")

    ended = site.discard(name)

    assert ended.code != 0
    assert f"found {name}, expected a database that a restore kept, such as shop_before_20260131020000" in ended.log
    assert databases(site.server, "") == before


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
