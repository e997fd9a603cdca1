"""Values that nothing shows by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn, Self

MASK = "***"


class SecretValue:
    """A secret text. Whatever prints, formats or logs it shows ``***``; who needs it asks for it by name.

    It has no ``__dict__``, cannot be pickled, and is unknown to JSON encoders.

    Raises:
        ValueError: It is empty, which is a secret that somebody forgot, or no text (a byte that is not UTF-8).
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a secret value is empty")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a secret value is not UTF-8 text")
        self._value = value

    def reveal(self) -> str:
        """Gives the text."""
        return self._value

    def __repr__(self) -> str:
        return f"SecretValue({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((SecretValue, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret value cannot be pickled")
