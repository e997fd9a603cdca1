"""The order in which objects are applied, and deleted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.bundle import ManifestFile
from aphiria_deploy.engine.waves import DEPENDS_ON, OrderError, Wave, dependencies, for_deletion, waves
from aphiria_deploy.objects import GroupKind, ObjectKey
from apps import site


def _object(kind: str, name: str, *after: str, group: str = "", namespace: str | None = "shop") -> Any:
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if namespace else {})
    if after:
        metadata["annotations"] = {DEPENDS_ON: ",".join(after)}
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": metadata}


def _file(*manifests: Any, name: str = "all") -> ManifestFile:
    return ManifestFile(name=name, manifests=list(manifests))


def _names(ordered: list[Wave]) -> list[list[str]]:
    return [[manifest["metadata"]["name"] for manifest in wave.manifests] for wave in ordered]


def test_a_preview_comes_up_in_this_order() -> None:
    ordered = waves(site.bundle("pr-107", {}).files)

    kinds = [sorted(manifest["kind"] for manifest in wave.manifests) for wave in ordered]
    assert kinds == [
        ["Namespace"],
        ["ConfigMap", "ConfigMap", "ConfigMap", "ConfigMap", "NetworkPolicy", "ResourceQuota"],
        ["Job"],
        ["Job"],
        ["Deployment", "Deployment", "Service", "Service"],
        [
            "ClientSettingsPolicy",
            "ClientSettingsPolicy",
            "HTTPRoute",
            "HTTPRoute",
            "RateLimitPolicy",
            "RateLimitPolicy",
        ],
    ]
    jobs = [wave.manifests[0]["metadata"]["name"] for wave in ordered if wave.name == "jobs"]
    assert jobs[0].startswith("db-init-pr-107-")
    assert jobs[1].startswith("db-migration-")


def test_what_nobody_may_is_said_before_anything_is_allowed_and_goes_after_it() -> None:
    kinds = ["RoleBinding", "ClusterRole", "ServiceAccount", "ValidatingAdmissionPolicyBinding", "Namespace"]
    items = [_object(kind, kind, namespace=None) for kind in [*kinds, "ValidatingAdmissionPolicy"]]
    in_order = [
        ["Namespace"],
        ["ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"],
        ["RoleBinding", "ClusterRole", "ServiceAccount"],
    ]
    assert _names(waves([_file(*items)])) == in_order
    assert [[item["kind"] for item in group] for group in for_deletion(items)] == in_order[::-1]


@pytest.mark.parametrize("environment", site.environments)
def test_every_object_of_an_environment_is_in_one_wave(environment: str) -> None:
    bundle = site.bundle(environment, {})

    applied = [ObjectKey.of(manifest) for wave in waves(bundle.files) for manifest in wave.manifests]

    assert sorted(applied) == sorted(map(ObjectKey.of, bundle.manifests))


def test_the_database_of_production_is_there_before_the_jobs() -> None:
    ordered = waves(site.bundle("production", {}).files)

    place = {ObjectKey.of(manifest): number for number, wave in enumerate(ordered) for manifest in wave.manifests}
    server = place[ObjectKey(GroupKind("apps", "Deployment"), "default", "db")]
    assert all(server < number for key, number in place.items() if key.group_kind.kind == "Job")


def test_a_file_comes_after_the_one_before_it() -> None:
    first, second = _file(_object("HTTPRoute", "a"), name="1"), _file(_object("Namespace", "b"), name="2")

    assert _names(waves([first, second])) == [["a"], ["b"]]


def test_what_depends_on_something_is_in_a_later_wave() -> None:
    ordered = waves(
        [
            _file(
                _object("Deployment", "api", "apps/namespaces/shop/Deployment/cache", group="apps"),
                _object("Deployment", "web", group="apps"),
                _object("Deployment", "cache", "/namespaces/shop/ConfigMap/elsewhere", group="apps"),
            )
        ]
    )

    assert _names(ordered) == [["web", "cache"], ["api"]]


def test_jobs_run_one_by_one_in_the_order_given_unless_they_depend_on_each_other() -> None:
    ordered = waves(
        [
            _file(
                _object("Job", "seed", "batch/namespaces/shop/Job/migrate", group="batch"),
                _object("Job", "warm", group="batch"),
                _object("Job", "migrate", group="batch"),
            )
        ]
    )

    assert _names(ordered) == [["warm"], ["migrate"], ["seed"]]


def test_a_circle_is_said_and_what_comes_too_late_is_too() -> None:
    circle = _file(
        _object("Job", "a", "batch/namespaces/shop/Job/b", group="batch"),
        _object("Job", "b", "batch/namespaces/shop/Job/a", group="batch"),
    )
    late = _file(
        _object("ConfigMap", "a", "batch/namespaces/shop/Job/b"), _object("Job", "b", group="batch"), name="late"
    )

    with pytest.raises(OrderError, match=r"depend on each other: Job shop/[ab] on Job shop/[ab] on Job shop/[ab]"):
        waves([circle])
    with pytest.raises(OrderError, match=r"ConfigMap shop/a: .*: found Job shop/b, which is applied later"):
        waves([late])


@pytest.mark.parametrize("entry", ["Job/a", "batch/namespaces/shop/Job", "batch/namespaces//Job/a", "a/b/c/d", "/ /"])
def test_an_entry_that_is_none_is_said(entry: str) -> None:
    with pytest.raises(OrderError, match=r"Job shop/x: metadata.annotations\[config.kubernetes.io/depends-on\]: found"):
        dependencies(_object("Job", "x", entry, group="batch"))


def test_entries_are_of_any_scope_and_group() -> None:
    entries = ["/Namespace/shop", "/namespaces/shop/ConfigMap/a", " gateway.networking.k8s.io/GatewayClass/nginx"]

    assert dependencies(_object("Job", "x", *entries, group="batch")) == [
        ObjectKey(GroupKind("", "Namespace"), "", "shop"),
        ObjectKey(GroupKind("", "ConfigMap"), "shop", "a"),
        ObjectKey(GroupKind("gateway.networking.k8s.io", "GatewayClass"), "", "nginx"),
    ]


@given(
    st.permutations(["HTTPRoute", "Deployment", "Job", "Gateway", "ConfigMap", "CustomResourceDefinition", "Namespace"])
)
def test_deletion_is_the_other_way_round(kinds: list[str]) -> None:
    manifests = [_object(kind, "x") for kind in kinds]

    applied = [wave.manifests[0]["kind"] for wave in waves([_file(*manifests)])]

    assert [group[0]["kind"] for group in for_deletion(manifests)] == applied[::-1]
