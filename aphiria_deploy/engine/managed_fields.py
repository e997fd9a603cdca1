"""Whose fields are whose, and what becomes of those that a former owner left behind. Pure.

The server writes down in ``metadata.managedFields`` who set which fields, as sets of them:
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.kube import FIELD_MANAGER

BY_HAND = ("kubectl", "before-first-apply")
"""What the names of the field managers begin with that a person's commands leave behind."""

HELM = "helm"
"""The field manager of Helm itself; who has Helm within goes by a name of its own, and is told by what it owns."""

CONTROLLERS = ("argocd-controller", "kustomize-controller", "helm-controller")
"""The field managers of Argo CD's and Flux's controllers: whatever they still manage they set back."""

_OF_APPLY = frozenset({("kubectl", "Apply"), ("kubectl-client-side-apply", "Update"), ("kubectl-create", "Update")})
_RELEASE_NAME = "f:meta.helm.sh/release-name"
_LAST_APPLIED = "f:kubectl.kubernetes.io/last-applied-configuration"

# What the server takes for a key of an entry that is not given.
_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}

Fields = dict[str, Any]
"""A set of fields, as the server writes it: ``f:`` and a name, ``k:`` and an entry's keys, ``v:`` and a value."""


def owned_fields(item: Mapping[str, Any]) -> Any:
    """Gives the fields that are ours, as the server writes them down; None where none is."""
    return next((entry.get("fieldsV1") for entry in _entries(item) if _is_ours(entry)), None)


def managers(item: Mapping[str, Any]) -> set[str]:
    """Gives the names of those who own fields of an object, its status aside."""
    # A replica count that was set through the subresource "scale" is a field of the object like any other.
    return {entry.get("manager", "") for entry in _entries(item) if entry.get("subresource") != "status"}


def by_hand(item: Mapping[str, Any]) -> set[str]:
    """Gives the names of the commands of a person that own fields of an object."""
    return {name for name in managers(item) if name.startswith(BY_HAND)}


def is_applied_with_kubectl(item: Mapping[str, Any]) -> bool:
    """Whether ``kubectl apply`` or ``kubectl create`` made an object; not whether it was edited with kubectl."""
    return any(
        (entry.get("manager"), entry.get("operation")) in _OF_APPLY and not entry.get("subresource")
        for entry in _entries(item)
    )


def former_fields(item: Mapping[str, Any]) -> Fields:
    """Gives the fields of those that an object is taken over from: a person's commands, Helm, a controller."""
    fields: Fields = {}
    for entry in _entries(item):
        if _is_former(entry):
            fields = _union(fields, entry.get("fieldsV1") or {})
    return fields


