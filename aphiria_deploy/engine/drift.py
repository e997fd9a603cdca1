"""Drift: where the cluster's objects have departed from what the last release asked for. Pure.

Field by field, whoever owns a field now: an edit by hand takes the ownership along. Only what was asked for counts:
what the server adds (defaults, status, an object's own metadata) and what others add beside it is theirs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.ownership import Ownership, ownership
from aphiria_deploy.fields import at, mapping, one_line, text
from aphiria_deploy.masked import MASK
from aphiria_deploy.objects import GroupKind, ObjectKey
from constructs_lib.checks import quantity

# Beside the labels and annotations, an object's metadata are its name and what the server says of it.
_METADATA = ("labels", "annotations", "finalizers")
_HEAD = frozenset({"apiVersion", "kind", "metadata", "status"})
_JOB = GroupKind("batch", "Job")
_AUTOSCALER = GroupKind("autoscaling", "HorizontalPodAutoscaler")
_SECRET = GroupKind("", "Secret")

# By which keys the API merges lists, where an object does not say who owns its fields:
# https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy.
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys("containers initContainers ephemeralContainers env volumes".split(), (("name",),)),
    **dict.fromkeys("imagePullSecrets listeners secrets schedulingGates resourceClaims".split(), (("name",),)),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "volumeMounts": (("mountPath",),),
    "volumeDevices": (("devicePath",),),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
}
# What the server takes for a key that is not given.
_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}
# Lists that are merged as sets: others may add to them.
_SETS = frozenset({"finalizers"})
# Lists whose entries are merged by keys, and whose order has a meaning all the same.
_ORDERED = frozenset({"initContainers", "env"})
# Objects of quantities, by the field that holds them; and fields that are one.
_QUANTITIES = frozenset({"limits", "requests", "hard", "capacity", "overhead", "max", "min", "default"})
_QUANTITY = frozenset({"sizeLimit", "divisor", "averageValue"})


@dataclass(frozen=True)
class Departure:
    """A field that is not what the last release asked for.

    Attributes:
        key: The object.
        path: Where: ``spec.template.spec.containers[name=php].image``; empty for the whole object.
        wanted: What was asked for; None where nothing was.
        found: What is there; None where nothing is.
        owner: The field manager that owns the field now; empty where nobody does, or nobody knows.
        since: When that manager last changed what it owns of the object; none where the server does not say.
    """

    key: ObjectKey
    path: str
    wanted: Any
    found: Any
    owner: str = ""
    since: datetime | None = None

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        owner = f" (of {self.owner}{since})" if self.owner else ""
        where = f"{self.key} {self.path}".rstrip()
        return f"{where}: found {_shown(self.found)}, expected {_shown(self.wanted)}{owner}"


def drift(wanted: Sequence[Manifest], live: Mapping[ObjectKey, Manifest]) -> list[Departure]:
    """Compares what is there with what the last release asked for.

    No drift are: the number of replicas where an autoscaler has the say, and a Job that is gone, since what ran to its
    end may be cleaned away.

    Args:
        wanted: The objects as they were applied.
        live: The objects that are there, in the same versions, with their ``managedFields``.

    Returns:
        Every departure, in the order of what was asked for. Of Secrets no value is in it.
    """
    scaled = set(_scaled([*wanted, *live.values()]))
    departures: list[Departure] = []
    for manifest in wanted:
        key = ObjectKey.of(manifest)
        item = live.get(key)
        if item is None:
            if key.group_kind != _JOB:
                departures.append(Departure(key, "", "the object", None))
            continue
        if ended := text(at(item, "metadata", "deletionTimestamp")):
            departures.append(Departure(key, "metadata.deletionTimestamp", None, ended))
        comparison = _Comparison(key, ownership(item), autoscaled=key in scaled)
        departures += comparison.departures(manifest, item)
    return departures


def _scaled(items: Sequence[Manifest]) -> Iterator[ObjectKey]:
    for item in items:
        if GroupKind.of(item) == _AUTOSCALER:
            target = mapping(at(item, "spec", "scaleTargetRef"))
            of = GroupKind.of({"apiVersion": text(target.get("apiVersion")), "kind": text(target.get("kind"))})
            yield ObjectKey(of, ObjectKey.of(item).namespace, text(target.get("name")))


@dataclass(frozen=True)
class _Place:
    """Where in an object.

    Attributes:
        path: As it is told.
        names: The names of the fields that lead there.
        owned: Who owns what is there.
        whole: Who owns the list or object that is never merged, and of which this is a part.
    """

    path: str
    names: tuple[str, ...]
    owned: Ownership
    whole: Ownership | None = None

    def field(self, name: str) -> _Place:
        part = f"[{name}]" if set(name) & set("./") else f".{name}" if self.path else name
        return self._below(f"{self.path}{part}", (*self.names, name), self.owned.below(name))

    def entry(self, keys: Mapping[str, Any]) -> _Place:
        told = ",".join(f"{name}={value}" for name, value in keys.items())
        return self._below(f"{self.path}[{told}]", self.names, self.owned.entry(keys))

    def position(self, number: int) -> _Place:
        return self._below(f"{self.path}[{number}]", self.names, Ownership())

    def _below(self, path: str, names: tuple[str, ...], owned: Ownership) -> _Place:
        return _Place(path, names, owned, self.owned if self.owned.is_whole else self.whole)

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else ""

    @property
    def is_quantity(self) -> bool:
        return self.name in _QUANTITY or (len(self.names) > 1 and self.names[-2] in _QUANTITIES)

    @property
    def is_selector(self) -> bool:
        """Whether it is a label selector, of which every part counts: one more selects something else."""
        return any(name.lower().endswith("selector") for name in self.names)


class _Comparison:
    """Compares an object with what was asked for."""

    def __init__(self, key: ObjectKey, owned: Ownership, *, autoscaled: bool) -> None:
        self._key = key
        self._owned = owned
        self._autoscaled = autoscaled
        self._secret = key.group_kind == _SECRET

    def departures(self, wanted: Manifest, found: Manifest) -> Iterator[Departure]:
        asked = {name: value for name, value in wanted.items() if name not in _HEAD}
        if self._secret:
            asked = _in_base64(asked)
        metadata = mapping(wanted.get("metadata"))
        asked["metadata"] = {name: metadata[name] for name in _METADATA if name in metadata}
        root = _Place("", (), self._owned)
        for name in ("metadata", *(name for name in asked if name != "metadata")):
            yield from self._value(root.field(name), asked[name], found.get(name))

    def _value(self, place: _Place, wanted: Any, found: Any) -> Iterator[Departure]:
        if wanted is None or (self._autoscaled and place.names == ("spec", "replicas")):
            return
        if found is None:
            # A list that is empty is never written down, and owned by nobody.
            if wanted != [] and not (_is_nothing(wanted) and self._may_be_left_out(place)):
                yield self._departure(place, wanted, found)
        elif isinstance(wanted, dict) and isinstance(found, dict):
            yield from self._object(place, wanted, found)
        elif isinstance(wanted, list) and isinstance(found, list):
            yield from self._list(place, wanted, found)
        elif not _is_same(wanted, found, quantities=place.is_quantity):
            yield self._departure(place, wanted, found)

    def _object(self, place: _Place, wanted: Manifest, found: Manifest) -> Iterator[Departure]:
        for name, value in wanted.items():
            yield from self._value(place.field(name), value, found.get(name))
        if place.is_selector:
            for name in sorted(found.keys() - wanted.keys()):
                yield self._departure(place.field(name), None, found[name])

    def _list(self, place: _Place, wanted: list[Any], found: list[Any]) -> Iterator[Departure]:
        keys = place.owned.keys or _known_keys(place.name, wanted)
        if keys:
            yield from self._entries(place, keys, wanted, found)
        elif place.owned.members or place.name in _SETS:
            missing = [value for value in wanted if value not in found]
            if missing:
                yield self._departure(place, missing, None)
        elif all(isinstance(value, dict) for value in [*wanted, *found]):
            for number in range(max(len(wanted), len(found))):
                if number >= len(wanted):
                    yield self._departure(place.position(number), None, found[number])
                else:
                    there = found[number] if number < len(found) else None
                    yield from self._value(place.position(number), wanted[number], there)
        elif len(wanted) != len(found) or not all(map(_is_same, wanted, found)):
            yield self._departure(place, wanted, found)

    def _entries(
        self, place: _Place, keys: tuple[str, ...], wanted: list[Any], found: list[Any]
    ) -> Iterator[Departure]:
        there = {_identity(entry, keys): entry for entry in found}
        asked = [_identity(entry, keys) for entry in wanted]
        for identity, entry in zip(asked, wanted, strict=True):
            yield from self._value(place.entry(_keyed(entry, keys)), entry, there.get(identity))
        before = [identity for identity in asked if identity in there]
        now = [identity for identity in there if identity in asked]
        if place.name in _ORDERED and before != now:
            yield self._departure(place, _names(before), _names(now))

    def _may_be_left_out(self, place: _Place) -> bool:
        """Whether the server leaves out what is nothing: it does where false or empty is what goes without saying.

        It then still says who owns it. A field that somebody removed is owned by nobody.
        """
        return place.owned.is_known or place.whole is not None or not self._owned.is_known

    def _departure(self, place: _Place, wanted: Any, found: Any) -> Departure:
        owned = place.owned if place.owned.is_known else place.whole
        owner = owned.owner if owned and found is not None else None
        if self._secret and place.names[0] == "data":
            wanted, found = (value if value is None else MASK for value in (wanted, found))
        departure = Departure(self._key, place.path, wanted, found)
        return replace(departure, owner=owner.manager, since=owner.since) if owner else departure


def _known_keys(name: str, wanted: list[Any]) -> tuple[str, ...]:
    for keys in _KEYS.get(name, ()):
        if wanted and all(isinstance(entry, dict) and keys[0] in entry for entry in wanted):
            return keys
    return ()


def _keyed(entry: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: mapping(entry).get(key, _DEFAULTS.get(key)) for key in keys}


def _identity(entry: Any, keys: tuple[str, ...]) -> str:
    return json.dumps(list(_keyed(entry, keys).values()))


def _names(identities: list[str]) -> list[Any]:
    return [json.loads(identity)[0] for identity in identities]


def _is_same(wanted: Any, found: Any, *, quantities: bool = False) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if wanted == found:
        return True
    if quantities and quantity.is_quantity(wanted) and quantity.is_quantity(found):
        return quantity.parse(wanted) == quantity.parse(found)
    return False


def _is_nothing(value: Any) -> bool:
    """Whether a value is what the API takes for none."""
    if isinstance(value, dict):
        return all(map(_is_nothing, value.values()))
    return value is None or value in (False, 0, "", [])


def _in_base64(secret: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret as the server keeps it: ``stringData`` in ``data``."""
    texts = mapping(secret.get("stringData"))
    encoded = {name: base64.b64encode(str(value).encode()).decode() for name, value in texts.items()}
    rest = {name: value for name, value in secret.items() if name != "stringData"}
    return rest | {"data": {**mapping(secret.get("data")), **encoded}}


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
