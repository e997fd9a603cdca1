"""A namespace of its own for an environment: what it may use, whom it may talk to, what its pods may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.errors import InvalidPropsError
from constructs_lib.placement import Placement
from constructs_lib.values import Quantity, network_problems

BUILT_IN = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that every cluster has: no set creates them, and nothing deletes them."""

_APP = "namespace"
_COMPONENT = "environment"
# The label that the API server itself sets on every namespace.
_NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What all pods of a namespace together may ask for, and use.

    Attributes:
        cpu: Cores, of the requests and of the limits.
        memory: Bytes, of the requests and of the limits.
        pods: How many pods, finished ones not counted.
        name: The ResourceQuota's name.
    """

    cpu: Quantity
    memory: Quantity
    pods: int
    name: str = "quota"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Pods that a namespace may talk to.

    Attributes:
        namespace: Where they are.
        app: Their label ``app``.
        port: The TCP port.
    """

    namespace: str
    app: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """Whom the pods of a namespace may talk to. What is not named is not possible.

    Attributes:
        gateway_namespace: Where requests come from.
        ports: The ports of the pods that the Gateway reaches.
        destinations: Pods of other namespaces that they reach: the database.
        cluster_networks: The cluster's own networks, and all others that are nobody's business: HTTPS reaches
            everything else.
        name: The NetworkPolicy's name.
    """

    gateway_namespace: str
    ports: Sequence[int]
    destinations: Sequence[Destination] = ()
    cluster_networks: Sequence[str] = ()
    name: str = "isolation"


@dataclass(frozen=True, kw_only=True)
class NamespaceProps:
    """What a namespace is made of.

    Attributes:
        placement: The namespace's own name is the placement's.
        quota: What its pods together may use; no quota without.
        isolation: Whom its pods may talk to; everybody without.
        pod_security: The Pod Security Standard that the API server enforces.
        annotations: Its annotations.

    Raises:
        InvalidPropsError: It is one that every cluster has, or a network is not one.
    """

    placement: Placement
    quota: Quota | None = None
    isolation: Isolation | None = None
    pod_security: str = "restricted"
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.placement.namespace
        problems = []
        if name in BUILT_IN or name.startswith("kube-"):
            problems.append(f"placement.namespace: found {name!r}, expected one that is not the cluster's own")
        if self.pod_security not in {"privileged", "baseline", "restricted"}:
            problems.append(f"pod_security: found {self.pod_security!r}, expected restricted, baseline or privileged")
        if self.quota and self.quota.pods < 1:
            problems.append(f"quota.pods: found {self.quota.pods}, expected 1 or more")
        if self.isolation and not (self.isolation.ports and all(0 < port < 2**16 for port in self.isolation.ports)):
            # A NetworkPolicy without ports would admit to all of them.
            problems.append(f"isolation.ports: found {list(self.isolation.ports)}, expected one or more, 1 to 65535")
        if self.isolation:
            problems += network_problems("isolation.cluster_networks", self.isolation.cluster_networks)
        if problems:
            raise InvalidPropsError(f"Namespace {name}: {problem}" for problem in problems)


class Namespace(Construct):
    """A namespace with its quota and its network policy."""

    def __init__(self, scope: Construct, id: str, props: NamespaceProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        Manifest(self, "namespace", namespace_manifest(props))
        if props.quota:
            Manifest(self, "quota", _quota(props.placement, props.quota))
        if props.isolation:
            Manifest(self, "isolation", network_policy(props.placement, props.isolation))


def namespace_manifest(props: NamespaceProps) -> dict[str, Any]:
    """Gives the Namespace itself."""
    placement = props.placement
    metadata = placement.metadata(
        placement.namespace, app=_APP, component=_COMPONENT, annotations=props.annotations, namespaced=False
    )
    metadata["labels"] |= {
        f"pod-security.kubernetes.io/{mode}": props.pod_security for mode in ("enforce", "warn", "audit")
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _quota(placement: Placement, quota: Quota) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": placement.metadata(quota.name, app=_APP, component=_COMPONENT),
        "spec": {
            "hard": {
                "requests.cpu": str(quota.cpu),
                "requests.memory": str(quota.memory),
                "limits.cpu": str(quota.cpu),
                "limits.memory": str(quota.memory),
                "pods": str(quota.pods),
            }
        },
    }


def network_policy(placement: Placement, isolation: Isolation) -> dict[str, Any]:
    """Gives the NetworkPolicy of all pods of a namespace."""
    # The whole address space without the cluster's own part of it, for each family that has one.
    blocks = [
        {"ipBlock": {"cidr": whole, **({"except": own} if own else {})}}
        for version, whole in ((4, "0.0.0.0/0"), (6, "::/0"))
        if (own := [net for net in isolation.cluster_networks if ip_network(net).version == version])
        or not isolation.cluster_networks
    ]
    dns = {
        "to": [_namespace("kube-system")],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
    https = {"to": blocks, "ports": [{"protocol": "TCP", "port": 443}]}
    destinations = [
        {
            "to": [_namespace(to.namespace) | {"podSelector": {"matchLabels": {"app": to.app}}}],
            "ports": [{"protocol": "TCP", "port": to.port}],
        }
        for to in isolation.destinations
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": placement.metadata(isolation.name, app=_APP, component=_COMPONENT),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [_namespace(isolation.gateway_namespace)],
                    "ports": [{"protocol": "TCP", "port": port} for port in isolation.ports],
                }
            ],
            "egress": [dns, https, *destinations],
        },
    }


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}}
