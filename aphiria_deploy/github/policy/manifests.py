"""The objects of a preview's bundle: which kinds, which names, and what of them reaches beyond its namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.github.difference import same, title_of
from aphiria_deploy.github.policy.envelope import own_hosts
from aphiria_deploy.github.policy.pods import Allowed, allowed_of, pod_violations
from aphiria_deploy.github.policy.violation import Violation, among, shown

MOST_OBJECTS: Final = 200

_GUARDS: Final = frozenset({"Namespace", "ResourceQuota", "NetworkPolicy"})
"""What keeps a preview in its place: the reference's, all of it and nothing beside it."""

_KINDS: Final[Mapping[str, str]] = {
    "ConfigMap": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "PodDisruptionBudget": "policy/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "RateLimitPolicy": "gateway.nginx.org/v1alpha1",
    "ClientSettingsPolicy": "gateway.nginx.org/v1alpha1",
}
"""What a preview may have in its namespace. Not among them is what holds secrets, gives rights, opens another way in
or changes what the Gateway does for others."""

_TOP: Final = frozenset({"apiVersion", "kind", "metadata", "spec"})
_METADATA: Final = frozenset({"name", "namespace", "labels", "annotations"})
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_RESERVED: Final = ("applyset.kubernetes.io/", "deploy.aphiria.com/", "kubectl.kubernetes.io/")
_OPEN: Final = ("deploy.aphiria.com/job-class", "deploy.aphiria.com/job-input", "deploy.aphiria.com/silence.")
_SERVICE: Final = frozenset({"type", "selector", "ports", "sessionAffinity", "publishNotReadyAddresses", "clusterIP"})
_FILTERS: Final[Mapping[str, str]] = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
}


def manifest_violations(bundle: Bundle, reference: Bundle) -> Iterator[Violation]:
    """Gives what the objects of a bundle may not be or do.

    Args:
        bundle: The preview's.
        reference: The main branch's, of the same environment.
    """
    if len(bundle.manifests) > MOST_OBJECTS:
        yield Violation("files", f"{len(bundle.manifests)} objects", f"at most {MOST_OBJECTS}")
        return
    allowed = allowed_of(bundle, reference)
    seen: set[tuple[str, str, str]] = set()
    for manifest in bundle.manifests:
        where = title_of(manifest)
        misshapen = list(_shape(manifest, where))
        yield from misshapen
        if misshapen:
            continue
        key = (manifest["kind"], manifest["metadata"].get("namespace") or "", manifest["metadata"]["name"])
        if key in seen:
            yield Violation(where, "it twice", "each object once")
        seen.add(key)
        if any(same(manifest, known) for known in reference.manifests):
            continue
        yield from _object(manifest, where, reference, allowed)
    for wanted in reference.manifests:
        if _is_fixed(wanted, reference) and not any(same(wanted, found) for found in bundle.manifests):
            yield Violation(title_of(wanted), "none that is the main branch's", "exactly the main branch's")


def _is_fixed(manifest: Manifest, reference: Bundle) -> bool:
    return manifest["kind"] in _GUARDS or manifest["metadata"].get("namespace") != reference.environment.namespace


