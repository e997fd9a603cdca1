"""What every pod is made of: containers, volumes, probes, and a security context that ``restricted`` admits.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.checksum import checksum
from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.placement import check_labels
from constructs_lib.values import ImageRef, Name, Resources, SecretKey

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/: one of the safe sysctls.
_LOW_PORTS = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}


@dataclass(frozen=True)
class User:
    """The user that a container runs as: never root.

    Attributes:
        uid: The user's ID.
        gid: The group's ID.

    Raises:
        InvalidValueError: One is 0, or out of range.
    """

    uid: int
    gid: int

    def __post_init__(self) -> None:
        for what, number in (("user ID", self.uid), ("group ID", self.gid)):
            if not 0 < number < 2**31:
                raise InvalidValueError(what, number, "a number from 1 to 2147483647: containers never run as root")

    def security_context(self) -> dict[str, Any]:
        """The ``securityContext`` of a container."""
        return {
            "runAsNonRoot": True,
            "runAsUser": self.uid,
            "runAsGroup": self.gid,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }


@dataclass(frozen=True, kw_only=True)
class HttpProbe:
    """A GET request that is answered with a status below 400.

    Attributes:
        path: The path that is asked for.
        initial_delay: Seconds before the first.
        period: Seconds between two.
        timeout: Seconds for the answer.
        failures: How many in a row count.
    """

    path: str
    initial_delay: int = 0
    period: int = 10
    timeout: int = 5
    failures: int = 3

    def manifest(self, port: str) -> dict[str, Any]:
        """The probe of a container, on its port of that name."""
        return {"httpGet": {"path": self.path, "port": port}, **_timing(self)}


@dataclass(frozen=True, kw_only=True)
class TcpProbe:
    """A connection that is accepted.

    Attributes:
        initial_delay: Seconds before the first.
        period: Seconds between two.
        timeout: Seconds for the connection.
        failures: How many in a row count.
    """

    initial_delay: int = 0
    period: int = 10
    timeout: int = 5
    failures: int = 3

    def manifest(self, port: str) -> dict[str, Any]:
        """The probe of a container, on its port of that name."""
        return {"tcpSocket": {"port": port}, **_timing(self)}


def _timing(probe: HttpProbe | TcpProbe) -> dict[str, int]:
    return {
        "initialDelaySeconds": probe.initial_delay,
        "periodSeconds": probe.period,
        "timeoutSeconds": probe.timeout,
        "failureThreshold": probe.failures,
    }


@dataclass(frozen=True, kw_only=True)
class Drain:
    """How a pod ends without losing a request.

    Attributes:
        pause: Seconds that a pod goes on serving after its end was decided: longer than endpoints take to drain, that
            is until no Gateway sends it anything new.
        grace: Seconds for everything, the pause included, before the pod is killed.

    Raises:
        InvalidValueError: The grace period does not outlast the pause.
    """

    pause: int = 10
    grace: int = 60

    def __post_init__(self) -> None:
        if not 0 <= self.pause < self.grace:
            raise InvalidValueError(
                "drain", f"pause {self.pause}, grace {self.grace}", "0 <= pause < grace, in seconds"
            )


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume and where a container has it.

    Attributes:
        name: The volume's name.
        mount_path: The absolute path in the container.
        source: The volume's source as in the pod's spec, such as ``{"emptyDir": {}}``.
        sub_path: The one path of the volume that is mounted; all of it without.
        read_only: Whether the container may only read.
    """

    name: str
    mount_path: str
    source: Mapping[str, Any] = field(default_factory=lambda: {"emptyDir": {}})
    sub_path: str | None = None
    read_only: bool = False

    def __post_init__(self) -> None:
        Name(self.name)
        if not self.mount_path.startswith("/") or ":" in self.mount_path:
            raise InvalidValueError(
                f"mount path of volume {self.name}", self.mount_path, "an absolute path without ':'"
            )

    @classmethod
    def scratch(cls, mount_path: str) -> Volume:
        """An empty directory at a path that the container writes to, named after the path."""
        name = mount_path.strip("/").replace("/", "-")
        if not re.fullmatch(r"(/[a-z0-9]+)+", mount_path) or len(name) > 63:
            # What a volume's name cannot hold would make one volume of two paths: /srv/.cache and /srv/cache.
            readable = re.sub(r"[^a-z0-9]+", "-", mount_path.lower()).strip("-")[:50]
            name = f"{readable}-{checksum(mount_path)[:10]}".strip("-")
        return cls(name=name, mount_path=mount_path)

    @classmethod
    def config(cls, config_map: str, mount_path: str, *, sub_path: str | None = None) -> Volume:
        """The files of a ConfigMap."""
        source = {"configMap": {"name": config_map}}
        return cls(name=config_map, mount_path=mount_path, source=source, sub_path=sub_path, read_only=True)

    def mount(self) -> dict[str, Any]:
        """The ``volumeMounts`` entry of the container."""
        return {
            "name": self.name,
            "mountPath": self.mount_path,
            **({"subPath": self.sub_path} if self.sub_path else {}),
            **({"readOnly": True} if self.read_only else {}),
        }


@dataclass(frozen=True, kw_only=True)
class EnvSource:
    """Environment variables that several pods share: a ConfigMap of the set, and Secrets by name.

    Attributes:
        config_map: The ConfigMap's name.
        checksum: Changes whenever its data does.
        secrets: Secrets all of whose keys become variables.
    """

    config_map: str
    checksum: str
    secrets: Sequence[str] = ()

    def manifest(self) -> list[dict[str, Any]]:
        """The ``envFrom`` of a container."""
        return [
            {"configMapRef": {"name": self.config_map}},
            *({"secretRef": {"name": secret}} for secret in self.secrets),
        ]


