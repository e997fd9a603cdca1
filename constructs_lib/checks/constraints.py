"""What a leaf of a schema may be, and the constraints on it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from constructs_lib.checks.quantity import is_quantity

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_INT32 = 2**31
_INT64 = 2**63


def _is_integer(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _is_base64(value: Any) -> bool:
    try:
        base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError, AttributeError):
        return False
    return True


LEAVES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "int32": lambda value: _is_integer(value) and -_INT32 <= value < _INT32,
    "int64": lambda value: _is_integer(value) and -_INT64 <= value < _INT64,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "quantity": is_quantity,
    "int-or-string": lambda value: _is_integer(value) or isinstance(value, str),
    "byte": _is_base64,
    "date-time": lambda value: isinstance(value, str) and _RFC3339.fullmatch(value) is not None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        # Go's `$` matches only at the very end; Python's also before a last newline.
        return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", pattern))
    except re.error:
        return None


def _pattern(value: Any, pattern: str) -> str | None:
    compiled = _compiled(pattern)
    if not isinstance(value, str) or compiled is None or compiled.search(value):
        return None
    return f"text that matches {pattern}"


def _size(unit: str, kind: type, least: bool) -> Callable[[Any, int], str | None]:
    def constraint(value: Any, limit: int) -> str | None:
        if not isinstance(value, kind) or (len(value) >= limit if least else len(value) <= limit):  # type: ignore[arg-type]
            return None
        return f"{'at least' if least else 'at most'} {limit} {unit}"

    return constraint


CONSTRAINTS: dict[str, Callable[[Any, Any], str | None]] = {
    "enum": lambda value, allowed: (
        None if value in allowed else f"one of {', '.join(str(one) for one in allowed if one)}"
    ),
    "pattern": _pattern,
    "minimum": lambda value, limit: f"at least {limit}" if _number(value) and value < limit else None,
    "maximum": lambda value, limit: f"at most {limit}" if _number(value) and value > limit else None,
    "multipleOf": lambda value, unit: f"a multiple of {unit}" if _number(value) and value % unit else None,
    "minLength": _size("characters", str, least=True),
    "maxLength": _size("characters", str, least=False),
    "minItems": _size("items", list, least=True),
    "maxItems": _size("items", list, least=False),
    "minProperties": _size("fields", dict, least=True),
    "maxProperties": _size("fields", dict, least=False),
}
