"""Which objects of a cluster belong to an environment: ApplySets, as kubectl implements them.

Membership is a label on the object and not a memory, so whatever was left behind by a run that died is found again. A
parent object names the kinds that members may have: it is widened before anything is applied, and narrowed when all
that is no longer wanted is gone.

https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/apply/applyset.go
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.releases import ENVIRONMENT
from aphiria_deploy.objects import GroupKind, ObjectKey

PART_OF = "applyset.kubernetes.io/part-of"
"""The label of a member: the ID of its set."""
ID = "applyset.kubernetes.io/id"
"""The label of the parent: its own ID."""
TOOLING = "applyset.kubernetes.io/tooling"
GROUP_KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The Secret that stands for a set.

    Attributes:
        name: Its name.
        namespace: Where it is: outside of the environment, so that it outlives it.
        group_kinds: The kinds that members may have.
        namespaces: Where members may be, its own namespace left out.
    """

    name: str
    namespace: str
    group_kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """The set's ID: a hash of the parent's name, namespace, kind and group."""
        return set_id(self.name, self.namespace, "Secret", "")

    def manifest(self, version: str) -> Manifest:
        """The parent as it is applied.

        Args:
            version: The version of this tool.
        """
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {ID: self.id},
                "annotations": {
                    TOOLING: f"aphiria-deploy/{version}",
                    GROUP_KINDS: ",".join(sorted(map(str, self.group_kinds))),
                    NAMESPACES: ",".join(sorted(self.namespaces - {self.namespace})),
                },
            },
        }

    @classmethod
    def read(cls, live: Mapping[str, Any]) -> Parent:
        """Reads a parent as it is in the cluster."""
        metadata = live["metadata"]
        annotations = metadata.get("annotations", {})
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            group_kinds=frozenset(map(GroupKind.parse, filter(None, annotations.get(GROUP_KINDS, "").split(",")))),
            namespaces=frozenset(filter(None, annotations.get(NAMESPACES, "").split(","))),
        )

    def holding(self, manifests: Iterable[Mapping[str, Any]]) -> Parent:
        """Gives the parent of a set that is exactly these objects."""
        members = list(manifests)
        return Parent(
            name=self.name,
            namespace=self.namespace,
            group_kinds=frozenset(map(GroupKind.of, members)),
            namespaces=frozenset(filter(None, (item["metadata"].get("namespace") for item in members))),
        )

    def widened(self, other: Parent) -> Parent:
        """Gives the parent of both sets: what a run needs from its first write until everything is pruned."""
        return Parent(
            name=self.name,
            namespace=self.namespace,
            group_kinds=self.group_kinds | other.group_kinds,
            namespaces=self.namespaces | other.namespaces,
        )


def set_id(name: str, namespace: str, kind: str, group: str) -> str:
    """Gives the ID of a set by its parent; parts that are empty keep their dots."""
    digest = hashlib.sha256(f"{name}.{namespace}.{kind}.{group}".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}-v1"


def as_member(manifest: Manifest, set_id: str) -> Manifest:
    """Gives an object with the label of a member; the one that was given stays as it is."""
    metadata = manifest["metadata"]
    return manifest | {"metadata": metadata | {"labels": metadata.get("labels", {}) | {PART_OF: set_id}}}


def is_member(item: Mapping[str, Any], set_id: str, environment: str) -> bool:
    """Whether an object is of a set, and of the environment that the set is of.

    Both, because whoever may label an object may put another set's ID on it: what it belongs to by its other label,
    which a cluster's policies can check, is not pruned by that set's owner.
    """
    labels = item["metadata"].get("labels") or {}
    return labels.get(PART_OF) == set_id and labels.get(ENVIRONMENT) == environment


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What becomes of members that are no longer in the set.

    Attributes:
        delete: These go.
        kept: These stay, each with the reason.
    """

    delete: tuple[Manifest, ...]
    kept: tuple[tuple[Manifest, str], ...]


_NEVER_PRUNED = {
    "Namespace": "a namespace is never pruned",
    "CustomResourceDefinition": "a definition is never pruned: every object of its kind would go with it",
}


def select_for_pruning(wanted: Iterable[Mapping[str, Any]], members: Iterable[Manifest], set_id: str) -> Pruning:
    """Says what is pruned.

    A namespace never is: what is in it is not all ours. Neither is the definition of a kind, with which all objects of
    that kind would go, nor what somebody else's controller owns: it goes with its owner, or not at all.

    Args:
        wanted: The objects of the set, as they were applied.
        members: What the cluster has with the label, all kinds that the parent names.
        set_id: The set's ID.

    Raises:
        ValueError: The set is empty: that would prune everything, and is a mistake every time.
    """
    keys = set(map(ObjectKey.of, wanted))
    if not keys:
        raise ValueError("the set is empty: pruning would delete everything; remove the environment instead")
    delete, kept = [], []
    for member in members:
        metadata = member["metadata"]
        if ObjectKey.of(member) in keys or metadata.get("labels", {}).get(PART_OF) != set_id:
            continue
        owners = [owner for owner in metadata.get("ownerReferences", ()) if owner.get("controller")]
        if reason := _NEVER_PRUNED.get(member["kind"]):
            kept.append((member, reason))
        elif owners:
            kept.append((member, f"it belongs to {owners[0]['kind']} {owners[0]['name']}"))
        else:
            # Also one that is going already: the set keeps its kind until it is gone.
            delete.append(member)
    return Pruning(delete=tuple(delete), kept=tuple(kept))
