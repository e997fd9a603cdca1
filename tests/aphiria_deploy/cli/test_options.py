"""What is given on the command line: what is understood, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.cli import options
from aphiria_deploy.errors import InputError

DURATIONS = {
    "0s": 0.0,
    "90s": 90.0,
    "1.5s": 1.5,
    "0.001s": 0.001,
    "10m": 600.0,
    "1h": 3600.0,
    "1h30m": 5400.0,
    "1h30m5.5s": 5405.5,
    "0100s": 100.0,
}
NO_DURATIONS = ["", " ", "10", "m", "10 m", "10m ", " 10m", "10M", "-1s", "+1s", "1e3s", "1,5s", "1m1h", "1s1s", "1.5m"]
NO_DURATIONS += ["10min", "1d", "\u0661s", "1.0001s", "inf", "nans", "10m\n", "999999999s", "1_0s", "0x1s"]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations_are_read(text: str, seconds: float) -> None:
    assert options.parse_duration(text, "--timeout") == seconds


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_told_with_the_option_and_an_example(text: str) -> None:
    with pytest.raises(InputError) as error:
        options.parse_duration(text, "--wait-for-lock")
    assert str(error.value) == f"--wait-for-lock: found {text!r}, expected a duration, such as 90s, 10m or 1h30m"


@given(st.integers(0, 9999), st.integers(0, 999_999), st.integers(0, 99_999_999), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int, thousandths: int) -> None:
    text = f"{hours}h{minutes}m{seconds}.{thousandths:03}s"
    expected = hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    assert options.parse_duration(text, "--timeout") == pytest.approx(expected)


@pytest.mark.parametrize("text", ["0s", "0m", "0h0m0s", "0.000s"])
def test_no_time_at_all_is_refused_where_something_is_to_be_done_in_it(text: str) -> None:
    with pytest.raises(InputError, match=f"^--timeout: found '{text}', expected a duration in which it can be done"):
        options.parse_timeout(text)


@pytest.mark.parametrize("text", ["1", "107", "999999999"])
def test_numbers_of_pull_requests_are_read(text: str) -> None:
    assert options.parse_number(text) == int(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "+1",
        "01",
        "1_07",
        "1.0",
        "1e2",
        "\u0661\u0660\u0667",
        " 107",
        "107 ",
        "107\n",
        "0x6b",
        "1000000000",
        "pr-107",
    ],
)
def test_no_other_spelling_leads_to_a_preview(text: str) -> None:
    with pytest.raises(InputError) as error:
        options.parse_number(text)
    assert str(error.value).startswith(f"{text!r}: found no number of a pull request, expected one from 1 to 999999999")


@pytest.mark.parametrize("text", ["local", "preview-base", "production", "pr-1", "pr-107", "pr-999999999"])
def test_environments_are_known_by_their_names(text: str) -> None:
    assert options.parse_environment(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Local",
        "pr",
        "pr-",
        "pr-0",
        "pr-01",
        "pr--1",
        "pr-1 ",
        "pr-1\n",
        "pr-\u0661",
        "107",
        "preview",
        "pr-1,x=y",
        "*",
    ],
)
def test_what_names_no_environment_is_told(text: str) -> None:
    with pytest.raises(InputError) as error:
        options.parse_environment(text)
    assert str(error.value) == (f"{text!r}: found no environment, expected local, preview-base, production or pr-N")


def test_a_commit_has_all_its_digits() -> None:
    assert options.parse_commit("") is None
    assert options.parse_commit("c0ffee" * 6 + "abcd") == "c0ffee" * 6 + "abcd"


@pytest.mark.parametrize(
    "text", ["c0ffee", "C0FFEE" * 6 + "ABCD", "g" * 40, "a" * 41, "a" * 39, "a" * 40 + "\n", "tip"]
)
def test_what_is_no_commit_is_told(text: str) -> None:
    with pytest.raises(InputError) as error:
        options.parse_commit(text)
    assert str(error.value) == f"--commit: found {text!r}, expected a commit with all of its 40 hex digits"


def test_images_come_together_and_one_by_one() -> None:
    assert options.parse_images("web=w,api=a") == {"web": "w", "api": "a"}
    assert options.parse_images("", "w", "a") == {"web": "w", "api": "a"}
    assert options.parse_images("nginx=n", "w") == {"nginx": "n", "web": "w"}
    with pytest.raises(InputError, match=r"^--images: found 'web' twice, expected each image once$"):
        options.parse_images("web=w", "w")


@given(st.text())
def test_whatever_is_given_is_read_or_refused_in_one_line(text: str) -> None:
    for parse in (
        options.parse_images,
        options.parse_environment,
        options.parse_number,
        options.parse_commit,
        options.parse_timeout,
    ):
        message = "read"
        try:
            parse(text)
        except InputError as error:
            message = str(error)
        # What was given stands in it as Python writes it: no line break, nothing that moves the cursor.
        assert re.fullmatch(r"[^\n\r\x1b]+", message)
