"""The Jobs that make a database and its role, and that remove them, beside the database server.

They run where the administrator's credentials are, so these never enter the namespace of the site. Names reach SQL
as psql variables, taken from the environment by psql itself and quoted by the server: no shell sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.database import DatabaseServer
from constructs_lib.errors import InvalidPropsError
from constructs_lib.job import JobClass, job, job_ref
from constructs_lib.order import ObjectRef
from constructs_lib.placement import Placement
from constructs_lib.pod import PodOptions, User, container, env_list, pod_spec
from constructs_lib.values import DatabaseName, ImageRef, Resources, SecretKey

_COMPONENT = "database"
_WAIT = "until pg_isready --quiet; do sleep 2; done"
_PSQL = "exec psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set ON_ERROR_STOP=1"

# Every statement may find its work done. Two Jobs for one name wait for each other: the lock is the name's. The
# server's own databases are closed to the roles as well, under one lock for all: by default anyone may connect to
# them, and whoever is connected to template1 keeps every new database from being created.
_CREATE = """\
\\getenv role DATABASE_ROLE
\\getenv database DATABASE_NAME
\\getenv verifier DATABASE_PASSWORD_VERIFIER
\\getenv connections DATABASE_CONNECTION_LIMIT
SELECT pg_advisory_lock(hashtextextended(:'database', 0)) IS NULL AS locked \\gset
SELECT format('CREATE ROLE %I', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \\gexec
SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
              ' CONNECTION LIMIT %s PASSWORD %L', :'role', :connections, :'verifier') \\gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \\gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'role') \\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'database') \\gexec
SELECT pg_advisory_lock(hashtextextended('postgres', 0)) IS NULL AS locked \\gset
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
 WHERE datname IN ('postgres', 'template1')
   AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0) \\gexec
SELECT pg_advisory_unlock(hashtextextended('postgres', 0)) AS unlocked \\gset
SELECT format('DO $do$ BEGIN RAISE EXCEPTION %L; END $do$',
              format('database %s does not belong to role %s', :'database', :'role'))
 WHERE NOT EXISTS (SELECT FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba
                    WHERE datname = :'database' AND rolname = :'role') \\gexec
SELECT format('database %s belongs to role %s', :'database', :'role');
"""

_DROP = """\
\\getenv role DATABASE_ROLE
\\getenv database DATABASE_NAME
SELECT pg_advisory_lock(hashtextextended(:'database', 0)) IS NULL AS locked \\gset
SELECT format('DROP DATABASE %I WITH (FORCE)', :'database')
 WHERE EXISTS (SELECT FROM pg_database WHERE datname = :'database') \\gexec
SELECT format('DROP ROLE %I', :'role')
 WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \\gexec
SELECT format('DO $do$ BEGIN RAISE EXCEPTION %L; END $do$', format('%s %s is still there', kind, name))
  FROM (SELECT 'database' AS kind, datname AS name FROM pg_database WHERE datname = :'database'
        UNION ALL SELECT 'role', rolname FROM pg_roles WHERE rolname = :'role') AS rest \\gexec
SELECT format('database %s and role %s are gone', :'database', :'role');
"""


@dataclass(frozen=True, kw_only=True)
class DatabaseJobProps:
    """What makes, and removes, a database and its role.

    Attributes:
        placement: Where the Job lives: beside the server.
        server: The server.
        image: An image with ``psql`` 15 or newer.
        database: The database.
        role: The role that owns it, and can reach no other.
        verifier: The SCRAM-SHA-256 verifier of the role's password, in a Secret of that namespace.
        suffix: What tells its Jobs from those of other databases, ``pr-107`` for example.
        connection_limit: How many connections the role may have at once.
        after: What must be there first: the server.
        resources: What the Job is promised and may use; required where the namespace has a quota.
        user: As whom it runs; ``postgres`` of the official Alpine images by default.
        deadline: Seconds after which it has failed.
        retries: How often a failed pod is replaced.
        options: What the site adds to the pod.

    Raises:
        InvalidPropsError: The Job is not beside the server, or the limit is no number of connections.
    """

    placement: Placement
    server: DatabaseServer
    image: ImageRef
    database: DatabaseName
    role: DatabaseName
    verifier: SecretKey
    suffix: str = ""
    connection_limit: int = 20
    after: Sequence[ObjectRef] = ()
    resources: Resources | None = None
    user: User = User(70, 70)
    deadline: int = 300
    retries: int = 2
    options: PodOptions = PodOptions()

    def __post_init__(self) -> None:
        problems = []
        if self.server.namespace != self.placement.namespace:
            problems.append(
                f"placement.namespace: found {self.placement.namespace!r}, expected the server's, "
                f"{self.server.namespace!r}: the administrator's credentials stay there"
            )
        if self.connection_limit < 1:
            problems.append(f"connection_limit: found {self.connection_limit}, expected 1 or more")
        if problems:
            raise InvalidPropsError(f"DatabaseJob {self.database}: {problem}" for problem in problems)


class DatabaseJob(Manifest):
    """A Job of class ``ensure``: afterwards the role exists, with this password, and owns the database.

    Attributes:
        ref: What the migrations wait for.
    """

    def __init__(self, scope: Construct, id: str, props: DatabaseJobProps) -> None:  # noqa: A002 - cdk8s's name
        manifest = create_job(props)
        super().__init__(scope, id, manifest)
        self.ref = job_ref(manifest)


def create_job(props: DatabaseJobProps) -> dict[str, Any]:
    """Gives the Job that makes role and database, or sets them right."""
    variables: dict[str, str | SecretKey] = {
        "DATABASE_PASSWORD_VERIFIER": props.verifier,
        "DATABASE_CONNECTION_LIMIT": str(props.connection_limit),
    }
    return _job(props, "db-init", JobClass.ENSURE, _CREATE, variables)


def drop_job(props: DatabaseJobProps) -> dict[str, Any]:
    """Gives the Job that ends the connections, drops database and role, and reads back that both are gone."""
    return _job(props, "db-drop", JobClass.ALWAYS, _DROP, {})


def _job(
    props: DatabaseJobProps, prefix: str, job_class: JobClass, script: str, variables: dict[str, str | SecretKey]
) -> dict[str, Any]:
    server = props.server
    run = container(
        prefix,
        props.image,
        props.user,
        resources=props.resources,
        command=["sh", "-c", f"{_WAIT}\n{_PSQL} <<'SQL'\n{script}SQL\n"],
        env=env_list(
            {
                "PGHOST": server.host,
                "PGPORT": str(server.port),
                "PGDATABASE": "postgres",
                "PGUSER": server.admin_username,
                "PGPASSWORD": server.admin_password,
                "PGCONNECT_TIMEOUT": "10",
                "DATABASE_NAME": str(props.database),
                "DATABASE_ROLE": str(props.role),
                **variables,
                **props.options.env,
            }
        ),
    )
    return job(
        props.placement,
        prefix=f"{prefix}-{props.suffix}" if props.suffix else prefix,
        app=prefix,
        component=_COMPONENT,
        job_class=job_class,
        pod=pod_spec([run], options=props.options, restart_policy="Never"),
        after=props.after,
        options=props.options,
        deadline=props.deadline,
        retries=props.retries,
    )
