"""Rules about Deployments and their like, Services and PodDisruptionBudgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from constructs_lib.checks.budget import scaled
from constructs_lib.checks.manifests import (
    LONG_RUNNING,
    Manifests,
    Object,
    Pod,
    dig,
    mapping,
    selects,
    sequence,
    string,
    whole,
)
from constructs_lib.checks.model import PRODUCTION, Severity
from constructs_lib.checks.registry import Found, rule
from constructs_lib.checks.routing import container_port, selected_pods, target_port

_SINGLE_WRITER = {"ReadWriteOnce", "ReadWriteOncePod"}
_MULTIPLE = 2


@rule(
    "selector-labels",
    summary="a selector does not match the labels of the template that it belongs to",
    why="Found by no common checker: the API server refuses such a Deployment, and a budget or policy that selects "
    "nothing protects nothing.",
)
def selector_labels(manifests: Manifests) -> Iterator[Found]:
    """Finds selectors that miss their pods."""
    for pod in manifests.pods:
        owner = pod.owner
        if owner.kind not in LONG_RUNNING or owner.kind == "ReplicationController":
            continue
        selector = mapping(owner.spec.get("selector"))
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            yield Found(
                owner,
                "spec.selector",
                "the selector is empty or missing: the API server refuses it",
                "set spec.selector.matchLabels to labels of the template",
            )
        elif not selects(selector, pod.labels):
            yield Found(
                owner,
                "spec.selector",
                f"the selector {_labels(selector.get('matchLabels'))} does not match the template's labels "
                f"{_labels(pod.labels)}",
                "make spec.selector.matchLabels a part of spec.template.metadata.labels",
            )
    if manifests.closed:
        yield from _selecting_nothing(manifests)


def _selecting_nothing(manifests: Manifests) -> Iterator[Found]:
    for item in manifests.of("PodDisruptionBudget", "NetworkPolicy"):
        field = "selector" if item.kind == "PodDisruptionBudget" else "podSelector"
        selector = mapping(item.spec.get(field))
        pods = list(manifests.pods_in(item.namespace, with_base=True))
        if (selector.get("matchLabels") or selector.get("matchExpressions")) and not any(
            selects(selector, pod.labels) for pod in pods
        ):
            yield Found(
                item,
                f"spec.{field}",
                f"it selects no pod of namespace {item.namespace}: {_labels(selector.get('matchLabels'))}",
                "give it the labels of the pods that it is for",
            )


def _labels(labels: Any) -> str:
    return ", ".join(f"{key}={value}" for key, value in mapping(labels).items()) or "(none)"


@rule(
    "service-target",
    summary="a Service selects no pod, or its target port is none of the pods' container ports",
    why="Found by no common checker: the Service has no endpoints, and every request to it fails.",
)
def service_target(manifests: Manifests) -> Iterator[Found]:
    """Finds Services that lead nowhere, or to a Job's pods."""
    for service in manifests.of("Service"):
        selector = mapping(service.spec.get("selector"))
        if not selector or service.spec.get("type") == "ExternalName":
            continue
        pods = selected_pods(manifests, service)
        serving = [pod for pod in pods if not pod.runs_to_its_end]
        ports = [mapping(port) for port in sequence(service.spec.get("ports"))]
        if not serving:
            if manifests.closed:
                yield Found(
                    service,
                    "spec.selector",
                    f"no pod of namespace {service.namespace} has the labels {_labels(selector)}",
                    "set spec.selector to the labels of the pods that serve",
                )
            continue
        for number, port in enumerate(ports):
            yield from _misses(manifests, service, serving, (number, port))
        for pod in pods:
            if pod.runs_to_its_end and any(isinstance(target_port(port), int) for port in ports):
                yield Found(
                    service,
                    "spec.selector",
                    f"the Service also selects the pods of {pod.owner}, which serve nothing: requests would reach them "
                    "while it runs",
                    "give the Job's pods other labels, or select one more label",
                    None if manifests.closed else Severity.WARNING,
                )


def _misses(
    manifests: Manifests, service: Object, pods: list[Pod], entry: tuple[int, dict[str, Any]]
) -> Iterator[Found]:
    number, port = entry
    target = target_port(port)
    # A number need not be declared by the container; in an environment of ours it always is.
    if target is None or (isinstance(target, int) and not manifests.closed):
        return
    missing = [pod for pod in pods if container_port(pod, target) is None]
    if missing and (manifests.closed or len(missing) == len(pods)):
        shown = [
            f"{one.get('containerPort')} {string(one.get('name'))}".strip()
            for c in missing[0].serving
            for one in c.ports
        ]
        yield Found(
            service,
            f"spec.ports[{number}].{'targetPort' if 'targetPort' in port else 'port'}",
            f"the target port {target} is no container port of {missing[0].owner}; its ports are "
            f"{', '.join(shown) or 'none'}",
            "name one of the pod's container ports",
        )


