"""Quantities parse exactly as Kubernetes parses them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.checks.quantity import MAX, QuantityError, parse, show_bytes, show_cpu

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(1000),
    **{name: Fraction(10 ** (3 * power)) for power, name in enumerate("MGTPE", 2)},
    **{f"{name}i": Fraction(1024**power) for power, name in enumerate("KMGTPE", 1)},
}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("100m", Fraction(1, 10)),
        ("1Gi", 2**30),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("+1", 1),
        ("-1", -1),
        ("1500Mi", 1500 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("2e-3", Fraction(1, 500)),
        ("0", 0),
        ("1n", Fraction(1, 10**9)),
        (0.5, Fraction(1, 2)),
        (2, 2),
        (1e21, MAX),
        ("100E", MAX),
        ("-100E", -MAX),
        ("1e999999999", MAX),
        ("1e-999999999", Fraction(1, 10**9)),
        ("0.0000000001", Fraction(1, 10**9)),
        ("1.5n", Fraction(2, 10**9)),
    ],
)
def test_a_quantity_is_read(text: str | float, amount: Fraction | int) -> None:
    assert parse(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 Gi",
        "1gi",
        "1GI",
        "1K",
        "Gi",
        ".",
        "1.2.3",
        "1e",
        "0x10",
        "1_000",
        "--1",
        "1mm",
        "1Gi ",
        "\u0661",
        None,
        True,
        [],
    ],
)
def test_what_is_no_quantity_is_refused(text: object) -> None:
    with pytest.raises(QuantityError, match="expected a quantity"):
        parse(text)


@given(st.integers(0, 10**6), st.integers(0, 999), st.sampled_from(sorted(_SUFFIXES)))
def test_a_number_with_a_suffix_is_their_product(whole: int, decimals: int, suffix: str) -> None:
    exact = (whole + Fraction(decimals, 1000)) * _SUFFIXES[suffix]
    nanos = exact * 10**9
    rounded_up = Fraction(-(-nanos.numerator // nanos.denominator), 10**9)
    assert parse(f"{whole}.{decimals:03}{suffix}") == min(rounded_up, MAX)


@given(st.integers(-(10**12), 10**12))
def test_what_is_shown_is_read_back(nanos: int) -> None:
    millis = Fraction(abs(nanos), 1000)
    assert parse(show_cpu(millis)) == millis
    assert parse(show_bytes(Fraction(abs(nanos)))) == abs(nanos)