@dataclass(frozen=True, kw_only=True)
class PodOptions:
    """What a site may add to any pod.

    Attributes:
        pull_secrets: Secrets with which its images are pulled.
        labels: More labels.
        annotations: More annotations.
        env: More environment variables, for the site's own containers.
        volumes: More volumes, for the site's own containers.
        node_selector: Labels that its node must have.

    Raises:
        InvalidValueError: A label is not one, or is one of the library's own.
    """

    pull_secrets: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str | SecretKey] = field(default_factory=dict)
    volumes: Sequence[Volume] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_labels(self.labels)


def env_list(variables: Mapping[str, str | SecretKey]) -> list[dict[str, Any]]:
    """Gives the ``env`` of a container, in the order given.

    Raises:
        InvalidValueError: A name is not one that a shell could read.
    """
    check_env_names(variables)
    return [
        value.env(name) if isinstance(value, SecretKey) else {"name": name, "value": value}
        for name, value in variables.items()
    ]


def check_env_names(names: Iterable[str]) -> None:
    """Checks names of environment variables.

    Raises:
        InvalidValueError: One is not a name that a shell could read.
    """
    for name in names:
        if not _ENV_NAME.fullmatch(name):
            raise InvalidValueError("environment variable", name, "letters, digits and '_', no digit in front")


def container(
    name: str,
    image: ImageRef,
    user: User,
    *,
    resources: Resources | None = None,
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    working_directory: str | None = None,
    ports: Mapping[str, int] | None = None,
    env: Sequence[Mapping[str, Any]] = (),
    env_from: Sequence[Mapping[str, Any]] = (),
    volumes: Sequence[Volume] = (),
    probes: Mapping[str, Mapping[str, Any]] | None = None,
    pre_stop: Sequence[str] = (),
) -> dict[str, Any]:
    """Gives one container of a pod.

    Args:
        name: Its name.
        image: What it runs. An image that cannot change behind its reference is pulled once; one without a registry
            was built on the node.
        user: As whom.
        resources: What it is promised and may use.
        command: What it runs instead of the image's own.
        args: The arguments of the image's own entry point.
        working_directory: Where it runs, instead of the image's own directory.
        ports: Its ports, by their names: ``http`` for HTTP, ``fastcgi`` for FastCGI.
        env: Environment variables.
        env_from: Where more of them come from.
        volumes: What is mounted.
        probes: ``livenessProbe``, ``readinessProbe``, ``startupProbe``.
        pre_stop: The command that runs before it is told to end.
    """
    settled = image.digest is not None or image.registry is None
    optional: dict[str, Any] = {
        "command": list(command),
        "args": list(args),
        "workingDir": working_directory,
        "ports": [{"name": port, "containerPort": number} for port, number in (ports or {}).items()],
        "envFrom": list(env_from),
        "env": list(env),
        "resources": resources.manifest() if resources else {},
        **(probes or {}),
        "lifecycle": {"preStop": {"exec": {"command": list(pre_stop)}}} if pre_stop else {},
        "volumeMounts": [volume.mount() for volume in volumes],
    }
    return {
        "name": name,
        "image": str(image),
        "imagePullPolicy": "IfNotPresent" if settled else "Always",
        **{key: value for key, value in optional.items() if value},
        "securityContext": user.security_context(),
    }


def pod_spec(
    containers: Sequence[Mapping[str, Any]],
    *,
    init_containers: Sequence[Mapping[str, Any]] = (),
    volumes: Sequence[Volume] = (),
    options: PodOptions,
    grace: int | None = None,
    restart_policy: str | None = None,
    group: int | None = None,
    spread: str | None = None,
) -> dict[str, Any]:
    """Gives the ``spec`` of a pod.

    Args:
        containers: The containers.
        init_containers: What runs before them, one after the other.
        volumes: The volumes of all of them; the same one may be mounted several times.
        options: What the site adds.
        grace: Seconds for its end.
        restart_policy: ``Never`` or ``OnFailure`` for a Job.
        group: The group that owns the files of its volumes.
        spread: The ``app`` whose pods are spread over the nodes.

    Raises:
        InvalidPropsError: Two different volumes have one name.
    """
    sources: dict[str, Mapping[str, Any]] = {}
    for volume in volumes:
        if sources.setdefault(volume.name, volume.source) != volume.source:
            raise InvalidPropsError([f"volumes: {volume.name}: found two sources, expected one for each name"])
    ports = [port["containerPort"] for part in containers for port in part.get("ports", ())]
    security: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if group is not None:
        security |= {"fsGroup": group, "fsGroupChangePolicy": "OnRootMismatch"}
    if any(port < 1024 for port in ports):
        security["sysctls"] = [_LOW_PORTS]
    optional: dict[str, Any] = {
        "restartPolicy": restart_policy,
        "terminationGracePeriodSeconds": grace,
        "imagePullSecrets": [{"name": name} for name in options.pull_secrets],
        "nodeSelector": dict(options.node_selector),
        "topologySpreadConstraints": [_spread(spread)] if spread else [],
        "initContainers": [dict(part) for part in init_containers],
    }
    return {
        # The pods talk to no API server, so they get no token of it; and links to every Service would only be noise.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security,
        **{key: value for key, value in optional.items() if value},
        "containers": [dict(part) for part in containers],
        **({"volumes": [{"name": name, **source} for name, source in sources.items()]} if sources else {}),
    }


def _spread(app: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": app}},
    }
