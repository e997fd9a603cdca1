"""What is in the picture: objects, and which leads to which. Read from manifests, as the preflight rules read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.engine.waves import dependencies
from aphiria_deploy.objects import GroupKind, ObjectKey
from aphiria_deploy.preflight import context_of
from constructs_lib.checks import Source, routing
from constructs_lib.checks.manifests import GATEWAY_GROUP, Manifests, Object, Pod, mapping, sequence, string, whole
from constructs_lib.checks.mentions import Mention, mentions
from constructs_lib.checks.uses import uses

HOST = GroupKind("", "Host")
"""Of the names under which a site is reached: they are no objects."""


class Sort(StrEnum):
    """What something is in the picture."""

    HOST = "host"
    GATEWAY = "gateway"
    ROUTE = "route"
    SERVICE = "service"
    WORKLOAD = "workload"
    JOB = "job"
    USED = "used"


class Leads(StrEnum):
    """In which way one thing leads to another."""

    REQUESTS = "requests"
    WAITS = "waits for"
    USES = "uses"


@dataclass(frozen=True)
class Node:
    """An object, or a host.

    Attributes:
        key: Which.
        sort: What it is in the picture.
        detail: What else is said of it; may be empty.
        beside: Whether it exists beside the environment, and is not of its bundle.
    """

    key: ObjectKey
    sort: Sort
    detail: str
    beside: bool


@dataclass(frozen=True)
class Edge:
    """One thing leads to another."""

    source: ObjectKey
    target: ObjectKey
    leads: Leads


@dataclass(frozen=True)
class Network:
    """Everything in the picture, in the order in which the bundle has it."""

    nodes: dict[ObjectKey, Node]
    edges: list[Edge]


_SORTS = {
    "Gateway": Sort.GATEWAY,
    **dict.fromkeys(routing.ROUTES, Sort.ROUTE),
    "Service": Sort.SERVICE,
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"), Sort.WORKLOAD),
    **dict.fromkeys(("Job", "CronJob"), Sort.JOB),
}


def network(bundle: Bundle) -> Network:
    """Gives what a bundle's picture shows.

    Beside the bundle's own objects that are the declared base and the Secrets of the engine, where they are used.
    """
    return _Reading(bundle).read()


class _Reading:
    def __init__(self, bundle: Bundle) -> None:
        self._manifests = Manifests([Source(item) for item in bundle.manifests], context_of(bundle))
        self._own = {_key(item) for item in self._manifests.objects}
        self._own |= {ObjectKey(GroupKind("", "Secret"), spec.namespace, spec.name) for spec in bundle.secrets}
        self._nodes: dict[ObjectKey, Node] = {}
        self._edges: dict[Edge, None] = {}

    def read(self) -> Network:
        for item in self._manifests.of(*_SORTS):
            self._add(item)
        for route in self._manifests.of(*routing.ROUTES):
            self._route(route)
        for gateway in [node.key for node in self._nodes.values() if node.sort is Sort.GATEWAY]:
            self._listeners(gateway)
        for backend in routing.backends(self._manifests):
            key = ObjectKey(GroupKind("", "Service"), backend.namespace, backend.name)
            self._lead(_key(backend.route), key, Leads.REQUESTS)
        for pod in self._manifests.pods:
            self._pod(pod)
        for mention in mentions(self._manifests):
            self._mention(mention)
        for service in self._manifests.everywhere("Service"):
            if _key(service) in self._nodes:
                for pod in routing.selected_pods(self._manifests, service):
                    self._lead(_key(service), _key(pod.owner), Leads.REQUESTS)
        return Network(self._nodes, list(self._edges))

    def _route(self, route: Object) -> None:
        for parent in routing.parents(route):
            gateway = ObjectKey(GroupKind(GATEWAY_GROUP, "Gateway"), parent.namespace, parent.name)
            self._lead(gateway, _key(route), Leads.REQUESTS)
            self._hosts(gateway, routing.hostnames(route))

    def _listeners(self, key: ObjectKey) -> None:
        """Where no route names a host, the Gateway itself says which it takes."""
        if not any(edge.target == key for edge in self._edges):
            gateway = self._manifests.find("Gateway", key.namespace, key.name)
            listeners = routing.listeners(gateway) if gateway else []
            self._hosts(key, [string(listener.get("hostname")) for listener in listeners])

    def _hosts(self, gateway: ObjectKey, hosts: Iterable[str]) -> None:
        for host in filter(None, hosts):
            key = ObjectKey(HOST, "", host)
            self._nodes.setdefault(key, Node(key, Sort.HOST, "", beside=False))
            self._lead(key, gateway, Leads.REQUESTS)

    def _pod(self, pod: Pod) -> None:
        owner = _key(pod.owner)
        for wanted in dependencies(pod.owner.data):
            # That the database is there first is told by who asks it.
            if wanted.group_kind.kind == "Job":
                self._lead(owner, wanted, Leads.WAITS)
        used = [(use.kind, use.name) for use in uses(pod) if use.kind != "ServiceAccount"]
        used += [
            ("Secret", string(mapping(one).get("name"))) for one in sequence(pod.spec.get("imagePullSecrets")) if one
        ]
        for kind, name in used:
            self._lead(owner, ObjectKey(GroupKind("", kind), pod.namespace, name), Leads.USES)

    def _mention(self, mention: Mention) -> None:
        namespace, name = mention.service or (mention.pod.namespace, mention.host)
        service = self._manifests.find("Service", namespace, name)
        if service and mention.pod.owner not in [pod.owner for pod in routing.selected_pods(self._manifests, service)]:
            self._lead(_key(mention.pod.owner), _key(service), Leads.REQUESTS)

    def _lead(self, source: ObjectKey, target: ObjectKey, leads: Leads) -> None:
        for key in (source, target):
            if key not in self._nodes:
                found = self._manifests.find(key.group_kind.kind, key.namespace, key.name)
                self._nodes[key] = _node(key, found, beside=key not in self._own)
        self._edges[Edge(source, target, leads)] = None

    def _add(self, item: Object) -> None:
        key = _key(item)
        self._nodes.setdefault(key, _node(key, item, beside=False))


def _key(item: Object) -> ObjectKey:
    return ObjectKey(GroupKind(item.group, item.kind), item.namespace, item.name)


def _node(key: ObjectKey, item: Object | None, *, beside: bool) -> Node:
    sort = _SORTS.get(key.group_kind.kind, Sort.USED)
    return Node(key, sort, _detail(item) if item else "", beside)


def _detail(item: Object) -> str:
    match item.kind:
        case "HTTPRoute" | "GRPCRoute":
            return ", ".join(routing.hostnames(item))
        case "Service":
            ports = [mapping(port) for port in sequence(item.spec.get("ports"))]
            return ", ".join(f"port {port.get('port')}" for port in ports)
        case "Deployment" | "StatefulSet":
            replicas = whole(item.spec.get("replicas"), 1)
            return f"{replicas} replica{'' if replicas == 1 else 's'}"
        case "CronJob":
            return string(item.spec.get("schedule"))
    return ""
