"""The road from outside: GatewayClass, Gateway, HTTPRoute, and the policies attached to them.

Condition types and reasons are those of Gateway API 1.6 (apis/v1 of kubernetes-sigs/gateway-api); which of them its
controller writes and when, of NGINX Gateway Fabric 2.6 (internal/controller/state and status).

A reference to something that is not there yet is waited for: controllers see objects in any order, and a moment
after an apply a Service, a listener or a namespace may be missing from their picture. What an object's own content
causes fails at once.
"""

from __future__ import annotations

from aphiria_deploy.fields import (
    Condition,
    Object,
    at,
    conditions,
    current,
    generation,
    mapping,
    mappings,
    namespace,
    text,
)
from aphiria_deploy.readiness.verdict import Readiness, count, failed, ready, waiting

_NO_CONTROLLER = "waiting for a controller to accept it"
_OWN_MISTAKES = frozenset(
    "HostnameConflict IncompatibleFilters Invalid InvalidFilter InvalidKind MultipleRoutesOnListener "
    "NginxProxyConfigNotSet UnsupportedConfiguration UnsupportedProtocol UnsupportedValue".split()
)
"""Reasons that lie in the route or the policy itself: no other object that is still to come changes them."""
_NOT_DECIDED = frozenset({"Pending", "NotReconciled"})


def gateway_class(item: Object) -> Readiness:
    """Its controller accepts it."""
    accepted = current(conditions(item.get("status")), item).get("Accepted")
    if not accepted or accepted.status == "Unknown" or accepted.reason in _NOT_DECIDED:
        return waiting(_NO_CONTROLLER)
    return ready("accepted") if accepted.status == "True" else failed(str(accepted))


def gateway(item: Object) -> Readiness:
    """It and each of its listeners are Accepted, resolved and Programmed, for this generation.

    A listener whose certificate does not exist yet waits for it. If it is the same with all of them, the Gateway
    itself is not Accepted (ListenersNotValid): that is no failure either.
    """
    found = current(conditions(item.get("status")), item)
    accepted = found.get("Accepted")
    if not accepted or accepted.status == "Unknown" or accepted.reason in _NOT_DECIDED:
        return waiting(_NO_CONTROLLER)
    listeners = _listeners(item)
    if broken := next((entry for entry in listeners if entry.done and not entry.ok), None):
        return broken
    pending = next((entry for entry in listeners if not entry.done), None)
    if accepted.status != "True" and not (accepted.reason == "ListenersNotValid" and pending):
        return failed(str(accepted))
    resolved = found.get("ResolvedRefs")
    if resolved and resolved.status == "False" and resolved.reason != "InvalidCertificateRef":
        # A parameter object that was applied a moment ago may not have been seen yet.
        return waiting(str(resolved)) if "Not found" in resolved.message else failed(str(resolved))
    if pending:
        return pending
    programmed = found.get("Programmed")
    if not programmed or programmed.status != "True":
        return waiting(f"waiting to be programmed: {programmed}" if programmed else "waiting to be programmed")
    addresses = [text(entry.get("value")) for entry in mappings(at(item, "status", "addresses"))]
    return ready(f"programmed, {', '.join(filter(None, addresses)) or 'no address yet'}")


def http_route(item: Object) -> Readiness:
    """Each parent that it names reports, for this generation, Accepted and ResolvedRefs.

    ``status.parents`` has an entry for each parent and controller. Entries of an earlier generation do not count:
    a controller that is no longer there leaves them behind.
    """
    wanted = mappings(at(item, "spec", "parentRefs"))
    entries = mappings(at(item, "status", "parents"))
    verdicts = [_parent(item, ref, entries) for ref in wanted]
    return _worst(verdicts) or ready(f"accepted by {count(len(wanted), 'parent')}" if wanted else "no parents")


