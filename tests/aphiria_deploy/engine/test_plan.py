"""What a deploy will do, by what is wanted, what is there, and what the server says; each case says every step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aphiria_deploy.engine.applyset import Parent, Pruning
from aphiria_deploy.engine.former_owners import LeftBehind
from aphiria_deploy.engine.plan import Action, Circumstances, Live, Plan, PlannedWave, Step, counts, plan, to_be_tried
from aphiria_deploy.engine.wanted import Wanted
from aphiria_deploy.engine.waves import Wave
from aphiria_deploy.errors import (
    AphiriaDeployError,
    Cause,
    ConflictError,
    FieldConflict,
    ForbiddenError,
    InvalidError,
    UnknownKindError,
)
from aphiria_deploy.kube import Outcome
from aphiria_deploy.objects import GroupKind, ObjectKey
from aphiria_deploy.secrets import MadeSecret, SecretRef
from tests.aphiria_deploy.cases import cases

Case = dict[str, Any]

PARENT = Parent(name="applyset.pr-7", namespace="aphiria-deploy")
USUAL: Case = {"action": "nothing", "why": "", "changes": [], "force": False, "adopts": False, "done_once": ""}


def _wanted(case: Case) -> Wanted:
    made = {
        ObjectKey.of(item): MadeSecret(SecretRef(item["metadata"]["namespace"], item["metadata"]["name"]), 1, (), item)
        for item in case["wanted"]
        if str(ObjectKey.of(item)) in case.get("secrets", ())
    }
    return Wanted((Wave("all", tuple(case["wanted"])),), made)


def _live(case: Case) -> Live:
    objects = {ObjectKey.of(item): item for item in case.get("live", ())}
    uids = {_key(name): uid for name, uid in case.get("uids", {}).items()}
    beside = case.get("beside", {"records": [], "objects": []})
    left = LeftBehind(tuple(beside["records"]), tuple((item, why) for item, why in beside["objects"]))
    return Live(objects, frozenset(case.get("namespaces", ["shop"])), uids, left)


def _key(name: str) -> ObjectKey:
    kind, _, place = name.partition(" ")
    namespace, slash, own = place.rpartition("/")
    return ObjectKey(GroupKind("", kind), namespace if slash else "", own)


def _circumstances(case: Case) -> Circumstances:
    given = case.get("circumstances", {})
    recorded = frozenset(given.get("jobs_recorded", ()))
    return Circumstances(
        **{"environment": "pr-7", "site": "shop.example", "set_id": "SET"} | given | {"jobs_recorded": recorded}
    )


def _outcome(said: Mapping[str, Any]) -> Outcome[Any]:
    error: AphiriaDeployError
    if "conflicts" in said:
        error = ConflictError("conflict", conflicts=[FieldConflict(*pair) for pair in said["conflicts"]])
    elif "immutable" in said:
        causes = [Cause(field, "FieldValueInvalid", "field is immutable") for field in said["immutable"]]
        error = InvalidError("invalid", status=422, causes=causes)
    elif "forbidden" in said:
        error = ForbiddenError(said["forbidden"], status=403)
    elif "unknown" in said:
        error = UnknownKindError(said["unknown"])
    else:
        return Outcome(dict(said))
    return Outcome(error=error)


def _planned(case: Case) -> Plan:
    wanted, live, circumstances = _wanted(case), _live(case), _circumstances(case)
    asked = [str(ObjectKey.of(item)) for item in to_be_tried(wanted, live, circumstances)]
    assert asked == case.get("asked", list(case["tried"])), "what the server is asked"
    tried = {
        ObjectKey.of(item): _outcome(case["tried"][str(ObjectKey.of(item))])
        for item in case["wanted"]
        if str(ObjectKey.of(item)) in asked
    }
    return plan(wanted, live, tried, PARENT, circumstances)


def _told(step: Step) -> Case:
    return {
        "action": step.action.value,
        "why": step.why,
        "changes": [str(change) for change in step.changes],
        "force": step.force,
        "adopts": step.adopts,
        "done_once": step.done_once,
    }


CASES = cases("plan")
PLANNED = [case for case in CASES if "refused" not in case.values[0]]
REFUSED = [case for case in CASES if "refused" in case.values[0]]


@pytest.mark.parametrize("case", PLANNED)
def test_every_object_gets_its_step(case: Case) -> None:
    planned = _planned(case)
    steps = {str(step.key): step for step in planned.steps}
    expected = {
        name: {key: value for key, value in said.items() if key != "awaited"} for name, said in case["steps"].items()
    }
    assert {name: _told(step) for name, step in steps.items()} == {
        name: USUAL | said for name, said in expected.items()
    }
    assert {name: steps[name].awaited for name in steps} == {
        name: said.get("awaited", True) for name, said in case["steps"].items()
    }
    assert [str(ObjectKey.of(item)) for item in planned.prune.delete] == case.get("delete", [])
    assert {str(ObjectKey.of(item)): why for item, why in planned.prune.kept} == case.get("kept", {})
    writes = {said["action"] for said in case["steps"].values()} != {"nothing"}
    assert planned.changes_objects == (writes or bool(case.get("delete")))


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_with_the_reason(case: Case) -> None:
    with pytest.raises(AphiriaDeployError, match=case["refused"]) as caught:
        _planned(case)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("case", PLANNED)
def test_planning_changes_nothing_that_it_is_given(case: Case) -> None:
    before = copy.deepcopy(case)
    _planned(case)
    assert case == before


@pytest.mark.parametrize("case", [case for case in PLANNED if "Secret shop/s" in case.values[0]["steps"]])
def test_no_value_of_a_secret_is_in_a_plan_that_is_shown(case: Case) -> None:
    planned = _planned(case)
    told = repr(planned) + repr(planned.fingerprint())
    values = {value for item in (*case["wanted"], *case.get("live", ())) for value in item["data"].values()}
    assert values
    assert not [value for value in values if value in told]


@pytest.mark.parametrize("case", PLANNED)
def test_the_same_plan_has_the_same_fingerprint_and_another_one_another(case: Case) -> None:
    planned = _planned(case)
    assert planned.fingerprint() == _planned(copy.deepcopy(case)).fingerprint()
    one_more = PlannedWave("more", (Step(ObjectKey(GroupKind("", "ConfigMap"), "shop", "more"), Action.CREATE, {}),))
    assert planned.fingerprint() != replace(planned, waves=(*planned.waves, one_more)).fingerprint()
    fewer = replace(planned, waves=(), prune=Pruning(delete=(), kept=()))
    assert planned.fingerprint() != fewer.fingerprint()


def test_a_plan_is_counted() -> None:
    by_name = {case.id: case.values[0] for case in PLANNED}
    assert counts(_planned(by_name["absent"])) == {"created": 1, "updated": 0, "deleted": 0, "unchanged": 0}
    assert counts(_planned(by_name["job-always-complete"]))["updated"] == 1
    assert counts(_planned(by_name["what-is-no-longer-wanted"])) == {
        "created": 0,
        "updated": 0,
        "deleted": 3,
        "unchanged": 1,
    }


def test_the_parent_becomes_that_of_exactly_what_is_wanted() -> None:
    case = next(case.values[0] for case in PLANNED if case.id == "what-is-no-longer-wanted")
    planned = _planned(case)
    assert planned.target == PARENT.holding(case["wanted"])
    assert planned.changes_state
    assert planned.changes_objects
