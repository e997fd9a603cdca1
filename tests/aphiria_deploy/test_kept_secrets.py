"""The Secrets of a rollback: those that are there, as they are."""

from __future__ import annotations

from typing import Any

import pytest

from aphiria_deploy.bundle import Generated, SecretSpec
from aphiria_deploy.engine.deploying import kept_secrets
from aphiria_deploy.engine.refusals import PlanError
from aphiria_deploy.errors import CombinedError
from aphiria_deploy.secrets import VERSION


def _spec(name: str, **labels: str) -> SecretSpec:
    return SecretSpec(namespace="shop", name=name, keys={"p": Generated()}, labels=labels)


def _live(name: str, version: str | None, **labels: str) -> dict[str, Any]:
    annotations = {"other": "x"} | ({} if version is None else {VERSION: version})
    metadata = {"namespace": "shop", "name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"p": "MQ=="}}


def test_they_stay_what_they_are_with_what_is_ours_of_their_metadata() -> None:
    (kept,) = kept_secrets([_spec("a", team="x")], [_live("a", "7", team="y", more="z")])
    assert (kept.version, kept.changed) == (7, ())
    assert kept.manifest == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "shop", "name": "a", "labels": {"team": "y"}, "annotations": {VERSION: "7"}},
        "type": "Opaque",
        "data": {"p": "MQ=="},
    }
    assert "MQ==" not in repr(kept)


@pytest.mark.parametrize("version", [None, ""])
def test_one_without_a_version_has_none(version: str | None) -> None:
    (kept,) = kept_secrets([_spec("a")], [_live("a", version)])
    assert kept.version == 0


def test_all_that_are_missing_are_told_at_once() -> None:
    with pytest.raises(PlanError, match="Secret shop/a: found none, expected the one that the release used"):
        kept_secrets([_spec("a"), _spec("b")], [_live("b", "1")])
    with pytest.raises(CombinedError, match=r"(?s)shop/a.*shop/b"):
        kept_secrets([_spec("a"), _spec("b")], [])
