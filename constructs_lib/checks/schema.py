"""Strict validity of an object against its kind's schema, as the API server's ``fieldValidation=Strict`` judges it.

The schemas are files of this package (see :mod:`constructs_lib.checks.structural`), read when a kind of their group is
first met. CEL rules (``x-kubernetes-validations``) are left to the server.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from constructs_lib.checks.constraints import CONSTRAINTS, LEAVES
from constructs_lib.checks.structural import Schema, schemas_of_crd

_FOLDER = Path(__file__).parent / "schemas"

type_names = {
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "int32": "a whole number of 32 bits",
    "int64": "a whole number of 64 bits",
    "number": "a number",
    "quantity": "a quantity such as 500m or 256Mi",
    "int-or-string": "a whole number or a string",
    "byte": "a string in base64",
    "date-time": "a time such as 2026-01-31T12:00:00Z",
    "array": "a list",
    "object": "an object",
}


@dataclass(frozen=True)
class Problem:
    """Where an object departs from its schema."""

    path: str
    message: str
    hint: str


@dataclass(frozen=True)
class Kind:
    """A kind whose schema is known."""

    schema: Schema
    definitions: list[Schema]
    cluster: bool


@dataclass(frozen=True)
class Known:
    """The kinds that are known: those carried, and those that CRDs of the set define.

    Attributes:
        own: Kinds by ``group/version/Kind``.
    """

    own: Mapping[str, Kind] = field(default_factory=dict)

    def kind(self, group: str, version: str, kind: str) -> Kind | None:
        """Gives a kind, or None where its schema is not known."""
        key = f"{group}/{version}/{kind}"
        return self.own.get(key) or _carried(group).get(key)

    def is_certain(self, group: str, version: str, kind: str) -> bool:
        """Says whether the schema is the one that holds: Kubernetes' own, or that of a CRD of the set."""
        return is_core_group(group) or f"{group}/{version}/{kind}" in self.own

    def is_cluster_wide(self, group: str, kind: str) -> bool | None:
        """Says whether a kind has no namespace, or None where the kind is not known."""
        suffix = f"/{kind}"
        for kinds in (self.own, _carried(group)):
            for key, known in kinds.items():
                if key.endswith(suffix) and key.startswith(f"{group}/"):
                    return known.cluster
        return None


def known_with(crds: Iterable[Mapping[str, Any]]) -> Known:
    """Gives the carried kinds, and those that the CRDs define."""
    own = {}
    for crd in crds:
        for name, schema, cluster in schemas_of_crd(crd):
            own[name] = Kind(schema, [], cluster)
    return Known(own)


def kubernetes_version() -> str:
    """Gives the version of Kubernetes whose schemas are carried."""
    return str(_core()["kubernetes"])


def is_core_group(group: str) -> bool:
    """Says whether Kubernetes itself serves the group: then a kind that is not known does not exist."""
    return group in _core_groups() or group == "extensions"


def nearest_core_kind(group: str, kind: str) -> str | None:
    """Gives the ``apiVersion`` under which Kubernetes serves the kind, or the nearest kind's name."""
    keys = [key.split("/") for key in _core()["kinds"]]
    served = [f"{g}/{v}".strip("/") for g, v, k in keys if k == kind]
    if served:
        stable = [version for version in served if "alpha" not in version and "beta" not in version]
        return f"apiVersion: {(stable or served)[0]}"
    close = difflib.get_close_matches(kind, {k for g, _, k in keys if g == group}, n=1)
    return f"kind: {close[0]}" if close else None


def validate(data: Mapping[str, Any], kind: Kind) -> list[Problem]:
    """Gives everything in which an object departs from its schema."""
    walk = _Walk(kind.definitions, [])
    walk.check(data, kind.schema, "", None)
    return walk.problems


def join(path: str, key: str) -> str:
    """Adds a key to a path: ``a.b``, or ``a["b/c"]`` where the key has other characters than a name has."""
    key = str(key)
    if _NAME.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f'{path}["{key}"]'


_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


