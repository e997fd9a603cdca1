"""PostgreSQL: one server with its claim, its configuration and a stop that leaves the data whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constructs_lib._k8s import Construct, Manifest, Phase
from constructs_lib.errors import InvalidPropsError
from constructs_lib.order import ObjectRef
from constructs_lib.placement import Placement
from constructs_lib.pod import PodOptions, User, Volume, container, env_list, pod_spec
from constructs_lib.values import DatabaseName, ImageRef, Name, Quantity, Resources, SecretKey
from constructs_lib.workload import config_checksum, config_map

_COMPONENT = "database"
_DATA = "/var/lib/postgresql/data"
_CONFIG_PATH = "/etc/postgresql"
_STOP_TIMEOUT = 60
_GRACE = 90
_LEAST_MEMORY = Quantity("512Mi")


@dataclass(frozen=True, kw_only=True)
class DatabaseServer:
    """A PostgreSQL server as others see it.

    Attributes:
        name: The Service's name.
        namespace: Where it is.
        admin_username: The administrator's name, in a Secret of that namespace.
        admin_password: The administrator's password, likewise.
        port: The port.
        claim: The claim with its data, in its namespace; none for a server outside of the cluster. A claim that was
            made anew is another server, in which nothing is yet.

    Raises:
        InvalidValueError: The claim's name is not one.
    """

    name: str
    namespace: str
    admin_username: SecretKey
    admin_password: SecretKey
    port: int = 5432
    claim: str | None = "db-pv-claim"

    def __post_init__(self) -> None:
        if self.claim is not None:
            Name(self.claim)

    @property
    def host(self) -> str:
        """The name that resolves in every namespace."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    @property
    def config(self) -> str:
        """The name of the ConfigMap with its configuration, where it is in the cluster."""
        return f"{self.name}-config"

    @property
    def identity(self) -> ObjectRef | None:
        """The object whose UID tells this server from another one that takes its place, where there is one."""
        if self.claim is None:
            return None
        return ObjectRef(group="", kind="PersistentVolumeClaim", namespace=self.namespace, name=self.claim)


@dataclass(frozen=True, kw_only=True)
class DatabaseConnection:
    """A connection to one database as its own role.

    Attributes:
        host: The server's name, resolvable from the pod.
        port: Its port.
        database: The database.
        role: The role.
        password: The role's password, in a Secret of the pod's namespace.
    """

    host: str
    port: int
    database: DatabaseName
    role: DatabaseName
    password: SecretKey

    def env(self) -> list[dict[str, object]]:
        """The variables that libpq, and so every client of PostgreSQL, reads."""
        return env_list(
            {
                "PGHOST": self.host,
                "PGPORT": str(self.port),
                "PGDATABASE": str(self.database),
                "PGUSER": str(self.role),
                "PGPASSWORD": self.password,
                "PGCONNECT_TIMEOUT": "5",
            }
        )


@dataclass(frozen=True, kw_only=True)
class DatabaseProps:
    """What a PostgreSQL server is made of.

    Attributes:
        placement: Where it lives.
        server: How others see it: its name, its claim and its administrator's Secret.
        image: PostgreSQL.
        storage: The size of its claim.
        storage_class: The claim's storage class; the cluster's default without.
        settings: Settings of ``postgresql.conf``, over the defaults here.
        resources: What it is promised and may use; its memory limit is at least 512Mi.
        user: As whom it runs; ``postgres`` of the official Alpine images by default.
        options: What the site adds to the pod.

    Raises:
        InvalidPropsError: A prop is not valid; all problems are listed.
    """

    placement: Placement
    server: DatabaseServer
    image: ImageRef
    storage: Quantity
    storage_class: str | None = None
    settings: Mapping[str, str | int | bool] = field(default_factory=dict)
    resources: Resources | None = None
    user: User = User(70, 70)
    options: PodOptions = PodOptions()

    def __post_init__(self) -> None:
        problems = []
        if self.server.namespace != self.placement.namespace:
            problems.append(
                f"server.namespace: found {self.server.namespace!r}, expected the placement's, "
                f"{self.placement.namespace!r}"
            )
        if self.resources and self.resources.memory_limit.amount < _LEAST_MEMORY.amount:
            problems.append(
                f"resources.memory_limit: found {self.resources.memory_limit}, expected {_LEAST_MEMORY} or more: "
                "PostgreSQL does not start with less"
            )
        problems += [
            f"settings: found {name!r}, expected the name of a setting such as max_connections"
            for name in self.settings
            if not re.fullmatch(r"[a-z_][a-z0-9_.]*", name)
        ]
        if self.server.claim is None:
            problems.append("server.claim: found none, expected the name of the claim that holds the data")
        if problems:
            raise InvalidPropsError(f"Database {self.server.name}: {problem}" for problem in problems)


