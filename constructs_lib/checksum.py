"""Checksums of data that is not secret."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def checksum(data: Any) -> str:
    """Gives the SHA-256 of the data's canonical JSON, as 64 hex digits.

    It is for data that anyone may read: of a secret it would allow guessing offline.
    """
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
