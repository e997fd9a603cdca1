"""Readiness, by statuses as controllers write them; each case says what is to be said of its object."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.readiness import Readiness, has_done_its_work, judge
from tests.aphiria_deploy.cases import cases

Case = dict[str, Any]

CASES = cases("readiness")
OBJECTS = [case.values[0]["object"] for case in CASES]


def _is_about_a_generation(item: Case) -> bool:
    """Whether its status says which generation it is about: as a whole, or in the conditions that decide."""
    status = item.get("status") or {}
    holders = [status, *status.get("parents", []), *status.get("ancestors", [])]
    decisive = [
        condition
        for holder in holders
        for condition in holder.get("conditions") or []
        if condition["type"] in {"Ready", "Available", "Accepted"}
    ]
    return item["kind"] != "Pod" and any("observedGeneration" in part for part in [status, *decisive])


def _judge(case: Case) -> Readiness:
    return judge(case["object"], case.get("binding_modes"))


@pytest.mark.parametrize("case", CASES)
def test_an_object_is_judged_by_its_status(case: Case) -> None:
    verdict, expected = _judge(case), case["expected"]
    assert (verdict.done, verdict.ok) == (expected["done"], expected["ok"]), verdict.message
    assert expected["message"] in verdict.message


@pytest.mark.parametrize("case", CASES)
def test_an_object_that_is_being_deleted_is_waited_for_whatever_its_status(case: Case) -> None:
    item = copy.deepcopy(case["object"])
    item["metadata"]["deletionTimestamp"] = "2026-11-23T14:10:00Z"
    verdict = judge(item)
    assert not verdict.done
    assert verdict.message.startswith("being deleted")


@pytest.mark.parametrize("case", [case for case in CASES if _is_about_a_generation(case.values[0]["object"])])
def test_a_status_of_an_earlier_generation_makes_nothing_ready_and_fails_nothing(case: Case) -> None:
    item = copy.deepcopy(case["object"])
    item["metadata"]["generation"] = 1000
    assert not judge(item).done


def test_every_kind_that_can_fail_has_a_case_of_each_verdict() -> None:
    seen: dict[str, set[tuple[bool, bool]]] = {}
    for case in CASES:
        expected = case.values[0]["expected"]
        seen.setdefault(case.values[0]["object"]["kind"], set()).add((expected["done"], expected["ok"]))
    can_fail = "Certificate ClusterIssuer CustomResourceDefinition Deployment Gateway HTTPRoute Job RateLimitPolicy"
    assert all(len(seen[kind]) == 3 for kind in can_fail.split()), seen


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "True", "False", "Ready", "x\n\x1b[2J"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(OBJECTS), st.data())
def test_no_object_however_broken_breaks_the_judge(item: Case, data: st.DataObject) -> None:
    broken = copy.deepcopy(item)
    for _ in range(data.draw(st.integers(1, 3))):
        _break_somewhere(broken, data)
    verdict = judge(broken)
    assert verdict.message
    assert verdict.message.isprintable(), "it is shown in one line of a terminal"
    assert verdict.done or not verdict.ok


def _break_somewhere(value: Any, data: st.DataObject) -> None:
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if isinstance(value[key], (dict, list)) and value[key] and data.draw(st.booleans()):
            value = value[key]
        else:
            value[key] = data.draw(_JSON)
            return


def _job(spec: dict[str, int] | None = None, *conditions: Case) -> Case:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "preview-pr-7", "uid": "1", "generation": 1},
        "spec": spec or {},
        "status": {"active": 1, "conditions": list(conditions)},
    }


def _pods(*phases: str) -> list[Case]:
    return [{"kind": "Pod", "metadata": {"name": str(n)}, "status": {"phase": each}} for n, each in enumerate(phases)]


@pytest.mark.parametrize("phases", [["Succeeded"], ["Failed", "Succeeded"]])
def test_a_job_has_done_its_work_when_its_pod_has_ended_well(phases: list[str]) -> None:
    assert not judge(_job()).done
    assert has_done_its_work(_job({"completions": 1, "parallelism": 1}), _pods(*phases))


@pytest.mark.parametrize("phases", [[], ["Pending"], ["Running"], ["Failed"], ["Failed", "Running"], ["Unknown"]])
def test_a_job_of_which_no_pod_has_ended_well_has_its_work_before_it(phases: list[str]) -> None:
    assert not has_done_its_work(_job(), _pods(*phases))


@pytest.mark.parametrize("spec", [{"completions": 2}, {"parallelism": 2}, {"completions": 0}, {"parallelism": 0}])
def test_one_pod_says_nothing_of_a_job_that_asks_for_another_number(spec: dict[str, int]) -> None:
    assert not has_done_its_work(_job(spec), _pods("Succeeded"))


@pytest.mark.parametrize("kind", ["Failed", "FailureTarget"])
def test_a_job_that_its_controller_calls_failed_is_that_whatever_became_of_its_pods(kind: str) -> None:
    failure = {"type": kind, "status": "True", "reason": "DeadlineExceeded", "message": "it took too long"}
    assert not has_done_its_work(_job({}, failure), _pods("Succeeded"))


def test_a_job_that_is_being_deleted_has_not_done_its_work() -> None:
    job = _job()
    job["metadata"]["deletionTimestamp"] = "2026-11-23T14:10:00Z"
    assert not has_done_its_work(job, _pods("Succeeded"))
