"""The accounts of the site's previews may do what its previews need."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from aphiria_deploy.access import objects as account
from aphiria_deploy.engine.releases import ENVIRONMENT, SITE
from aphiria_deploy.kube import Kind
from aphiria_deploy.kube.mapping import KNOWN
from tests.apps.made import bundle, objects
from tests.objects import one


def _rules(kind: str, name: str, namespace: str | None = None) -> list[dict[str, Any]]:
    made = [item for item in objects("preview-base") if item["metadata"].get("namespace") == namespace]
    rules: list[dict[str, Any]] = one(made, kind, name)["rules"]
    return rules


def _allowed(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {right for rule in rules for right in product(rule["apiGroups"], rule["resources"], rule["verbs"])}


def test_every_kind_of_a_preview_may_be_applied_listed_watched_and_deleted() -> None:
    home = _allowed(_rules("ClusterRole", "aphiria-deploy-preview"))
    beside = _allowed(_rules("Role", "aphiria-deploy-previews", "default"))
    everywhere = _allowed(_rules("ClusterRole", "aphiria-deploy-previews"))
    for item in objects("pr-107"):
        kind = Kind.of(item)
        resource = KNOWN[kind.group, kind.name].plural
        rights = (beside if item["metadata"].get("namespace") == "default" else home) | everywhere
        verbs = {"get", "list", "watch", "patch", "delete"} | ({"create"} if kind.name != "Namespace" else set())
        assert {(kind.group, resource, verb) for verb in verbs} <= rights, kind


def test_a_preview_may_apply_its_secrets_and_no_others() -> None:
    named = {
        (namespace, name)
        for namespace, rules in (
            ("preview-pr-107", _rules("ClusterRole", "aphiria-deploy-preview")),
            ("default", next(item["rules"] for item in _account() if item["kind"] == "Role")),
        )
        for rule in rules
        for name in rule.get("resourceNames", ())
        if "secrets" in rule["resources"]
    }
    assert named == {(secret.namespace, secret.name) for secret in bundle("pr-107").secrets}


def _account() -> list[dict[str, Any]]:
    return account(one(objects("preview-base"), "ConfigMap", "account"), 107)


@pytest.mark.parametrize("kind", ["Namespace", "NetworkPolicy"])
def test_what_is_made_with_the_account_is_what_the_preview_has(kind: str) -> None:
    made = one(_account(), kind)
    for label in (ENVIRONMENT, SITE):
        made["metadata"]["labels"].pop(label, None)
    assert made == one(objects("pr-107"), kind)


def test_a_namespace_that_was_only_made_can_be_told_to_be_the_previews() -> None:
    labels = one(_account(), "Namespace")["metadata"]["labels"]
    assert (labels[ENVIRONMENT], labels[SITE]) == ("pr-107", bundle("pr-107").site)
