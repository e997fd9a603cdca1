"""Reduce CustomResourceDefinitions to the parts that the library uses.

Which those are is a table (crds.yaml), by the CRD's name: the project that releases it, its version, and the
paths to keep. A path is written `spec.rules[].matches[].path`: `[]` stands for the items of a list, `{}` for
the values of a map.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from tools.crds import Crd, CrdError, JsonObject

# What is kept below a node, by step; an empty tree keeps the node whole.
_Tree: TypeAlias = "dict[str, _Tree]"

_ITEMS: Final = "[]"
_VALUES: Final = "{}"
# Of `a[]{}.b` the steps are `a`, `[]`, `{}`, `b`.
_PATH: Final = re.compile(r"[A-Za-z][\w-]*(\[\]|\{\})*(\.[A-Za-z][\w-]*(\[\]|\{\})*)*", re.ASCII)
_STEP: Final = re.compile(r"[\w-]+|\[\]|\{\}", re.ASCII)

# Any object has these, and cdk8s treats them in its own way.
_OBJECT: Final[_Tree] = {"apiVersion": {}, "kind": {}, "metadata": {}}

# What says nothing about which values are valid.
_PROSE: Final = frozenset({"description", "title", "example", "externalDocs"})
# These judge a whole value by subschemas beside its own: with a part left out they would mean something else.
_COMBINATORS: Final = ("allOf", "anyOf", "oneOf", "not")


@dataclass(frozen=True)
class Use:
    """What is used of one CRD: an entry of the table."""

    name: str
    project: str
    version: str
    keep: tuple[str, ...]


def load_table(path: Path) -> list[Use]:
    """The table of what is used, in the file's order.

    Raises:
        CrdError: It cannot be read, or an entry is not `project`, `version` and `keep`, a list of paths.
    """
    try:
        table = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CrdError(f"{path}: found {error}; expected the table of what is used of each CRD.") from error
    if not isinstance(table, dict) or not table:
        raise CrdError(f"{path}: found {table!r:.40}; expected entries, each by the name of a CRD.")
    return [_parse_use(entry, str(name), f"{path}: {name}") for name, entry in table.items()]


def reduce_crd(crd: Crd, use: Use) -> JsonObject:
    """The CRD with one version, no prose, no status, and of its fields only those that are kept.

    What remains is as it was: types, constraints, defaults, required fields. It is made for a generator of
    types and not for a cluster: CEL rules stay even where they name a field that was left out.

    Raises:
        CrdError: The version is not usable, a path is not in the CRD or repeats another, or a field that the
            CRD requires would be left out.
    """
    where = f"{crd.name} {use.version}"
    schema = strip_prose(crd.schema(use.version))
    ours = {name: tree for name, tree in _OBJECT.items() if name in schema["properties"]}
    spec = crd.document["spec"]
    version = {
        "name": use.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _prune(schema, ours | parse_paths(use.keep, where), where, "")},
    }
    return {
        "apiVersion": crd.document["apiVersion"],
        "kind": crd.document["kind"],
        "metadata": {"name": crd.name},
        "spec": {key: spec[key] for key in ("group", "names", "scope")} | {"versions": [version]},
    }


def strip_prose(schema: Mapping[str, Any]) -> JsonObject:
    """A copy of a schema without descriptions and the like; a field that is named `description` stays."""
    stripped: JsonObject = {}
    for keyword, value in schema.items():
        if keyword in _PROSE:
            continue
        if keyword == "properties":
            stripped[keyword] = {name: strip_prose(field) for name, field in value.items()}
        elif keyword in {"items", "additionalProperties", "not"} and isinstance(value, dict):
            stripped[keyword] = strip_prose(value)
        elif keyword in {"allOf", "anyOf", "oneOf"}:
            stripped[keyword] = [strip_prose(alternative) for alternative in value]
        else:
            stripped[keyword] = copy.deepcopy(value)
    return stripped


def prune(schema: JsonObject, keep: Iterable[str], where: str) -> JsonObject:
    """A schema with only the paths to keep; `where` names the schema in errors.

    Raises:
        CrdError: See `reduce_crd`.
    """
    return _prune(schema, parse_paths(keep, where), where, "")


def parse_paths(paths: Iterable[str], where: str) -> _Tree:
    """The tree of the steps of some paths.

    Raises:
        CrdError: A path is malformed, or another one keeps it already.
    """
    tree: _Tree = {}
    whole: set[tuple[str, ...]] = set()
    for path in paths:
        if not _PATH.fullmatch(path):
            raise CrdError(f"{where}: found the path {path!r}; expected one like 'spec.rules[].name'.")
        steps = tuple(_STEP.findall(path))
        node = tree
        for depth, step in enumerate(steps, start=1):
            if steps[:depth] in whole:
                raise CrdError(f"{where}: {path}: another path keeps it already; take one of them out.")
            node = node.setdefault(step, {})
        if node:
            raise CrdError(f"{where}: {path}: other paths keep parts of it; take them, or it, out.")
        whole.add(steps)
    return tree


def _prune(schema: JsonObject, tree: _Tree, where: str, path: str) -> JsonObject:
    if not tree:
        return schema
    place = f"{where}: {path or 'the object'}"
    combinators = [keyword for keyword in _COMBINATORS if keyword in schema]
    if combinators:
        raise CrdError(f"{place}: found {combinators[0]}, which judges the whole of it; keep it whole.")
    pruned = dict(schema)
    fields = {name: part for name, part in tree.items() if name not in {_ITEMS, _VALUES}}
    for step, keyword, what in ((_ITEMS, "items", "list"), (_VALUES, "additionalProperties", "map")):
        if step in tree:
            if not isinstance(schema.get(keyword), dict):
                raise CrdError(f"{place}{step}: found no {what}, but {_describe(schema)}; correct the table.")
            pruned[keyword] = _prune(schema[keyword], tree[step], where, path + step)
    if _ITEMS in tree:
        _check_keys(schema, tree[_ITEMS], place)
    if fields:
        pruned["properties"] = _prune_fields(schema, fields, where, path)
    return pruned


def _prune_fields(schema: JsonObject, fields: _Tree, where: str, path: str) -> JsonObject:
    prefix = f"{path}." if path else ""
    properties: JsonObject = schema.get("properties", {})
    for name in fields:
        if name not in properties:
            raise CrdError(f"{where}: {prefix}{name}: no such field, but {_describe(schema)}; correct the table.")
    for name in schema.get("required", []):
        if name not in fields:
            raise CrdError(f"{where}: {prefix}{name}: the CRD requires it; add it to what is kept.")
    # In the CRD's own order, so that the table's order changes nothing.
    return {
        name: _prune(field, fields[name], where, prefix + name) for name, field in properties.items() if name in fields
    }


def _check_keys(schema: JsonObject, items: _Tree, place: str) -> None:
    """Refuse to leave out what a list is merged by: its server needs it even where it has a default."""
    for key in schema.get("x-kubernetes-list-map-keys", []):
        if items and key not in items:
            raise CrdError(f"{place}[].{key}: the CRD merges the list by it; add it to what is kept.")


def _describe(schema: JsonObject) -> str:
    if schema.get("properties"):
        return ", ".join(sorted(schema["properties"]))
    if isinstance(schema.get("items"), dict):
        return "items, written []"
    if isinstance(schema.get("additionalProperties"), dict):
        return "values, written {}"
    return f"a value of type {schema.get('type', 'any')}"


def _parse_use(entry: object, name: str, place: str) -> Use:
    expected = {"project", "version", "keep"}
    if not isinstance(entry, dict) or set(entry) != expected:
        found = ", ".join(map(str, entry)) if isinstance(entry, dict) else repr(entry)
        raise CrdError(f"{place}: found {found}; expected project, version and keep.")
    project, version, keep = entry["project"], entry["version"], entry["keep"]
    if not isinstance(project, str) or not isinstance(version, str):
        raise CrdError(f"{place}: found {project!r} and {version!r}; expected a project's name and a version's.")
    if not isinstance(keep, list) or not keep or not all(isinstance(path, str) for path in keep):
        raise CrdError(f"{place}: keep: found {keep!r:.60}; expected a list of paths.")
    return Use(name, project, version, tuple(keep))
