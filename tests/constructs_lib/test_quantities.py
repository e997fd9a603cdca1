"""Quantities and resources, against a model of Kubernetes' own quantities.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from constructs_lib.errors import InvalidValueError
from constructs_lib.values import Quantity, Resources
from tests.constructs_lib.acceptance import accepts

SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal("1e3"), "M": Decimal("1e6"), "G": Decimal("1e9"),
    "T": Decimal("1e12"), "P": Decimal("1e15"), "E": Decimal("1e18"),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30),
    "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip


def model(text: str) -> Fraction | None:
    """What Kubernetes reads, where the number has no sign: no finer than a nano, no more than 63 bits; else nothing."""
    number = text[: next((place for place, character in enumerate(text) if character not in "0123456789."), len(text))]
    suffix = text[len(number) :]
    if number.count(".") > 1 or not number.strip("."):
        return None
    if suffix in SUFFIXES:
        return settled(Fraction(Decimal(number)) * Fraction(SUFFIXES[suffix]))
    exponent = suffix[1:].removeprefix("+") if suffix[1:2] == "+" else suffix[1:].removeprefix("-")
    if suffix[0] in "eE" and exponent.isascii() and exponent.isdecimal() and len(exponent) <= 9:
        # Beyond that every number in these tests is at an end of the scale.
        return settled(Fraction(Decimal(number)) * Fraction(10) ** max(-60, min(60, int(suffix[1:]))))
    return None


def settled(amount: Fraction) -> Fraction:
    """Rounded up to a nano, and capped."""
    return min(Fraction(math.ceil(amount * 10**9), 10**9), Fraction(2**63 - 1))


NUMBERS = st.from_regex(r"\A[0-9]{1,6}(\.[0-9]{0,4})?\Z") | st.from_regex(r"\A\.[0-9]{1,4}\Z")
EXPONENTS = st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 99))


@given(st.builds(str.__add__, NUMBERS, st.sampled_from(sorted(SUFFIXES)) | EXPONENTS))
def test_a_quantity_is_as_much_as_kubernetes_reads(text: str) -> None:
    assert accepts(Quantity, text)
    assert Quantity(text).amount == model(text)


@given(st.text(st.sampled_from("0123456789.eEimkKMGTPnu+- "), max_size=8) | st.text(max_size=5))
def test_nothing_else_is_a_quantity(text: str) -> None:
    assert accepts(Quantity, text) == (model(text) is not None)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", 1),
        ("500m", Fraction(1, 2)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("12e-1", Fraction(6, 5)),
        ("1Ki", 1024),
        ("1k", 1000),
        ("1.5Gi", 3 * 2**29),
        ("1280Mi", 1280 * 2**20),
        ("1Ei", 2**60),
    ],
)
def test_boundaries_of_a_quantity(text: str, amount: Fraction) -> None:
    assert Quantity(text).amount == amount


@pytest.mark.parametrize(
    "text",
    ["", ".", "m", "Mi", "1..", "1.2.3", "-1", "+1", "1K", "1ki", "1mi", "1MB", "1Mib", "1e", "1e+", "1 Gi",
     " 1", "1\n", "1_000", "0x10", "NaN", "٣", "1,5"],
)  # fmt: skip
def test_what_kubernetes_or_a_reader_would_stumble_over_is_no_quantity(text: str) -> None:
    assert not accepts(Quantity, text)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_request_is_at_most_its_limit(request_amount: int, limit: int) -> None:
    cpu = f"{request_amount}m/1Mi", f"{limit}m/1Mi"
    memory = f"1/{request_amount}Ki", f"1/{limit}Ki"
    for requests, limits in (cpu, memory):
        if request_amount <= limit:
            assert Resources.parse(requests, limits)
        else:
            with pytest.raises(InvalidValueError, match="expected at most the limit"):
                Resources.parse(requests, limits)


@given(st.sampled_from(sorted(SUFFIXES)), st.integers(1, 999))
def test_memory_is_whole_bytes(suffix: str, number: int) -> None:
    assume(suffix)
    memory = f"{number}{suffix}"
    if Quantity(memory).amount.denominator == 1:
        assert Resources.parse(f"1/{memory}", f"1/{memory}")
    else:
        with pytest.raises(InvalidValueError, match=f"request of memory: found '{memory}', expected whole bytes"):
            Resources.parse(f"1/{memory}", "1/999Ei")


def test_resources_are_written_as_they_were_given() -> None:
    assert Resources.parse("100m/0.5Gi", "1.5/1024Mi").manifest() == {
        "requests": {"cpu": "100m", "memory": "0.5Gi"},
        "limits": {"cpu": "1.5", "memory": "1024Mi"},
    }


@pytest.mark.parametrize(
    ("requests", "limits", "message"),
    [
        ("100m", "1/1Gi", "requests: found '100m', expected CPU and memory, such as 100m/256Mi"),
        ("100m/1Mi", "", "limits: found '', expected CPU and memory, such as 100m/256Mi"),
        (
            "100m/1MB",
            "1/1Gi",
            "quantity: found '1MB', expected a Kubernetes quantity, such as 500m or 2 for CPU and 256Mi or 1Gi for "
            "memory",
        ),
        ("2/1Mi", "1/1Gi", "request of CPU: found '2', expected at most the limit, 1"),
        ("1/2Gi", "1/2047Mi", "request of memory: found '2Gi', expected at most the limit, 2047Mi"),
        ("1/1Mi", "1/1048577500m", "limit of memory: found '1048577500m', expected whole bytes, such as 256Mi"),
    ],
)
def test_resources_that_are_none_are_refused(requests: str, limits: str, message: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        Resources.parse(requests, limits)

    assert str(error.value) == message
