"""Cases as data: objects, a context, and what is to be found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from constructs_lib.checks import Context, Finding, check
from constructs_lib.checks.examples import context_of

CASES = Path(__file__).parents[2] / "cases"


@dataclass(frozen=True)
class Case:
    """One file: what it is about, and what each expected finding looks like."""

    file: Path
    title: str
    context: Context
    finds: list[dict[str, Any]]
    objects: list[dict[str, Any]]

    def found(self, rule: str) -> list[Finding]:
        return [finding for finding in check(self.objects, self.context).findings if finding.rule == rule]


def read(file: Path) -> Case:
    data = yaml.safe_load(file.read_text())
    assert data.keys() <= {"title", "context", "finds", "objects"}, file
    return Case(file, data["title"], context_of(data.get("context", {})), data["finds"], data["objects"])


def matches(finding: Finding, expected: dict[str, Any]) -> bool:
    assert expected.keys() <= {"rule", "object", "path", "says", "hint", "severity"}
    return (
        f"{finding.kind}/{finding.name}" == expected.get("object", f"{finding.kind}/{finding.name}")
        and finding.rule == expected.get("rule", finding.rule)
        and finding.path == expected.get("path", finding.path)
        and expected.get("says", "") in finding.message
        and expected.get("hint", "") in finding.hint
        and finding.severity.value == expected.get("severity", finding.severity.value)
    )
