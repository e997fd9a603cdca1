"""cdk8s as this library uses it: the one module that hands on the tree's types and the kinds.

The core kinds are rendered as plain data, one call into jsii for each object, and every object is checked against its
kind's schema afterwards; the typed kinds of cdk8s-plus cost an import of half a second and ten milliseconds for each
Deployment, and know Kubernetes 1.28 at most (``bench/README.md``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from constructs_lib._node import use_supported_node

# jsii starts Node.js as soon as its first package is imported.
use_supported_node()

from cdk8s import ApiObject, ApiObjectMetadata, App, Chart  # noqa: E402
from constructs import Construct  # noqa: E402

__all__ = ["ApiObject", "App", "Chart", "Construct", "Manifest", "Phase", "api_metadata", "manifests"]


class Phase(StrEnum):
    """When an object is applied, named like the file that it is written to."""

    BASE = "10-base"
    """The namespace and what pods need, databases and Gateways included."""
    JOBS = "20-jobs"
    """What runs to its end before the workloads start."""
    WORKLOADS = "30-workloads"
    """The workloads, their Services and routes."""


# Within a phase, in this order; kinds that are not named come last, in the order of their creation.
_ORDER = {
    kind: position
    for position, kind in enumerate(
        [
            "Namespace",
            # Before anything is allowed to anybody.
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ResourceQuota",
            "LimitRange",
            "NetworkPolicy",
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "Role",
            "RoleBinding",
            "Secret",
            "ConfigMap",
            "PersistentVolumeClaim",
            "ClusterIssuer",
            "Certificate",
            "NginxProxy",
            "Gateway",
            "Job",
            "Service",
            "Deployment",
            "CronJob",
            "PodDisruptionBudget",
            "HTTPRoute",
        ]
    )
}
_BASE = frozenset(list(_ORDER)[: list(_ORDER).index("Job")])


class Manifest(ApiObject):
    """An object of any kind, made of plain data.

    cdk8s knows its place in the tree and asks it for the rest: what is set on that side (JSON patches, labels of the
    Chart, the name that cdk8s would generate) is not seen. Change :attr:`manifest` instead.

    Attributes:
        manifest: The object. It may be changed until it is rendered.
        phase: When it is applied, where its kind does not say so.
    """

    def __init__(self, scope: Construct, id: str, manifest: dict[str, Any], phase: Phase | None = None) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id, api_version=manifest["apiVersion"], kind=manifest["kind"])
        self.manifest = manifest
        self.phase = phase

    def to_json(self) -> Any:
        """The object: what cdk8s renders."""
        return self.manifest

    def add_json_patch(self, *ops: object) -> None:
        """Refuses: the patch would be lost.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f"{self.manifest['kind']} {self.manifest['metadata']['name']}: change .manifest instead of patching"
        )


def api_metadata(metadata: Mapping[str, Any]) -> ApiObjectMetadata:
    """Gives the ``metadata`` of an object in the form that generated bindings take."""
    return ApiObjectMetadata(**metadata)


def manifests(chart: Chart) -> Iterator[tuple[Phase, dict[str, Any]]]:
    """Renders all objects of a chart, in the order in which they are applied.

    This is what ``App.synth`` renders, with one call into jsii for the chart and one for each object that is no
    :class:`Manifest`.
    """
    rendered = []
    for node in chart.node.find_all():
        if not isinstance(node, ApiObject):
            continue
        phase = node.phase if isinstance(node, Manifest) else None
        manifest = node.to_json()
        rendered.append((phase or _phase(manifest["kind"]), manifest))
    return iter(sorted(rendered, key=lambda item: (item[0], _ORDER.get(item[1]["kind"], len(_ORDER)))))


def _phase(kind: str) -> Phase:
    if kind in _BASE:
        return Phase.BASE
    return Phase.JOBS if kind == "Job" else Phase.WORKLOADS
