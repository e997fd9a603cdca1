"""Rules about routes, Gateways, listeners and their certificates."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from constructs_lib.checks import routing
from constructs_lib.checks.manifests import Manifests, Object, dig, mapping, sequence, string, whole
from constructs_lib.checks.registry import Found, rule
from constructs_lib.checks.routing import Parent

_CERT_MANAGER_NAMESPACE = "cert-manager"


@rule(
    "gateway-exists",
    summary="a route names a Gateway that does not exist, or one that lets no route of its namespace attach",
    why="Routes named a Gateway in the namespace `default`, and it was in `nginx-gateway`: no route was attached, and "
    "nothing answered.",
)
def gateway_exists(manifests: Manifests) -> Iterator[Found]:
    """Finds routes whose parent is not there."""
    for route in manifests.of(*routing.ROUTES):
        for parent in routing.parents(route):
            gateway = manifests.find("Gateway", parent.namespace, parent.name)
            if gateway is None:
                if manifests.closed:
                    yield _missing(manifests, parent)
                continue
            chosen = _listeners(gateway, parent)
            if chosen and not any(routing.admits(manifests, gateway, one, route) for one in chosen):
                yield Found(
                    route,
                    f"{parent.path}.namespace",
                    f"the listeners of {gateway} let no route of namespace {route.namespace} attach (allowedRoutes)",
                    "set allowedRoutes.namespaces.from to All, or to a Selector that selects this namespace",
                )


def _missing(manifests: Manifests, parent: Parent) -> Found:
    others = [item for item in manifests.everywhere("Gateway") if item.name == parent.name]
    known = [f"{item.namespace}/{item.name}" for item in manifests.everywhere("Gateway")]
    hint = f"set namespace: {others[0].namespace}" if others else f"the Gateways are {', '.join(known) or 'none'}"
    return Found(
        parent.route,
        f"{parent.path}.{'namespace' if others else 'name'}",
        f"there is no Gateway {parent.name} in namespace {parent.namespace}, so the route is attached to nothing",
        hint,
    )


def _listeners(gateway: Object, parent: Parent) -> list[dict[str, Any]]:
    return [
        one
        for one in routing.listeners(gateway)
        if parent.section in ("", one.get("name")) and parent.port in (None, one.get("port"))
    ]


@rule(
    "listener-hostname",
    summary="no listener that a route attaches to has a hostname that matches the route's",
    why="Only the first wildcard had a listener: the API's route was rejected with NoMatchingListenerHostname. Section "
    "names were typed by hand.",
)
def listener_hostname(manifests: Manifests) -> Iterator[Found]:
    """Finds routes whose listener is not there or takes other hosts, and listeners that collide."""
    for route in manifests.of(*routing.ROUTES):
        for parent in routing.parents(route):
            gateway = manifests.find("Gateway", parent.namespace, parent.name)
            if gateway is not None:
                yield from _unmatched(gateway, parent)
    for gateway in manifests.of("Gateway"):
        yield from _colliding(gateway)


def _unmatched(gateway: Object, parent: Parent) -> Iterator[Found]:
    chosen = _listeners(gateway, parent)
    if not chosen:
        names = [string(one.get("name")) for one in routing.listeners(gateway)]
        close = difflib.get_close_matches(parent.section, names, n=1)
        wanted = parent.section or f"with port {parent.port}"
        yield Found(
            parent.route,
            f"{parent.path}.{'sectionName' if parent.section else 'port'}",
            f"{gateway} has no listener {wanted}; its listeners are {', '.join(names) or 'none'}",
            f"did you mean {close[0]!r}?" if close else "name one of them, or leave it out",
        )
        return
    for number, host in enumerate(routing.hostnames(parent.route)):
        if not any(routing.hosts_meet(string(one.get("hostname")), host) for one in chosen):
            taken = ", ".join(f"{one.get('name')} ({one.get('hostname') or 'any host'})" for one in chosen)
            fitting = [
                string(one.get("name"))
                for one in routing.listeners(gateway)
                if routing.hosts_meet(string(one.get("hostname")), host)
            ]
            yield Found(
                parent.route,
                f"spec.hostnames[{number}]",
                f"{host} matches no listener of {gateway} that the route attaches to: {taken}",
                f"attach to {', '.join(fitting)}" if fitting else f"add a listener whose hostname matches {host}",
            )


def _colliding(gateway: Object) -> Iterator[Found]:
    taken: dict[tuple[int, str], str] = {}
    names: set[str] = set()
    for number, one in enumerate(routing.listeners(gateway)):
        name, host = string(one.get("name")), string(one.get("hostname"))
        if name in names:
            yield Found(
                gateway,
                f"spec.listeners[{number}].name",
                f"two listeners have the name {name!r}",
                "give each listener a name of its own",
            )
        names.add(name)
        is_tcp = string(one.get("protocol")) in {"HTTP", "HTTPS", "TLS"}
        other = taken.setdefault((whole(one.get("port"), 0), host), name) if is_tcp else name
        if other != name:
            yield Found(
                gateway,
                f"spec.listeners[{number}].hostname",
                f"the listeners {other} and {name} both take {host or 'every host'} on port {one.get('port')}: they "
                "are in conflict, and neither works",
                "give each its own hostname or port",
            )


@rule(
    "wildcard-needs-dns01",
    summary="a wildcard certificate comes from an ACME issuer without a DNS-01 solver, or without its token",
    why="A wildcard certificate never came: its issuer had an HTTP-01 solver, and later the DNS token was not wired.",
)
def wildcard_needs_dns01(manifests: Manifests) -> Iterator[Found]:
    """Finds wildcard certificates that ACME cannot issue."""
    for certificate in manifests.of("Certificate"):
        ref = mapping(certificate.spec.get("issuerRef"))
        issuer = _issuer(manifests, certificate, string(ref.get("kind")) or "Issuer", string(ref.get("name")))
        for number, name in enumerate(sequence(certificate.spec.get("dnsNames"))):
            if issuer is not None and string(name).startswith("*."):
                yield from _unsolvable(manifests, (certificate, f"spec.dnsNames[{number}]"), issuer, name)
    for gateway in manifests.of("Gateway"):
        for kind, annotation in (("ClusterIssuer", "cluster-issuer"), ("Issuer", "issuer")):
            issuer = _issuer(manifests, gateway, kind, string(gateway.annotations.get(f"cert-manager.io/{annotation}")))
            for number, one in enumerate(routing.listeners(gateway)):
                host = string(one.get("hostname"))
                if issuer is not None and one.get("tls") and host.startswith("*."):
                    yield from _unsolvable(manifests, (gateway, f"spec.listeners[{number}].hostname"), issuer, host)


def _issuer(manifests: Manifests, item: Object, kind: str, name: str) -> Object | None:
    return manifests.find(kind, "" if kind == "ClusterIssuer" else item.namespace, name) if name else None


def _unsolvable(manifests: Manifests, place: tuple[Object, str], issuer: Object, name: str) -> Iterator[Found]:
    acme = mapping(issuer.spec.get("acme"))
    if not acme:
        return
    solvers = [mapping(one) for one in sequence(acme.get("solvers")) if _covers(mapping(one), place[0], name)]
    dns = [mapping(one.get("dns01")) for one in solvers if one.get("dns01")]
    if not dns:
        kinds = sorted({key for one in solvers for key in ("http01", "dns01") if one.get(key)})
        yield Found(
            *place,
            f"{name} is a wildcard, which ACME issues only by DNS-01; {issuer.kind} {issuer.name} has "
            f"{', '.join(kinds) or 'no solver'} for it",
            f"add a dns01 solver to {issuer.kind} {issuer.name}, or name an issuer that has one",
        )
        return
    if not manifests.closed:
        return
    namespace = _CERT_MANAGER_NAMESPACE if issuer.kind == "ClusterIssuer" else issuer.namespace
    for provider, config in dns[0].items():
        for field, ref in mapping(config).items():
            if field.endswith("SecretRef") and not _has_key(manifests, namespace, mapping(ref)):
                yield Found(
                    *place,
                    f"the DNS-01 solver ({provider}) of {issuer.kind} {issuer.name} takes its token from Secret "
                    f"{mapping(ref).get('name')}, key {mapping(ref).get('key')}, which is not in namespace {namespace}",
                    f"have the Secret made in {namespace}, or declare it in the base",
                )


def _covers(solver: dict[str, Any], item: Object, name: str) -> bool:
    selector = mapping(solver.get("selector"))
    labels = mapping(selector.get("matchLabels"))
    names, zones = sequence(selector.get("dnsNames")), sequence(selector.get("dnsZones"))
    bare = name.removeprefix("*.")
    return (
        all(item.labels.get(key) == value for key, value in labels.items())
        and (not names or name in names)
        and (not zones or any(bare == zone or bare.endswith(f".{zone}") for zone in zones))
    )


def _has_key(manifests: Manifests, namespace: str, ref: dict[str, Any]) -> bool:
    name, key = string(ref.get("name")), string(ref.get("key"))
    for secret in manifests.context.secrets:
        if (secret.namespace, secret.name) == (namespace, name):
            return key in secret.keys
    item = manifests.find("Secret", namespace, name)
    keys = {one for field in ("data", "stringData") for one in mapping(dig(item.data, field) if item else None)}
    return item is not None and (key in keys or not key)
