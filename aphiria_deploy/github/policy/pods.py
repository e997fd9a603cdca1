"""Pods of a preview: what they run and what they are given.

That they are confined (no root, no host, no privilege) is for the rules and for the cluster's Pod Security; here it is
what these do not look at: whose images, whose credentials, and what places a pod where it has no business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aphiria_deploy.bundle import Bundle, Constant, Generated
from aphiria_deploy.github.policy.envelope import repository_of
from aphiria_deploy.github.policy.violation import Violation, among, shown

_POD: Final = frozenset(
    "activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy enableServiceLinks "
    "imagePullSecrets initContainers restartPolicy securityContext shareProcessNamespace "
    "terminationGracePeriodSeconds topologySpreadConstraints volumes".split()
)
_ASKED_BY_THE_NODE: Final = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_VOLUMES: Final = frozenset({"emptyDir", "configMap", "secret", "downwardAPI"})


@dataclass(frozen=True)
class Allowed:
    """What pods may use.

    Attributes:
        images: References: those that the bundle names as its images.
        repositories: Whose images they may run.
        secrets: Secrets that they may read: the preview's own, generated for it.
        pull_secrets: Secrets that images are pulled with, which no pod may read.
    """

    images: frozenset[str]
    repositories: frozenset[str]
    secrets: frozenset[str]
    pull_secrets: frozenset[str]


def allowed_of(bundle: Bundle, reference: Bundle) -> Allowed:
    """Gives what the pods of a bundle may use.

    Args:
        bundle: The preview's.
        reference: The main branch's.
    """
    namespace = reference.environment.namespace
    own = [spec for spec in bundle.secrets if spec.namespace == namespace]
    return Allowed(
        images=frozenset(image.ref for image in bundle.images.values()),
        repositories=frozenset(found for image in reference.images.values() if (found := repository_of(image.ref))),
        secrets=frozenset(
            spec.name for spec in own if all(isinstance(source, (Constant, Generated)) for source in spec.keys.values())
        ),
        pull_secrets=frozenset(
            spec.name
            for spec in reference.secrets
            if spec.namespace == namespace and spec.type == "kubernetes.io/dockerconfigjson"
        ),
    )


def pod_violations(pod: Mapping[str, Any], where: str, allowed: Allowed) -> Iterator[Violation]:
    """Gives what a pod may not be.

    Args:
        pod: Its spec.
        where: What to call it.
        allowed: What it may use.
    """
    for key in pod:
        if key not in _POD:
            yield Violation(
                where, shown(key), "none that places a pod, or gives it an account, another class or the host"
            )
    if pod.get("automountServiceAccountToken") is not False:
        yield Violation(
            f"{where}.automountServiceAccountToken", shown(pod.get("automountServiceAccountToken")), "false: no token"
        )
    for entry in _items(pod, "imagePullSecrets"):
        if not among(entry.get("name"), allowed.pull_secrets):
            yield Violation(f"{where}.imagePullSecrets", shown(entry), f"one of {_some(allowed.pull_secrets)}")
    for volume in _items(pod, "volumes"):
        yield from _volume(volume, f"{where}.volumes", allowed)
    containers = [*_items(pod, "initContainers"), *_items(pod, "containers")]
    if not containers:
        yield Violation(f"{where}.containers", "none", "containers")
    for container in containers:
        yield from _container(container, f"{where}.containers[{shown(container.get('name'))}]", allowed)


def _container(container: Mapping[str, Any], where: str, allowed: Allowed) -> Iterator[Violation]:
    image = container.get("image")
    if not among(image, allowed.images) or repository_of(str(image)) not in allowed.repositories:
        yield Violation(f"{where}.image", shown(image), f"one of the bundle's images, of {_some(allowed.repositories)}")
    for key in _ASKED_BY_THE_NODE:
        yield from _elsewhere(container.get(key), f"{where}.{key}")
    for entry in _items(container, "env"):
        source = entry.get("valueFrom")
        reference = source.get("secretKeyRef") if isinstance(source, dict) else None
        if reference is not None:
            yield from _secret(reference, "name", f"{where}.env", allowed)
    for entry in _items(container, "envFrom"):
        if "secretRef" in entry:
            yield from _secret(entry["secretRef"], "name", f"{where}.envFrom", allowed)


def _elsewhere(probe: Any, where: str) -> Iterator[Violation]:
    """Finds what has the node ask another host than the pod: it may reach what no pod may."""
    if isinstance(probe, dict):
        for key, value in probe.items():
            if key == "host":
                yield Violation(where, f"the host {shown(value)}", "none: the pod itself is asked")
            else:
                yield from _elsewhere(value, where)


def _volume(volume: Mapping[str, Any], where: str, allowed: Allowed) -> Iterator[Violation]:
    kinds = set(volume) - {"name"}
    if not kinds <= _VOLUMES:
        # Projected volumes among them: they can hold an account's token.
        yield Violation(where, shown(volume), f"one of {', '.join(sorted(_VOLUMES))}")
    if "secret" in volume:
        yield from _secret(volume["secret"], "secretName", where, allowed)


def _secret(reference: Any, key: str, where: str, allowed: Allowed) -> Iterator[Violation]:
    name = reference.get(key) if isinstance(reference, dict) else None
    if not among(name, allowed.secrets):
        yield Violation(
            where,
            f"the Secret {shown(name)}",
            f"one whose values are generated for the preview: {_some(allowed.secrets)}",
        )


def _items(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = data.get(key) or []
    items = found if isinstance(found, list) else [found]
    # What is no object is one that has nothing of what is asked for, and so is refused where something is.
    return [item if isinstance(item, dict) else {"name": item} for item in items]


def _some(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
