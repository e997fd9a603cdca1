"""What of a manifest is secret, and texts without it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any


def masked(text: str, secrets: Collection[str]) -> str:
    """The text without the secrets, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def secrets_of(manifest: Mapping[str, Any]) -> set[str]:
    """The values of a Secret, as they are and as they are written, whatever their shape: it may be the wrong one."""
    if manifest.get("kind") != "Secret":
        return set()
    found = set(_texts([manifest.get("data"), manifest.get("stringData")]))
    for text in list(found):
        with contextlib.suppress(ValueError, UnicodeDecodeError):
            found.add(base64.b64decode(text).decode())
    return found - {""}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif value is not None:
        yield str(value)
