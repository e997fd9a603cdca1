"""Backups: dumped, uploaded, read back; old ones go, and whatever fails, none that was there is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.runtime import needs, postgres, s3
from tests.runtime.backups import DATABASE, PREFIX, PROPS, Site, cron_job, fill, machine_of
from tests.runtime.jobs import Machine, kill
from tests.runtime.pods import wait_until
from tests.runtime.relay import relay

pytestmark = pytest.mark.xdist_group("runtime-backup")

_PARTS = ("dump", "roles.sql", "rows", "sha256")


@pytest.fixture(scope="module")
def bucket() -> Iterator[s3.Bucket]:
    needs.namespaces()
    with s3.server() as running:
        yield running


@pytest.fixture(scope="module")
def filled(bucket: s3.Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # One of both: that a backup of either comes back is tested with the restores.
    with (
        postgres.server("wheel") as server,
        machine_of(server, bucket, tmp_path_factory.mktemp("machine")) as made,
    ):
        fill(server)
        yield made


@pytest.fixture
def site(filled: Site) -> Iterator[Site]:
    """A server with a database, and an empty bucket."""
    yield filled
    filled.bucket.empty()


def _old(site: Site, days: float, *, parts: tuple[str, ...] = _PARTS, database: str = DATABASE) -> str:
    """Puts a backup of some days ago into the bucket."""
    at = datetime.now(UTC) - timedelta(days=days)
    name = f"{at:%Y/%m/%d/%H%M%S}Z-{database}"
    for part in parts:
        site.bucket.write(f"{PREFIX}/{name}.{part}", b"of old")
    return name


def test_a_backup_is_a_dump_its_roles_its_rows_and_their_checksums(site: Site) -> None:
    ended = site.scheduled()

    assert ended.code == 0, ended.log
    (name,) = site.backups()
    taken = datetime.strptime(name.replace("Z-", "+0000 "), f"%Y/%m/%d/%H%M%S%z {DATABASE}")
    assert abs(taken - datetime.now(UTC)) < timedelta(minutes=2)
    objects = site.bucket.objects()
    assert sorted(objects) == sorted(f"{PREFIX}/{name}.{part}" for part in _PARTS)
    assert objects[f"{PREFIX}/{name}.dump"] > 50_000
    assert f"backup {name}: dumped, {objects[f'{PREFIX}/{name}.dump']} bytes" in ended.logs["dump"]
    assert f"backup {name}: uploaded, and read back" in ended.logs["upload"]
    rows = site.bucket.read(f"{PREFIX}/{name}.rows").decode().splitlines()
    assert {'"Odd Schema"."odd ""quoted"" table"|2', "public.posts|5000", "public.empty|0"} <= set(rows)


def test_its_roles_have_no_passwords(site: Site) -> None:
    name = site.take()

    roles = site.bucket.read(f"{PREFIX}/{name}.roles.sql").decode()

    assert "CREATE ROLE shop LOGIN CONNECTION LIMIT 20" in roles
    assert "GRANT reporting TO reader;" in roles
    assert "SCRAM" not in roles
    assert "PASSWORD" not in roles


def test_no_secret_is_in_a_log(site: Site) -> None:
    ended = site.scheduled()

    assert postgres.ADMIN_PASSWORD not in ended.log
    assert s3.KEY not in ended.log


def test_one_taken_by_hand_is_as_good(site: Site) -> None:
    ended = site.machine.run(site.jobs.take)

    assert ended.code == 0, ended.log
    assert len(site.backups()) == 1


def test_rows_that_come_while_it_is_taken_are_not_counted(site: Site) -> None:
    owner = {"PGDATABASE": DATABASE, "PGUSER": postgres.ADMIN, "PGPASSWORD": postgres.ADMIN_PASSWORD}
    busy = site.server.start(
        ["sh", "-c", "while :; do psql -Xqc 'INSERT INTO empty VALUES (1)' >/dev/null 2>&1; done"], owner
    )
    try:
        name = site.take()
    finally:
        kill(busy)
    restored = site.restore(name)

    assert restored.code == 0, restored.log
    site.server.query("DELETE FROM empty", database=DATABASE)
    _discard_all(site)


def test_too_old_ones_go_and_young_ones_stay(site: Site) -> None:
    gone = [_old(site, days) for days in (400, 30, 14.01)]
    kept = [_old(site, days) for days in (13.99, 3, 0.1)]

    name = site.take()

    assert site.backups() == sorted([*kept, name])
    assert {path.partition(".")[0].removeprefix(f"{PREFIX}/") for path in site.bucket.objects()} == {*kept, name}
    assert gone


def test_the_newest_stays_however_old_it_is_when_none_can_be_taken(site: Site) -> None:
    newest, older = _old(site, 100), _old(site, 200)

    ended = site.scheduled(PGPORT="1")

    assert ended.code != 0
    assert site.backups() == sorted([newest, older])


def test_one_that_was_never_completed_counts_as_none_and_goes_after_a_day(site: Site) -> None:
    """The newest complete one is older than one that was cut off, and older than the retention."""
    abandoned = _old(site, 2, parts=("dump", "roles.sql"))
    under_way = _old(site, 0.5, parts=("dump",))

    name = site.take()

    assert site.backups() == [name]
    left = {path.partition(".")[0].removeprefix(f"{PREFIX}/") for path in site.bucket.objects()}
    assert left == {name, under_way}
    assert abandoned not in left


def test_what_is_not_its_own_stays(site: Site) -> None:
    others = [
        f"{PREFIX}/{_old(site, 300, database='blog')}.dump",
        f"{PREFIX}/keep/me.dump",
        "elsewhere/2020/01/01/x.dump",
    ]
    for path in others[1:]:
        site.bucket.write(path, b"kept")

    site.take()

    assert set(others) <= set(site.bucket.objects())


def test_a_bucket_without_such_a_folder_is_empty_and_a_bucket_that_is_not_there_is_an_error(site: Site) -> None:
    empty = site.machine.run(site.jobs.list)
    missing = site.machine.run(site.jobs.list, {"BACKUP_BUCKET": "nowhere"})

    assert empty.code == 0, empty.log
    assert not any(line.startswith("{") for line in empty.log.splitlines())
    assert missing.code != 0
    assert "not found" in missing.log


def test_the_list_says_what_is_in_the_bucket_and_how_large_it_is(site: Site) -> None:
    name = site.take()

    ended = site.machine.run(site.jobs.list)

    listed = [json.loads(line.rstrip(",")) for line in ended.logs["files"].splitlines() if line.startswith("{")]
    assert {entry["Path"]: entry["Size"] for entry in listed} == {
        path.removeprefix(f"{PREFIX}/"): size for path, size in site.bucket.objects().items()
    }
    assert f"{name}.dump" in {entry["Path"] for entry in listed}


def test_a_dump_that_does_not_fit_the_disk_says_so_and_uploads_nothing(site: Site, tmp_path: object) -> None:
    before = site.take()
    small = Machine(
        site.machine.images, site.machine.folder / "small", site.machine.secrets, site.machine.given, {"backup": "32k"}
    )

    ended = small.run(cron_job(PROPS)["spec"]["jobTemplate"])

    assert ended.code != 0
    assert "No space left on device" in ended.log
    assert "no dump; nothing was uploaded, older backups are as they were" in ended.log
    assert site.backups() == [before]


def test_a_refused_bucket_says_so_and_loses_nothing(site: Site) -> None:
    before = site.take()
    # Making the bucket is the one thing that it lets anybody do.
    with s3.server({"INITIAL_NO_AUTH_ACTION_COUNT": "1"}) as refusing:
        ended = site.scheduled(RCLONE_CONFIG_BACKUP_ENDPOINT=refusing.endpoint)

    assert ended.code != 0
    assert "403" in ended.logs["upload"]
    assert "is not complete and counts as none; older backups are as they were" in ended.log
    assert site.backups() == [before]


def test_a_bucket_that_is_not_there_says_so(site: Site) -> None:
    ended = site.scheduled(BACKUP_BUCKET="nowhere")

    assert ended.code != 0
    assert "NoSuchBucket" in ended.log
    assert "is not complete and counts as none" in ended.log


@pytest.mark.parametrize("limit", [0, 2_000, 60_000])
def test_a_service_that_goes_away_in_the_middle_leaves_no_backup_and_loses_none(site: Site, limit: int) -> None:
    before = site.take()
    with relay(site.bucket.port, limit) as way:
        ended = site.scheduled(RCLONE_CONFIG_BACKUP_ENDPOINT=f"http://127.0.0.1:{way.port}")

    assert ended.code != 0
    assert "is not complete and counts as none; older backups are as they were; of it the bucket has:" in ended.log
    assert site.backups() == [before]


def test_a_database_server_that_dies_in_the_middle_leaves_nothing_and_loses_nothing(site: Site) -> None:
    before = site.take()
    owner = {"PGDATABASE": DATABASE, "PGUSER": postgres.ADMIN, "PGPASSWORD": postgres.ADMIN_PASSWORD}
    holder = site.server.start(["psql", "-Xc", "BEGIN; LOCK TABLE posts; SELECT pg_sleep(60)"], owner)
    locked = "SELECT count(*) FROM pg_locks WHERE relation = 'posts'::regclass AND {} granted"
    wait_until(lambda: site.server.query(locked.format(""), database=DATABASE) == "1", timeout=10)
    spec = cron_job(PROPS)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    process = site.machine.start(spec, spec["initContainers"][0], site.machine.new_pod())
    wait_until(lambda: site.server.query(locked.format("NOT"), database=DATABASE) == "1", timeout=20)

    site.server.crash()
    log, _ = process.communicate(timeout=30)
    kill(holder)
    site.server.run()

    assert process.returncode != 0
    assert "server closed the connection unexpectedly" in log
    assert "no dump; nothing was uploaded, older backups are as they were" in log
    assert site.backups() == [before]


@pytest.mark.parametrize("container", ["initContainers", "containers"])
def test_a_kill_at_any_moment_leaves_only_whole_backups_and_the_next_one_succeeds(site: Site, container: str) -> None:
    before = site.take()
    spec = cron_job(PROPS)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for number in range(3):
        pod = site.machine.new_pod()
        (dump,), (upload,) = spec["initContainers"], spec["containers"]
        if container == "containers":
            site.machine.start(spec, dump, pod).communicate(timeout=60)
        process = site.machine.start(spec, dump if container == "initContainers" else upload, pod)
        time.sleep(0.1 + number * 0.3)
        kill(process)
        time.sleep(1.0)

    name = site.take()
    assert {before, name} <= set(site.backups())
    for complete in site.backups():
        restored = site.restore(complete)
        assert restored.code == 0, restored.log
        # What a restore keeps is told by the second in which it began.
        time.sleep(1.0)
    _discard_all(site)


def test_what_arrives_otherwise_than_it_was_sent_is_no_backup(site: Site) -> None:
    """The service keeps another dump than it was given: rclone's own comparison of what was told is not enough."""
    before = site.take()
    spec = cron_job(PROPS)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod = site.machine.new_pod()
    (dump,), (upload,) = spec["initContainers"], spec["containers"]
    site.machine.start(spec, dump, pod).communicate(timeout=60)
    script = upload["command"][2]
    damage = 'rclone cat --head 100 "$remote/$1" | rclone rcat "$remote/$1"\n  sent='
    damaged = {**upload, "command": ["sh", "-c", script.replace("sent=", damage, 1)]}

    process = site.machine.start(spec, damaged, pod)
    log, _ = process.communicate(timeout=60)

    assert process.returncode != 0
    assert "found 100 bytes in the bucket, expected" in log
    assert "100 bytes  " in log
    assert site.backups() == [before]


def _discard_all(site: Site) -> None:
    for kept in site.beside():
        ended = site.discard(kept)
        assert ended.code == 0, ended.log
