"""Data as CEL, the language of admission policies: https://kubernetes.io/docs/reference/using-api/cel/."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def literal(value: Any, holes: Mapping[str, str] | None = None) -> str:
    """Writes data as a CEL expression that gives it.

    Args:
        value: Texts, whole numbers, truth values, and lists and mappings of these.
        holes: Expressions of texts, each by the text in whose place it is evaluated.
    """
    holes = holes or {}
    match value:
        case str():
            return _text(value, holes)
        case bool() | int():
            return json.dumps(value)
        case Mapping():
            members = [f"{_text(name, holes)}: {_member(part, value.values(), holes)}" for name, part in value.items()]
            return f"{{{', '.join(members)}}}"
        case Sequence():
            return f"[{', '.join(_member(part, value, holes) for part in value)}]"
    raise TypeError(f"CEL: found a {type(value).__name__}, expected data as JSON has it, without fractions")


def _member(value: Any, all_members: Any, holes: Mapping[str, str]) -> str:
    # All members of a literal must have one type; what differs is made dynamic.
    written = literal(value, holes)
    return written if all(isinstance(member, str) for member in all_members) else f"dyn({written})"


def _text(text: str, holes: Mapping[str, str]) -> str:
    for hole, expression in holes.items():
        before, found, after = text.partition(hole)
        if found:
            parts = [_text(before, holes)] if before else []
            parts += [expression, *([_text(after, holes)] if after else [])]
            return " + ".join(parts) if len(parts) > 1 else expression
    # The escapes of JSON are some of CEL's; of pairs of surrogates there is no need.
    return json.dumps(text, ensure_ascii=False)