def _shape(manifest: Any, where: str) -> Iterator[Violation]:
    """Finds what is no object that the rules could look at."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(manifest.get("kind"), str):
        yield Violation(where, shown(manifest), "an object with a kind and metadata")
        return
    name, namespace = metadata.get("name"), metadata.get("namespace", "")
    if not isinstance(manifest.get("apiVersion"), str) or not isinstance(namespace, str):
        yield Violation(where, shown(manifest), "an object with an apiVersion and a namespace that are texts")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield Violation(where, shown(name), "a name of lower-case letters, digits, dots and hyphens")
    for part in ("labels", "annotations"):
        entries = metadata.get(part, {})
        if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
            yield Violation(f"{where}: metadata.{part}", shown(entries), "texts by their names")


def _object(manifest: Manifest, where: str, reference: Bundle, allowed: Allowed) -> Iterator[Violation]:
    kind, namespace = manifest["kind"], reference.environment.namespace
    if kind in _GUARDS:
        yield Violation(
            where, "another than the main branch's", "exactly the main branch's: it keeps the preview apart"
        )
        return
    if manifest["metadata"].get("namespace") != namespace:
        yield Violation(
            where,
            f"the namespace {shown(manifest['metadata'].get('namespace'))}",
            f"{namespace}; what lies beyond it has to be exactly the main branch's",
        )
        return
    if _KINDS.get(kind) != manifest["apiVersion"]:
        yield Violation(where, f"{kind} of {manifest['apiVersion']}", f"one of {', '.join(sorted(_KINDS))}")
        return
    keys = _TOP | {"data", "binaryData"} if kind == "ConfigMap" else _TOP
    yield from _unknown(manifest, keys, where)
    yield from _metadata(manifest["metadata"], where, reference)
    spec = manifest.get("spec", {})
    if not isinstance(spec, dict):
        yield Violation(f"{where}: spec", shown(spec), "an object")
    elif kind in {"Deployment", "Job"}:
        yield from _workload(spec, where, allowed)
    elif kind == "Service":
        yield from _service(spec, where)
    elif kind == "HTTPRoute":
        yield from _route(spec, where, reference)
    elif kind.endswith("Policy"):
        yield from _attached(spec, where)


def _metadata(metadata: Mapping[str, Any], where: str, reference: Bundle) -> Iterator[Violation]:
    yield from _unknown(metadata, _METADATA, f"{where}: metadata")
    instance = metadata.get("labels", {}).get("app.kubernetes.io/instance")
    if instance != reference.environment.name:
        yield Violation(
            f"{where}: metadata.labels[app.kubernetes.io/instance]", shown(instance), reference.environment.name
        )
    yield from _reserved(metadata, f"{where}: metadata")


def _reserved(metadata: Mapping[str, Any], where: str) -> Iterator[Violation]:
    for part in ("labels", "annotations"):
        entries = metadata.get(part)
        # What is no object at all is refused by the API server.
        for key in entries if isinstance(entries, Mapping) else ():
            is_open = part == "annotations" and str(key).startswith(_OPEN)
            if str(key).startswith(_RESERVED) and not is_open:
                yield Violation(f"{where}.{part}", shown(key), "none that the deploy engine sets")


def _workload(spec: Mapping[str, Any], where: str, allowed: Allowed) -> Iterator[Violation]:
    template = spec.get("template")
    pod = template.get("spec") if isinstance(template, dict) else None
    if not isinstance(template, dict) or not isinstance(pod, dict):
        yield Violation(f"{where}: spec.template", shown(template), "a pod template")
        return
    path = f"{where}: spec.template"
    metadata = template.get("metadata", {})
    if not isinstance(metadata, dict):
        yield Violation(f"{path}.metadata", shown(metadata), "an object")
    else:
        yield from _unknown(metadata, _METADATA - {"name", "namespace"}, f"{path}.metadata")
        yield from _reserved(metadata, f"{path}.metadata")
    yield from pod_violations(pod, f"{path}.spec", allowed)


def _service(spec: Mapping[str, Any], where: str) -> Iterator[Violation]:
    yield from _unknown(spec, _SERVICE, f"{where}: spec")
    if spec.get("type", "ClusterIP") != "ClusterIP":
        yield Violation(f"{where}: spec.type", shown(spec["type"]), "ClusterIP: the Gateway is the only way in")
    if spec.get("clusterIP", "None") != "None":
        yield Violation(f"{where}: spec.clusterIP", shown(spec["clusterIP"]), "none, or a headless Service")


def _route(spec: Mapping[str, Any], where: str, reference: Bundle) -> Iterator[Violation]:
    yield from _unknown(spec, frozenset({"parentRefs", "hostnames", "rules"}), f"{where}: spec")
    hosts = own_hosts(reference)
    names = spec.get("hostnames")
    # Without any it would take every host of its listener.
    if not isinstance(names, list) or not names or not all(among(name, hosts) for name in names):
        yield Violation(f"{where}: spec.hostnames", shown(names), f"some of {', '.join(sorted(hosts))}")
    parents = _known_parents(reference)
    for parent in _listed(spec, "parentRefs"):
        if parent not in parents:
            yield Violation(f"{where}: spec.parentRefs", shown(parent), "a listener that the main branch's routes have")
    for number, entry in enumerate(_listed(spec, "rules")):
        yield from _route_rule(entry, f"{where}: spec.rules[{number}]", hosts)


def _known_parents(reference: Bundle) -> list[Any]:
    return [
        parent
        for manifest in reference.manifests
        if manifest["kind"] == "HTTPRoute"
        for parent in manifest["spec"]["parentRefs"]
    ]


def _route_rule(entry: Any, where: str, hosts: frozenset[str]) -> Iterator[Violation]:
    if not isinstance(entry, dict):
        yield Violation(where, shown(entry), "a rule")
        return
    yield from _unknown(
        entry,
        frozenset({"name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence"}),
        where,
    )
    yield from _filters(_listed(entry, "filters"), f"{where}.filters", hosts)
    for backend in _listed(entry, "backendRefs"):
        if not isinstance(backend, dict):
            yield Violation(f"{where}.backendRefs", shown(backend), "a Service")
            continue
        yield from _unknown(
            backend, frozenset({"group", "kind", "name", "port", "weight", "filters"}), f"{where}.backendRefs"
        )
        if (backend.get("group", ""), backend.get("kind", "Service")) != ("", "Service"):
            yield Violation(f"{where}.backendRefs", shown(backend), "a Service of the preview's own namespace")
        yield from _filters(_listed(backend, "filters"), f"{where}.backendRefs.filters", hosts)


def _filters(found: list[Any], where: str, hosts: frozenset[str]) -> Iterator[Violation]:
    for entry in found:
        kind = entry.get("type") if isinstance(entry, dict) else None
        # Not ExtensionRef, which is configuration of the Gateway's own, nor RequestMirror, which goes elsewhere.
        if not isinstance(kind, str) or kind not in _FILTERS or set(entry) - {"type", _FILTERS[kind]}:
            yield Violation(where, shown(entry), f"one of {', '.join(sorted(_FILTERS))}")
            continue
        details = entry.get(_FILTERS[kind])
        host = details.get("hostname") if isinstance(details, dict) else None
        if host is not None and not among(host, hosts):
            yield Violation(where, shown(host), f"a host of the preview's own: {', '.join(sorted(hosts))}")


def _attached(spec: Mapping[str, Any], where: str) -> Iterator[Violation]:
    targets = [*_listed(spec, "targetRefs"), *([spec["targetRef"]] if "targetRef" in spec else [])]
    wanted = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}
    if not targets:
        yield Violation(where, "no target", "an HTTPRoute of the preview's own")
    for target in targets:
        if not isinstance(target, dict) or set(target) != {"group", "kind", "name"} or target | wanted != target:
            # A policy of a Gateway is one of every environment's.
            yield Violation(f"{where}: target", shown(target), "an HTTPRoute of the preview's own")


def _listed(data: Mapping[str, Any], key: str) -> list[Any]:
    found = data.get(key, [])
    return found if isinstance(found, list) else [found]


def _unknown(data: Mapping[str, Any], known: frozenset[str], where: str) -> Iterator[Violation]:
    for key in data:
        if key not in known:
            yield Violation(where, shown(key), f"one of {', '.join(sorted(known))}")
