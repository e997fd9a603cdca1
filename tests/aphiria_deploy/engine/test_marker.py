"""Whether this is the cluster that was meant."""

from __future__ import annotations

import re

import pytest

from aphiria_deploy.engine.marker import Marker, WrongClusterError, require

HERE = "uid-of-this-one"


def _require(found: Marker | None, stack: str | None) -> Marker | None:
    return require(found, HERE, site="shop.example", stack=stack, where="context 'x' (https://x)")


@pytest.mark.parametrize(
    ("found", "stack"),
    [
        (Marker("shop.example", "preview-base", HERE), "preview-base"),
        (Marker("shop.example", "production", HERE), "production"),
        (Marker("shop.example", "local", HERE), None),
    ],
)
def test_the_cluster_of_the_stack_is_the_one(found: Marker, stack: str | None) -> None:
    assert _require(found, stack) is None


def test_a_cluster_of_the_user_s_own_is_marked_by_its_first_deploy() -> None:
    marker = _require(None, None)
    assert marker == Marker("shop.example", "local", HERE)
    namespace, config = marker.manifests()
    assert namespace["metadata"]["name"] == config["metadata"]["namespace"] == "aphiria-deploy"
    assert config["data"] == {"site": "shop.example", "stack": "local", "kube-system-uid": HERE}


@pytest.mark.parametrize(
    ("found", "stack", "says"),
    [
        (None, "preview-base", "found none, expected the marker of shop.example's stack preview-base"),
        (
            Marker("shop.example", "production", HERE),
            "preview-base",
            "found the cluster of shop.example's stack production",
        ),
        (Marker("shop.example", "preview-base", HERE), None, "expected that of shop.example's stack local"),
        (Marker("other.example", "preview-base", HERE), "preview-base", "found the cluster of other.example's stack"),
        (Marker("shop.example", "preview-base", "another"), "preview-base", f"found another, expected {HERE}"),
        (Marker("", "", ""), "preview-base", "found the cluster of 's stack "),
    ],
)
def test_any_other_cluster_is_refused_and_named(found: Marker | None, stack: str | None, says: str) -> None:
    with pytest.raises(WrongClusterError, match=re.escape(says)) as caught:
        _require(found, stack)
    assert str(caught.value).startswith("context 'x' (https://x)")
    assert caught.value.exit_code == 2
