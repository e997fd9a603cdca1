"""A value that exists is valid: what is accepted is written as it was, what is refused is named with what was expected.

Each type is compared with a model of its own, written from the standard and not from the code.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.errors import InvalidValueError
from constructs_lib.values import BodySize, CronSchedule, DatabaseName, Hostname, Name
from tests.constructs_lib.acceptance import accepts

LOWER, DIGITS = string.ascii_lowercase, string.digits
LABEL_CHARACTERS = set(LOWER + DIGITS + "-")


def near(characters: str) -> st.SearchStrategy[str]:
    """Texts of a type's own characters and of those that are nearly so, and sometimes any text."""
    return st.text(st.sampled_from(characters + "-._A ٣é\n"), max_size=70) | st.text(max_size=8)


def is_label(text: str) -> bool:
    """RFC 1123: letters, digits and hyphens, no hyphen at an end, 63 at most."""
    inside = 0 < len(text) <= 63 and set(text) <= LABEL_CHARACTERS
    return inside and text[0] != "-" and text[-1] != "-"


LABELS = st.text(st.sampled_from(LOWER + DIGITS + "-"), min_size=1, max_size=63).filter(is_label)


@given(LABELS)
def test_every_dns_label_is_a_name(text: str) -> None:
    assert accepts(Name, text)


@given(near(LOWER))
def test_nothing_but_a_dns_label_is_a_name(text: str) -> None:
    assert accepts(Name, text) == is_label(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a", True),
        ("0", True),
        ("a" * 63, True),
        ("a--b", True),
        ("", False),
        ("a" * 64, False),
        ("-a", False),
        ("a-", False),
        ("a.b", False),
        ("a_b", False),
        ("Web", False),
        ("web\n", False),
        ("wéb", False),
        ("٣", False),
    ],
)
def test_boundaries_of_a_name(text: str, *, valid: bool) -> None:
    assert accepts(Name, text) == valid


def is_host(text: str) -> bool:
    """A host name of the Gateway API: two labels or more, one wildcard in front at most, no IP address."""
    labels = text.split(".")
    if labels[0] == "*":
        labels = labels[1:]
    return len(labels) > 1 and len(text) <= 253 and all(map(is_label, labels)) and not labels[-1].isdecimal()


DOMAINS = st.lists(LABELS.filter(lambda label: len(label) < 20), min_size=1, max_size=4).map(
    lambda labels: ".".join([*labels, "example"])
)


@given(DOMAINS, st.sampled_from(["", "*."]))
def test_every_domain_is_a_host_and_so_is_its_wildcard(domain: str, prefix: str) -> None:
    assert accepts(Hostname, prefix + domain)


@given(near(LOWER + "*.."))
def test_nothing_else_is_a_host(text: str) -> None:
    assert accepts(Hostname, text) == is_host(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a.b", True),
        ("1.pr.example.com", True),
        ("xn--bcher-kva.example", True),
        (".".join(["a" * 63] * 3 + ["a" * 61]), True),
        (".".join(["a" * 63] * 3 + ["a" * 62]), False),
        ("example", False),
        ("*.com", False),
        ("*", False),
        ("a.*.com", False),
        ("*a.example.com", False),
        ("*.*.example.com", False),
        ("example.com.", False),
        (".example.com", False),
        ("example..com", False),
        ("Example.com", False),
        ("bücher.example", False),
        ("example.com:80", False),
        ("https://example.com", False),
        ("10.0.0.1", False),
        ("*.0.0.1", False),
    ],
)
def test_boundaries_of_a_host(text: str, *, valid: bool) -> None:
    assert accepts(Hostname, text) == valid


@given(DOMAINS, LABELS, LABELS)
def test_a_wildcard_covers_exactly_one_label(domain: str, label: str, other: str) -> None:
    if len(domain) + len(label) + len(other) > 240:
        return
    wildcard = Hostname(f"*.{domain}")

    assert wildcard.covers(Hostname(f"{label}.{domain}"))
    assert not wildcard.covers(Hostname(domain))
    assert not wildcard.covers(Hostname(f"{other}.{label}.{domain}"))
    assert not wildcard.covers(Hostname(f"*.{label}.{domain}"))
    assert wildcard.covers(wildcard)


