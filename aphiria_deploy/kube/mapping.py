"""From a kind to its path: a table of those that deploys use, which cost nothing, and discovery for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.errors import InputError

# By group: kinds in namespaces, kinds of the cluster.
_TABLE: Mapping[str, tuple[str, str]] = {
    "": (
        "ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod ResourceQuota Secret Service ServiceAccount",
        "Namespace Node PersistentVolume",
    ),
    "apps": ("ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet", ""),
    "batch": ("CronJob Job", ""),
    "autoscaling": ("HorizontalPodAutoscaler", ""),
    "networking.k8s.io": ("Ingress NetworkPolicy", "IngressClass"),
    "policy": ("PodDisruptionBudget", ""),
    "rbac.authorization.k8s.io": ("Role RoleBinding", "ClusterRole ClusterRoleBinding"),
    "admissionregistration.k8s.io": (
        "",
        "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration "
        "MutatingWebhookConfiguration",
    ),
    "apiextensions.k8s.io": ("", "CustomResourceDefinition"),
    "authentication.k8s.io": ("", "SelfSubjectReview"),
    "authorization.k8s.io": ("", "SelfSubjectAccessReview"),
    "coordination.k8s.io": ("Lease", ""),
    "discovery.k8s.io": ("EndpointSlice", ""),
    "events.k8s.io": ("Event", ""),
    "scheduling.k8s.io": ("", "PriorityClass"),
    "storage.k8s.io": ("", "StorageClass"),
    "gateway.networking.k8s.io": ("Gateway HTTPRoute ReferenceGrant", "GatewayClass"),
    "gateway.nginx.org": (
        "ClientSettingsPolicy NginxProxy ObservabilityPolicy RateLimitPolicy SnippetsFilter",
        "",
    ),
    "cert-manager.io": ("Certificate Issuer", "ClusterIssuer"),
}


@dataclass(frozen=True, order=True)
class Kind:
    """A kind of object, in one of its versions.

    Attributes:
        api_version: ``apps/v1``; of the core group ``v1``.
        name: ``Deployment``.
    """

    api_version: str
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> Kind:
        """The kind of an object."""
        return cls(manifest["apiVersion"], manifest["kind"])

    @property
    def group(self) -> str:
        """The API group; of the core group nothing."""
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    def __str__(self) -> str:
        return f"{self.name} ({self.api_version})"


@dataclass(frozen=True, order=True)
class Ref:
    """One object.

    Attributes:
        kind: Its kind.
        name: Its name.
        namespace: Its namespace; none of the cluster's own.
    """

    kind: Kind
    name: str
    namespace: str | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Ref:
        """The object that a manifest is, or is to be."""
        metadata = manifest["metadata"]
        return cls(Kind.of(manifest), metadata["name"], metadata.get("namespace"))

    def __str__(self) -> str:
        return f"{self.kind.name} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True)
class Resource:
    """What the API server serves a kind as.

    Attributes:
        plural: The last part of its path: ``deployments``.
        namespaced: Whether its objects are in namespaces.
    """

    plural: str
    namespaced: bool


def _plural(kind: str) -> str:
    word = kind.lower()
    if word == "endpoints":
        return word
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"


def _table() -> dict[tuple[str, str], Resource]:
    return {
        (group, kind): Resource(_plural(kind), namespaced)
        for group, scopes in _TABLE.items()
        for namespaced, kinds in zip((True, False), scopes, strict=True)
        for kind in kinds.split()
    }


KNOWN: Mapping[tuple[str, str], Resource] = _table()
"""The kinds whose paths are known, by group and kind: the same in every version."""


def collection_path(kind: Kind, resource: Resource, namespace: str | None) -> str:
    """The path of all objects of a kind: in a namespace, or without one in all of them."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    if resource.namespaced and namespace:
        return f"{root}/namespaces/{quote(namespace, safe='')}/{resource.plural}"
    return f"{root}/{resource.plural}"


def object_path(ref: Ref, resource: Resource, subresource: str = "") -> str:
    """The path of one object.

    Raises:
        InputError: It is in a namespace and should not be, or the other way round.
    """
    if resource.namespaced != bool(ref.namespace):
        found = f"namespace {ref.namespace!r}" if ref.namespace else "no namespace"
        expected = "one" if resource.namespaced else "none: it is the cluster's"
        raise InputError(f"{ref}: metadata.namespace: found {found}, expected {expected}")
    path = f"{collection_path(ref.kind, resource, ref.namespace)}/{quote(ref.name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


DISCOVERY = ("/apis", "/api")
"""Where the API server tells what it serves."""

DISCOVERY_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
"""How it is asked to tell all of it at once."""


def discovered(document: Mapping[str, Any]) -> dict[Kind, Resource]:
    """The kinds in an aggregated discovery document."""
    found = {}
    for group in document.get("items") or ():
        group_name = (group.get("metadata") or {}).get("name", "")
        for version in group.get("versions") or ():
            api_version = f"{group_name}/{version['version']}" if group_name else version["version"]
            for entry in version.get("resources") or ():
                kind = (entry.get("responseKind") or {}).get("kind") or ""
                found[Kind(api_version, kind)] = Resource(entry["resource"], entry.get("scope") == "Namespaced")
    return found
