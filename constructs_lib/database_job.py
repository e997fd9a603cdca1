"""The Jobs that make a database and its role, and that remove them, beside the database server.

They run where the administrator's credentials are, so these never enter the namespace of the site. Names reach SQL
as psql variables, taken from the environment by psql itself and quoted by the server: no shell sees them.
"""

from __future__ import annotations

import re
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
from constructs_lib.psql import raise_where, run_sql
from constructs_lib.values import DatabaseName, ImageRef, Resources, SecretKey

_COMPONENT = "database"

PREVIEWS_NAME = r"^[a-z][a-z0-9_]*_pr_[1-9][0-9]*$"
"""What the database and the role of a preview are called, and nothing else: only these are ever dropped."""

_NAMES = """\
\\getenv role DATABASE_ROLE
\\getenv database DATABASE_NAME
SET lock_timeout = '120s';
"""
# Jobs for one name wait for each other: the lock is the name's.
_LOCK = "SELECT pg_advisory_lock(hashtextextended(:'database', 0)) IS NULL AS locked \\gset\n"

# Every statement may find its work done, or half done: a server that is killed while it drops a database leaves one
# that nobody can use (its connection limit is -2). template0 and not template1: nobody can be connected to it, which
# would keep a database from being created. The server's own databases are closed to the roles as well, under one lock
# for all: by default anyone may connect to them. The verifier stays out of the server's log.
_CREATE = "".join(
    [
        _NAMES,
        """\
\\getenv verifier DATABASE_PASSWORD_VERIFIER
\\getenv connections DATABASE_CONNECTION_LIMIT
SET log_statement = none;
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
""",
        raise_where(
            "'DATABASE_PASSWORD_VERIFIER: found something else, expected a SCRAM-SHA-256 verifier'",
            "WHERE :'verifier' !~ '^SCRAM-SHA-256[$][1-9][0-9]*:[A-Za-z0-9+/=]+[$][A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$'",
        ),
        raise_where(
            "format('role %s is the administrator, expected a role for database %s alone', :'role', :'database')",
            "WHERE :'role' = current_user",
        ),
        _LOCK,
        raise_where(
            "format('database %s belongs to role %s, expected %s: it is another one''s', datname, rolname, :'role')",
            "FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba\n"
            "  WHERE datname = :'database' AND rolname <> :'role' AND NOT rolsuper",
        ),
        """\
SELECT format('CREATE ROLE %I', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \\gexec
SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
              ' CONNECTION LIMIT %s PASSWORD %L', :'role', :'connections'::int, :'verifier') \\gexec
SELECT format('REVOKE %I FROM %I GRANTED BY %I', granted.rolname, :'role', coalesce(grantor.rolname, current_user))
  FROM pg_auth_members
  JOIN pg_roles AS granted ON granted.oid = roleid
  JOIN pg_roles AS holder ON holder.oid = member
  LEFT JOIN pg_roles AS grantor ON grantor.oid = pg_auth_members.grantor
 WHERE holder.rolname = :'role' \\gexec
SELECT format('DROP DATABASE %I', datname)
  FROM pg_database WHERE datname = :'database' AND datconnlimit = -2 \\gexec
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0', :'database', :'role')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \\gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'role') \\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'database') \\gexec
SELECT pg_advisory_lock(hashtextextended('postgres', 0)) IS NULL AS locked \\gset
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
 WHERE datname IN ('postgres', 'template1')
   AND EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0) \\gexec
SELECT pg_advisory_unlock(hashtextextended('postgres', 0)) AS unlocked \\gset
""",
        raise_where(
            "format('database %s does not belong to role %s', :'database', :'role')",
            "WHERE NOT EXISTS (SELECT FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba\n"
            "                    WHERE datname = :'database' AND rolname = :'role')",
        ),
        "SELECT format('database %s belongs to role %s', :'database', :'role');\n",
    ]
)

_DROP = "".join(
    [
        _NAMES,
        raise_where(
            "format('%s %s is no preview''s, expected a name such as site_pr_N: nothing was dropped', kind, name)",
            "FROM (VALUES ('database', :'database'), ('role', :'role')) AS given (kind, name)\n"
            f"  WHERE name !~ '{PREVIEWS_NAME}'",
        ),
        _LOCK,
        """\
SELECT format('DROP DATABASE %I WITH (FORCE)', :'database')
 WHERE EXISTS (SELECT FROM pg_database WHERE datname = :'database') \\gexec
SELECT format(command, :'role') FROM (VALUES ('DROP OWNED BY %I'), ('DROP ROLE %I')) AS commands (command)
 WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \\gexec
""",
        raise_where(
            "format('%s %s is still there', kind, name)",
            "FROM (SELECT 'database' AS kind, datname AS name FROM pg_database WHERE datname = :'database'\n"
            "        UNION ALL SELECT 'role', rolname FROM pg_roles WHERE rolname = :'role') AS rest",
        ),
        "SELECT format('database %s and role %s are gone', :'database', :'role');\n",
    ]
)


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
    """Gives the Job that ends the connections, drops database and role, and reads back that both are gone.

    Raises:
        InvalidPropsError: The database, or the role, is not called like a preview's.
    """
    problems = [
        f"DatabaseJob {props.database}: {prop}: found {str(name)!r}, expected a preview's, such as site_pr_N: "
        "nothing else is ever dropped"
        for prop, name in (("database", props.database), ("role", props.role))
        if not re.search(PREVIEWS_NAME, str(name))
    ]
    if problems:
        raise InvalidPropsError(problems)
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
        command=["sh", "-c", run_sql(script)],
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
        runs_again_with=server.identity if job_class is JobClass.ENSURE else None,
        options=props.options,
        deadline=props.deadline,
        retries=props.retries,
    )
