"""Writes the JSON schema of the bundle to docs/, where those who read bundles without this package find it.

``python -m tools.bundle_schema``
"""

from __future__ import annotations

import json
from pathlib import Path

from aphiria_deploy.bundle import json_schema

PATH = Path(__file__).parent.parent / "docs" / "bundle.schema.json"


def text() -> str:
    """Gives the schema as it is written: the same format always as the same text."""
    return json.dumps(json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text(), encoding="utf-8")
