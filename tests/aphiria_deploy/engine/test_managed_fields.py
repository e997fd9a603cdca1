"""Whose fields are whose, and what becomes of those that a person's commands left behind."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from aphiria_deploy.engine.managed_fields import (
    adopted,
    as_adopted,
    by_hand,
    comparable,
    is_applied_with_kubectl,
    managers,
    owned_fields,
)

OURS = "aphiria-deploy"


def _entry(manager: str, fields: Any, operation: str = "Apply", **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1"} | {
        "fieldsV1": fields,
        **more,
    }


def _item(*entries: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a", "managedFields": list(entries)}, **parts}


def _data(*names: str) -> dict[str, Any]:
    return {"f:data": {f"f:{name}": {} for name in names}}


def test_ours_is_what_was_applied_under_our_name_and_no_status() -> None:
    mine = _entry(OURS, _data("a"))
    assert owned_fields(_item(_entry("x", {}), mine)) == _data("a")
    assert owned_fields(_item(_entry(OURS, {}, "Update"), _entry(OURS, {}, subresource="status"))) is None
    assert owned_fields({"metadata": {}}) is None


@pytest.mark.parametrize(
    ("entry", "applied"),
    [
        (_entry("kubectl", {}), True),
        (_entry("kubectl-client-side-apply", {}, "Update"), True),
        (_entry("kubectl-create", {}, "Update"), True),
        (_entry("kubectl-edit", {}, "Update"), False),
        (_entry("kubectl", {}, "Update"), False),
        (_entry("kubectl", {}, subresource="status"), False),
        (_entry("helm", {}), False),
    ],
)
def test_what_kubectl_made_is_told_from_what_it_edited(entry: Any, applied: bool) -> None:
    assert is_applied_with_kubectl(_item(entry, _entry("kube-controller-manager", {}, "Update"))) == applied


def test_what_a_person_does_is_told_by_the_name_of_the_command() -> None:
    item = _item(
        _entry("kubectl-edit", {}, "Update"),
        _entry("before-first-apply", {}, "Update"),
        _entry("kube-controller-manager", {}, "Update"),
        _entry("kubectl-patch", {}, "Update", subresource="status"),
        _entry("my-kubectl", {}),
    )
    assert by_hand(item) == {"kubectl-edit", "before-first-apply"}
    assert managers(item) == by_hand(item) | {"kube-controller-manager", "my-kubectl"}


_OF_A_RELEASE: dict[str, Any] = {"f:metadata": {"f:annotations": {"f:meta.helm.sh/release-name": {}}}}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], None),
        ([_entry(OURS, _data("a"))], None),
        ([_entry("argocd", _data("a"))], None),
        ([_entry("kubectl", _data("a"), "Update", subresource="status")], None),
        ([_entry("kubectl", _data("a"))], [_entry(OURS, _data("a"))]),
        (
            [_entry("kubectl-client-side-apply", _data("a"), "Update", time="t"), _entry("argocd", _data("b"))],
            [_entry(OURS, _data("a"), time="t"), _entry("argocd", _data("b"))],
        ),
        ([_entry("helm", _data("a"), "Update")], [_entry(OURS, _data("a"))]),
        ([_entry("argocd-controller", _data("a"), "Update")], [_entry(OURS, _data("a"))]),
        # What has Helm within is told by what it owns.
        ([_entry("terraform-provider-helm", _OF_A_RELEASE)], [_entry(OURS, _OF_A_RELEASE)]),
        ([_entry("terraform", _data("a"))], None),
        (
            [_entry(OURS, _data("a")), _entry("kubectl-edit", {"f:spec": {}} | _data("b"), "Update")],
            [_entry(OURS, _data("a", "b") | {"f:spec": {}})],
        ),
    ],
)
def test_the_records_of_former_owners_become_ours(entries: Any, expected: Any) -> None:
    before = copy.deepcopy(entries)
    assert adopted(entries) == expected
    assert entries == before


_ENV: dict[str, Any] = {"f:spec": {"f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}}}
_PORTS: dict[str, Any] = {
    "f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}}}
}
_SET: dict[str, Any] = {"f:spec": {"f:finalizers": {'v:"x"': {}}}}


@pytest.mark.parametrize(
    ("former", "others", "before", "asked", "after"),
    [
        pytest.param(
            _data("a", "b"), {}, {"data": {"a": 1, "b": 1}}, {"data": {"a": 2}}, {"data": {"a": 2}}, id="dropped"
        ),
        pytest.param(_data("a"), _data("a"), {"data": {"a": 1}}, {}, {"data": {"a": 1}}, id="somebody-else-s-too"),
        pytest.param({}, _data("a"), {"data": {"a": 1}}, {}, {"data": {"a": 1}}, id="somebody-else-s-alone"),
        pytest.param({}, _data("a"), {"data": {"a": 1}}, {"data": {"a": 2}}, {"data": {"a": 2}}, id="forced"),
        pytest.param({"f:data": {".": {}, "f:a": {}}}, {}, {"data": {"a": 1}}, {}, {}, id="as-a-whole"),
        pytest.param({"f:data": {"f:a": {}}}, {}, {"data": {"a": 1}}, {}, {"data": {}}, id="what-is-in-it-alone"),
        pytest.param(
            {"f:data": {".": {}, "f:a": {}}},
            {},
            {"data": {"a": 1, "b": 1}},
            {"data": {"b": 1}},
            {"data": {"b": 1}},
            id="nobody-s-and-asked-for",
        ),
        pytest.param(
            _data("a"), {"f:sel": {}}, {"sel": {"x": 1}}, {"sel": {"y": 1}}, {"sel": {"y": 1}}, id="replaced-as-a-whole"
        ),
        pytest.param(
            _ENV,
            {},
            {"spec": {"env": [{"name": "A", "value": "1"}, {"name": "B"}]}},
            {},
            {"spec": {"env": [{"name": "B"}]}},
            id="an-entry-of-a-list",
        ),
        pytest.param(
            _ENV,
            {},
            {"spec": {"env": [{"name": "A", "value": "1"}]}},
            {"spec": {"env": [{"name": "A", "valueFrom": {}}]}},
            {"spec": {"env": [{"name": "A", "valueFrom": {}}]}},
            id="what-does-not-go-together",
        ),
        pytest.param(
            {},
            _ENV,
            {"spec": {"env": [{"name": "A", "value": "1"}, {"name": "B"}]}},
            {"spec": {"env": [{"name": "C"}, {"name": "A", "more": 1}]}},
            {"spec": {"env": [{"name": "C"}, {"name": "A", "value": "1", "more": 1}, {"name": "B"}]}},
            id="merged-by-keys",
        ),
        pytest.param(
            {},
            _PORTS,
            {"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "a"}]}},
            {"spec": {"ports": [{"port": 80, "targetPort": 1}, {"port": 80, "protocol": "UDP"}]}},
            {
                "spec": {
                    "ports": [
                        {"port": 80, "protocol": "TCP", "name": "a", "targetPort": 1},
                        {"port": 80, "protocol": "UDP"},
                    ]
                }
            },
            id="a-key-that-goes-without-saying",
        ),
        pytest.param(
            _SET,
            {},
            {"spec": {"finalizers": ["x", "y"]}},
            {},
            {"spec": {"finalizers": ["y"]}},
            id="a-value-of-a-set",
        ),
        pytest.param(
            {},
            _SET,
            {"spec": {"finalizers": ["x"]}},
            {"spec": {"finalizers": ["z"]}},
            {"spec": {"finalizers": ["z", "x"]}},
            id="merged-as-a-set",
        ),
        pytest.param({"f:spec": {}}, {}, {"data": {"a": 1}}, {}, {"data": {"a": 1}}, id="what-is-not-there"),
    ],
)
def test_what_former_owners_left_and_nobody_asks_for_goes(
    former: Any, others: Any, before: Any, asked: Any, after: Any
) -> None:
    manifest = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, **asked}
    expected = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, **after}
    for by in ("kubectl", "helm", "kustomize-controller"):
        live = _item(_entry(by, former), _entry("operator", others), **before)
        unchanged = copy.deepcopy((live, manifest))
        assert as_adopted(live, manifest) == expected
        assert (live, manifest) == unchanged


def test_what_is_not_asked_for_and_was_not_ours_is_left_out_of_a_comparison() -> None:
    live = _item(_entry(OURS, _data("a", "b") | {"f:metadata": {"f:labels": {"f:was": {}}}}), type="Opaque")
    live["metadata"] |= {"labels": {"was": "1", "theirs": "1", "is": "1"}, "annotations": {"theirs": "1"}}
    live |= {"data": {"a": "1", "b": "1", "theirs": "1"}, "immutable": False}
    manifest = _item(type="Opaque", data={"a": "1"})
    manifest["metadata"] = {"name": "a", "labels": {"is": "1"}}
    assert comparable(live, manifest) == {
        "apiVersion": "v1",
        "kind": "Thing",
        "type": "Opaque",
        "metadata": {"name": "a", "labels": {"was": "1", "is": "1"}},
        "data": {"a": "1", "b": "1"},
    }


def test_what_has_neither_labels_nor_annotations_is_compared_without() -> None:
    item = _item(data={}, type="Opaque")
    manifest = item | {"metadata": {"name": "a"}}
    assert comparable(item, manifest) == manifest
    asked = item | {"metadata": {"name": "a", "labels": {"is": "1"}}}
    assert comparable(item, asked)["metadata"] == {"name": "a", "labels": {}}