def policy(item: Object) -> Readiness:
    """Each ancestor that it is attached to reports, for this generation, Accepted."""
    verdicts = []
    for entry in mappings(at(item, "status", "ancestors")):
        accepted = current(conditions(entry), item).get("Accepted")
        if accepted:
            verdicts.append(_decided(accepted, f"{_reference(mapping(entry.get('ancestorRef')))}: "))
    return _worst(verdicts) or (ready("accepted") if verdicts else waiting(_NO_CONTROLLER))


def _listeners(item: Object) -> list[Readiness]:
    reported = {text(entry.get("name")): entry for entry in mappings(at(item, "status", "listeners"))}
    return [
        _listener(item, f"listener {name}: ", reported.get(name))
        for name in (text(entry.get("name")) for entry in mappings(at(item, "spec", "listeners")))
    ]


def _listener(item: Object, where: str, reported: Object | None) -> Readiness:
    found = current(conditions(reported), item) if reported else {}
    negative = [entry for kind in ("ResolvedRefs", "Accepted") if (entry := found.get(kind)) and entry.status != "True"]
    conflicted = found.get("Conflicted")
    if conflicted and conflicted.status == "True":
        return failed(f"{where}{conflicted}")
    if any(entry.reason == "InvalidCertificateRef" for entry in negative):
        return waiting(f"{where}certificate is being issued")
    for entry in negative:
        if entry.status == "False" and entry.reason not in _NOT_DECIDED:
            return failed(f"{where}{entry}")
    programmed = found.get("Programmed")
    if negative or not programmed or programmed.status != "True":
        held_up_by = next(iter(negative), programmed)
        return waiting(f"{where}waiting to be programmed{f': {held_up_by}' if held_up_by else ''}")
    return ready(f"{where}programmed")


def _parent(item: Object, ref: Object, entries: list[Object]) -> Readiness:
    where = f"{_reference(ref)}: "
    reports = [
        (entry, found)
        for entry in entries
        if _same_parent(item, ref, mapping(entry.get("parentRef")))
        if (found := current(conditions(entry), item))
    ]
    if not reports:
        seen = any(_same_parent(item, ref, mapping(entry.get("parentRef"))) for entry in entries)
        return waiting(
            f"{where}waiting for its controller to see generation {generation(item)}"
            if seen
            else f"{where}{_NO_CONTROLLER}"
        )
    return _worst([_parent_report(where, found) for _, found in reports]) or ready(f"{where}accepted")


def _parent_report(where: str, found: dict[str, Condition]) -> Readiness:
    dropped = found.get("PartiallyInvalid")
    if dropped and dropped.status == "True":
        return failed(f"{where}{dropped}")
    verdicts = [
        _decided(entry, where) if (entry := found.get(kind)) else waiting(f"{where}waiting for {kind}")
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return _worst(verdicts) or verdicts[0]


def _decided(condition: Condition, where: str) -> Readiness:
    if condition.status == "True":
        return ready(f"{where}accepted")
    if condition.status == "False" and condition.reason in _OWN_MISTAKES:
        return failed(f"{where}{condition}")
    return waiting(f"{where}{condition}")


def _worst(verdicts: list[Readiness]) -> Readiness | None:
    """A failure before what is waited for; None if all are ready."""
    failures = (entry for entry in verdicts if entry.done and not entry.ok)
    return next(failures, next((entry for entry in verdicts if not entry.done), None))


def _same_parent(item: Object, one: Object, other: Object) -> bool:
    def key(ref: Object) -> tuple[str, ...]:
        return (
            text(ref.get("group")) if "group" in ref else "gateway.networking.k8s.io",
            text(ref.get("kind")) or "Gateway",
            text(ref.get("namespace")) or namespace(item),
            text(ref.get("name")),
            text(ref.get("sectionName")),
        )

    # NGINX Gateway Fabric leaves the port out of what it reports.
    ports = {one.get("port"), other.get("port")} - {None}
    return key(one) == key(other) and len(ports) < 2


def _reference(ref: Object) -> str:
    section = text(ref.get("sectionName"))
    listener = f", listener {section}" if section else ""
    return f"{text(ref.get('kind')) or 'Gateway'} {text(ref.get('name'))}{listener}"
