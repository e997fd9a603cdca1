"""Rules about references from one object to another."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from constructs_lib.checks import routing
from constructs_lib.checks.manifests import Manifests, Object, Pod, dig, mapping, sequence, string
from constructs_lib.checks.mentions import mentions
from constructs_lib.checks.order import DEPENDS_ON, RUNS_AGAIN_WITH, dependencies
from constructs_lib.checks.registry import Found, rule
from constructs_lib.checks.uses import uses

_ALWAYS_THERE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_SERVICES_ALWAYS_THERE = {("default", "kubernetes"), ("kube-system", "kube-dns")}
_CERTIFICATE_KEYS = frozenset({"tls.crt", "tls.key", "ca.crt"})


@dataclass(frozen=True)
class _Reference:
    """A reference from an object: what it names, and where."""

    item: Object
    path: str
    kind: str
    namespace: str
    name: str
    key: str | None = None


@rule(
    "dangling-reference",
    summary="a reference to a ConfigMap, Secret, claim, account, volume, Service or other object finds nothing",
    why="A Deployment mounted a ConfigMap that nobody made, routes named Services that did not exist: pods hung in "
    "ContainerCreating, requests were answered with 500.",
)
def dangling_reference(manifests: Manifests) -> Iterator[Found]:
    """Finds references that name nothing in the set, the declared base, or what the engine makes."""
    for pod in manifests.pods:
        yield from _volume_mounts(pod)
        for use in uses(pod):
            if not use.optional:
                reference = _Reference(pod.owner, use.path, use.kind, pod.namespace, use.name, use.key)
                yield from _judge(manifests, reference)
    for reference in _object_references(manifests):
        yield from _judge(manifests, reference)
    for backend in routing.backends(manifests):
        yield from _backend(manifests, backend)
    if manifests.closed:
        yield from _order(manifests)
        yield from _hosts(manifests)


def _judge(manifests: Manifests, reference: _Reference) -> Iterator[Found]:
    if (reference.kind, reference.name) in _ALWAYS_THERE or not reference.name:
        return
    keys = _keys(manifests, reference)
    where = f" in namespace {reference.namespace}" if reference.namespace else ""
    if keys is None:
        if manifests.closed:
            names = [
                item.name for item in manifests.everywhere(reference.kind) if item.namespace == reference.namespace
            ]
            names += [one.name for one in manifests.context.secrets if reference.kind == "Secret"]
            yield Found(
                reference.item,
                reference.path,
                f"{reference.kind} {reference.name}{where} does not exist: it is neither in the set nor in the "
                "declared base",
                _nearest(reference.name, names) or f"add the {reference.kind}, or correct the name",
            )
    elif reference.key is not None and reference.key not in keys and (keys or manifests.closed):
        shown = ", ".join(sorted(keys)[:12]) or "none"
        yield Found(
            reference.item,
            reference.path,
            f"{reference.kind} {reference.name}{where} has no key {reference.key!r}; its keys are {shown}",
            _nearest(reference.key, list(keys)) or "add the key, or correct its name",
        )


def _nearest(name: str, names: list[str]) -> str | None:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else None


def _keys(manifests: Manifests, reference: _Reference) -> frozenset[str] | None:
    """Gives the keys of what a reference names, or None where there is no such object."""
    identity = (reference.namespace, reference.name)
    if reference.kind == "Secret":
        for secret in manifests.context.secrets:
            if (secret.namespace, secret.name) == identity:
                return secret.keys
        certificates = manifests.everywhere("Certificate")
        if identity in {(item.namespace, string(item.spec.get("secretName"))) for item in certificates}:
            return _CERTIFICATE_KEYS
    item = manifests.find(reference.kind, *identity)
    if item is None:
        return None
    fields = ("data", "binaryData", "stringData")
    return frozenset(key for field in fields for key in mapping(item.data.get(field)) if isinstance(key, str))


def _volume_mounts(pod: Pod) -> Iterator[Found]:
    volumes = [string(mapping(volume).get("name")) for volume in sequence(pod.spec.get("volumes"))]
    if pod.owner.kind == "StatefulSet":
        templates = sequence(pod.owner.spec.get("volumeClaimTemplates"))
        volumes += [string(dig(template, "metadata", "name")) for template in templates]
    for container in pod.containers:
        for field in ("volumeMounts", "volumeDevices"):
            for number, mount in enumerate(map(mapping, sequence(container.data.get(field)))):
                name = string(mount.get("name"))
                if name and name not in volumes:
                    yield Found(
                        pod.owner,
                        f"{container.path}.{field}[{number}].name",
                        f"container {container.name} mounts the volume {name!r}, which the pod does not have; its "
                        f"volumes are {', '.join(volumes) or 'none'}",
                        _nearest(name, volumes) or f"add {name} to the pod's volumes",
                    )


def _object_references(manifests: Manifests) -> Iterator[_Reference]:
    for gateway in manifests.of("Gateway"):
        for index, listener in enumerate(map(mapping, sequence(gateway.spec.get("listeners")))):
            for number, ref in enumerate(map(mapping, sequence(dig(listener, "tls", "certificateRefs")))):
                if ref.get("kind", "Secret") == "Secret" and not ref.get("group"):
                    path = f"spec.listeners[{index}].tls.certificateRefs[{number}].name"
                    namespace = string(ref.get("namespace")) or gateway.namespace
                    yield _Reference(gateway, path, "Secret", namespace, string(ref.get("name")))
    for certificate in manifests.of("Certificate"):
        issuer = mapping(certificate.spec.get("issuerRef"))
        if issuer.get("group", "cert-manager.io") == "cert-manager.io":
            kind = string(issuer.get("kind")) or "Issuer"
            namespace = "" if kind == "ClusterIssuer" else certificate.namespace
            yield _Reference(certificate, "spec.issuerRef.name", kind, namespace, string(issuer.get("name")))
    for scaler in manifests.of("HorizontalPodAutoscaler"):
        target = mapping(scaler.spec.get("scaleTargetRef"))
        kind = string(target.get("kind"))
        if kind in {"Deployment", "StatefulSet", "ReplicaSet"}:
            yield _Reference(scaler, "spec.scaleTargetRef.name", kind, scaler.namespace, string(target.get("name")))
    yield from _bindings(manifests)
    yield from _policy_targets(manifests)


def _bindings(manifests: Manifests) -> Iterator[_Reference]:
    for binding in manifests.of("RoleBinding", "ClusterRoleBinding"):
        role = mapping(binding.data.get("roleRef"))
        name = string(role.get("name"))
        if role.get("kind") == "Role":
            yield _Reference(binding, "roleRef.name", "Role", binding.namespace, name)
        elif role.get("kind") == "ClusterRole" and not _is_builtin_role(name):
            yield _Reference(binding, "roleRef.name", "ClusterRole", "", name)
        for number, subject in enumerate(map(mapping, sequence(binding.data.get("subjects")))):
            if subject.get("kind") == "ServiceAccount":
                namespace = string(subject.get("namespace"))
                path = f"subjects[{number}].name"
                yield _Reference(binding, path, "ServiceAccount", namespace, string(subject.get("name")))


def _is_builtin_role(name: str) -> bool:
    return name in {"cluster-admin", "admin", "edit", "view"} or name.startswith("system:")


def _policy_targets(manifests: Manifests) -> Iterator[_Reference]:
    """Gives what policies attach to: ``targetRef`` and ``targetRefs`` (GEP-713), as Gateway policies have them."""
    for item in manifests.objects:
        refs = sequence(item.spec.get("targetRefs")) or [item.spec.get("targetRef")]
        field = "targetRefs[{}].name" if item.spec.get("targetRefs") else "targetRef.name"
        for number, ref in enumerate(map(mapping, refs)):
            kind = string(ref.get("kind"))
            if kind in {"Gateway", "HTTPRoute", "GRPCRoute"}:
                namespace = string(ref.get("namespace")) or item.namespace
                yield _Reference(item, f"spec.{field.format(number)}", kind, namespace, string(ref.get("name")))


def _backend(manifests: Manifests, backend: routing.Backend) -> Iterator[Found]:
    service = manifests.find("Service", backend.namespace, backend.name)
    if service is None:
        yield from _judge(
            manifests, _Reference(backend.route, backend.path, "Service", backend.namespace, backend.name)
        )
        return
    ports = [mapping(port) for port in sequence(service.spec.get("ports"))]
    if (
        backend.port is not None
        and ports
        and not any(backend.port in (port.get("port"), port.get("name")) for port in ports)
    ):
        shown = ", ".join(f"{port.get('port')} {string(port.get('name'))}".strip() for port in ports)
        yield Found(
            backend.route,
            f"{backend.path}.port",
            f"Service {backend.name} has no port {backend.port}; its ports are {shown}",
            "name one of the Service's ports (its own, not the container's)",
        )
    if manifests.closed and backend.namespace != backend.route.namespace and not _is_granted(manifests, backend):
        yield Found(
            backend.route,
            f"{backend.path}.namespace",
            f"the Service {backend.name} is in namespace {backend.namespace}, and no ReferenceGrant there lets "
            f"{backend.route.kind}s of {backend.route.namespace} refer to it",
            f"add a ReferenceGrant in {backend.namespace}, or a Service in {backend.route.namespace}",
        )


def _is_granted(manifests: Manifests, backend: routing.Backend) -> bool:
    for grant in manifests.everywhere("ReferenceGrant"):
        sources = [mapping(one) for one in sequence(grant.spec.get("from"))]
        targets = [mapping(one) for one in sequence(grant.spec.get("to"))]
        if (
            grant.namespace == backend.namespace
            and any(
                (one.get("kind"), one.get("namespace")) == (backend.route.kind, backend.route.namespace)
                for one in sources
            )
            and any(one.get("kind") == "Service" and one.get("name") in (None, backend.name) for one in targets)
        ):
            return True
    return False


def _order(manifests: Manifests) -> Iterator[Found]:
    for item in manifests.objects:
        entries = [
            (annotation, *entry)
            for annotation in (DEPENDS_ON, RUNS_AGAIN_WITH)
            for entry in dependencies(item, annotation)
        ]
        for annotation, entry, ref in entries:
            path = f'metadata.annotations["{annotation}"]'
            if ref is None:
                yield Found(
                    item,
                    path,
                    f"found {entry!r}, expected GROUP/namespaces/NAMESPACE/KIND/NAME, or GROUP/KIND/NAME",
                    "write it like batch/namespaces/preview-pr-107/Job/db-init",
                )
            elif manifests.find(ref.kind, ref.namespace, ref.name) is None:
                names = [other.name for other in manifests.everywhere(ref.kind)]
                yield Found(
                    item,
                    path,
                    f"{item} waits for {entry}, which does not exist: the deploy would wait for ever"
                    if annotation == DEPENDS_ON
                    else f"{item} runs again with {entry}, which does not exist",
                    _nearest(ref.name, names) or "correct the name, or remove the entry",
                )


def _hosts(manifests: Manifests) -> Iterator[Found]:
    for mention in mentions(manifests):
        if mention.service is None or mention.service in _SERVICES_ALWAYS_THERE:
            continue
        namespace, name = mention.service
        service = manifests.find("Service", namespace, name)
        ports = [mapping(port).get("port") for port in sequence(service.spec.get("ports"))] if service else []
        if service is None:
            names = [f"{item.name}.{item.namespace}" for item in manifests.everywhere("Service")]
            yield Found(
                mention.item,
                mention.path,
                f"the host {mention.host!r} names the Service {name} of namespace {namespace}, which does not exist",
                _nearest(f"{name}.{namespace}", names) or "correct the host, or declare the Service in the base",
            )
        elif mention.port is not None and ports and mention.port not in ports:
            yield Found(
                mention.item,
                mention.path,
                f"the Service {name} of namespace {namespace} has no port {mention.port}; its ports are "
                f"{', '.join(map(str, ports))}",
                "use one of the Service's ports",
            )
