from __future__ import annotations

import pytest

from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Kind, Ref
from aphiria_deploy.kube.mapping import KNOWN, Resource, collection_path, discovered, object_path


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (Ref(Kind("v1", "Pod"), "b", "a"), "/api/v1/namespaces/a/pods/b"),
        (Ref(Kind("v1", "Endpoints"), "b", "a"), "/api/v1/namespaces/a/endpoints/b"),
        (Ref(Kind("v1", "Namespace"), "a"), "/api/v1/namespaces/a"),
        (Ref(Kind("apps/v1", "Deployment"), "b", "a"), "/apis/apps/v1/namespaces/a/deployments/b"),
        (
            Ref(Kind("networking.k8s.io/v1", "NetworkPolicy"), "b", "a"),
            "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/b",
        ),
        (
            Ref(Kind("gateway.networking.k8s.io/v1", "Gateway"), "b", "a"),
            "/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways/b",
        ),
        (
            Ref(Kind("rbac.authorization.k8s.io/v1", "ClusterRole"), "system:x/y"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Ax%2Fy",
        ),
    ],
)
def test_objects_have_paths(ref: Ref, path: str) -> None:
    resource = KNOWN[ref.kind.group, ref.kind.name]
    assert object_path(ref, resource) == path
    assert object_path(ref, resource, "status") == f"{path}/status"


def test_collections_are_of_a_namespace_or_of_all() -> None:
    pod, node = Kind("v1", "Pod"), Kind("v1", "Node")
    assert collection_path(pod, Resource("pods", namespaced=True), "a") == "/api/v1/namespaces/a/pods"
    assert collection_path(pod, Resource("pods", namespaced=True), None) == "/api/v1/pods"
    assert collection_path(node, Resource("nodes", namespaced=False), "a") == "/api/v1/nodes"


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        (Ref(Kind("v1", "Pod"), "b"), "Pod b: metadata.namespace: found no namespace, expected one"),
        (Ref(Kind("v1", "Node"), "b", "a"), "Node a/b: metadata.namespace: found namespace 'a', expected none"),
    ],
)
def test_a_namespace_that_is_missing_or_too_much_is_refused(ref: Ref, said: str) -> None:
    with pytest.raises(InputError, match=said):
        object_path(ref, KNOWN["", ref.kind.name])


def test_discovery_names_kinds_in_all_their_versions() -> None:
    document = {
        "items": [
            {
                "metadata": {"name": "example.org"},
                "versions": [
                    {
                        "version": "v1",
                        "resources": [
                            {"resource": "mice", "responseKind": {"kind": "Mouse"}, "scope": "Namespaced"},
                            {"resource": "zoos", "responseKind": {"kind": "Zoo"}, "scope": "Cluster"},
                        ],
                    },
                    {"version": "v2"},
                ],
            },
            {"metadata": {}, "versions": [{"version": "v1", "resources": []}]},
        ]
    }
    assert discovered(document) == {
        Kind("example.org/v1", "Mouse"): Resource("mice", namespaced=True),
        Kind("example.org/v1", "Zoo"): Resource("zoos", namespaced=False),
    }


def test_references_are_read_from_manifests_and_shown() -> None:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "pr"}}
    assert str(Ref.of(manifest)) == "Deployment pr/web"
    assert str(Kind.of(manifest)) == "Deployment (apps/v1)"
