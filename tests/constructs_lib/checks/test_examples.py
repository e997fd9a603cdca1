"""The examples and the page of the documentation are true."""

from __future__ import annotations

import pytest

from constructs_lib.checks import all_rules
from constructs_lib.checks.examples import example
from tools.rules_page import PAGE, page


@pytest.mark.parametrize("rule", sorted(all_rules()))
def test_the_rule_finds_the_example_before_and_not_after(rule: str) -> None:
    shown = example(rule)
    assert [one for one in shown.findings(mended=False) if one.rule == rule]
    assert [one for one in shown.findings(mended=True) if one.rule == rule] == []


def test_the_page_is_what_the_rules_say() -> None:
    assert PAGE.read_text() == page(), "run: make docs"
