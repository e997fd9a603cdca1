"""Diagnosis: what is found in the objects and events that a watch has, and whether it dooms."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.diagnosis import Diagnosis, LogSource, Snapshot, diagnose, overdue, with_logs
from aphiria_deploy.diagnosis.causes import CAUSES, Cause, Source
from tests.aphiria_deploy.cases import cases

Case = dict[str, Any]

CASES = cases("diagnosis")
FOUND = [case for case in CASES if case.values[0]["expected"]]


def _item(case: Case) -> Case:
    kind, name = case["item"].split("/")
    items = [item for item in case["objects"] if item["kind"] == kind and item["metadata"]["name"] == name]
    assert len(items) == 1
    found: Case = items[0]
    return found


def _diagnose(case: Case) -> Diagnosis | None:
    since = datetime.fromisoformat(case["since"]) if "since" in case else None
    return diagnose(_item(case), Snapshot(case["objects"]), datetime.fromisoformat(case["now"]), since)


def _named(source: LogSource) -> str:
    return f"{source.pod}/{source.container}{' previous' if source.previous else ''}"


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_found_and_judged(case: Case) -> None:
    found, expected = _diagnose(case), case["expected"]
    if expected is None:
        assert found is None
        return
    assert found is not None
    if "logs" in case:
        assert set(case["logs"]) == {_named(source) for source in found.logs_wanted}, "only these can be given"
        tails = {source: case["logs"][_named(source)] for source in found.logs_wanted}
        found = with_logs(found, tails, case.get("secrets", ()))
    assert found.doomed == expected["doomed"], found
    assert found.reason == expected["reason"]
    assert expected["message"] in found.message
    assert expected.get("hint", "") in found.hint
    assert "?" not in found.message.replace("/token?", ""), "a fact is missing"
    if "logs_wanted" in expected:
        assert [_named(source) for source in found.logs_wanted] == expected["logs_wanted"]
    if "events" in expected:
        assert len([entry for entry in found.events if entry.type == "Warning"]) == expected["events"]
    for secret in case.get("secrets", ()):
        assert secret not in repr(found)


@pytest.mark.parametrize("case", FOUND)
def test_the_line_names_the_object_and_can_be_shown(case: Case) -> None:
    found, item = _diagnose(case), _item(case)
    assert found is not None
    assert found.kind == item["kind"]
    assert found.object == "/".join(filter(None, (item["metadata"].get("namespace"), item["metadata"]["name"])))
    assert found.message.isprintable()
    assert found.hint.endswith(".")
    assert all(entry.message.isprintable() for entry in found.events)


@pytest.mark.parametrize("case", FOUND)
def test_what_dooms_now_dooms_later_too(case: Case) -> None:
    """Patience runs out, and never begins anew while nothing changes."""
    found = _diagnose(case)
    later = _diagnose(case | {"now": (datetime.fromisoformat(case["now"]) + timedelta(minutes=10)).isoformat()})
    assert found is not None
    assert later is not None
    assert later.doomed >= found.doomed


@pytest.mark.parametrize("case", [case for case in FOUND if "Deployment/" in case.values[0]["item"]])
def test_pods_of_another_owner_say_nothing(case: Case) -> None:
    """A Deployment's own status, and the ReplicaSet of its template, are all that is left without its pods."""
    altered = copy.deepcopy(case)
    for item in altered["objects"]:
        if item["kind"] == "Pod":
            item["metadata"]["ownerReferences"][0]["uid"] = "somebody-else"
    found = _diagnose(altered)
    assert found is None or found.reason in {"FailedCreate", "ProgressDeadlineExceeded"}


@pytest.mark.parametrize("case", [case for case in CASES if case.values[0]["item"].startswith(("Deployment/", "Job/"))])
def test_nothing_is_said_of_an_object_that_is_being_deleted(case: Case) -> None:
    altered = copy.deepcopy(case)
    _item(altered)["metadata"]["deletionTimestamp"] = "2026-11-23T14:10:00Z"
    assert _diagnose(altered) is None


@pytest.mark.parametrize("case", [case for case in CASES if "certificate" not in case.id and "ready" not in case.id])
def test_what_took_too_long_has_a_diagnosis_in_any_case(case: Case) -> None:
    item = _item(case)
    now = datetime.fromisoformat(case["now"])
    found = overdue(item, Snapshot(case["objects"]), now, timedelta(minutes=10))
    assert found.doomed
    assert found.message.startswith("not ready within 600 s: ")
    assert found.hint


def test_the_same_refusal_of_many_pods_is_one_event_with_its_count() -> None:
    case = next(case.values[0] for case in CASES if case.id == "quota-exceeded")
    found = _diagnose(case)
    assert found is not None
    refused = [entry for entry in found.events if entry.reason == "FailedCreate"]
    assert [entry.count for entry in refused] == [sum(o.get("reason") == "FailedCreate" for o in case["objects"])]


def test_events_of_the_newer_api_are_read_too() -> None:
    case = copy.deepcopy(next(case.values[0] for case in CASES if case.id == "volume-of-a-missing-config-map"))
    old = _diagnose(case)
    for item in case["objects"]:
        if item["kind"] == "Event":
            item["apiVersion"] = "events.k8s.io/v1"
            for core, events in {
                "involvedObject": "regarding",
                "message": "note",
                "count": "deprecatedCount",
                "firstTimestamp": "deprecatedFirstTimestamp",
                "lastTimestamp": "deprecatedLastTimestamp",
            }.items():
                item[events] = item.pop(core)
    assert _diagnose(case) == old


def test_every_row_of_the_table_is_the_cause_of_some_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that no case reaches is untested, or stands behind one that takes its signals."""
    used: set[Cause] = set()
    fits = Cause.fits

    def recording(row: Cause, source: Source, reason: str, message: str) -> dict[str, str] | None:
        groups = fits(row, source, reason, message)
        if groups is not None:
            used.add(row)
        return groups

    monkeypatch.setattr(Cause, "fits", recording)
    for case in FOUND:
        _diagnose(case.values[0])
    assert [row.says for row in CAUSES if row not in used] == []


_JUNK = (
    st.none()
    | st.integers(-3, 3)
    | st.text(max_size=4)
    | st.lists(st.none(), max_size=2)
    | st.dictionaries(st.just("a"), st.integers())
)


@given(st.sampled_from([case.values[0] for case in CASES]), st.data())
def test_no_object_however_broken_breaks_the_diagnosis(case: Case, data: st.DataObject) -> None:
    broken = copy.deepcopy(case["objects"])
    name = _item(case)["metadata"]["name"]
    for _ in range(data.draw(st.integers(1, 4))):
        value: Any = data.draw(st.sampled_from(broken))
        while True:
            keys = [*value] if isinstance(value, dict) else [*range(len(value))]
            keys = [key for key in keys if key not in {"kind", "apiVersion"}]
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(value[key], (dict, list)) and value[key] and data.draw(st.integers(0, 3)):
                value = value[key]
            else:
                value[key] = data.draw(_JUNK)
                break
    item = next((entry for entry in broken if isinstance(entry["metadata"], dict)), None)
    now = datetime.fromisoformat(case["now"])
    for entry in filter(None, [item, *(o for o in broken if name in repr(o.get("metadata")))]):
        found = overdue(entry, Snapshot(broken), now, timedelta(seconds=1))
        assert found.message.isprintable()
