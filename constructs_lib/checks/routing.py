"""Routes, the Gateways and listeners that they name, and the Services behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from constructs_lib.checks.manifests import GATEWAY_GROUP, Manifests, Object, Pod, mapping, selects, sequence, string

ROUTES = ("HTTPRoute", "GRPCRoute")


@dataclass(frozen=True)
class Backend:
    """A Service to which a route sends requests."""

    route: Object
    path: str
    namespace: str
    name: str
    port: int | str | None


@dataclass(frozen=True)
class Parent:
    """A Gateway that a route names.

    Attributes:
        section: The listener's name, or empty for every one.
        port: The listeners' port, or None for every one.
    """

    route: Object
    path: str
    namespace: str
    name: str
    section: str
    port: int | None


def backends(manifests: Manifests) -> Iterator[Backend]:
    """Gives the Services behind the set's routes and Ingresses."""
    for route in manifests.of(*ROUTES):
        for number, rule in enumerate(map(mapping, sequence(route.spec.get("rules")))):
            for index, ref in enumerate(map(mapping, sequence(rule.get("backendRefs")))):
                if ref.get("kind", "Service") == "Service" and not ref.get("group"):
                    path = f"spec.rules[{number}].backendRefs[{index}]"
                    namespace = string(ref.get("namespace")) or route.namespace
                    yield Backend(route, path, namespace, string(ref.get("name")), _port(ref.get("port")))
    for ingress in manifests.of("Ingress"):
        yield from _ingress_backend(ingress, ingress.spec.get("defaultBackend"), "spec.defaultBackend.service")
        for number, rule in enumerate(map(mapping, sequence(ingress.spec.get("rules")))):
            for index, one in enumerate(map(mapping, sequence(mapping(rule.get("http")).get("paths")))):
                path = f"spec.rules[{number}].http.paths[{index}].backend.service"
                yield from _ingress_backend(ingress, one.get("backend"), path)


def _ingress_backend(ingress: Object, backend: Any, path: str) -> Iterator[Backend]:
    service = mapping(mapping(backend).get("service"))
    if service:
        port = mapping(service.get("port"))
        number = _port(port.get("number") or port.get("name"))
        name = string(service.get("name"))
        # "use-annotation" is how one controller marks a backend that an annotation defines.
        yield Backend(ingress, path, ingress.namespace, name, None if number == "use-annotation" else number)


def parents(route: Object) -> Iterator[Parent]:
    """Gives the Gateways that a route names."""
    for number, ref in enumerate(map(mapping, sequence(route.spec.get("parentRefs")))):
        if ref.get("kind", "Gateway") == "Gateway" and ref.get("group", GATEWAY_GROUP) == GATEWAY_GROUP:
            port = ref.get("port")
            yield Parent(
                route,
                f"spec.parentRefs[{number}]",
                string(ref.get("namespace")) or route.namespace,
                string(ref.get("name")),
                string(ref.get("sectionName")),
                port if isinstance(port, int) else None,
            )


def listeners(gateway: Object) -> list[dict[str, Any]]:
    """Gives a Gateway's listeners."""
    return [mapping(listener) for listener in sequence(gateway.spec.get("listeners"))]


def hostnames(route: Object) -> list[str]:
    """Gives a route's hostnames; none means every one that its listeners take."""
    return [string(host) for host in sequence(route.spec.get("hostnames")) if isinstance(host, str)]


def hosts_meet(listener: str, route: str) -> bool:
    """Says whether a listener's hostname and a route's have a host in common. An empty one takes all.

    ``*.example.com`` takes ``a.example.com`` and ``b.a.example.com``, but not ``example.com``.
    """
    if not listener or not route or listener == route:
        return True
    if listener.startswith("*."):
        return route.endswith(listener[1:]) or (route.startswith("*.") and listener.endswith(route[1:]))
    return route.startswith("*.") and listener.endswith(route[1:])


def admits(manifests: Manifests, gateway: Object, listener: dict[str, Any], route: Object) -> bool:
    """Says whether a listener lets a route of that namespace attach. Without ``allowedRoutes`` only its own."""
    namespaces = mapping(mapping(listener.get("allowedRoutes")).get("namespaces"))
    match namespaces.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            return selects(namespaces.get("selector"), manifests.namespace_labels(route.namespace))
        case "None":
            return False
    return gateway.namespace == route.namespace


def selected_pods(manifests: Manifests, service: Object) -> list[Pod]:
    """Gives the pods of the set and of the base that a Service's selector selects; none without a selector."""
    selector = mapping(service.spec.get("selector"))
    if not selector:
        return []
    pods = manifests.pods_in(service.namespace, with_base=True)
    return [pod for pod in pods if selects({"matchLabels": selector}, pod.labels)]


def target_port(port: dict[str, Any]) -> int | str | None:
    """Gives a Service port's target: a number, or a container port's name."""
    target = port.get("targetPort")
    return _port(port.get("port")) if target in (None, 0, "") else _port(target)


def container_port(pod: Pod, target: int | str | None) -> dict[str, Any] | None:
    """Gives the port of a pod's containers that a target names."""
    for container in pod.serving:
        for port in container.ports:
            if target is not None and target in (port.get("containerPort"), port.get("name")):
                return port
    return None


def _port(value: Any) -> int | str | None:
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None
