"""Which previews go: never on a doubt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.engine import DestroyReport, LiveEnvironment, ReceiptLine
from aphiria_deploy.github.errors import DoubtError
from aphiria_deploy.github.models import Label, PullRequest
from aphiria_deploy.github.selection import Choice, Limits, Why, agreed, collect, describe, select

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = 86400.0


def pull(number: int, **more: Any) -> PullRequest:
    given = {
        "number": number,
        "state": "open",
        "title": "x",
        "head": {"sha": "a" * 40, "ref": "x"},
        "base": {"sha": "b" * 40, "ref": "main"},
        "created_at": NOW,
        "updated_at": NOW,
        "html_url": "https://x",
        **more,
    }
    return msgspec.convert(given, PullRequest)


def live(*numbers: int, days: float = 3) -> list[LiveEnvironment]:
    return [LiveEnvironment(f"pr-{number}", days * DAY) for number in numbers]


def chosen(found: list[Choice]) -> dict[int, tuple[bool, Why]]:
    return {one.number: (one.goes, one.why) for one in found}


# What is open


def test_two_readings_that_agree_are_believed() -> None:
    assert agreed([pull(1), pull(2)], [pull(2), pull(1)], 5).keys() == {1, 2}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1, 2], [1], "two readings that differ in 2"),
        ([1], [1, 2], "two readings that differ in 2"),
        ([1, 3], [1, 2], "two readings that differ in 2, 3"),
        ([1, 1], [1, 1], "found one twice in the first reading"),
        ([1], [1, 1], "found one twice in the second reading"),
        ([], [], "an empty list is not believed"),
        ([], [1], "differ in 1"),
    ],
)
def test_a_doubt_destroys_nothing(first: list[int], second: list[int], message: str) -> None:
    with pytest.raises(DoubtError, match=message) as raised:
        agreed([pull(one) for one in first], [pull(one) for one in second], 5)
    assert raised.value.exit_code == 5


def test_one_that_is_not_open_is_a_doubt() -> None:
    with pytest.raises(DoubtError, match="found 2, which is not open, in the second reading"):
        agreed([pull(1), pull(2)], [pull(1), pull(2, state="closed")], 5)


def test_an_empty_list_with_nothing_to_destroy_is_none() -> None:
    assert agreed([], [], 0) == {}


# What goes


def test_what_has_no_open_pull_request_goes() -> None:
    found = select(live(1, 2, 3), {2: pull(2)}, Limits(), NOW)

    assert chosen(found) == {1: (True, Why.CLOSED), 2: (False, Why.OPEN), 3: (True, Why.CLOSED)}


@pytest.mark.parametrize("name", "production preview-base local pr-0 pr-07 pr-1x pr- pr-1234567890".split())
def test_what_is_no_preview_stays(name: str) -> None:
    assert select([LiveEnvironment(name, 99 * DAY)], {}, Limits(), NOW) == []


@pytest.mark.parametrize(
    ("limits", "days", "more", "expected"),
    [
        (Limits(), 999, {}, (False, Why.OPEN)),
        (Limits(max_age=timedelta(days=7)), 6, {}, (False, Why.OPEN)),
        (Limits(max_age=timedelta(days=7)), 8, {}, (True, Why.OLD)),
        (Limits(max_age=timedelta(days=7)), 8, {"labels": [Label("Keep")]}, (False, Why.KEPT)),
        (Limits(max_age=timedelta(days=7), keep="stay"), 8, {"labels": [Label("keep")]}, (True, Why.OLD)),
        (Limits(max_inactive=timedelta(days=7)), 8, {"updated_at": NOW - timedelta(days=8)}, (True, Why.INACTIVE)),
        (Limits(max_inactive=timedelta(days=7)), 8, {"updated_at": NOW - timedelta(days=6)}, (False, Why.OPEN)),
        (
            Limits(max_inactive=timedelta(days=7)),
            8,
            {"updated_at": NOW - timedelta(days=8), "labels": [Label("keep")]},
            (False, Why.KEPT),
        ),
    ],
)
def test_age_and_inactivity_make_it_go_and_the_label_keeps_it(
    limits: Limits, days: float, more: dict[str, Any], expected: tuple[bool, Why]
) -> None:
    opened = {1: msgspec.structs.replace(pull(1), **more)}

    assert chosen(select(live(1, days=days), opened, limits, NOW)) == {1: expected}


def test_one_whose_age_nobody_knows_is_not_too_old_but_goes_when_it_is_closed() -> None:
    unknown = [LiveEnvironment("pr-1"), LiveEnvironment("pr-2")]

    assert chosen(select(unknown, {1: pull(1)}, Limits(max_age=timedelta(days=1)), NOW)) == {
        1: (False, Why.OPEN),
        2: (True, Why.CLOSED),
    }


def test_a_deploy_is_left_alone_for_a_while() -> None:
    limits = Limits(grace=timedelta(hours=1))

    assert chosen(select(live(1, days=0.01), {}, limits, NOW)) == {1: (False, Why.YOUNG)}
    assert chosen(select(live(1, days=1), {}, limits, NOW)) == {1: (True, Why.CLOSED)}


def test_no_more_go_than_are_allowed_and_the_oldest_first() -> None:
    mixed = [*live(1, days=1), *live(2, days=9), *live(3, days=5)]

    assert chosen(select(mixed, {}, Limits(most=2), NOW)) == {
        2: (True, Why.CLOSED),
        3: (True, Why.CLOSED),
        1: (False, Why.CAPPED),
    }
    assert all(not goes for goes, _ in chosen(select(mixed, {}, Limits(most=0), NOW)).values())


# Destroying


class Engine:
    def __init__(self, broken: set[str] = frozenset(), leftovers: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.broken, self.leftovers = broken, leftovers
        self.asked: list[str] = []

    def destroy(self, environment: str) -> DestroyReport:
        self.asked.append(environment)
        if environment in self.broken:
            raise AphiriaDeployError(f"{environment}: found finalizers")
        gone = environment not in self.leftovers
        receipt = [ReceiptLine("database", environment, gone)]
        return DestroyReport(environment, "destroyed" if gone else "failed", receipt)


def choices(*numbers: int) -> list[Choice]:
    return [Choice(f"pr-{number}", number, goes=True, why=Why.CLOSED) for number in numbers]


def test_one_that_fails_does_not_stop_the_others() -> None:
    engine = Engine({"pr-1"}, {"pr-2"})
    told: list[int] = []

    found = collect(
        choices(1, 2, 3),
        still_goes=lambda _: True,
        destroy=engine.destroy,
        after=lambda choice, _: told.append(choice.number),
    )

    assert engine.asked == ["pr-1", "pr-2", "pr-3"]
    assert told == [2, 3]
    assert found.failed
    assert describe(found) == [
        "pr-1 failed: its pull request is closed",
        "  pr-1: found finalizers",
        "pr-2 failed: its pull request is closed",
        "  still there: database pr-2",
        "pr-3 destroyed: its pull request is closed",
    ]


def test_one_that_was_opened_again_meanwhile_stays() -> None:
    engine = Engine()

    found = collect(
        choices(1, 2), still_goes=lambda one: one.number == 2, destroy=engine.destroy, after=lambda *_: None
    )

    assert engine.asked == ["pr-2"]
    assert chosen(list(found.choices)) == {1: (False, Why.REOPENED), 2: (True, Why.CLOSED)}
    assert not found.failed


def test_one_that_cannot_be_asked_for_stays_and_fails_the_run() -> None:
    engine = Engine()

    def ask(choice: Choice) -> bool:
        if choice.number == 1:
            raise AphiriaDeployError("GitHub: found the answer 404")
        return True

    found = collect(choices(1, 2), still_goes=ask, destroy=engine.destroy, after=lambda *_: None)

    assert engine.asked == ["pr-2"]
    assert found.failed
    assert describe(found)[0] == "pr-1 failed: its pull request could not be asked for"


def test_what_cannot_be_told_of_fails_the_run_but_not_the_others() -> None:
    engine = Engine()

    def tell(choice: Choice, _: DestroyReport) -> None:
        if choice.number == 1:
            raise AphiriaDeployError("the comment could not be written")

    found = collect(choices(1, 2), still_goes=lambda _: True, destroy=engine.destroy, after=tell)

    assert engine.asked == ["pr-1", "pr-2"]
    assert found.failed
    assert "the comment could not be written" in "\n".join(describe(found))


def test_a_dry_run_asks_and_destroys_nothing() -> None:
    engine = Engine()

    def never(*_: object) -> bool:
        raise AssertionError

    found = collect(choices(1), still_goes=never, destroy=engine.destroy, after=lambda *_: None, dry=True)

    assert engine.asked == []
    assert describe(found) == ["pr-1 would go: its pull request is closed"]
    assert not found.failed


def test_a_bug_is_not_taken_for_a_failure() -> None:
    def bug(_: str) -> DestroyReport:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        collect(choices(1), still_goes=lambda _: True, destroy=bug, after=lambda *_: None)
