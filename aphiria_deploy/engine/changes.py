"""What an apply changes: the live object beside what the server's dry run says that it would be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.masked import MASK

# What the server writes: it differs between any two answers, or is not what was asked for.
_SERVERS = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})
_MISSING = object()
# Lists whose entries have a name: they are told by it, as the API merges them.
_KEYS = ("name", "containerPort", "port", "mountPath", "key", "type", "ip")


@dataclass(frozen=True)
class FieldChange:
    """One field that an apply changes.

    Attributes:
        path: Where: ``spec.template.spec.containers[php].image``.
        before: What is there now; None where nothing is.
        after: What would be there; None where nothing would.
    """

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} → {_shown(self.after)}"


def field_changes(live: Manifest, would_be: Manifest) -> tuple[FieldChange, ...]:
    """Gives the fields that differ, in the order of their paths; values of Secrets are masked."""
    secret = live.get("kind") == "Secret"
    found = _differences(_asked_for(live), _asked_for(would_be), "")
    return tuple(_masked(change) if secret and change.path.startswith("data") else change for change in found)


def _asked_for(item: Manifest) -> dict[str, Any]:
    # None and an empty one are the same, and each label is told by itself.
    metadata: dict[str, Any] = {part: {} for part in ("annotations", "labels")}
    metadata |= {key: value for key, value in item["metadata"].items() if key not in _SERVERS}
    return {key: value for key, value in item.items() if key != "status"} | {"metadata": metadata}


def _differences(before: Any, after: Any, path: str) -> Iterator[FieldChange]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(key, _MISSING), after.get(key, _MISSING), _below(path, key))
        return
    if isinstance(before, list) and isinstance(after, list):
        key = _key_of([*before, *after])
        if key:
            old, new = ({str(entry[key]): entry for entry in side} for side in (before, after))
            if len(old) == len(before) and len(new) == len(after):
                for name in dict.fromkeys([*old, *new]):
                    yield from _differences(old.get(name, _MISSING), new.get(name, _MISSING), f"{path}[{name}]")
                if [*old] != [*new] and old.keys() == new.keys():
                    yield FieldChange(f"{path} (order)", [*old], [*new])
                return
    yield FieldChange(path, None if before is _MISSING else before, None if after is _MISSING else after)


def _key_of(entries: list[Any]) -> str:
    if not all(isinstance(entry, dict) for entry in entries):
        return ""
    return next((key for key in _KEYS if all(key in entry for entry in entries)), "")


def _below(path: str, key: str) -> str:
    part = f"[{key}]" if any(mark in key for mark in "./") else key
    return f"{path}{'.' if path and not part.startswith('[') else ''}{part}"


def _masked(change: FieldChange) -> FieldChange:
    before = None if change.before is None else f"{MASK} (before)"
    after = None if change.after is None else f"{MASK} (after)"
    return FieldChange(change.path, before, after)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