def adopted(entries: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Gives the managed fields with those of the former owners made ours; None where there are none."""
    mine = [entry for entry in entries if _is_former(entry) or _is_ours(entry)]
    others = [entry for entry in entries if not (_is_former(entry) or _is_ours(entry))]
    if not any(map(_is_former, mine)):
        return None
    fields: Fields = {}
    for entry in mine:
        fields = _union(fields, entry.get("fieldsV1") or {})
    ours: Fields = {key: mine[0][key] for key in ("apiVersion", "time", "fieldsType") if key in mine[0]}
    return [{**ours, "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}, *others]


def as_adopted(live: Manifest, manifest: Manifest) -> Manifest:
    """Gives an object as it is to be when it was adopted and applied, but for what the server fills in.

    An apply does not tell by its dry run: there, what the former owners own is still theirs, and stays; and what they
    set may not go together with what is asked for, such as the ``value`` of a variable that now has a ``valueFrom``.

    Args:
        live: The object as it is.
        manifest: What is asked for.
    """
    # The annotation goes too, and nobody wants to see it.
    kept: Fields = {"f:metadata": {"f:annotations": {_LAST_APPLIED: {}}}}
    known: Fields = {}
    for entry in _entries(live):
        fields = entry.get("fieldsV1") or {}
        known = _union(known, fields)
        if not _is_former(entry):
            kept = _union(kept, fields)
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    rest = _without({**live, "metadata": metadata}, former_fields(live), kept)
    found: Manifest = _merged(rest, manifest, known)
    return found


def comparable(live: Manifest, manifest: Manifest) -> Manifest:
    """Gives what a live Secret has of what is asked for, and of what was ours: the rest is others', and stays.

    Where nothing of it is ours yet, what its former owners own counts as ours: it is adopted.
    """
    ours: Fields = owned_fields(live) or former_fields(live)
    metadata = {key: live["metadata"].get(key) for key in manifest["metadata"]}
    for part in ("annotations", "labels"):
        asked = manifest["metadata"].get(part) or {}
        found = _of(live["metadata"].get(part), asked, (ours.get("f:metadata") or {}).get(f"f:{part}"))
        if found or asked:
            metadata[part] = found
    data = _of(live.get("data"), manifest["data"], ours.get("f:data"))
    return {key: live.get(key) for key in manifest} | {"metadata": metadata, "data": data}


def _of(live: Mapping[str, Any] | None, asked: Mapping[str, Any], ours: Fields | None) -> dict[str, Any]:
    names = {f"f:{name}" for name in asked} | (ours or {}).keys() - {_LAST_APPLIED}
    return {name: value for name, value in (live or {}).items() if f"f:{name}" in names}


def _entries(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    return item["metadata"].get("managedFields") or []


def _is_ours(entry: Mapping[str, Any]) -> bool:
    known = entry.get("manager"), entry.get("operation"), entry.get("subresource") or ""
    return known == (FIELD_MANAGER, "Apply", "")


def _is_former(entry: Mapping[str, Any]) -> bool:
    """Whether what is taken over is taken over from this one: its fields go, where the site does not name them."""
    if entry.get("subresource"):
        return False
    manager = entry.get("manager", "")
    return manager.startswith(BY_HAND) or manager == HELM or manager in CONTROLLERS or _has_release(entry)


def _has_release(entry: Mapping[str, Any]) -> bool:
    """Whether it is Helm, under whatever name: it writes down of which release an object is."""
    metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return _RELEASE_NAME in (metadata.get("f:annotations") or {})


def _union(one: Fields, other: Fields) -> Fields:
    return {key: _union(one.get(key) or {}, other.get(key) or {}) for key in [*one, *(other.keys() - one.keys())]}


def _without(value: Any, gone: Fields, kept: Fields) -> Any:
    """A value without the fields of one set, where another does not have them too."""
    if isinstance(value, dict):
        below = ((key, _below(one, f"f:{key}", gone, kept)) for key, one in value.items())
        return {key: rest[0] for key, rest in below if rest}
    if isinstance(value, list):
        return [rest[0] for one in value if (rest := _below(one, _name(one, gone), gone, kept))]
    return value


def _below(value: Any, name: str, gone: Fields, kept: Fields) -> list[Any]:
    """What is left of a value, in a list; nothing where it goes."""
    fields = gone.get(name)
    if fields is None:
        return [value]
    whole = not fields or "." in fields
    if whole and name not in kept:
        return []
    return [_without(value, fields, kept.get(name) or {})] if fields else [value]


def _merged(found: Any, asked: Any, fields: Fields) -> Any:
    """A value with what is asked for in it, as the server merges: by the names of the fields that are in there."""
    listed = [sought for _, sought in _listed(fields)]
    if isinstance(found, list) and isinstance(asked, list) and listed:
        return [*(_entry(found, entry, fields) for entry in asked), *_not_in(found, asked, listed[0])]
    # What is owned as a whole is replaced as a whole.
    if not isinstance(found, dict) or not isinstance(asked, dict) or not fields:
        return asked
    below = {key: _merged(found.get(key), value, fields.get(f"f:{key}") or {}) for key, value in asked.items()}
    return {**found, **below}


def _entry(found: list[Any], asked: Any, fields: Fields) -> Any:
    """An entry of a list that is merged, with what is there of it."""
    for name, keys in _listed(fields):
        if isinstance(keys, dict) and isinstance(asked, dict) and _is_same(asked, keys, keys):
            there = next((one for one in found if _is_same(one, keys, keys)), None)
            return _merged(there, asked, fields[name])
    return asked


def _not_in(found: list[Any], asked: list[Any], keys: Any) -> list[Any]:
    if not isinstance(keys, dict):
        return [one for one in found if one not in asked]
    return [one for one in found if not any(_is_same(one, other, keys) for other in asked)]


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any], keys: Iterable[str]) -> bool:
    """Whether two entries of a list are the same one, by its keys."""
    return all(one.get(key, _DEFAULTS.get(key)) == other.get(key, _DEFAULTS.get(key)) for key in keys)


def _name(entry: Any, fields: Fields) -> str:
    """By which name a set has an entry of a list; empty where it does not."""
    return next((name for name, sought in _listed(fields) if _fits(entry, sought, name)), "")


def _listed(fields: Fields) -> Iterator[tuple[str, Any]]:
    for name in fields:
        if name.startswith(("k:", "v:")):
            yield name, json.loads(name[2:])


def _fits(entry: Any, sought: Any, name: str) -> bool:
    if name.startswith("v:"):
        return bool(entry == sought)
    return isinstance(entry, dict) and all(entry.get(key) == value for key, value in sought.items())