class Database(Construct):
    """A PostgreSQL server: Deployment, Service, claim and configuration.

    Attributes:
        ref: What Jobs wait for.
    """

    def __init__(self, scope: Construct, id: str, props: DatabaseProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        placement, name = props.placement, props.server.name
        metadata = placement.metadata(name, app=name, component=_COMPONENT)
        config = {props.server.config: {"postgresql.conf": postgresql_conf(props)}}
        for config_name, data in config.items():
            Manifest(self, config_name, config_map(placement, config_name, data, app=name, component=_COMPONENT))
        Manifest(self, "claim", _claim(props))
        selector = {"app": name}
        ports = [{"name": "postgresql", "port": props.server.port, "targetPort": "postgresql"}]
        Manifest(
            self,
            "service",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"type": "ClusterIP", "selector": selector, "ports": ports},
            },
            Phase.BASE,
        )
        template_metadata = {
            "labels": placement.object_labels(name, _COMPONENT) | dict(props.options.labels),
            "annotations": config_checksum(config) | dict(props.options.annotations),
        }
        Manifest(
            self,
            "deployment",
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {
                    # One server owns the claim: the old one ends before the new one starts.
                    "replicas": 1,
                    "strategy": {"type": "Recreate"},
                    "revisionHistoryLimit": 3,
                    "selector": {"matchLabels": selector},
                    "template": {"metadata": template_metadata, "spec": _pod(props)},
                },
            },
            Phase.BASE,
        )
        self.ref = ObjectRef(group="apps", kind="Deployment", namespace=placement.namespace, name=name)


def postgresql_conf(props: DatabaseProps) -> str:
    """Gives the server's configuration.

    Clients are let in by the ``pg_hba.conf`` that the image's entry point writes, and only with SCRAM.
    """
    settings: dict[str, str | int | bool] = {
        "listen_addresses": "*",
        "port": props.server.port,
        "unix_socket_directories": "/var/run/postgresql",
        "max_connections": 100,
        "password_encryption": "scram-sha-256",
        "shared_buffers": "128MB",
        "dynamic_shared_memory_type": "posix",
        "log_timezone": "UTC",
        "timezone": "UTC",
        **props.settings,
    }
    return "".join(f"{name} = {_setting(value)}\n" for name, value in settings.items())


def _setting(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    # Quotes double, and a backslash starts an escape: https://www.postgresql.org/docs/16/config-setting.html
    return str(value) if isinstance(value, int) else "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _claim(props: DatabaseProps) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": props.placement.metadata(str(props.server.claim), app=props.server.name, component=_COMPONENT),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": str(props.storage)}},
            **({"storageClassName": props.storage_class} if props.storage_class else {}),
        },
    }


def _pod(props: DatabaseProps) -> dict[str, Any]:
    volumes: Sequence[Volume] = [
        Volume(name="data", mount_path=_DATA, source={"persistentVolumeClaim": {"claimName": props.server.claim}}),
        Volume.config(props.server.config, _CONFIG_PATH),
        Volume(name="run", mount_path="/var/run/postgresql"),
        Volume(name="tmp", mount_path="/tmp"),  # noqa: S108 - a path in the container
        *props.options.volumes,
    ]
    # Over TCP: while the image's entry point initializes, a server without its databases answers on the socket.
    ready = {
        "exec": {
            "command": [
                "sh",
                "-c",
                f"pg_isready --host 127.0.0.1 --port {props.server.port}"
                ' --username "$POSTGRES_USER" --dbname "$POSTGRES_DB"',
            ]
        },
        "periodSeconds": 5,
        "timeoutSeconds": 5,
    }
    server = container(
        "postgresql",
        props.image,
        props.user,
        resources=props.resources,
        args=["postgres", "-c", f"config_file={_CONFIG_PATH}/postgresql.conf"],
        ports={"postgresql": props.server.port},
        env=env_list(
            {
                "POSTGRES_USER": props.server.admin_username,
                "POSTGRES_PASSWORD": props.server.admin_password,
                "POSTGRES_DB": "postgres",
                "POSTGRES_INITDB_ARGS": "--data-checksums --auth-host=scram-sha-256",
                # Below the mount, where a file system's own lost+found does not disturb initdb.
                "PGDATA": f"{_DATA}/pgdata",
                **props.options.env,
            }
        ),
        volumes=volumes,
        probes={
            # A first start initializes, a start after a crash recovers: five minutes for either.
            "startupProbe": ready | {"failureThreshold": 60},
            "readinessProbe": ready | {"failureThreshold": 3},
            "livenessProbe": ready | {"periodSeconds": 30, "failureThreshold": 5},
        },
        pre_stop=["pg_ctl", "stop", "-m", "fast", "-t", str(_STOP_TIMEOUT)],
    )
    return pod_spec([server], volumes=volumes, options=props.options, grace=_GRACE, group=props.user.gid)
