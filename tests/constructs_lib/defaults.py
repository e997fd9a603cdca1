"""What a construct does when nobody says anything."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any


def defaults(props: type) -> dict[str, Any]:
    """The defaults of props, by name."""
    found: dict[str, Any] = {}
    for field in fields(props):
        if field.default is not MISSING:
            found[field.name] = field.default
        elif field.default_factory is not MISSING:
            found[field.name] = field.default_factory()
    return found


def required(props: type) -> set[str]:
    """The props that have no default."""
    return {field.name for field in fields(props)} - defaults(props).keys()
