"""What an apply changes, field by field."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.engine.changes import field_changes


def _object(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}} | parts


def _container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 2}, ["spec.a: 1 → 2"]),
        ({"a": 1}, {}, ["spec.a: 1 → nothing"]),
        ({}, {"a": "x"}, ["spec.a: nothing → x"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [2, 1]}}, ["spec.a.b: [1, 2] → [2, 1]"]),
        ({"a": {"b": 1}}, {"a": "x"}, ['spec.a: {"b": 1} → x']),
        ({"a": None}, {}, ["spec.a: nothing → nothing"]),
        ({"a": "ü\n"}, {"a": True}, ["spec.a: ü\n → true"]),
        ({"b": {"c.d/e": 1}}, {"b": {"c.d/e": 2}}, ["spec.b[c.d/e]: 1 → 2"]),
        # Lists whose entries have a name are told by it.
        (
            {"c": [_container("php", image="1"), _container("nginx", image="1")]},
            {"c": [_container("php", image="2"), _container("nginx", image="1")]},
            ["spec.c[php].image: 1 → 2"],
        ),
        ({"c": [_container("a")]}, {"c": [_container("a"), _container("b")]}, ['spec.c[b]: nothing → {"name": "b"}']),
        (
            {"c": [_container("a"), _container("b")]},
            {"c": [_container("b"), _container("a")]},
            ['spec.c (order): ["a", "b"] → ["b", "a"]'],
        ),
        (
            {"p": [{"containerPort": 80}]},
            {"p": [{"containerPort": 81}]},
            [
                'spec.p[80]: {"containerPort": 80} → nothing',
                'spec.p[81]: nothing → {"containerPort": 81}',
            ],
        ),
        # Two of one name, or entries without: as a whole.
        (
            {"c": [_container("a"), _container("a")]},
            {"c": [_container("a")]},
            ['spec.c: [{"name": "a"}, {"name": "a"}] → [{"name": "a"}]'],
        ),
        ({"c": [{"x": 1}]}, {"c": []}, ['spec.c: [{"x": 1}] → []']),
    ],
)
def test_each_field_that_differs_is_told_once(before: Any, after: Any, expected: list[str]) -> None:
    assert [str(one) for one in field_changes(_object(spec=before), _object(spec=after))] == expected


def test_what_the_server_writes_is_no_change() -> None:
    before, after = (
        _object(
            metadata={
                "name": "a",
                "resourceVersion": version,
                "generation": version,
                "uid": version,
                "creationTimestamp": version,
                "managedFields": [version],
            },
            status=version,
        )
        for version in "12"
    )
    assert field_changes(before, after) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"k": "djE="}, {"k": "djI="}, ["data.k: *** (before) → *** (after)"]),
        ({"k": "djE="}, {}, ["data.k: *** (before) → nothing"]),
        ({}, {"k": "djI="}, ["data.k: nothing → *** (after)"]),
        ({"k": "djE="}, {"k": "djE="}, []),
    ],
)
def test_values_of_secrets_are_masked(before: dict[str, str], after: dict[str, str], expected: list[str]) -> None:
    secret = _object(kind="Secret")
    changes = field_changes(secret | {"data": before}, secret | {"data": after})
    assert list(map(str, changes)) == expected
    assert "dj" not in repr(changes)


def test_nothing_else_is_masked() -> None:
    (change,) = field_changes(_object(kind="ConfigMap", data={"k": "1"}), _object(kind="ConfigMap", data={"k": "2"}))
    assert str(change) == "data.k: 1 → 2"
    (change,) = field_changes(_object(kind="Secret", type="a"), _object(kind="Secret", type="b"))
    assert str(change) == "type: a → b"


def test_a_secret_that_comes_or_goes_as_a_whole_is_masked_too() -> None:
    secret = _object(kind="Secret")
    (change,) = field_changes(secret, secret | {"data": {"k": "djI="}})
    assert str(change) == "data: nothing → *** (after)"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcname"), inner, max_size=3),
    max_leaves=12,
)


@given(json, json)
def test_two_objects_differ_exactly_where_something_is_told(before: Any, after: Any) -> None:
    one, other = _object(spec=before), _object(spec=after)
    kept = copy.deepcopy((one, other))
    assert bool(field_changes(one, other)) == (before != after)
    assert (one, other) == kept
    assert len({change.path for change in field_changes(one, other)}) == len(field_changes(one, other))
