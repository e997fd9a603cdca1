"""Every rule finds its bad cases, and lets the good ones that look bad pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from constructs_lib.checks import all_rules
from tests.constructs_lib.checks.cases import CASES, matches, read

_FILES = sorted(file for rule in all_rules() for file in (CASES / rule).glob("*.yaml"))
_INCIDENTS = CASES / "preflight-incidents.txt"


@pytest.mark.parametrize("file", _FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_case_is_judged_as_it_says(file: Path) -> None:
    case = read(file)
    found = case.found(file.parent.name)
    shown = [f"{one.severity} {one.kind}/{one.name} {one.path}: {one.message} -> {one.hint}" for one in found]
    for expected in case.finds:
        assert sum(matches(one, expected) for one in found) == 1, (expected, shown)
    assert len(found) == len(case.finds), shown


@pytest.mark.parametrize("rule", sorted(all_rules()))
def test_a_rule_has_two_bad_cases_and_a_good_one(rule: str) -> None:
    cases = [read(file) for file in (CASES / rule).glob("*.yaml")]
    assert sum(bool(case.finds) for case in cases) >= 2
    assert sum(not case.finds for case in cases) >= 1


def test_every_folder_of_cases_belongs_to_a_rule() -> None:
    folders = {file.parent.relative_to(CASES).parts[0] for file in CASES.rglob("*.yaml")}
    assert folders - {"hot-fixes"} == set(all_rules())


@pytest.mark.parametrize("name", sorted(all_rules()))
def test_a_rule_says_what_it_finds_and_why(name: str) -> None:
    rule = all_rules()[name]
    assert rule.name == name
    assert re.fullmatch(r"[a-z][^\n]+[^.\n]", rule.summary)
    assert re.fullmatch(r"[A-Z][^\n]+\.", rule.why)


def test_the_incidents_that_preflight_must_catch_have_rules() -> None:
    incidents = _INCIDENTS.read_text().split()
    assert set(incidents) | {"silence-needs-reason", "database-connections"} == set(all_rules())
