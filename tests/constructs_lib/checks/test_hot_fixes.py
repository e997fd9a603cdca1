"""The manifests of the seed's hot fixes, as they were before each fix: each is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from constructs_lib.checks import check
from tests.constructs_lib.checks.cases import CASES, matches, read

_FILES = sorted((CASES / "hot-fixes").glob("*.yaml"))


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_the_manifests_before_a_hot_fix_are_refused(file: Path) -> None:
    case = read(file)
    errors = check(case.objects, case.context).errors
    assert case.finds
    for expected in case.finds:
        assert sum(matches(one, expected) for one in errors) == 1, (expected, [f"{e.rule} {e.message}" for e in errors])


def test_every_hot_fix_is_there() -> None:
    assert {file.stem for file in _FILES} == {
        *("T052e", "T052r", "T052s", "T052p", "T052x", "T052y", "T052z", "T052ab", "T052ac", "T052ah"),
        *("T052ai", "T052aj", "T052ak", "INFRA-02"),
    }
