"""Rehearsals: a backup comes back into a database of its own, is verified and dropped; nothing else changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from constructs_lib.backup import BackupJobs
from tests.runtime import needs, postgres, s3
from tests.runtime.backups import DATABASE, PREFIX, Site, fill, machine_of
from tests.runtime.databases import PASSWORD
from tests.runtime.jobs import Ended, kill, terminate
from tests.runtime.pods import wait_until
from tests.runtime.postgres import INSTALLATIONS

pytestmark = pytest.mark.xdist_group("runtime-restore")

_AS_OWNER = {"database": DATABASE, "user": DATABASE, "password": PASSWORD}
# Of a server, all that is no database's own.
_SERVER = """\
SELECT 'role ' || rolname || rolsuper || rolcanlogin || rolconnlimit || coalesce(rolpassword, '') FROM pg_authid
UNION ALL SELECT 'member ' || roleid::regrole || ' ' || member::regrole || admin_option FROM pg_auth_members
UNION ALL SELECT 'database ' || oid || ' ' || datname || ' ' || datdba::regrole || coalesce(datacl::text, '')
            FROM pg_database
UNION ALL SELECT 'comment ' || description FROM pg_shdescription WHERE classoid = 'pg_authid'::regclass
ORDER BY 1
"""


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
def backup(site: Site) -> str:
    return site.take()


def _rehearse(site: Site, name: str) -> Ended:
    return site.machine.run(site.jobs.rehearse, {BackupJobs.BACKUP_NAME: name})


def _state(site: Site) -> tuple[str, str]:
    """What the server and the database hold."""
    return site.server.query(_SERVER), site.content()


def test_what_was_backed_up_comes_back_and_goes_and_nothing_else_changed(site: Site, backup: str) -> None:
    # What the database has become since is another matter.
    site.server.query("DELETE FROM posts WHERE id > 4000; CREATE TABLE newer AS SELECT 1 AS a", **_AS_OWNER)
    before = _state(site)

    ended = _rehearse(site, backup)

    assert ended.code == 0, ended.log
    answer = json.loads(ended.log.splitlines()[-1])
    assert answer.pop("bytes") > 1_000_000
    # posts, the odd one (2 rows), empty, and the partitions (400 rows).
    assert answer == {"rehearsed": backup, "tables": 5, "rows": 5402}
    assert f"backup {backup}: verified, 5 tables with every row" in ended.log
    assert f"database {DATABASE}_rehearsal_" in ended.log.splitlines()[-2]
    assert _state(site) == before


def test_who_uses_the_database_goes_on(site: Site, backup: str) -> None:
    owner = {"PGDATABASE": DATABASE, "PGUSER": DATABASE, "PGPASSWORD": PASSWORD}
    sleeper = site.server.start(["psql", "-XAtc", "BEGIN; SELECT count(*) FROM empty; SELECT pg_sleep(4)"], owner)

    ended = _rehearse(site, backup)

    assert ended.code == 0, ended.log
    log, _ = sleeper.communicate(timeout=30)
    assert sleeper.returncode == 0, log


def test_what_changed_among_the_roles_since_stays_changed(site: Site, backup: str) -> None:
    """Who lost a role, a membership or a login since the backup gets none of them back, not for a moment's length."""
    site.server.query(f"REASSIGN OWNED BY reporting TO {DATABASE}; REVOKE reporting FROM reader")
    site.server.query("DROP OWNED BY reporting", database=DATABASE)
    site.server.query("DROP ROLE reporting; ALTER ROLE reader NOLOGIN")
    before = _state(site)

    ended = _rehearse(site, backup)

    assert ended.code == 0, ended.log
    assert _state(site) == before
    assert "role reporting" not in before[0]


def test_other_rows_than_were_counted_fail_it_and_nothing_is_left(site: Site, backup: str) -> None:
    rows, sums = f"{PREFIX}/{backup}.rows", f"{PREFIX}/{backup}.sha256"
    whole, checksums = site.bucket.read(rows), site.bucket.read(sums)
    other = whole.replace(b"public.posts|5000", b"public.posts|5001")
    site.bucket.write(rows, other)
    site.bucket.write(sums, checksums.replace(_sha256(whole), _sha256(other)))
    before = _state(site)
    try:
        ended = _rehearse(site, backup)
    finally:
        site.bucket.write(rows, whole)
        site.bucket.write(sums, checksums)

    assert ended.code == 1
    assert "-public.posts|5001" in ended.log
    assert "found other numbers of rows (+) than were backed up (-)" in ended.log
    assert ended.log.splitlines()[-1] == (
        f"error: backup {backup}: its restore failed in the rehearsal; database {DATABASE} is as it was"
    )
    assert _state(site) == before


@pytest.mark.parametrize("part", ["dump", "roles.sql", "rows"])
def test_an_object_that_was_cut_off_fails_it_before_the_server_is_asked(site: Site, backup: str, part: str) -> None:
    path = f"{PREFIX}/{backup}.{part}"
    whole = site.bucket.read(path)
    site.bucket.write(path, whole[:-7])
    try:
        ended = _rehearse(site, backup)
    finally:
        site.bucket.write(path, whole)

    assert ended.code != 0
    assert list(ended.logs) == ["download"]
    assert f"{backup}.{part}: found {len(whole) - 7} bytes that are not those which were uploaded" in ended.log


def test_a_dump_that_cannot_be_restored_fails_it(site: Site, backup: str) -> None:
    """Its checksum fits: only restoring it shows what it is."""
    dump, sums = f"{PREFIX}/{backup}.dump", f"{PREFIX}/{backup}.sha256"
    whole, checksums = site.bucket.read(dump), site.bucket.read(sums)
    half = whole[: len(whole) // 2]
    site.bucket.write(dump, half)
    site.bucket.write(sums, checksums.replace(_sha256(whole), _sha256(half)))
    before = _state(site)
    try:
        ended = _rehearse(site, backup)
    finally:
        site.bucket.write(dump, whole)
        site.bucket.write(sums, checksums)

    assert ended.code != 0
    assert "pg_restore: error:" in ended.log
    assert "its restore failed in the rehearsal" in ended.log
    assert _state(site) == before


@pytest.mark.parametrize("how", ["told", "killed"])
@pytest.mark.parametrize("then", ["rehearsal", "restore"])
def test_one_that_is_ended_in_the_middle_leaves_nothing_in_the_end(
    site: Site, backup: str, how: str, then: str
) -> None:
    before = _state(site)
    spec = site.jobs.rehearse["spec"]["template"]["spec"]
    pod, given = site.machine.new_pod(), {BackupJobs.BACKUP_NAME: backup}
    (download,), (rehearse,) = spec["initContainers"], spec["containers"]
    assert site.machine.start(spec, download, pod, given).wait(timeout=60) == 0
    process = site.machine.start(spec, rehearse, pod, given)
    wait_until(lambda: any("_rehearsal_" in name for name in site.beside()), timeout=20, step=0.01)
    if how == "told":
        terminate(process)
        log, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        assert "its restore failed in the rehearsal" in log
        assert _state(site) == before
    else:
        kill(process)
        assert any("_rehearsal_" in name for name in site.beside())

    again = _rehearse(site, backup) if then == "rehearsal" else site.restore(backup)

    assert again.code == 0, again.log
    assert not any("_rehearsal_" in name for name in site.beside())
    assert "made by a rehearsal" not in site.server.query(_SERVER)


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
