"""Kubernetes quantities, exactly: ``100m``, ``1Gi``, ``1e3``, ``0.5``, ``1500Mi``.

The grammar is that of ``k8s.io/apimachinery/pkg/api/resource.Quantity``: a decimal number with at most one suffix,
which is binary (``Ki`` … ``Ei``), decimal (``n u m k M G T P E``) or an exponent (``e3``, ``E-2``).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]{1,9})?")
_MAX_EXPONENT = 1000

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

NANO = Fraction(1, 10**9)
MAX = Fraction(2**63 - 1)


class QuantityError(ValueError):
    """A value is not a quantity. The message says what was found and what was expected."""


def parse(value: Any) -> Fraction:
    """Reads a quantity, as Kubernetes does: finer than a nano is rounded up, larger than 2^63-1 is capped.

    Args:
        value: A string, or a number as YAML gives it (``cpu: 0.5``).

    Raises:
        QuantityError: It is not one.
    """
    amount = _parse(_text(value))
    if amount is None:
        raise QuantityError(f"found {value!r}, expected a quantity such as 500m, 0.5, 2, 256Mi or 1Gi")
    return amount


def is_quantity(value: Any) -> bool:
    """Says whether the value is a quantity."""
    try:
        parse(value)
    except QuantityError:
        return False
    return True


def show_cpu(amount: Fraction) -> str:
    """Writes an amount of CPU: ``1700m``, ``2``."""
    if amount.denominator == 1:
        return str(amount.numerator)
    milli = amount * 1000
    return f"{milli.numerator}m" if milli.denominator == 1 else f"{float(milli):g}m"


def show_bytes(amount: Fraction) -> str:
    """Writes an amount of memory or storage in the largest binary unit that keeps it exact: ``3328Mi``, ``8Gi``."""
    for suffix, power in reversed(_BINARY.items()):
        scaled = amount / 1024**power
        if amount and scaled.denominator == 1:
            return f"{scaled.numerator}{suffix}"
    return str(amount.numerator) if amount.denominator == 1 else f"{float(amount):g}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Fraction | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    digits, suffix = match.groups()
    number = Fraction(digits.removesuffix("."))
    if suffix is None:
        return _round(number)
    if suffix in _BINARY:
        return _round(number * Fraction(1024) ** _BINARY[suffix])
    if suffix in _DECIMAL:
        return _round(number * Fraction(10) ** _DECIMAL[suffix])
    exponent = int(suffix[1:])
    if abs(exponent) > _MAX_EXPONENT:
        # Its exact value has more digits than memory; the result is the cap or the smallest step either way.
        exponent = _MAX_EXPONENT if exponent > 0 else -_MAX_EXPONENT
    return _round(number * Fraction(10) ** exponent)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise QuantityError(f"found {value!r}, expected a quantity such as 500m or 256Mi")
    # A float travels to the API server as JSON, in its shortest form.
    return repr(value)


def _round(number: Fraction) -> Fraction:
    if abs(number) > MAX:
        return MAX if number > 0 else -MAX
    scaled = number * 10**9
    if scaled.denominator == 1:
        return number
    up = -(-abs(scaled.numerator) // scaled.denominator)
    return Fraction(up if number > 0 else -up, 10**9)