@rule(
    "rwo-strategy",
    summary="pods that run at the same time share a volume that only one node can mount",
    why="A rolling update of a pod with a ReadWriteOnce claim deadlocked: the new pod waited for the volume, the old "
    "one for the new pod. Two replicas on one claim never became ready.",
)
def rwo_strategy(manifests: Manifests) -> Iterator[Found]:
    """Finds ReadWriteOnce claims under rolling updates or several replicas."""
    for pod in manifests.pods:
        owner = pod.owner
        if owner.kind not in {"Deployment", "StatefulSet", "ReplicaSet"}:
            continue
        for number, volume in enumerate(map(mapping, sequence(pod.spec.get("volumes")))):
            name = string(dig(volume, "persistentVolumeClaim", "claimName"))
            claim = manifests.find("PersistentVolumeClaim", owner.namespace, name) if name else None
            modes = (
                {mode for mode in sequence(claim.spec.get("accessModes")) if isinstance(mode, str)} if claim else set()
            )
            if modes and modes <= _SINGLE_WRITER:
                path = f"{pod.spec_path}.volumes[{number}].persistentVolumeClaim"
                yield from _shared(manifests, owner, f"the claim {name} is {', '.join(sorted(modes))}", path)


def _shared(manifests: Manifests, owner: Object, claim: str, path: str) -> Iterator[Found]:
    replicas = whole(owner.spec.get("replicas"), 1)
    if replicas >= _MULTIPLE:
        yield Found(
            owner,
            "spec.replicas",
            f"{claim}, and {replicas} replicas share it ({path})",
            "set one replica, or use a StatefulSet with volumeClaimTemplates",
            None if manifests.closed else Severity.WARNING,
        )
    strategy = mapping(owner.spec.get("strategy"))
    surge = mapping(strategy.get("rollingUpdate")).get("maxSurge")
    if owner.kind != "Deployment" or strategy.get("type") == "Recreate" or replicas < 1:
        return
    if surge in (0, "0", "0%") and not manifests.closed:
        return  # the old pod goes first: no deadlock, whatever the strategy is called
    yield Found(
        owner,
        "spec.strategy.type" if "type" in strategy else "spec",
        f"{claim}, and the strategy is {strategy.get('type') or 'RollingUpdate (the default)'}: on another node the "
        "new pod waits for the volume that the old one holds",
        "set spec.strategy.type to Recreate",
        None if manifests.closed else Severity.WARNING,
    )


@rule(
    "pdb-blocks-drain",
    summary="production has several replicas without a PodDisruptionBudget, or a budget allows no eviction",
    why="Production had no PodDisruptionBudget: a drain could stop every pod at once. One that allows nothing blocks "
    "every upgrade of a node.",
)
def pdb_blocks_drain(manifests: Manifests) -> Iterator[Found]:
    """Finds missing budgets in production, and budgets that block a drain anywhere."""
    for pod in manifests.pods:
        owner = pod.owner
        if owner.kind not in {"Deployment", "StatefulSet"}:
            continue
        replicas = _fewest(manifests, owner)
        budgets = [
            item
            for item in manifests.everywhere("PodDisruptionBudget")
            if item.namespace == owner.namespace and _protects(item, pod)
        ]
        if not budgets and replicas >= _MULTIPLE and manifests.context.environment == PRODUCTION:
            yield Found(
                owner,
                "spec.replicas",
                f"{owner.name} has {replicas} replicas and no PodDisruptionBudget: a drain may stop all at once",
                "add a PodDisruptionBudget with maxUnavailable: 1 that selects its pods",
            )
        if len(budgets) >= _MULTIPLE:
            names = ", ".join(item.name for item in budgets)
            yield Found(
                budgets[1],
                "spec.selector",
                f"the pods of {owner} are selected by several budgets ({names}): the eviction API refuses them all",
                "let one budget select each pod",
            )
        for item in budgets:
            yield from _blocking(manifests, item, owner, replicas)


def _protects(item: Object, pod: Pod) -> bool:
    selector = item.spec.get("selector")
    return isinstance(selector, dict) and selects(selector, pod.labels)


def _fewest(manifests: Manifests, owner: Object) -> int:
    for scaler in manifests.everywhere("HorizontalPodAutoscaler"):
        target = mapping(scaler.spec.get("scaleTargetRef"))
        if (scaler.namespace, target.get("kind"), target.get("name")) == (owner.namespace, owner.kind, owner.name):
            return whole(scaler.spec.get("minReplicas"), 1)
    return whole(owner.spec.get("replicas"), 1)


def _blocking(manifests: Manifests, item: Object, owner: Object, replicas: int) -> Iterator[Found]:
    least, most = item.spec.get("minAvailable"), item.spec.get("maxUnavailable")
    if replicas < 1 or (least is None and most is None):
        return
    if most is not None:
        allowed, field = scaled(most, replicas, up=True), "maxUnavailable"
    else:
        allowed, field = replicas - scaled(least, replicas, up=True), "minAvailable"
    if allowed < 1:
        yield Found(
            item,
            f"spec.{field}",
            f"{field} {least if most is None else most} allows no eviction of the {replicas} pod(s) of {owner}: a "
            "drain of their node never ends",
            "remove the budget" if replicas == 1 else "set maxUnavailable: 1",
        )
    elif replicas == 1 and manifests.closed:
        yield Found(
            item,
            f"spec.{field}",
            f"{owner} has one replica: a budget can only block its eviction, or do nothing",
            "remove the budget",
            Severity.WARNING,
        )
