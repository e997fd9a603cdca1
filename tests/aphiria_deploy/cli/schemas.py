"""The JSON schemas of what commands report: an interface, on which workflows of others build."""

from __future__ import annotations

from typing import Any


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT, _NUMBER, _COUNT, _YES = (
    {"type": "string"},
    {"type": "number", "minimum": 0},
    {"type": "integer"},
    {"type": "boolean"},
)
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_PHASES = _list(_object({"name": _TEXT, "seconds": _NUMBER}))
ERROR = _object({"kind": _TEXT, "message": _TEXT, "exitCode": {"enum": [1, 2, 4, 5]}})
UNBEGUN = _object({"result": {"const": "failed"}, "error": ERROR})
"""Of a command that failed before there was anything to report of."""

_DIAGNOSIS = _object(
    {
        **dict.fromkeys(("kind", "object", "reason", "message", "hint"), _TEXT),
        "events": _list(_TEXT),
        "logs": _list(_object({"pod": _TEXT, "container": _TEXT, "lines": _list(_TEXT)})),
    }
)
_FIELD = _object({"path": _TEXT, "before": {}, "after": {}})
_CHANGED = _object(
    {
        "action": {"enum": ["create", "update", "replace", "delete"]},
        **dict.fromkeys(("kind", "namespace", "name"), _TEXT),
        "fields": _list(_FIELD),
    },
    {"why": _TEXT},
)
_SHARE = {"cpu": _NUMBER, "memoryBytes": {"type": "integer", "minimum": 0}, "pods": {"type": "integer", "minimum": 0}}
_MAY_BE_UNREAD = {
    "nodes": {"type": ["integer", "null"], "minimum": 0},
    "more": {"type": ["integer", "null"], "minimum": 0},
    "unread": {"type": ["string", "null"]},
    "text": _TEXT,
}
_OUTLOOK = _object(
    {
        "reserves": _object(_SHARE),
        "peak": _object(_SHARE),
        "ofNode": {"oneOf": [{"type": "null"}, _object({"cpu": _NUMBER, "memory": _NUMBER})]},
        "fits": {"type": ["boolean", "null"]},
        **_MAY_BE_UNREAD,
    }
)
_KNOWN_SHARE: dict[str, Any] = {"oneOf": [{"type": "null"}, _object(_SHARE)]}
CAPACITY: dict[str, Any] = _object(
    {
        "previews": _object({"count": {"type": "integer", "minimum": 0}, **_SHARE}),
        **dict.fromkeys(("usual", "allocatable", "requested"), _KNOWN_SHARE),
        **_MAY_BE_UNREAD,
    }
)
"""What ``list`` sums up."""
DEPLOY: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object(
        {
            "environment": {"type": "string", "pattern": "^(local|preview-base|production|pr-[1-9][0-9]*)$"},
            "result": {"enum": ["deployed", "unchanged", "planned", "failed"]},
            "revision": {"type": ["integer", "null"], "minimum": 1},
            "bundle": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
            "urls": _TEXTS,
            "images": _TEXTS,
            "outputs": _TEXTS,
            "phases": _PHASES,
            "seconds": _NUMBER,
            "changes": _object(dict.fromkeys(("created", "updated", "deleted", "unchanged"), _COUNT)),
            "objects": _list(_CHANGED),
        },
        {"error": ERROR, "diagnosis": _DIAGNOSIS, "capacity": _OUTLOOK},
    ),
    "if": {"properties": {"result": {"const": "failed"}}},
    "then": {"required": ["error"]},
    "else": {"properties": {"error": False, "diagnosis": False}},
}
DESTROY: dict[str, Any] = _object(
    {
        "environment": {"type": "string", "pattern": "^pr-[1-9][0-9]*$"},
        "result": {"enum": ["destroyed", "absent", "failed"]},
        "receipt": _list(_object({"kind": _TEXT, "name": _TEXT, "gone": _YES})),
        "phases": _PHASES,
        "seconds": _NUMBER,
    },
    {"error": ERROR},
)
_FINDING = {
    **dict.fromkeys(("rule", "kind", "namespace", "name", "path", "message", "hint"), _TEXT),
    "severity": {"enum": ["error", "warning"]},
    "file": {"type": ["string", "null"]},
    "line": {"type": ["integer", "null"]},
}
CHECK: dict[str, Any] = _object(
    {"findings": _list(_object(_FINDING)), "silenced": _list(_object({**_FINDING, "reason": _TEXT}))}
)
