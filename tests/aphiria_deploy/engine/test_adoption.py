"""The patch by which the server is asked what becomes of an object that is taken over."""

from __future__ import annotations

from typing import Any

import pytest

from aphiria_deploy.engine.adoption import change


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


@pytest.mark.parametrize(
    ("live", "becomes", "expected"),
    [
        pytest.param({"spec": {"a": 1}}, {"spec": {"b": 1}}, [_add("/spec", {"b": 1})], id="replaced"),
        pytest.param({}, {"data": {}}, [_add("/data", {})], id="new"),
        pytest.param({"data": {"a": 1}}, {}, [{"op": "remove", "path": "/data"}], id="gone"),
        pytest.param({"status": {"a": 1}}, {"status": {"a": 2}}, [], id="the-status-is-a-controller-s"),
        pytest.param(
            {"metadata": {"labels": {"a": "1"}, "resourceVersion": "1"}},
            {"metadata": {"annotations": {"b": "1"}, "uid": "2"}},
            [_add("/metadata/annotations", {"b": "1"}), {"op": "remove", "path": "/metadata/labels"}],
            id="of-the-metadata-what-is-asked-for",
        ),
    ],
)
def test_it_changes_what_is_asked_for_and_is_never_late(live: Any, becomes: Any, expected: Any) -> None:
    head = {"apiVersion": "v1", "kind": "Thing", "metadata": {}}
    assert change(head | live, head | becomes) == expected
