"""Which object: kinds and names, whatever the version that an object is asked for in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, order=True)
class GroupKind:
    """A kind in its API group; the core group is empty."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @classmethod
    def parse(cls, text: str) -> GroupKind:
        """Reads what ``str`` writes."""
        kind, _, group = text.partition(".")
        return cls(group, kind)

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> GroupKind:
        """The kind of an object."""
        group, slash, _ = manifest["apiVersion"].partition("/")
        return cls(group if slash else "", manifest["kind"])


@dataclass(frozen=True, order=True)
class ObjectKey:
    """Which object, whatever the version that it is asked for in."""

    group_kind: GroupKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.group_kind.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> ObjectKey:
        """The key of an object."""
        metadata = manifest["metadata"]
        return cls(GroupKind.of(manifest), metadata.get("namespace") or "", metadata["name"])
