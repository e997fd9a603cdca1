"""What environments reserve of their cluster, and how many more fit. Pure arithmetic, exact.

A pod is placed as the scheduler does, by its requests: it goes to one node or to none, so that room which is spread
over several nodes is no room for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.fields import at, mapping, mappings, namespace, number, text
from constructs_lib.checks import budget, quantity

MOST: Final = 1000
"""More previews than this are not counted."""

_KEEPS_RUNNING: Final = frozenset({"Deployment", "StatefulSet"})
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_NOTHING: Final = Fraction(0)


@dataclass(frozen=True)
class Share:
    """An amount of CPU, memory and pods.

    Attributes:
        cpu: CPUs.
        memory: Bytes.
        pods: How many pods.
    """

    cpu: Fraction = _NOTHING
    memory: Fraction = _NOTHING
    pods: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.cpu + other.cpu, self.memory + other.memory, self.pods + other.pods)

    def __sub__(self, other: Share) -> Share:
        return Share(self.cpu - other.cpu, self.memory - other.memory, self.pods - other.pods)

    def __mul__(self, times: int) -> Share:
        return Share(self.cpu * times, self.memory * times, self.pods * times)

    def holds(self, other: Share) -> bool:
        """Whether the other fits in."""
        return other.cpu <= self.cpu and other.memory <= self.memory and other.pods <= self.pods

    def __str__(self) -> str:
        mebibytes = Fraction(-(-self.memory // 1024**2) * 1024**2)
        return f"{quantity.show_cpu(self.cpu)} CPU, {quantity.show_bytes(mebibytes)} memory"


@dataclass(frozen=True)
class Reservation:
    """What an environment reserves.

    Attributes:
        steady: The pods that keep running, one by one.
        extra: The largest pods that run beside them for a while: a Job's, or those of a rollout.
    """

    steady: tuple[Share, ...]
    extra: tuple[Share, ...] = ()

    @property
    def total(self) -> Share:
        """The sum of what keeps running."""
        return sum(self.steady, Share())

    @property
    def peak(self) -> Share:
        """The sum at the fullest moment of a deploy."""
        return sum(self.extra, self.total)


def reservation(bundle: Bundle) -> Reservation:
    """Gives what a bundle's pods request: those of its own namespace, and its Jobs wherever they run."""
    steady: list[Share] = []
    beside: list[tuple[Share, ...]] = []
    for manifest in bundle.manifests:
        kind, spec = text(manifest.get("kind")), mapping(manifest.get("spec"))
        if kind == "Job":
            beside.append((_pod(spec),) * min(budget.job_pods(spec), MOST))
        elif kind == "CronJob":
            job = mapping(at(spec, "jobTemplate", "spec"))
            beside.append((_pod(job),) * min(budget.job_pods(job), MOST))
        elif kind in _KEEPS_RUNNING:
            replicas = min(number(spec.get("replicas"), 1), MOST)
            steady += [_pod(spec)] * replicas
            surge = budget.surge_of(spec, replicas) if kind == "Deployment" else 0
            beside.append((_pod(spec),) * surge)
        elif kind == "Pod":
            steady.append(_requests(spec))
    return Reservation(tuple(steady), max(beside, key=lambda pods: sum(pods, Share()).memory, default=()))


def rooms(nodes: Iterable[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> list[Share]:
    """Gives what is free on each node that takes pods: what it can allocate, less what its pods request.

    Args:
        nodes: The cluster's nodes.
        pods: All pods of the cluster; those that ended reserve nothing.
    """
    taken: dict[str, Share] = {}
    for pod in pods:
        node = text(at(pod, "spec", "nodeName"))
        if node and text(at(pod, "status", "phase")) not in _ENDED:
            taken[node] = taken.get(node, Share()) + _requests(mapping(pod.get("spec")))
    return [
        allocatable(node) - taken.get(text(at(node, "metadata", "name")), Share()) for node in nodes if _is_usable(node)
    ]


def allocatable(node: Mapping[str, Any]) -> Share:
    """What a node has for pods."""
    found = budget.amounts(at(node, "status", "allocatable"))
    return Share(found.get("cpu", _NOTHING), found.get("memory", _NOTHING), int(found.get("pods", _NOTHING)))


def fitting(wanted: Reservation, free: Sequence[Share], *, growth: Sequence[Share] = ()) -> int:
    """Gives how many more environments of a size fit.

    Each is placed whole, the largest pods first, each on the fullest node that still has room for it; the last one has
    to fit with what runs beside it during its deploy.

    Args:
        wanted: What one reserves.
        free: What is free on each node.
        growth: Nodes that an autoscaler may still add, empty.
    """
    left = [*free, *growth]
    if not wanted.steady:
        return 0
    for count in range(MOST):
        if _placed((*wanted.steady, *wanted.extra), left) is None:
            return count
        placed = _placed(wanted.steady, left)
        if placed is None:
            return count
        left = placed
    return MOST


def describe(wanted: Reservation, node: Share | None = None, more: int | None = None) -> str:
    """Says what an environment reserves, in one line.

    Args:
        wanted: What it reserves.
        node: A whole node, to say the share of.
        more: How many more of its size fit, where that is known.
    """
    total = wanted.total
    parts = [f"reserves {total} in {total.pods} pods"]
    if node and node.cpu and node.memory:
        parts.append(
            f"{_percent(total.cpu, node.cpu)} of a node's CPU and {_percent(total.memory, node.memory)} of its memory"
        )
    parts.append(f"{wanted.peak} while it is deployed")
    if more is not None:
        parts.append(f"{'at least ' if more == MOST else ''}{more} more of this size fit")
    return "; ".join(parts)


def in_namespace(pods: Iterable[Mapping[str, Any]], name: str) -> Reservation:
    """Gives what the pods of a namespace really reserve now."""
    running = (pod for pod in pods if namespace(pod) == name and text(at(pod, "status", "phase")) not in _ENDED)
    return Reservation(tuple(_requests(mapping(pod.get("spec"))) for pod in running))


def _placed(pods: Sequence[Share], free: Sequence[Share]) -> list[Share] | None:
    left = list(free)
    for pod in sorted(pods, key=lambda one: (one.memory, one.cpu), reverse=True):
        candidates = [index for index, room in enumerate(left) if room.holds(pod)]
        if not candidates:
            return None
        fullest = min(candidates, key=lambda index: (left[index].memory, left[index].cpu))
        left[fullest] -= pod
    return left


def _pod(spec: Mapping[str, Any]) -> Share:
    return _requests(mapping(at(spec, "template", "spec")))


def _requests(pod_spec: Mapping[str, Any]) -> Share:
    usage = budget.pod_usage(pod_spec)
    return Share(usage.get("requests.cpu", _NOTHING), usage.get("requests.memory", _NOTHING), 1)


def _is_usable(node: Mapping[str, Any]) -> bool:
    if at(node, "spec", "unschedulable") is True:
        return False
    if any(taint.get("effect") in {"NoSchedule", "NoExecute"} for taint in mappings(at(node, "spec", "taints"))):
        return False
    conditions = {text(one.get("type")): text(one.get("status")) for one in mappings(at(node, "status", "conditions"))}
    return conditions.get("Ready", "True") == "True"


def _percent(part: Fraction, of: Fraction) -> str:
    return f"{round(100 * part / of)} %"
