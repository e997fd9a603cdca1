"""Departures from the last release, by objects as the server gives them; each case says every one."""

from __future__ import annotations

import base64
import copy
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.engine.drift import Departure, drift
from aphiria_deploy.engine.ownership import ownership
from aphiria_deploy.objects import ObjectKey
from tests.aphiria_deploy.cases import cases

Case = dict[str, Any]

CASES = cases("drift")


def departures(case: Case) -> list[Departure]:
    return drift(case["wanted"], {ObjectKey.of(item): item for item in case["live"]})


@pytest.mark.parametrize("case", CASES)
def test_every_departure_is_found_and_nothing_else(case: Case) -> None:
    found = [
        {
            "object": str(one.key),
            "path": one.path,
            "wanted": one.wanted,
            "found": one.found,
            "owner": one.owner,
            "since": f"{one.since:%Y-%m-%dT%H:%M:%SZ}" if one.since else None,
        }
        for one in departures(case)
    ]
    assert found == case["expected"]


@pytest.mark.parametrize("case", CASES)
def test_neither_what_is_wanted_nor_what_is_there_is_changed(case: Case) -> None:
    before = copy.deepcopy(case)
    departures(case)
    assert case == before


@pytest.mark.parametrize("case", CASES)
def test_an_object_never_departs_from_itself(case: Case) -> None:
    alive = [item for item in case["live"] if "deletionTimestamp" not in item["metadata"]]
    assert drift(alive, {ObjectKey.of(item): item for item in alive}) == []


@pytest.mark.parametrize("case", [case for case in CASES if str(case.id).startswith("secret")])
def test_no_value_of_a_secret_is_told(case: Case) -> None:
    found = departures(case)
    told = repr(found) + "".join(map(str, found))
    values = [value for item in (*case["wanted"], *case["live"]) for value in item.get("data", {}).values()]
    values += [base64.b64decode(value).decode() for value in values]
    values += [value for item in case["wanted"] for value in item.get("stringData", {}).values()]
    assert found
    assert not [value for value in values if value in told]


def test_a_departure_is_told_in_a_line() -> None:
    case = next(case.values[0] for case in CASES if case.id == "image")
    assert [str(one) for one in departures(case)] == [
        "Deployment preview-pr-7/api spec.template.spec.containers[name=php].image: found ghcr.io/a/php:latest, "
        "expected ghcr.io/a/php@sha256:1 (of kubectl-edit since 2026-11-26 08:30:00 UTC)"
    ]
    missing = next(case.values[0] for case in CASES if case.id == "missing")
    assert [str(one) for one in departures(missing)] == [
        "Deployment preview-pr-7/api: found nothing, expected the object"
    ]
    long = Departure(departures(missing)[0].key, "spec", {"a": "x" * 5000 + "\n"}, None)
    assert len(str(long)) < 600
    assert str(long).isprintable()


_SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "1", "1000m"])
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "env", "ports", "limits", "selector", "a/b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def config(spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "x.test/v1", "kind": "Thing", "metadata": {"name": "a", **metadata}, "spec": spec}


@given(_JSON)
def test_whatever_is_wanted_does_not_depart_from_itself(spec: Any) -> None:
    item = config(spec)
    assert drift([item], {ObjectKey.of(item): item}) == []


@given(_JSON, _JSON)
def test_whatever_is_there_every_departure_can_be_told(wanted: Any, found: Any) -> None:
    item = config(wanted)
    for one in drift([item], {ObjectKey.of(item): config(found)}):
        assert str(one).isprintable()
        assert one.path.startswith("spec")


@given(_JSON)
def test_managed_fields_however_broken_break_nothing(fields: Any) -> None:
    keyed = json.loads(json.dumps(fields).replace('"name"', '"f:spec"').replace('"ports"', '"k:{"'))
    entries = [{"manager": "m", "fieldsV1": keyed}, {"manager": 1, "time": "never", "fieldsV1": None}, None]
    item = config({"a": 1}, managedFields=entries)
    assert drift([config({"a": 2})], {ObjectKey.of(item): item})


def test_what_the_status_is_written_by_does_not_own_the_rest() -> None:
    entries = [
        {"manager": "nginx-gateway", "subresource": "status", "fieldsV1": {"f:status": {"f:a": {}}}},
        {"manager": "kubectl", "subresource": "scale", "time": "2026-11-26T08:30:00Z", "fieldsV1": {"f:spec": {}}},
    ]
    owned = ownership({"metadata": {"managedFields": entries}})
    assert not owned.below("status").is_known
    owner = owned.below("spec").owner
    assert owner is not None
    assert (owner.manager, owner.since) == ("kubectl", datetime.fromisoformat("2026-11-26T08:30:00+00:00"))
