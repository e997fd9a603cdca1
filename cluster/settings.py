"""The settings of the three kinds of stack: typed, and valid once they exist."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster import names
from cluster.capacity import Capacity
from cluster.reading import Quantity, Secret

OLDEST_WITH_GATEWAY_API = (1, 33)
"""The first Kubernetes version whose clusters DigitalOcean gives the Gateway API's CRDs, if they are VPC-native."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MINOR = re.compile(r"1\.[1-9][0-9]?")
_RECORD = re.compile(r"@|(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")

# What a load balancer that is not ready, or a local one, may have for an address.
_NOT_PUBLIC = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/3"
    ).split()
]


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    """A cluster that is there already, on the machine.

    Attributes:
        kind: ``local``.
        site: Whose cluster this is.
        kubeconfig: The kubeconfig's path; without it the one that kubectl would take.
        context: Its context; without it the current one.
        service_type: How the Gateway is reached: ``LoadBalancer`` (``minikube tunnel``), or ``NodePort``.
        node_ports: The node's port for each port of the Gateway, where it is a ``NodePort``.
        gateway_api: Whether the Gateway API's CRDs are installed here; else they are there already.
        gateway_name: The Gateway of the site.
        gateway_namespace: Its namespace.
        imports: The IDs of what exists already, by the program's names.
    """

    kind: str
    site: str
    kubeconfig: str | None = None
    context: str | None = None
    service_type: str = "LoadBalancer"
    node_ports: Mapping[str, str] = field(default_factory=dict)
    gateway_api: bool = True
    gateway_name: str = "nginx-gateway"
    gateway_namespace: str = "nginx-gateway"
    imports: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        if self.service_type not in {"LoadBalancer", "NodePort"}:
            problems.append(f"serviceType: found {self.service_type!r}, expected LoadBalancer or NodePort")
        problems += [
            f"nodePorts: found {listener} to {port}, expected ports of the Gateway to ports from 30000 to 32767"
            for listener, port in self.node_ports.items()
            if not (listener.isdecimal() and port.isdecimal() and 30000 <= int(port) <= 32767)
        ]
        problems += _import_problems(self.imports, names.ON_CLUSTER)
        _raise(problems)


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """A cluster at DigitalOcean, and what its sites need to know of it.

    Attributes:
        kind: ``digitalocean``.
        site: Whose cluster this is.
        cluster_name: Its name.
        region: Where it is.
        kubernetes_version: The minor version, such as ``1.34``; the newest patch of it that is offered is taken.
        upgrade_kubernetes: Whether a cluster that exists is upgraded to it now; DigitalOcean brings patches itself.
        vpc_uuid: The network that it is in.
        cluster_subnet: The addresses of pods: with the next one they make it VPC-native.
        service_subnet: The addresses of Services.
        node_pool: The name of its node pool; ``<clusterName>-pool``, if not given.
        node_size: The slug of the nodes' size.
        min_nodes: How many nodes there are at least.
        max_nodes: How many there are at most.
        allocatable_cpu: What pods of a node may ask for, DaemonSets included.
        allocatable_memory: As before, memory.
        daemons_cpu: What DigitalOcean's DaemonSets ask for on each node.
        daemons_memory: As before, memory.
        base_cpu: What is asked for by everything that is there once: database, controllers.
        base_memory: As before, memory.
        previews: How many previews there must be room for at once.
        preview_cpu: What one asks for.
        preview_memory: As before, memory.
        high_availability: Whether the control plane has several nodes; once it has, it always has.
        maintenance_day: When patches are installed.
        maintenance_start: As before, in UTC.
        protect: Whether Pulumi refuses to delete or replace what would be lost.
        destroy_volumes: Whether deleting the cluster deletes its load balancers and volumes too.
        proxy_protocol_from: The networks of the load balancer, which says by PROXY protocol who the client is.
        gateway_name: The Gateway of its environments.
        gateway_namespace: Its namespace.
        postgresql_host: The database server's name inside the cluster.
        postgresql_port: Its port.
        postgresql_admin_user: Its administrator.
        postgresql_admin_password: The administrator's password.
        ghcr_username: Who pulls the images.
        ghcr_token: The token to pull them with.
        digitalocean_dns_token: The token of the DNS-01 solver.
        backup_access_key_id: The key of the backups' bucket, where there are backups.
        backup_secret_access_key: Its secret.
        imports: The IDs of what exists already, by the program's names.
    """

    kind: str
    site: str
    cluster_name: str
    region: str
    kubernetes_version: str
    upgrade_kubernetes: bool = False
    vpc_uuid: str
    cluster_subnet: str
    service_subnet: str
    node_pool: str | None = None
    node_size: str
    min_nodes: int
    max_nodes: int
    allocatable_cpu: Quantity
    allocatable_memory: Quantity
    daemons_cpu: Quantity
    daemons_memory: Quantity
    base_cpu: Quantity
    base_memory: Quantity
    previews: int = 0
    preview_cpu: Quantity = Quantity("0")
    preview_memory: Quantity = Quantity("0")
    high_availability: bool = False
    maintenance_day: str
    maintenance_start: str
    protect: bool = True
    destroy_volumes: bool = False
    proxy_protocol_from: tuple[str, ...]
    gateway_name: str
    gateway_namespace: str
    postgresql_host: str
    postgresql_port: int
    postgresql_admin_user: str
    postgresql_admin_password: Secret
    ghcr_username: str
    ghcr_token: Secret
    digitalocean_dns_token: Secret
    backup_access_key_id: Secret | None = None
    backup_secret_access_key: Secret | None = None
    imports: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        if not _NAME.fullmatch(self.cluster_name):
            problems.append(
                f"clusterName: found {self.cluster_name!r}, expected lower-case letters, digits and hyphens"
            )
        problems += _version_problems(self.kubernetes_version)
        for key, network in (("clusterSubnet", self.cluster_subnet), ("serviceSubnet", self.service_subnet)):
            problems += _network_problems(key, network)
        problems += [each for one in self.proxy_protocol_from for each in _network_problems("proxyProtocolFrom", one)]
        if (self.backup_access_key_id is None) != (self.backup_secret_access_key is None):
            problems.append("backupSecretAccessKey: found one of the two keys of the backups' bucket, expected both")
        problems += self.capacity.problems()
        problems += _import_problems(self.imports, (names.CLUSTER, *names.ON_CLUSTER))
        _raise(problems)

    @property
    def capacity(self) -> Capacity:
        """What the nodes offer, and what is asked of them."""
        return Capacity(
            min_nodes=self.min_nodes,
            max_nodes=self.max_nodes,
            allocatable=(self.allocatable_cpu, self.allocatable_memory),
            daemons=(self.daemons_cpu, self.daemons_memory),
            base=(self.base_cpu, self.base_memory),
            previews=self.previews,
            preview=(self.preview_cpu, self.preview_memory),
        )


