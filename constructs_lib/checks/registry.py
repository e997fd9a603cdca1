"""The rules, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from constructs_lib.checks.manifests import Manifests, Object
from constructs_lib.checks.model import Severity


@dataclass(frozen=True)
class Found:
    """What a rule yields.

    Attributes:
        item: The object.
        path: The field.
        message: What is wrong, with the actual values.
        hint: What to do.
        severity: How bad it is, where it is not as bad as the rule says.
    """

    item: Object
    path: str
    message: str
    hint: str
    severity: Severity | None = None


Judge = Callable[[Manifests], Iterable[Found]]
"""A rule: a pure function over the set."""


@dataclass(frozen=True)
class Rule:
    """A rule and what is said about it.

    Attributes:
        name: Its name, the same as in the list of incidents.
        summary: What it finds, in one line.
        why: What went wrong without it.
        judge: The function.
        severity: Of its findings, where the function does not say otherwise.
    """

    name: str
    summary: str
    why: str
    judge: Judge
    severity: Severity = Severity.ERROR


RULES: dict[str, Rule] = {}
"""All rules, in the order in which their modules define them."""


def rule(name: str, *, summary: str, why: str, severity: Severity = Severity.ERROR) -> Callable[[Judge], Judge]:
    """Registers a function as a rule."""

    def register(judge: Judge) -> Judge:
        if name in RULES:
            raise ValueError(f"rule {name}: registered twice, by {RULES[name].judge.__module__} and {judge.__module__}")
        RULES[name] = Rule(name, summary, why, judge, severity)
        return judge

    return register
