"""One thing that a preview may not hold."""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Final

from aphiria_deploy.fields import one_line

_SHOWN: Final = 1000


@dataclass(frozen=True)
class Violation:
    """One thing that a preview may not hold.

    Attributes:
        where: The object or the part of the bundle, and the path in it.
        found: What was found.
        expected: What was expected.
    """

    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        return one_line(f"{self.where}: found {self.found}, expected {self.expected}", _SHOWN)


def among(value: Any, names: Container[str]) -> bool:
    """Whether a value is one of some names; it may be anything, also what no set can be asked for."""
    return isinstance(value, str) and value in names


def shown(value: Any) -> str:
    """A value as it can be told in a line, whatever it is."""
    try:
        return one_line(json.dumps(value, ensure_ascii=False, sort_keys=True), 120)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"