@dataclass(frozen=True, kw_only=True)
class DnsSettings:
    """The names of a cluster's sites.

    Attributes:
        kind: ``dns``.
        zone: The DNS zone, which is there already.
        records: The names in it: ``@``, ``www``, ``*.pr``.
        address: Where the Gateway is. No run has a default for it, so none can plan the records away.
        ttl: How many seconds resolvers keep them.
        protect: Whether Pulumi refuses to delete them.
        imports: The IDs of records that exist already, by their names.
    """

    kind: str
    zone: str
    records: tuple[str, ...]
    address: str = field(
        metadata={
            "hint": "`aphiria-deploy preview-base` and `production` wait for it, `cluster up --set address=A` sets it"
        }
    )
    ttl: int = 300
    protect: bool = True
    imports: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [
            f"records: found {name!r}, expected @, a name such as www, or a wildcard such as *.pr"
            for name in self.records
            if not _RECORD.fullmatch(name)
        ]
        if not self.records or len(set(self.records)) != len(self.records):
            problems.append(f"records: found {list(self.records)!r}, expected at least one, each of them once")
        if not _is_public(self.address):
            problems.append(f"address: found {self.address!r}, expected the public IPv4 address of the Gateway")
        if not 30 <= self.ttl <= 86400:
            problems.append(f"ttl: found {self.ttl}, expected from 30 to 86400 seconds")
        problems += _import_problems(self.imports, self.records)
        _raise(problems)


Settings = LocalSettings | ClusterSettings | DnsSettings

KINDS: Mapping[str, type[Settings]] = {
    "local": LocalSettings,
    "digitalocean": ClusterSettings,
    "dns": DnsSettings,
}
"""The kinds of stack, by what their configuration says."""


def _is_public(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not any(address in network for network in _NOT_PUBLIC)


def _version_problems(version: str) -> list[str]:
    if not _MINOR.fullmatch(version):
        return [f"kubernetesVersion: found {version!r}, expected a minor version, such as 1.34"]
    major, minor = map(int, version.split("."))
    if (major, minor) < OLDEST_WITH_GATEWAY_API:
        oldest = ".".join(map(str, OLDEST_WITH_GATEWAY_API))
        return [
            f"kubernetesVersion: found {version}, expected {oldest} or newer: clusters before it come without the "
            "Gateway API's CRDs"
        ]
    return []


def _network_problems(key: str, text: str) -> list[str]:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return [f"{key}: found {text!r}, expected a network such as 10.244.0.0/16"]
    return [] if network.is_private else [f"{key}: found {text}, expected a private network"]


def _import_problems(imports: Mapping[str, str], known: Sequence[str]) -> list[str]:
    return [
        f"imports: found {name!r}, expected one of {', '.join(known)}" for name in sorted(imports.keys() - set(known))
    ]


def _raise(problems: list[str]) -> None:
    if problems:
        raise ValueError("\n".join(problems))
