"""The Jobs of databases as the library synthesizes them, run against a server as their containers would."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace

from constructs_lib.database import DatabaseConnection, DatabaseServer
from constructs_lib.database_job import DatabaseJob, DatabaseJobProps
from constructs_lib.placement import Placement
from constructs_lib.values import DatabaseName, ImageRef, SecretKey
from tests.runtime import postgres, sets
from tests.runtime.pods import Manifest, resolve_env
from tests.runtime.postgres import Server

IMAGE = ImageRef.parse("registry.example/postgres:16")
SERVER = DatabaseServer(
    name="db",
    namespace="databases",
    admin_username=SecretKey("db-admin", "username"),
    admin_password=SecretKey("db-admin", "password"),
)
PASSWORD = "a role's own"


def props(name: str, **changes: object) -> DatabaseJobProps:
    """The props of a database with a role of the same name."""
    defaults = DatabaseJobProps(
        placement=Placement(namespace="databases", part_of="site", instance=name.replace("_", "-")[:63]),
        server=SERVER,
        image=IMAGE,
        database=DatabaseName(name),
        role=DatabaseName(name),
        verifier=SecretKey("verifiers", name),
    )
    return replace(defaults, **changes)  # type: ignore[arg-type]


def init_job(of: DatabaseJobProps) -> Manifest:
    """The Job that makes a database."""
    return sets.Set.of(lambda scope: DatabaseJob(scope, "database", of)).only("Job")


def connection(name: str) -> DatabaseConnection:
    """How the site reaches a database."""
    return DatabaseConnection(
        host=SERVER.host,
        port=SERVER.port,
        database=DatabaseName(name),
        role=DatabaseName(name),
        password=SecretKey("site", "password"),
    )


def container(job: Manifest) -> Manifest:
    """The one container of a Job."""
    (part,) = job["spec"]["template"]["spec"]["containers"]
    return dict(part)


def variables(part: Manifest, password: str = PASSWORD) -> dict[str, str]:
    """A container's variables, with the Secrets that it reads."""

    class Verifiers(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return postgres.scram_verifier(password)

    secrets: Mapping[str, Mapping[str, str]] = {
        "db-admin": {"username": postgres.ADMIN, "password": postgres.ADMIN_PASSWORD},
        "verifiers": Verifiers(),
        "site": {"password": password},
    }
    resolved = resolve_env(part, {}, secrets)
    assert resolved["PGHOST"] == "db.databases.svc.cluster.local"
    return resolved


def start(
    server: Server, part: Manifest, password: str = PASSWORD, *, given: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Starts a container of a Job.

    Args:
        server: The server that it finds.
        part: The container.
        password: The role's password.
        given: Variables in place of its own.
    """
    return server.start(part["command"], variables(part, password) | dict(given or {}))


def finish(process: subprocess.Popen[str], timeout: float = 120) -> str:
    """Waits for a container's end, and gives its log."""
    log, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, log
    return log


def run(server: Server, job: Manifest, password: str = PASSWORD, *, given: Mapping[str, str] | None = None) -> str:
    """Runs a Job to its end, and gives its log."""
    return finish(start(server, container(job), password, given=given))


def fail(server: Server, job: Manifest, *, given: Mapping[str, str] | None = None) -> str:
    """Runs a Job that must fail, and gives its log."""
    process = start(server, container(job), given=given)
    log, _ = process.communicate(timeout=120)
    assert process.returncode != 0, log
    return log


def kill(process: subprocess.Popen[str]) -> None:
    """Kills a container: all of its processes, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def killed_after(job: Manifest) -> list[Manifest]:
    """Gives a Job's container for each of its statements, in which psql is killed after that statement."""
    part = container(job)
    lines = part["command"][2].splitlines(keepends=True)
    begin, end = lines.index(next(line for line in lines if line.endswith("<<'SQL'\n"))), lines.index("SQL\n")
    parts = []
    for number in range(begin, end):
        if number == begin or lines[number].rstrip().endswith((";", "\\gexec", "\\gset")):
            cut = copy.deepcopy(part)
            cut["command"][2] = "".join([*lines[: number + 1], "\\! kill -9 $PPID\n", *lines[number + 1 :]])
            parts.append(cut)
    return parts


def databases(server: Server, prefix: str) -> list[str]:
    """The databases whose names begin so, with their owners."""
    return server.query(
        "SELECT datname || ' of ' || rolname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba"
        f" WHERE starts_with(datname, '{prefix}') ORDER BY 1"
    ).splitlines()


def roles(server: Server, prefix: str) -> list[str]:
    """The roles whose names begin so."""
    return server.query(f"SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{prefix}') ORDER BY 1").splitlines()


def open_to_anyone(server: Server) -> None:
    """Makes a server's own databases what they are on a fresh one."""
    for database in ("postgres", "template1"):
        server.query(f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO PUBLIC")
