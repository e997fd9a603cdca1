"""The CRDs whose objects the site uses, where they are to be had: they are upstream's, and not in this repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDER = Path(os.environ.get("CRDS") or ROOT.parent / "shared" / "crds")


def load_crds() -> list[dict[str, Any]]:
    """Every CRD in the folder that CRDS names; skips the test where there is none."""
    files = sorted(FOLDER.glob("*.yaml"))
    if not files:
        pytest.skip(f"no CRDs to test against: no *.yaml in {FOLDER}; CRDS=FOLDER names another folder")
    documents = (document for file in files for document in yaml.safe_load_all(file.read_text(encoding="utf-8")))
    return [document for document in documents if document and document["kind"] == "CustomResourceDefinition"]
