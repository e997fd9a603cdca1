"""Membership: IDs, the parent, and what is pruned."""

from __future__ import annotations

from typing import Any

import pytest

from aphiria_deploy.engine.applyset import PART_OF, Parent, as_member, select_for_pruning, set_id
from aphiria_deploy.objects import GroupKind

PARENT = Parent(name="pr-107", namespace="aphiria-deploy")


def _object(kind: str, name: str, *, group: str = "", namespace: str | None = "preview-pr-107", **metadata: Any) -> Any:
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, "metadata": meta}


def _member(kind: str, name: str, **metadata: Any) -> Any:
    return as_member(_object(kind, name, **metadata), PARENT.id)


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (("my-set", "test", "Secret", ""), "applyset-0eFHV8ySqp7XoShsGvyWFQD3s96yqwHmzc4e0HR1dsY-v1"),
        (("my-set", "", "ApplySet", "company.com"), "applyset-rhp1a-HVAVT_dFgyEygyA1BEB82HPp2o10UiFTpqtAs-v1"),
    ],
)
def test_an_id_is_the_one_that_kubectl_gives(parent: tuple[str, str, str, str], expected: str) -> None:
    assert set_id(*parent) == expected


def test_an_id_can_be_a_label() -> None:
    assert len(PARENT.id) <= 63


def test_the_parent_names_its_kinds_and_namespaces_in_order() -> None:
    objects = [
        _object("Deployment", "web", group="apps"),
        _object("ConfigMap", "a"),
        _object("Job", "db", group="batch", namespace="default"),
        _object("Namespace", "preview-pr-107", namespace=None),
        _object("Secret", "own", namespace="aphiria-deploy"),
    ]

    metadata = PARENT.holding(objects).manifest("1.2.3")["metadata"]

    assert metadata["labels"] == {"applyset.kubernetes.io/id": PARENT.id}
    assert metadata["annotations"] == {
        "applyset.kubernetes.io/tooling": "aphiria-deploy/1.2.3",
        "applyset.kubernetes.io/contains-group-kinds": "ConfigMap,Deployment.apps,Job.batch,Namespace,Secret",
        "applyset.kubernetes.io/additional-namespaces": "default,preview-pr-107",
    }


def test_what_a_parent_writes_it_reads() -> None:
    parent = PARENT.holding([_object("HTTPRoute", "web", group="gateway.networking.k8s.io"), _object("Service", "web")])

    assert Parent.read(parent.manifest("1")) == parent
    assert Parent.read(PARENT.manifest("1")) == PARENT


def test_a_widened_parent_has_the_kinds_of_both_sets() -> None:
    old = PARENT.holding([_object("ConfigMap", "a"), _object("Job", "x", group="batch", namespace="default")])
    new = PARENT.holding([_object("ConfigMap", "a"), _object("Service", "web")])

    both = old.widened(new)

    assert both.group_kinds == {GroupKind("", "ConfigMap"), GroupKind("batch", "Job"), GroupKind("", "Service")}
    assert both.namespaces == {"default", "preview-pr-107"}
    assert both.id == PARENT.id


def test_a_member_keeps_its_labels_and_the_manifest_stays_as_it_was() -> None:
    manifest = _object("ConfigMap", "a", labels={"app": "web"})

    assert as_member(manifest, PARENT.id)["metadata"]["labels"] == {"app": "web", PART_OF: PARENT.id}
    assert manifest["metadata"]["labels"] == {"app": "web"}


def test_what_left_the_set_is_pruned_and_nothing_else() -> None:
    wanted = [_object("ConfigMap", "a"), _object("Job", "db-2", group="batch")]
    gone = _member("Job", "db-1", group="batch")
    going = _member("ConfigMap", "going", deletionTimestamp="2026-01-01T00:00:00Z")
    members = [
        *(as_member(item, PARENT.id) for item in wanted),
        gone,
        as_member(_object("ConfigMap", "of-another-set"), "applyset-other-v1"),
        _object("ConfigMap", "of-nobody"),
        going,
    ]

    assert select_for_pruning(wanted, members, PARENT.id).delete == (gone, going), "what is going is waited for"


def test_another_version_of_an_object_is_the_same_object() -> None:
    wanted = [_object("HTTPRoute", "web", group="gateway.networking.k8s.io")]
    live = as_member(wanted[0], PARENT.id) | {"apiVersion": "gateway.networking.k8s.io/v1beta1"}

    assert select_for_pruning(wanted, [live], PARENT.id).delete == ()


def test_what_would_take_more_with_it_and_what_a_controller_owns_are_kept_with_the_reason() -> None:
    namespace = _member("Namespace", "preview-pr-107", namespace=None)
    definition = _member("CustomResourceDefinition", "things.example.com", group="apiextensions.k8s.io", namespace=None)
    owned = _member("Secret", "tls", ownerReferences=[{"kind": "Certificate", "name": "tls", "controller": True}])

    pruning = select_for_pruning([_object("ConfigMap", "a")], [namespace, definition, owned], PARENT.id)

    assert pruning.delete == ()
    assert pruning.kept == (
        (namespace, "a namespace is never pruned"),
        (definition, "a definition is never pruned: every object of its kind would go with it"),
        (owned, "it belongs to Certificate tls"),
    )


def test_an_empty_set_prunes_nothing() -> None:
    with pytest.raises(ValueError, match="the set is empty"):
        select_for_pruning([], [_member("ConfigMap", "a")], PARENT.id)
