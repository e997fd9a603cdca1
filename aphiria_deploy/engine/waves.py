"""In which order objects are applied: wave after wave, those of one wave at the same time.

The order is a table, and deletion is the other way round. Within it an object comes after what it depends on, which it
says by kpt's annotation: https://kpt.dev/reference/annotations/depends-on/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from aphiria_deploy.bundle import Manifest, ManifestFile
from aphiria_deploy.errors import InputError
from aphiria_deploy.objects import GroupKind, ObjectKey

DEPENDS_ON = "config.kubernetes.io/depends-on"

# Each line is waited for before the next. A kind that is in none is applied with the workloads.
_ORDER: tuple[tuple[str, frozenset[str]], ...] = (
    ("namespaces", frozenset({"Namespace"})),
    ("definitions", frozenset({"CustomResourceDefinition"})),
    # Before anything is allowed to anybody.
    ("policies", frozenset({"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"})),
    (
        "what pods need",
        frozenset(
            "ResourceQuota LimitRange NetworkPolicy ServiceAccount Role RoleBinding ClusterRole ClusterRoleBinding "
            "Secret ConfigMap StorageClass PersistentVolume PersistentVolumeClaim".split()
        ),
    ),
    ("gateways", frozenset({"ClusterIssuer", "Issuer", "Certificate", "NginxProxy", "GatewayClass", "Gateway"})),
    ("jobs", frozenset({"Job"})),
    ("workloads", frozenset()),
    ("routes", frozenset("HTTPRoute GRPCRoute RateLimitPolicy ClientSettingsPolicy ReferenceGrant".split())),
)
_WORKLOADS = next(rank for rank, (name, _) in enumerate(_ORDER) if name == "workloads")
_JOBS = next(rank for rank, (name, _) in enumerate(_ORDER) if name == "jobs")


class OrderError(InputError):
    """Objects depend on each other in a way that no order satisfies."""


@dataclass(frozen=True)
class Wave:
    """Objects that are applied at the same time, and all ready before the next wave.

    Attributes:
        name: What they are.
        manifests: The objects.
    """

    name: str
    manifests: tuple[Manifest, ...]


def dependencies(manifest: Mapping[str, Any]) -> list[ObjectKey]:
    """Gives what an object says that it depends on.

    Raises:
        OrderError: An entry of the annotation is not one.
    """
    return references(manifest, DEPENDS_ON)


def references(manifest: Mapping[str, Any], annotation: str) -> list[ObjectKey]:
    """Gives the objects that an annotation of an object names, in kpt's form.

    Raises:
        OrderError: An entry is not of that form.
    """
    written = (manifest["metadata"].get("annotations") or {}).get(annotation, "")
    entries = (entry.strip() for entry in written.split(","))
    return [_parse(entry, ObjectKey.of(manifest), annotation) for entry in entries if entry]


def waves(files: Sequence[ManifestFile]) -> list[Wave]:
    """Orders a bundle's objects: by file, in a file by kind, among these by what depends on what; Jobs one by one.

    What an object depends on and is not in the bundle is taken to be in the cluster.

    Raises:
        OrderError: Objects depend on each other in a circle, or one on another that comes later.
    """
    groups: dict[tuple[int, int], list[Manifest]] = {}
    for number, file in enumerate(files):
        for manifest in file.manifests:
            groups.setdefault((number, _rank(manifest)), []).append(manifest)
    place = {ObjectKey.of(manifest): key for key, group in groups.items() for manifest in group}
    ordered = []
    for key in sorted(groups):
        for layer in _layers(groups[key], key, place):
            # One after the other: they may work on the same thing, and each is waited for.
            parts = [[manifest] for manifest in layer] if key[1] == _JOBS else [layer]
            ordered += [Wave(_ORDER[key[1]][0], tuple(part)) for part in parts]
    return ordered


def for_deletion(manifests: Iterable[Manifest]) -> list[list[Manifest]]:
    """Orders objects for their deletion: the reverse of the table, those of one kind of wave at the same time."""
    groups: dict[int, list[Manifest]] = {}
    for manifest in manifests:
        groups.setdefault(_rank(manifest), []).append(manifest)
    return [groups[rank] for rank in sorted(groups, reverse=True)]


def _parse(entry: str, of: ObjectKey, annotation: str) -> ObjectKey:
    match entry.split("/"):
        case [group, "namespaces", namespace, kind, name] if namespace and kind and name:
            return ObjectKey(GroupKind(group, kind), namespace, name)
        case [group, kind, name] if kind and name:
            return ObjectKey(GroupKind(group, kind), "", name)
    raise OrderError(
        f"{of}: metadata.annotations[{annotation}]: found {entry!r}, expected GROUP/namespaces/NAMESPACE/KIND/NAME, or "
        "GROUP/KIND/NAME for an object of the whole cluster"
    )


def _rank(manifest: Mapping[str, Any]) -> int:
    kind = manifest["kind"]
    return next((rank for rank, (_, kinds) in enumerate(_ORDER) if kind in kinds), _WORKLOADS)


def _layers(
    group: Sequence[Manifest], key: tuple[int, int], place: Mapping[ObjectKey, tuple[int, int]]
) -> list[list[Manifest]]:
    """Splits a group where its objects depend on each other; what is alike keeps its order."""
    by_key = {ObjectKey.of(manifest): manifest for manifest in group}
    graph: dict[ObjectKey, list[ObjectKey]] = {}
    for item, manifest in by_key.items():
        graph[item] = [wanted for wanted in dependencies(manifest) if wanted in by_key]
        for wanted in dependencies(manifest):
            if place.get(wanted, key) > key:
                raise OrderError(
                    f"{item}: metadata.annotations[{DEPENDS_ON}]: found {wanted}, which is applied later; expected one "
                    "that comes before it, or that is in the cluster already"
                )
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " on ".join(map(str, error.args[1]))
        raise OrderError(f"found objects that depend on each other: {circle}; expected an order") from error
    layers = []
    while sorter.is_active():
        ready = set(sorter.get_ready())
        layers.append([manifest for item, manifest in by_key.items() if item in ready])
        sorter.done(*ready)
    return layers
