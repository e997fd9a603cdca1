"""What the front end and the API have in common: a Deployment without downtime, a Service, a disruption budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.checksum import checksum
from constructs_lib.errors import InvalidValueError
from constructs_lib.order import ObjectRef, depends_on
from constructs_lib.placement import Placement
from constructs_lib.pod import PodOptions
from constructs_lib.values import Name

CONFIG_CHECKSUM = "checksum/config"
"""The annotation of a pod template that changes with the configuration that its pods read."""


@dataclass(frozen=True)
class ServiceRef:
    """A Service that a route can send requests to.

    Attributes:
        name: Its name.
        port: Its port.
        namespace: Where it is.
    """

    name: str
    port: int
    namespace: str


def workload_problems(name: str, replicas: int, port: int) -> list[str]:
    """Says what is wrong with what every workload has, a line for each, beginning with the prop."""
    problems = []
    if replicas < 1:
        problems.append(f"replicas: found {replicas}, expected 1 or more")
    if not 0 < port < 2**16:
        problems.append(f"port: found {port}, expected 1 to 65535")
    try:
        Name(name)
    except InvalidValueError as error:
        problems.append(str(error))
    return problems


def config_map(placement: Placement, name: str, data: Mapping[str, str], *, app: str, component: str) -> dict[str, Any]:
    """Gives a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": placement.metadata(name, app=app, component=component),
        "data": dict(data),
    }


def config_checksum(data: Mapping[str, Any]) -> dict[str, str]:
    """Gives the annotation of a pod template for the configuration that its pods read; none where there is none."""
    return {CONFIG_CHECKSUM: checksum(data)} if data else {}


def add_workload(
    scope: Construct,
    placement: Placement,
    *,
    name: str,
    component: str,
    replicas: int,
    port: int,
    pod: Mapping[str, Any],
    config: Mapping[str, Any],
    after: Sequence[ObjectRef],
    options: PodOptions,
) -> ServiceRef:
    """Adds a Deployment, its Service and, from two replicas on, its PodDisruptionBudget.

    The rollout brings a new pod before an old one goes, also at one replica. At one replica a disruption budget
    would only keep nodes from being drained, so there is none.

    Args:
        scope: The construct that they are a part of.
        placement: Where they live.
        name: The name of all of them, and the pods' ``app``.
        component: Its role in the site.
        replicas: How many pods.
        port: The port of the Service, and of the container's port ``http``.
        pod: The pod's spec.
        config: The configuration that the pods read, by the ConfigMap's name: when it changes, they are replaced.
        after: What must be complete before a pod of it starts.
        options: What the site adds.

    Returns:
        The Service.
    """
    labels = placement.object_labels(name, component) | dict(options.labels)
    annotations = config_checksum(config) | dict(options.annotations)
    metadata = placement.metadata(name, app=name, component=component)
    selector = {"matchLabels": {"app": name}}
    Manifest(
        scope,
        "service",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "type": "ClusterIP",
                "selector": selector["matchLabels"],
                "ports": [{"name": "http", "port": port, "targetPort": "http"}],
            },
        },
    )
    Manifest(
        scope,
        "deployment",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": placement.metadata(name, app=name, component=component, annotations=depends_on(after)),
            "spec": {
                "replicas": replicas,
                "revisionHistoryLimit": 3,
                "selector": selector,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": labels, **({"annotations": annotations} if annotations else {})},
                    "spec": dict(pod),
                },
            },
        },
    )
    if replicas > 1:
        Manifest(
            scope,
            "disruption-budget",
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": metadata,
                "spec": {"maxUnavailable": 1, "selector": selector},
            },
        )
    return ServiceRef(name, port, placement.namespace)