@given(DOMAINS, DOMAINS)
def test_a_host_that_is_no_wildcard_covers_itself_alone(one: str, other: str) -> None:
    assert Hostname(one).covers(Hostname(other)) == (one == other)
    assert not Hostname(one).is_wildcard
    assert not Hostname(one).covers(Hostname(f"*.{one}"))


RESERVED = {"postgres", "template0", "template1", "public"}


def is_database_name(text: str) -> bool:
    """An identifier of PostgreSQL that needs no quotes, in 63 bytes, and is none of the server's own."""
    shaped = 0 < len(text) <= 63 and text[0] in LOWER and set(text) <= set(LOWER + DIGITS + "_")
    return shaped and text not in RESERVED and text[:3] != "pg_"


@given(st.one_of(near("abcpg_0123"), st.sampled_from(sorted(RESERVED)), st.text(st.sampled_from("pg_a"))))
def test_a_database_name_is_an_identifier_that_needs_no_quotes(text: str) -> None:
    assert accepts(DatabaseName, text) == is_database_name(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a", True),
        ("aphiria_pr_999999999", True),
        ("a" * 63, True),
        ("pgbench", True),
        ("", False),
        ("a" * 64, False),
        ("1a", False),
        ("_a", False),
        ("a-b", False),
        ("A", False),
        ("pg_a", False),
        ("postgres", False),
        ('a"; DROP DATABASE x; --', False),
        ("a'b", False),
        ("a\n", False),
        ("ä", False),
    ],
)
def test_boundaries_of_a_database_name(text: str, *, valid: bool) -> None:
    assert accepts(DatabaseName, text) == valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("0", True),
        ("10m", True),
        ("9999g", True),
        ("64k", True),
        ("", False),
        ("m", False),
        ("10000", False),
        ("10M", False),
        ("10mb", False),
        ("-1", False),
        ("1.5m", False),
        (" 1m", False),
        ("1m\n", False),
        ("٣m", False),
        ("1m; return 200", False),
    ],
)
def test_boundaries_of_a_body_size(text: str, *, valid: bool) -> None:
    assert accepts(BodySize, text) == valid


@given(near("0123456789kmg"))
def test_a_body_size_is_digits_and_at_most_one_unit(text: str) -> None:
    digits = text[:-1] if text[-1:] in {"k", "m", "g"} else text
    assert accepts(BodySize, text) == (0 < len(digits) <= 4 and set(digits) <= set(DIGITS))


MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()
BOUNDS: list[tuple[int, int, list[str]]] = [(0, 59, []), (0, 23, []), (1, 31, []), (1, 12, MONTHS), (0, 6, DAYS)]


def robfig_accepts(text: str) -> bool:
    """``getRange`` of robfig/cron v3, which the controller uses, in Python: the parser that has the last word."""
    fields = text.split()
    return len(fields) == 5 and all(
        item and _robfig_range(item, *bounds)
        for field, bounds in zip(fields, BOUNDS, strict=True)
        for item in field.split(",")
    )


def _robfig_range(item: str, low: int, high: int, names: list[str]) -> bool:
    def number(part: str) -> int:
        named = [low + names.index(part.lower())] if part.lower() in names else []
        return [*named, int(part) if part.isascii() and part.isdecimal() else -1][0]

    span, *steps = item.split("/")
    first, *rest = span.split("-")
    if first in {"*", "?"}:
        start, end = low, high
    else:
        start = number(first)
        end = number(rest[0]) if rest else start
    if steps and not rest:
        end = high
    step = number(steps[0]) if steps else 1
    return len(rest) < 2 and len(steps) < 2 and low <= start <= end <= high and step > 0


