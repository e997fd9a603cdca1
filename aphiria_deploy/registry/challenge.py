"""The header ``WWW-Authenticate``, by which a registry says how it wants to be logged in to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# RFC 9110, sections 5.6.2, 5.6.4 and 11.2.
_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NEXT: Final = re.compile(
    rf"[\s,]*(?P<name>{_WORD})"
    rf"(?:\s*=\s*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>{_WORD}))(?=\s*(?:,|$))|(?=\s+|\s*,|$))"
)


@dataclass(frozen=True)
class Challenge:
    """One way to log in.

    Attributes:
        scheme: ``bearer`` or ``basic``, in lower case.
        parameters: Its parameters, with names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """Reads the header; what cannot be read ends it."""
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while match := _NEXT.match(header, at):
        at = match.end()
        name = match["name"].lower()
        if match["quoted"] is None and match["plain"] is None:
            found.append((name, {}))
        elif found:
            value = match["plain"] if match["quoted"] is None else re.sub(r"\\(.)", r"\1", match["quoted"])
            found[-1][1].setdefault(name, value)
    return [Challenge(scheme, parameters) for scheme, parameters in found]
