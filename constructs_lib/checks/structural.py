"""Schemas in the compact form that this package carries, made from JSON schemas and from CRDs.

A schema is one of

- a string: a leaf type (``string``, ``int32``, ``boolean``, ``quantity``, ``int-or-string``, ``any``, …);
- an integer: an index into the definitions of the file;
- a list of one schema: an array of that;
- an object: ``properties`` with ``required`` (closed, unless ``open``), or ``values`` (a map), or ``type`` with
  constraints (``enum``, ``pattern``, ``minimum``, …), or ``items`` with constraints; ``nullable``, ``default``,
  ``anyOf``, ``oneOf``, ``allOf``, ``not`` as in JSON schema. An ``object`` of a CRD's root gets the metadata of all
  objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = str | int | list[Any] | dict[str, Any]
"""A schema in the compact form."""

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

_CONSTRAINTS: dict[str, type | tuple[type, ...]] = {
    "enum": list,
    "pattern": str,
    "nullable": bool,
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (int, float)),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), int),
}
_LOGIC = ("anyOf", "oneOf", "allOf")
_FORMATS = {"int32": "int32", "int64": "int64", "byte": "byte", "date-time": "date-time"}


def schemas_of_crd(crd: Mapping[str, Any]) -> Iterator[tuple[str, Schema, bool]]:
    """Gives for each served version of a CRD ``group/version/Kind``, its schema, and whether it is cluster-wide."""
    spec = _mapping(crd.get("spec"))
    kind = _mapping(spec.get("names")).get("kind")
    for version in _sequence(spec.get("versions")):
        schema = _mapping(_mapping(_mapping(version).get("schema")).get("openAPIV3Schema"))
        if not _mapping(version).get("served") or not schema or not isinstance(kind, str):
            continue
        root = convert(schema)
        if isinstance(root, dict) and "properties" in root:
            properties = {**root["properties"], "apiVersion": "string", "kind": "string", "metadata": "metadata"}
            properties.pop("status", None)
            root = {**root, "properties": {**properties, "status": "any"}}
        yield f"{spec.get('group')}/{version.get('name')}/{kind}", root, spec.get("scope") == "Cluster"


def convert(schema: Mapping[str, Any]) -> Schema:
    """Converts a structural schema (OpenAPI v3, of a CRD) into the compact form. CEL rules are the server's."""
    if schema.get("x-kubernetes-int-or-string"):
        return _with_constraints("int-or-string", schema)
    if schema.get("x-kubernetes-embedded-resource"):
        return {"open": True, "properties": {}}
    kind = str(schema.get("type"))
    if kind == "object" or "properties" in schema:
        return _object(schema)
    if kind == "array":
        items = convert(_mapping(schema.get("items")))
        extra = _extra(schema)
        return {"items": items, **extra} if extra else [items]
    if kind in {"string", "integer", "number", "boolean"}:
        name = _FORMATS.get(str(schema.get("format")), kind)
        return _with_constraints(name, schema)
    return _with_constraints("any", schema)


def _object(schema: Mapping[str, Any]) -> Schema:
    result: dict[str, Any] = {}
    if "properties" in schema:
        properties = _mapping(schema["properties"])
        result["properties"] = {name: convert(_mapping(value)) for name, value in properties.items()}
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        result["values"] = convert(values)
    elif values or schema.get("x-kubernetes-preserve-unknown-fields"):
        result["open"] = True
    if "values" not in result:
        result.setdefault("properties", {})
    required = [name for name in _sequence(schema.get("required")) if not _has_default(schema, name)]
    if required:
        result["required"] = required
    return {**result, **_extra(schema)}


def _has_default(schema: Mapping[str, Any], name: Any) -> bool:
    return not isinstance(name, str) or "default" in _mapping(_mapping(schema.get("properties")).get(name))


def _with_constraints(name: str, schema: Mapping[str, Any]) -> Schema:
    extra = _extra(schema)
    if name == "int-or-string":
        extra.pop("anyOf", None)
    return {"type": name, **extra} if extra else name


def _extra(schema: Mapping[str, Any]) -> dict[str, Any]:
    extra = {key: schema[key] for key, kind in _CONSTRAINTS.items() if isinstance(schema.get(key), kind)}
    for key in _LOGIC:
        parts = _sequence(schema.get(key))
        if parts:
            extra[key] = [_partial(_mapping(part)) for part in parts]
    if isinstance(schema.get("not"), Mapping):
        extra["not"] = _partial(schema["not"])
    return extra


def _partial(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a value validation inside of ``anyOf`` and the like: it constrains, and closes nothing."""
    result = _extra(schema)
    if "properties" in schema:
        properties = _mapping(schema["properties"])
        result["properties"] = {name: _partial(_mapping(value)) for name, value in properties.items()}
        result["open"] = True
    if "required" in schema:
        result["required"] = [name for name in _sequence(schema["required"]) if isinstance(name, str)]
        result.setdefault("properties", {})
        result["open"] = True
    if "items" in schema:
        result["items"] = _partial(_mapping(schema["items"]))
    if "type" in schema and not result.keys() & {"properties", "items"}:
        result["type"] = str(schema["type"])
    return result


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
