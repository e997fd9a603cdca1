"""What every value of the library promises."""

from __future__ import annotations

from collections.abc import Callable

from constructs_lib.errors import InvalidValueError


def accepts(make: Callable[[str], object], text: str) -> bool:
    """Whether a text is accepted: then it is written as it was, and else the message says what was found."""
    refusal = written = None
    try:
        written = str(make(text))
    except InvalidValueError as error:
        refusal = str(error)
    assert written == text if refusal is None else f"found {text!r}, expected " in refusal
    return refusal is None
