"""What is read of engine events, and what a run comes to."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation.events import EngineEvent

from aphiria_deploy.stacks import Diagnostic, Digest, Event, Recorder, Step
from aphiria_deploy.stacks import events as reading
from tests.aphiria_deploy.stacks import shapes

URN = "urn:pulumi:dev::tiny::"


def step(op: str, name: str = "one", kind: str = "resOutputsEvent", **more: Any) -> dict[str, Any]:
    """An event about a resource."""
    planning = {"planning": True} if more.pop("planning", False) else {}
    type_ = more.pop("type", "kinds:index:Kind")
    urn = f"{URN}{more.pop('parents', '')}{type_}::{name}"
    state = {"type": type_, "urn": urn, "id": "", "parent": "", "provider": "", "inputs": {}, "outputs": {}}
    old, new = {**state, **more.pop("old", {})}, None if op.startswith("delete") else state
    metadata = {"op": op, "urn": urn, "type": type_, "old": old, "new": new, "detailedDiff": None, "provider": ""}
    failed = {"status": 2, "steps": 0} if kind == "resOpFailedEvent" else {}
    event = {"sequence": 0, "timestamp": 0, kind: {"metadata": {**metadata, **more}, **planning, **failed}}
    assert shapes.faults(event) == []
    return event


def said(kind: str, **fields: Any) -> dict[str, Any]:
    """An event that says something."""
    event = {"sequence": 0, "timestamp": 0, kind: fields}
    assert shapes.faults(event) == []
    return event


def read(*found: dict[str, Any]) -> list[Event]:
    return [each for event in found for each in reading.read(EngineEvent.from_json(event), lambda text: text)]


def digest(*found: dict[str, Any], told: list[Event] | None = None) -> Digest:
    recorder = Recorder((told if told is not None else []).append)
    for event in read(*found):
        recorder(event)
    return recorder.digest("dev", "up", 1.0, 1)


BEFORE = [
    step("delete-replaced"),
    step("replace", diffs=["size"], logical=True),
    step("create-replacement", diffs=["size"]),
]
AFTER = [
    step("create-replacement", diffs=["size"]),
    step("replace", diffs=["size"], logical=True),
    step("delete-replaced", old={"delete": True}),
]


@pytest.mark.parametrize("order", [BEFORE, AFTER], ids=["deleted before", "deleted after"])
def test_a_replacement_is_one_change_with_what_it_is_for(order: list[dict[str, Any]]) -> None:
    found = digest(*order)
    assert found.changes == {"replace": 1}
    assert [(each.op, each.fields, each.state) for each in found.steps] == [("replace", ("size",), "done")]


def test_a_replacement_of_which_a_part_failed_has_failed() -> None:
    failed = step("create-replacement", kind="resOpFailedEvent")
    assert digest(step("replace"), failed, step("delete-replaced")).steps[0].state == "failed"


def test_resources_of_one_name_below_different_parents_are_two() -> None:
    found = digest(step("create", parents="a:index:A$"), step("update", parents="b:index:B$"))
    assert found.changes == {"create": 1, "update": 1}


def test_what_an_earlier_run_left_to_delete_is_no_change_of_the_resource() -> None:
    found = digest(step("same"), step("delete", old={"delete": True}))
    assert found.changes == {"same": 1}
    assert found.changed
    assert [(each.op, each.left) for each in found.steps] == [("delete", True)]


def test_a_planned_refresh_comes_to_what_it_says_at_its_end() -> None:
    begun = step("refresh", kind="resourcePreEvent", planning=True)
    assert digest(begun, step("update", planning=True)).changes == {"update": 1}
    assert not digest(begun, step("same", planning=True)).changed


@pytest.mark.parametrize("op", ["same", "read", "refresh", "discard", "read-replacement", "remove-pending-replace"])
def test_what_only_pulumi_remembers_is_no_change(op: str) -> None:
    found = digest(step(op))
    assert not found.changed
    assert found.changes == {"same": 1}


def test_every_operation_that_the_engine_has_can_be_read() -> None:
    operations = shapes.values("OpType")
    assert [each.op for each in read(*map(step, operations)) if isinstance(each, Step)] == list(operations)


def test_what_is_planned_is_told_once() -> None:
    told: list[Event] = []
    digest(step("create", kind="resourcePreEvent", planning=True), step("create", planning=True), told=told)
    assert [str(each) for each in told] == ["create Kind one: planned"]


def test_the_stack_and_its_providers_are_no_resources_of_anybody() -> None:
    found = digest(
        step("create", type="pulumi:pulumi:Stack"),
        step("create", type="pulumi:providers:pulumi", name="default"),
        step("update", type="pulumi:providers:kubernetes", name="cluster"),
    )
    assert (found.changed, found.changes, found.credentials) == (False, {}, True)


def test_a_name_may_have_colons() -> None:
    [found] = read(step("create", name="a::b"))
    assert isinstance(found, Step)
    assert found.name == "a::b"


def test_colours_and_what_is_not_for_users_are_left_out() -> None:
    message = "<{%reset%}>it <{%fg 1%}>broke<{%reset%}>\n"
    assert read(
        said("diagnosticEvent", message=message, color="raw", severity="info#err", urn=f"{URN}k:i:K::one"),
        said("diagnosticEvent", message=message, color="raw", severity="debug"),
        said("diagnosticEvent", message=message, color="raw", severity="info", ephemeral=True),
        said("diagnosticEvent", message="<{%reset%}>\n", color="raw", severity="error"),
        said("stdoutEvent", message="^C received", color="never"),
        said("progressEvent", type="plugin-download", id="p", message="m", received=1, total=2, done=False),
        said("errorEvent", error="internal"),
        said("startDebuggingEvent"),
        said("policyLoadEvent"),
        said("preludeEvent", config={}),
        said("cancelEvent"),
    ) == [Diagnostic("info", "it broke", "one")]


@pytest.mark.parametrize(("level", "severity"), [("mandatory", "error"), ("advisory", "warning")])
def test_what_a_policy_says_is_told(level: str, severity: str) -> None:
    names = {"policyName": "no-public", "policyPackName": "p", "policyPackVersion": "1", "policyPackVersionTag": "1"}
    told = said("policyEvent", message="no.", color="raw", enforcementLevel=level, **names)
    assert read(told) == [Diagnostic(severity, "policy no-public: no.")]
