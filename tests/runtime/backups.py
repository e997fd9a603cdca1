"""What the tests of backups share: a server with a database worth keeping, a bucket, and the Jobs between the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from constructs_lib.backup import (
    BackupJobs,
    Bucket,
    DatabaseBackup,
    DatabaseBackupProps,
    backup_jobs,
)
from constructs_lib.values import CronSchedule, DatabaseName, ImageRef, SecretKey
from tests.runtime import alpine, postgres, s3, sets
from tests.runtime.databases import IMAGE, PASSWORD, SERVER, container, init_job, props, variables
from tests.runtime.jobs import Ended, Machine
from tests.runtime.needs import binary
from tests.runtime.pods import Manifest
from tests.runtime.postgres import Server

DATABASE = "shop"
RCLONE = ImageRef.parse("registry.example/rclone:1")
PREFIX = "postgres"
PROPS = DatabaseBackupProps(
    placement=props(DATABASE).placement,
    server=SERVER,
    database=DatabaseName(DATABASE),
    role=DatabaseName(DATABASE),
    bucket=Bucket(
        name=s3.BUCKET,
        endpoint="https://objects.example",
        region="us-east-1",
        access_key_id=SecretKey("backup", "id"),
        secret_access_key=SecretKey("backup", "key"),
    ),
    image=IMAGE,
    upload_image=RCLONE,
    schedule=CronSchedule("0 2 * * *"),
    retention_days=14,
)

# Of all that a dump must keep: rows, types, sequences, indexes, views, functions, large objects, partitions, owners,
# privileges, comments, and what is quoted.
_SCHEMA = """\
CREATE TABLE posts (id serial PRIMARY KEY, title text NOT NULL, body bytea, tags text[], at timestamptz DEFAULT now());
INSERT INTO posts (title, body, tags)
SELECT 'post ' || n || ' “ü” \\ ''', decode(md5(n::text), 'hex'), ARRAY['a', NULL, n::text]
  FROM generate_series(1, 5000) n;
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."odd ""quoted"" table" ("a column" jsonb);
INSERT INTO "Odd Schema"."odd ""quoted"" table" VALUES ('{"k": [1, null, "\\u00fc"]}'), (NULL);
CREATE TABLE empty (id int);
CREATE TABLE measured (at date NOT NULL, value numeric) PARTITION BY RANGE (at);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO measured SELECT date '2025-06-01' + n, n / 7.0 FROM generate_series(1, 400) n;
CREATE VIEW recent AS SELECT title FROM posts WHERE id > 4990;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS posts FROM posts;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE INDEX posts_title ON posts (lower(title));
COMMENT ON TABLE posts IS 'what is written';
SELECT lo_from_bytea(4711, 'a large object');
"""

_TABLES = """\
SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
 WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT 'counted' WHERE to_regclass('counted') IS NOT NULL
"""

# What there is beside the rows.
_REST = """\
SELECT 'owner of ' || oid::regclass || ' ' || relowner::regrole FROM pg_class
 WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
UNION ALL SELECT 'large object ' || encode(lo_get(oid), 'escape') FROM pg_largeobject_metadata
UNION ALL SELECT 'sequence ' || last_value FROM posts_id_seq
UNION ALL SELECT 'comment ' || obj_description('posts'::regclass)
UNION ALL SELECT 'privileges ' || coalesce(relacl::text, 'the owner''s') FROM pg_class WHERE relname = 'empty'
UNION ALL SELECT 'definition ' || pg_get_viewdef('recent'::regclass) || pg_get_functiondef('twice'::regproc)
UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
"""


@dataclass
class Site:
    """A server, a bucket, and the Jobs.

    Attributes:
        server: The server.
        bucket: The bucket.
        machine: Where the Jobs run.
        jobs: Those that somebody asks for.
    """

    server: Server
    bucket: s3.Bucket
    machine: Machine
    jobs: BackupJobs = field(default_factory=lambda: backup_jobs(PROPS))

    def scheduled(self, **given: str) -> Ended:
        """Runs what the CronJob runs."""
        return self.machine.run(cron_job(PROPS)["spec"]["jobTemplate"], given)

    def restore(self, name: str, **given: str) -> Ended:
        return self.machine.run(self.jobs.restore, {BackupJobs.BACKUP_NAME: name, **given})

    def discard(self, database: str) -> Ended:
        return self.machine.run(self.jobs.discard, {BackupJobs.KEPT_DATABASE: database})

    def content(self, database: str = DATABASE) -> str:
        """Everything that a database holds: of each table a checksum of all of its rows."""
        tables = self.server.query(_TABLES, database=database).splitlines()
        sums = [
            f"SELECT $name${table}$name$ || ' '"
            " || coalesce(md5(string_agg(row::text, '|' ORDER BY row::text)), 'empty')"
            f" FROM {table} AS row"
            for table in tables
        ]
        return self.server.query(" UNION ALL ".join([_REST, *sums]) + " ORDER BY 1", database=database)

    def backups(self) -> list[str]:
        """The names of the complete ones."""
        return sorted(
            path.removeprefix(f"{PREFIX}/").removesuffix(".sha256")
            for path in self.bucket.objects()
            if path.endswith(".sha256")
        )

    def take(self) -> str:
        """Takes a backup, and gives its name."""
        before = set(self.backups())
        ended = self.scheduled()
        assert ended.code == 0, ended.log
        (name,) = set(self.backups()) - before
        return name

    def beside(self) -> list[str]:
        """The databases that a restore has made, or kept."""
        query = f"SELECT datname FROM pg_database WHERE datname ~ '^{DATABASE}_' ORDER BY 1"
        return self.server.query(query).splitlines()


def cron_job(of: DatabaseBackupProps, **changes: Any) -> Manifest:
    """The CronJob."""
    return sets.Set.of(lambda scope: DatabaseBackup(scope, "backup", replace(of, **changes))).only("CronJob")


@contextmanager
def machine_of(server: Server, bucket: s3.Bucket, folder: Path) -> Iterator[Site]:
    """Gives the site of a server and a bucket, without a database."""
    images = {
        str(IMAGE): server.container_image(folder / "postgres"),
        str(RCLONE): alpine.image(folder / "rclone", [binary("rclone")]),
    }
    secrets: Mapping[str, Mapping[str, str]] = {
        "db-admin": {"username": postgres.ADMIN, "password": postgres.ADMIN_PASSWORD},
        "backup": {"id": s3.KEY_ID, "key": s3.KEY},
    }
    given = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "RCLONE_CONFIG_BACKUP_ENDPOINT": bucket.endpoint,
    }
    yield Site(server, bucket, Machine(images, folder / "pods", secrets, given))


def fill(server: Server) -> None:
    """Makes the database, as its Job does, and fills it as its role."""
    part = container(init_job(props(DATABASE)))
    made = server.start(part["command"], variables(part))
    log, _ = made.communicate(timeout=60)
    assert made.returncode == 0, log
    server.query("CREATE ROLE reporting NOLOGIN; CREATE ROLE reader LOGIN; GRANT reporting TO reader")
    owner = {"database": DATABASE, "user": DATABASE, "password": PASSWORD}
    server.query(_SCHEMA, **owner)
    server.query("GRANT SELECT ON empty TO reporting", **owner)
