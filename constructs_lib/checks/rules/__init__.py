"""The rules, a module for each family."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from constructs_lib.checks.registry import RULES, Rule

_FAMILIES = (
    *("sets", "schema", "images", "quota", "references", "hosts", "routes", "network"),
    *("workloads", "probes", "security", "config", "secrets", "jobs", "databases"),
)


def load() -> None:
    """Registers all rules."""
    for family in _FAMILIES:
        import_module(f"{__name__}.{family}")


def all_rules() -> Mapping[str, Rule]:
    """Gives all rules by name."""
    load()
    return RULES
