"""Test cases as data: one JSON file a case, under ``tests/cases``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parent.parent / "cases"


def cases(area: str) -> list[Any]:
    """Every case of an area, named by its path."""
    folder = _FOLDER / area
    found = [
        pytest.param(json.loads(path.read_text(encoding="utf-8")), id=str(path.relative_to(folder).with_suffix("")))
        for path in sorted(folder.rglob("*.json"))
    ]
    assert found, f"no cases in {folder}"
    return found