@st.composite
def cron_schedules(draw: st.DrawFn) -> str:
    def item(low: int, high: int, names: list[str]) -> str:
        first: int = draw(st.integers(low, high))
        last: int = draw(st.integers(first, high))
        named: bool = bool(names) and draw(st.sampled_from([True, False]))
        start, end = (names[number - low] if named else str(number) for number in (first, last))
        span: str = draw(st.sampled_from(["*", start, f"{start}-{end}"]))
        step: str = draw(st.sampled_from(["", "/1", "/7", "/59"]))
        return span + step

    return " ".join(",".join(item(*bounds) for _ in range(draw(st.integers(1, 3)))) for bounds in BOUNDS)


@given(cron_schedules())
def test_every_cron_schedule_is_one(text: str) -> None:
    assert robfig_accepts(text)
    assert accepts(CronSchedule, text)


@given(st.lists(st.text(st.sampled_from("0123456789*/-,?JANsun "), max_size=5), max_size=6).map(" ".join) | st.text())
def test_what_is_accepted_as_a_schedule_the_controller_accepts_too(text: str) -> None:
    if accepts(CronSchedule, text):
        assert robfig_accepts(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("0 2 * * *", True),
        ("*/15 0-23/2 1,15 jan-DEC mon,3", True),
        ("59 23 31 12 6", True),
        ("0 0 1 1 0", True),
        ("0 0 ? * *", True),
        ("5/15 * * * *", True),
        ("", False),
        ("0 2 * *", False),
        ("0 2 * * * *", False),
        ("60 * * * *", False),
        ("* 24 * * *", False),
        ("* * 0 * *", False),
        ("* * 32 * *", False),
        ("* * * 13 *", False),
        ("* * * 0 *", False),
        ("* * * * 7", False),
        ("5-1 * * * *", False),
        ("1-2-3 * * * *", False),
        ("*/0 * * * *", False),
        ("*/ * * * *", False),
        ("1,,2 * * * *", False),
        ("-1 * * * *", False),
        ("@daily", False),
        ("TZ=UTC 0 2 * * *", False),
        ("0 2 * * *; rm", False),
        ("0\x1c2 * * *", False),
        ("0 2 * * *\n", False),
        ("٣ 2 * * *", False),
    ],
)
def test_boundaries_of_a_schedule(text: str, *, valid: bool) -> None:
    assert accepts(CronSchedule, text) == valid


@pytest.mark.parametrize("make", [Name, Hostname, DatabaseName, CronSchedule, BodySize])
@pytest.mark.parametrize("value", [None, 5, b"a.b", ["a.b"]])
def test_what_is_no_text_is_refused_and_not_stumbled_over(make: Callable[[object], object], value: object) -> None:
    with pytest.raises(InvalidValueError, match=r"found .*, expected "):
        make(value)


@pytest.mark.parametrize(
    ("make", "text", "message"),
    [
        (
            Name,
            "Web",
            "name: found 'Web', expected a DNS label (RFC 1123): at most 63 lower-case letters, digits and '-', "
            "not at an end",
        ),
        (
            Hostname,
            "localhost",
            "host name: found 'localhost', expected lower-case DNS labels joined by dots, '*.' in front at most, "
            "such as www.example.com or *.example.com, and no IP address",
        ),
        (
            DatabaseName,
            "public",
            "database name: found 'public', expected a lower-case letter, then at most 62 lower-case letters, digits "
            "and '_', and neither postgres, template0, template1, public nor pg_…",
        ),
        (
            CronSchedule,
            "daily",
            "cron schedule: found 'daily', expected minute, hour, day of month, month and day of week, "
            "such as '0 2 * * *' for two o'clock every day",
        ),
        (BodySize, "10 MB", "body size: found '10 MB', expected at most four digits and k, m or g, such as 10m"),
    ],
)
def test_the_message_says_what_was_found_and_what_was_expected(
    make: Callable[[str], object], text: str, message: str
) -> None:
    with pytest.raises(InvalidValueError) as error:
        make(text)

    assert str(error.value) == message