@dataclass
class _Walk:
    definitions: list[Schema]
    problems: list[Problem]

    def check(self, value: Any, schema: Schema, path: str, parent: Mapping[str, Schema] | None) -> None:
        schema = self._resolved(schema)
        if isinstance(schema, str):
            leaf = LEAVES.get(schema)
            if leaf is not None and not leaf(value):
                self._wrong_type(value, schema, path)
            elif schema == "metadata":
                core = _core()
                _Walk(core["definitions"], self.problems).check(value, core["metadata"], path, parent)
        elif isinstance(schema, list):
            self._array(value, schema[0], path)
        elif "properties" in schema or "values" in schema:
            self._object(value, schema, path, parent)
        else:
            self._constrained(value, schema, path)

    def _array(self, value: Any, items: Schema, path: str) -> bool:
        if not isinstance(value, list):
            self._wrong_type(value, "array", path)
            return False
        for number, item in enumerate(value):
            self.check(item, items, f"{path}[{number}]", None)
        return True

    def _object(self, value: Any, schema: dict[str, Any], path: str, parent: Mapping[str, Schema] | None) -> None:
        if value is None and schema.get("nullable"):
            return
        if not isinstance(value, dict):
            self._wrong_type(value, "object", path)
            return
        properties: dict[str, Schema] = schema.get("properties", {})
        values = schema.get("values")
        for key, item in value.items():
            known = properties.get(key, values)
            if known is None:
                if not schema.get("open"):
                    self._unknown_field(key, properties, path, parent)
            # A null is an absent field, for the server as well. Most fields are valid leaves: no path is made.
            elif item is not None and not (type(known) is str and _is_valid_leaf(item, known)):
                self.check(item, known, join(path, key), properties)
        for name in schema.get("required", ()):
            if value.get(name) is None:
                self._say(path, f"{name} is missing", f"add {name}: {_expected(properties.get(name), self)}")
        if len(schema) > 1 + ("required" in schema):
            self._constraints(value, schema, path)

    def _constrained(self, value: Any, schema: dict[str, Any], path: str) -> None:
        if value is None and schema.get("nullable"):
            return
        if "items" in schema:
            if not self._array(value, schema["items"], path):
                return
        elif "type" in schema:
            leaf = LEAVES.get(schema["type"])
            if leaf is not None and not leaf(value):
                self._wrong_type(value, schema["type"], path)
                return
        self._constraints(value, schema, path)

    def _constraints(self, value: Any, schema: dict[str, Any], path: str) -> None:
        for name in schema.keys() & CONSTRAINTS.keys():
            expected = CONSTRAINTS[name](value, schema[name])
            if expected is not None:
                close = _nearest(value, schema[name]) if name == "enum" else None
                hint = f"did you mean {close!r}?" if close else f"give {expected}"
                self._say(path, f"found {_short(value)}, expected {expected}", hint)
        for name in schema.keys() & {"anyOf", "oneOf", "allOf", "not"}:
            self._logic(value, name, schema[name], path)

    def _logic(self, value: Any, name: str, parts: Any, path: str) -> None:
        if name == "not":
            if self._fits(value, parts):
                self._say(path, f"{_short(value)} is what the schema excludes", "see the kind's documentation")
            return
        fitting = sum(self._fits(value, part) for part in parts)
        wanted = {"anyOf": fitting >= 1, "oneOf": fitting == 1, "allOf": fitting == len(parts)}[name]
        if not wanted:
            needs = sorted({", ".join(part["required"]) for part in parts if part.get("required")})
            how = {"anyOf": "at least one", "oneOf": "exactly one", "allOf": "all"}[name]
            text = f"{how} of {'; '.join(needs)}" if needs else f"what {how} of the schema's {len(parts)} cases allows"
            self._say(path, f"found {_short(value)}, expected {text}", f"give {text}")

    def _fits(self, value: Any, schema: Schema) -> bool:
        inner = _Walk(self.definitions, [])
        inner.check(value, schema, "", None)
        return not inner.problems

    def _unknown_field(
        self, key: str, properties: Mapping[str, Schema], path: str, parent: Mapping[str, Schema] | None
    ) -> None:
        close = difflib.get_close_matches(key, properties, n=1, cutoff=0.6)
        same = [name for name in properties if name.lower() == key.lower()]
        inner = [name for name, schema in properties.items() if key in self._properties(schema)]
        if same or (close and key not in (parent or {})):
            hint = f"did you mean {(same or close)[0]!r}?"
        elif key in (parent or {}):
            hint = f"{key} is a field of the object around it: it is indented too far"
        elif inner:
            hint = f"{key} is a field of {inner[0]}: it is not indented far enough"
        elif properties:
            shown = ", ".join(sorted(properties)[:12])
            hint = f"remove it; the fields are {shown}{' …' if len(properties) > 12 else ''}"
        else:
            hint = "remove it"
        self._say(join(path, key), f"{key} is not a field of {path or 'this kind'}", hint)

    def _resolved(self, schema: Schema) -> str | list[Any] | dict[str, Any]:
        while isinstance(schema, int):
            schema = self.definitions[schema]
        return schema

    def _properties(self, schema: Schema) -> Mapping[str, Schema]:
        schema = self._resolved(schema)
        return schema.get("properties", {}) if isinstance(schema, dict) else {}

    def _wrong_type(self, value: Any, expected: str, path: str) -> None:
        name = type_names.get(expected, expected)
        hint = f"give {name}"
        if expected == "string" and isinstance(value, bool | int | float):
            hint = f'quote it: "{json.dumps(value)}"'
        elif expected in {"boolean", "integer", "int32", "int64", "number"} and isinstance(value, str):
            hint = f"give {name}, without quotes"
        elif expected == "array" and value is not None:
            hint = "make it a list: put a - in front of each item"
        self._say(path, f"found {_short(value)}, expected {name}", hint)

    def _say(self, path: str, message: str, hint: str) -> None:
        self.problems.append(Problem(path, message, hint))


def _is_valid_leaf(value: Any, name: str) -> bool:
    leaf = LEAVES.get(name)
    return leaf(value) if leaf is not None else name != "metadata"


def _nearest(value: Any, allowed: list[Any]) -> str | None:
    if not isinstance(value, str):
        return None
    words = {word.lower(): word for word in allowed if isinstance(word, str) and word}
    close = difflib.get_close_matches(value.lower(), words, n=1)
    return words[close[0]] if close else None


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _expected(schema: Schema | None, walk: _Walk) -> str:
    if isinstance(schema, int):
        schema = walk.definitions[schema]
    if isinstance(schema, dict):
        schema = "array" if "items" in schema else str(schema.get("type", "object"))
    return type_names.get("array" if isinstance(schema, list) else str(schema), "a value")


@cache
def _core() -> dict[str, Any]:
    return _read("core")


@cache
def _core_groups() -> frozenset[str]:
    return frozenset(key.split("/")[0] for key in _core()["kinds"])


@cache
def _groups() -> frozenset[str]:
    return frozenset(file.name.removesuffix(".json") for file in _FOLDER.glob("*.json")) - {"core"}


@cache
def _carried(group: str) -> Mapping[str, Kind]:
    if group in _groups():
        content = _read(group)
    elif group in _core_groups():
        content = _core()
    else:
        return {}
    cluster = set(content["cluster"])
    return {
        key: Kind(schema, content["definitions"], key in cluster)
        for key, schema in content["kinds"].items()
        if key.startswith(f"{group}/")
    }


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_bytes())
    return content
