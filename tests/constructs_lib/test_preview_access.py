"""The accounts of previews: what they may do is tried on a real API server (`tests/e2e/test_preview_access.py`)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    DatabaseName,
    Hostname,
    InvalidPropsError,
    Isolation,
    NamespaceProps,
    Placement,
    PreviewAccess,
    PreviewAccessProps,
    SecretKey,
    drop_job,
)
from constructs_lib.database_job import create_job
from constructs_lib.preview_access import account_objects
from tests.constructs_lib import test_database_job
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import GATEWAY
from tests.objects import Object, leaves, names, one

NUMBER = 987_654
PROPS = PreviewAccessProps(
    placement=Placement(namespace="state", part_of="shop.example", instance="base"),
    number=NUMBER,
    namespace=NamespaceProps(
        placement=Placement(namespace=f"shop-pr-{NUMBER}", part_of="shop.example", instance=f"pr-{NUMBER}"),
        isolation=Isolation(gateway_namespace="edge", ports=[80]),
    ),
    secrets=["env-secrets"],
    hostnames=[Hostname(f"{NUMBER}.shop.example")],
    database_job=replace(
        test_database_job.PROPS,
        suffix=f"pr-{NUMBER}",
        database=DatabaseName(f"shop_pr_{NUMBER}"),
        role=DatabaseName(f"shop_pr_{NUMBER}"),
        verifier=SecretKey(f"db-role-pr-{NUMBER}", "verifier"),
    ),
    gateway=GATEWAY,
)


@pytest.fixture
def objects(render: Render) -> list[Object]:
    """What the construct makes."""
    return render(PreviewAccess, PROPS)


def rules(objects: list[Object], kind: str, name: str, namespace: str | None = None) -> list[dict[str, Any]]:
    """The rules of a role."""
    found = [item for item in objects if item["metadata"].get("namespace") == namespace]
    listed: list[dict[str, Any]] = one(found, kind, name)["rules"]
    return listed


def verbs(of: list[dict[str, Any]], resource: str) -> dict[tuple[str, ...], set[str]]:
    """What rules allow of a resource, by the names that they are limited to."""
    return {tuple(rule.get("resourceNames", ())): set(rule["verbs"]) for rule in of if resource in rule["resources"]}


def test_nothing_is_a_default() -> None:
    assert required(PreviewAccessProps) == {
        *("placement", "number", "namespace", "secrets", "hostnames", "database_job", "gateway")
    }
    assert defaults(PreviewAccessProps) == {}


def test_policies_come_before_any_right(objects: list[Object]) -> None:
    kinds = [item["kind"] for item in objects]
    last = max(place for place, kind in enumerate(kinds) if kind.startswith("ValidatingAdmissionPolicy"))
    assert last < min(kinds.index(kind) for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"))


@pytest.mark.parametrize("name", ["aphiria-deploy-previews", "aphiria-deploy-issuer"])
def test_a_policy_denies_where_it_cannot_judge_and_asks_of_nobody_else(objects: list[Object], name: str) -> None:
    spec = one(objects, "ValidatingAdmissionPolicy", name)["spec"]
    assert spec["failurePolicy"] == "Fail"
    (everything,) = spec["matchConstraints"]["resourceRules"]
    assert everything == {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
    (condition,) = spec["matchConditions"]
    assert condition["expression"].startswith("request.userInfo.username")
    binding = one(objects, "ValidatingAdmissionPolicyBinding", name)["spec"]
    assert binding == {"policyName": name, "validationActions": ["Deny"]}


def test_secrets_are_granted_by_name_but_where_there_are_none(objects: list[Object]) -> None:
    everybody = [item for item in objects if item["kind"] in {"Role", "ClusterRole"}]
    unnamed = {
        (item["metadata"]["name"], item["metadata"].get("namespace"))
        for item in everybody
        for rule in item["rules"]
        if "secrets" in rule["resources"] and "resourceNames" not in rule
    }
    # Records of releases: those who make accounts see what each of these sees, and may change none.
    assert unnamed == {("aphiria-deploy-previews", "state"), ("aphiria-deploy-issuer", "state")}
    assert verbs(rules(objects, "Role", "aphiria-deploy-issuer", "state"), "secrets") == {(): {"list"}}
    assert verbs(rules(objects, "ClusterRole", "aphiria-deploy-preview"), "secrets") == {
        ("env-secrets",): {"get", "list", "watch", "create", "patch", "delete"}
    }


def test_rights_over_all_namespaces_are_few(objects: list[Object]) -> None:
    assert rules(objects, "ClusterRole", "aphiria-deploy-previews") == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}
    ]
    issuer = rules(objects, "ClusterRole", "aphiria-deploy-issuer")
    assert verbs(issuer, "clusterroles") == {("aphiria-deploy-preview",): {"bind"}}
    assert {resource for rule in issuer for resource in rule["resources"]} == {
        *("namespaces", "rolebindings", "clusterroles", "networkpolicies"),
        *("nodes", "pods", "deployments"),
    }
    # What is reserved and what is free, and nothing more of them: no logs, no changes, not one by its name.
    for resource in ("nodes", "pods", "deployments"):
        assert verbs(issuer, resource) == {(): {"list"}}
    bound = {(item["roleRef"]["name"], item["subjects"][0]["name"]) for item in objects if "roleRef" in item}
    assert bound == {
        ("aphiria-deploy-previews", "system:serviceaccounts:aphiria-deploy-previews"),
        ("aphiria-deploy-issuer", "preview-issuer"),
    }


def test_no_right_is_a_wildcard_and_roles_are_the_issuers_alone(objects: list[Object]) -> None:
    for item in objects:
        for rule in item.get("rules", ()):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            if {"escalate", "bind"} & set(rule["verbs"]) or "rbac" in rule["apiGroups"][0]:
                assert item["metadata"]["name"] == "aphiria-deploy-issuer"


def test_an_account_is_made_in_an_order_that_leaves_no_gap() -> None:
    made = [(item["kind"], item["metadata"].get("namespace")) for item in account_objects(PROPS)]
    assert made == [
        ("ServiceAccount", "aphiria-deploy-previews"),
        ("Role", "data"),
        ("RoleBinding", "data"),
        ("Namespace", None),
        ("NetworkPolicy", f"shop-pr-{NUMBER}"),
        ("RoleBinding", f"shop-pr-{NUMBER}"),
    ]


def test_the_template_is_the_account_without_the_number(objects: list[Object]) -> None:
    data = one(objects, "ConfigMap", "account")["data"]
    assert data["format"] == "aphiria-deploy/account/v1"
    given = {key: json.loads(data[key].replace("${number}", str(NUMBER))) for key in ("objects", "destruction")}
    assert given == {"objects": account_objects(PROPS), "destruction": [drop_job(PROPS.database_job)]}


def test_the_number_of_the_example_stands_nowhere(objects: list[Object]) -> None:
    assert [path for item in objects for path, value in leaves(item) if str(NUMBER) in str(value)] == []


def test_the_policy_has_the_scripts_of_the_jobs(objects: list[Object]) -> None:
    for job in (create_job(PROPS.database_job), drop_job(PROPS.database_job)):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert json.dumps(container["command"][2]) in _expected(objects)


def test_the_policy_has_the_environment_of_the_jobs(render: Render) -> None:
    other = replace(PROPS, database_job=replace(PROPS.database_job, connection_limit=7))
    limit = '"name": "DATABASE_CONNECTION_LIMIT", "value": "7"'
    assert limit in _expected(render(PreviewAccess, other))


def _expected(made: list[Object]) -> str:
    variables = one(made, "ValidatingAdmissionPolicy", "aphiria-deploy-previews")["spec"]["variables"]
    expressions: list[str] = [variable["expression"] for variable in variables if variable["name"] == "expected"]
    return expressions[0]


def test_the_policy_says_what_is_to_be_deployed_first(objects: list[Object]) -> None:
    validations = one(objects, "ValidatingAdmissionPolicy", "aphiria-deploy-previews")["spec"]["validations"]
    assert {validation["reason"] for validation in validations} == {"Forbidden"}
    stale = [validation["message"] for validation in validations if "preview base" in validation.get("message", "")]
    assert len(stale) >= 6
    assert all(message.endswith("deploy that first where it is to change") for message in stale)


def test_without_an_isolation_nobody_may_write_one(render: Render) -> None:
    made = render(PreviewAccess, replace(PROPS, namespace=replace(PROPS.namespace, isolation=None)))
    assert "NetworkPolicy" not in one(made, "ConfigMap", "account")["data"]["objects"]
    assert "networkpolicies" not in str(rules(made, "ClusterRole", "aphiria-deploy-issuer"))


def test_namespaces_of_accounts_hold_nothing_else(objects: list[Object]) -> None:
    assert names(objects, "Namespace") == ["aphiria-deploy-previews", "aphiria-deploy-issuer"]
    for item in objects:
        if item["kind"] == "ServiceAccount":
            assert item["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"number": 107}, "number: found 107, expected six digits or more"),
        ({"hostnames": []}, "hostnames: found none"),
        ({"hostnames": [Hostname("all.shop.example")]}, "hostnames[0]: found 'all.shop.example', expected one with"),
        (
            {"database_job": replace(PROPS.database_job, role=DatabaseName("shared"))},
            "database_job.role: found 'shared', expected one with the preview's number, 987654: two previews would",
        ),
        (
            {"database_job": replace(PROPS.database_job, verifier=SecretKey("shared", "verifier"))},
            "database_job.verifier.secret: found 'shared'",
        ),
        (
            {"namespace": NamespaceProps(placement=replace(PROPS.namespace.placement, instance="staging"))},
            "namespace.placement.instance: found 'staging', expected 'pr-987654'",
        ),
    ],
)
def test_an_example_that_would_mix_previews_up_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(f"PreviewAccess: {problem}")):
        replace(PROPS, **changes)
