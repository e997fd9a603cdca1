from __future__ import annotations

import threading
from functools import partial

import pytest

from aphiria_deploy.errors import AphiriaDeployError, CancelledError
from aphiria_deploy.kube import Cancellation, concurrently


def test_outcomes_come_in_the_order_of_the_calls() -> None:
    calls = [partial(int, number) for number in range(50)]
    assert [outcome.get() for outcome in concurrently(calls)] == list(range(50))


def test_calls_run_side_by_side() -> None:
    together = threading.Barrier(8, timeout=5)
    assert len({outcome.get() for outcome in concurrently([together.wait] * 8)}) == 8


def test_every_error_is_kept_beside_what_succeeded() -> None:
    def fail() -> int:
        raise AphiriaDeployError("no")

    first, second, third = concurrently([fail, lambda: 2, fail])
    assert (str(first.error), second.value, str(third.error)) == ("no", 2, "no")
    with pytest.raises(AphiriaDeployError, match="no"):
        first.get()


def test_after_a_failure_nothing_more_begins_where_that_is_asked_for() -> None:
    def fail() -> int:
        raise AphiriaDeployError("no")

    outcomes = concurrently([fail] + [lambda: 1] * 20, workers=1, all_of_them=False)
    assert all(isinstance(outcome.error, CancelledError) for outcome in outcomes[1:])


def test_nothing_begins_when_it_was_told_to_stop() -> None:
    cancellation = Cancellation()
    cancellation.cancel("SIGTERM")
    outcomes = concurrently([lambda: 1] * 3, cancellation)
    assert [str(outcome.error) for outcome in outcomes] == ["not begun: SIGTERM"] * 3


def test_a_bug_is_not_an_outcome() -> None:
    def bug() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        concurrently([bug, lambda: 1])
