from __future__ import annotations

from http import HTTPStatus

import pytest

from tests.faults.proxy import _REASONS, _is_collection
from tests.faults.schedule import EVERYTHING, Asked, Fault, How, Rule, nothing, rules, seeded


def _asked(method: str = "GET", path: str = "/x", *, nth: int = 0, kind: str = "") -> Asked:
    return Asked(method, path, watch=kind == "watch", list=kind in {"list", "rest"}, rest=kind == "rest", nth=nth)


def test_the_same_seed_is_the_same_schedule_in_whatever_order() -> None:
    asked = [_asked(path=f"/{path}", nth=nth, kind=kind) for path in "ab" for nth in range(50) for kind in ("", "list")]
    first = {one: seeded(7, 0.5)(one) for one in asked}
    second = seeded(7, 0.5)
    assert {one: second(one) for one in reversed(asked)} == first
    assert {one: seeded(8, 0.5)(one) for one in asked} != first


def test_no_path_fails_for_ever() -> None:
    schedule = seeded(1, 1.0, at_most=3)
    assert [schedule(_asked(nth=nth)) is None for nth in range(5)] == [False, False, False, True, True]


def test_every_fault_happens_to_something_it_suits() -> None:
    kinds = ("", "list", "rest", "watch")
    drawn = [(one, seeded(3, 1.0)(one)) for n in range(200) for one in [_asked(path=f"/{n}", kind=kinds[n % 4])]]
    assert {fault.how for _, fault in drawn if fault} == set(How)
    assert all(one.suits(fault) for one, fault in drawn if fault)


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(Fault(How.SLOW)), True),
        (Rule(Fault(How.SLOW), method="PATCH"), False),
        (Rule(Fault(How.SLOW), path="pods/x$"), True),
        (Rule(Fault(How.SLOW), path="^pods"), False),
        (Rule(Fault(How.SLOW), nth=[0, 2]), True),
        (Rule(Fault(How.SLOW), nth=[1]), False),
        (Rule(Fault(How.SLOW), watch=True), False),
        (Rule(Fault(How.CUT_WATCH)), False),
    ],
)
def test_a_rule_says_which_requests(rule: Rule, fits: bool) -> None:
    asked = _asked(path="/api/v1/namespaces/a/pods/x", nth=2 if rule.nth and 2 in rule.nth else 0)
    assert rule.fits(asked) == fits
    assert rules(Rule(Fault(How.GONE)), rule)(asked) == (rule.fault if fits else None)
    assert nothing(asked) is None


def test_every_status_that_is_injected_has_a_reason() -> None:
    statuses = {fault.status for fault in EVERYTHING if fault.how in {How.REFUSE, How.LOSE_ANSWER}} | {410}
    assert statuses <= set(_REASONS)
    assert all(HTTPStatus(status) for status in statuses)


@pytest.mark.parametrize(
    ("path", "collection"),
    [
        ("/api/v1/pods", True),
        ("/api/v1/namespaces", True),
        ("/api/v1/namespaces/a", False),
        ("/api/v1/namespaces/a/pods", True),
        ("/api/v1/namespaces/a/pods/x", False),
        ("/api/v1/namespaces/a/pods/x/log", False),
        ("/apis/apps/v1/namespaces/a/deployments", True),
        ("/apis/apps/v1/namespaces/a/deployments/x", False),
        ("/apis/apps/v1/deployments", True),
        ("/apis", False),
        ("/api", False),
        ("/version", False),
    ],
)
def test_lists_are_known_by_their_paths(path: str, collection: bool) -> None:
    assert _is_collection(path) == collection
