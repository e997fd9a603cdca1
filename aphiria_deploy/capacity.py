"""What environments reserve of their cluster, and how many more fit. Pure arithmetic, exact.

A pod is placed as the scheduler does, by its requests: it goes to one node or to none, so that room which is spread
over several nodes is no room for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
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


@dataclass(frozen=True)
class Node:
    """What one node has for pods.

    Attributes:
        has: What it can allocate; none where it takes no pods.
        taken: What pods request of it, by their namespaces.
    """

    has: Share | None
    taken: Mapping[str, Share]


@dataclass(frozen=True)
class Room:
    """What a cluster has for pods, and who has taken what of it, node by node.

    Attributes:
        nodes: The nodes.
    """

    nodes: tuple[Node, ...]

    def of(self, namespaces: Container[str]) -> Share:
        """What the pods of some namespaces request, wherever they run."""
        taken = (share for node in self.nodes for name, share in node.taken.items() if name in namespaces)
        return sum(taken, Share())

    def cluster(self, *, without: Container[str] = ()) -> Cluster:
        """The nodes that take pods, as if those of some namespaces were not there."""
        nodes, free = [], []
        for node in self.nodes:
            if node.has is not None:
                others = (share for name, share in node.taken.items() if name not in without)
                nodes.append(node.has)
                free.append(node.has - sum(others, Share()))
        return Cluster(tuple(nodes), tuple(free))


@dataclass(frozen=True)
class Cluster:
    """What the nodes of a cluster that take pods have for them.

    Attributes:
        nodes: What each can allocate.
        free: What of that no pod requests, node by node.
    """

    nodes: tuple[Share, ...]
    free: tuple[Share, ...]

    @property
    def allocatable(self) -> Share:
        """What all nodes can allocate."""
        return sum(self.nodes, Share())

    @property
    def requested(self) -> Share:
        """What pods request of it."""
        return self.allocatable - sum(self.free, Share())

    @property
    def largest(self) -> Share | None:
        """The largest node; none where no node takes pods."""
        return max(self.nodes, key=lambda node: (node.memory, node.cpu), default=None)


@dataclass(frozen=True)
class Outlook:
    """What an environment reserves, and what that is of its cluster, as far as that is known.

    Attributes:
        wanted: What it reserves.
        nodes: How many nodes take pods.
        node: The largest of them.
        fits: Whether there is room for it now; true of one that runs already.
        more: How many more of its size fit beside it.
        unread: Why the cluster could not be read; empty where it could.
        seen: When the cluster was seen, if that was before the plan was made.
    """

    wanted: Reservation
    nodes: int | None = None
    node: Share | None = None
    fits: bool | None = None
    more: int | None = None
    unread: str = ""
    seen: str = ""


def reservation(bundle: Bundle) -> Reservation:
    """Gives what a bundle's pods request: those of its own namespace, and its Jobs wherever they run."""
    return reservation_of(bundle.manifests)


def reservation_of(manifests: Iterable[Mapping[str, Any]]) -> Reservation:
    """Gives what the pods of some manifests, or of live objects, request."""
    steady: list[Share] = []
    beside: list[tuple[Share, ...]] = []
    for manifest in manifests:
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


def room_of(nodes: Sequence[Mapping[str, Any]], pods: Iterable[Mapping[str, Any]]) -> Room:
    """Gives what each node can allocate, and what pods request of it.

    Args:
        nodes: The cluster's nodes.
        pods: All pods of the cluster; those that ended reserve nothing.
    """
    taken: dict[str, dict[str, Share]] = {text(at(node, "metadata", "name")): {} for node in nodes}
    for pod in pods:
        if _is_placed(pod):
            of = taken.setdefault(text(at(pod, "spec", "nodeName")), {})
            name = namespace(pod)
            of[name] = of.get(name, Share()) + _requests(mapping(pod.get("spec")))
    usable = {text(at(node, "metadata", "name")): allocatable(node) for node in nodes if _is_usable(node)}
    return Room(tuple(Node(usable.get(name), of) for name, of in taken.items()))


def outlook(manifests: Sequence[Mapping[str, Any]], room: Room) -> Outlook:
    """Gives what an environment reserves of its cluster, and how many more of its size fit beside it.

    Args:
        manifests: The environment's.
        room: The cluster's, with the environment's own pods where it runs already.
    """
    wanted = reservation_of(manifests)
    homes = {namespace(item) for item in manifests if text(item.get("kind")) in _KEEPS_RUNNING}
    cluster = room.cluster()
    if room.of(homes).holds(wanted.total):
        fits, more = True, fitting(wanted, cluster.free)
    else:
        # What of it runs already makes room for what comes.
        count = fitting(wanted, room.cluster(without=homes).free)
        fits, more = count > 0, max(count - 1, 0)
    return Outlook(wanted, len(cluster.nodes), cluster.largest, fits, more)


def usual(reservations: Iterable[Reservation]) -> Reservation | None:
    """Gives the size that most of some environments have, the larger of equally many; none where nothing runs."""
    counted = Counter(one for one in reservations if one.steady)
    return max(counted, key=lambda one: (counted[one], one.total.memory, one.total.cpu), default=None)


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


def describe(found: Outlook) -> str:
    """Says what an environment reserves, and what is known of its cluster, in one line."""
    total, node = found.wanted.total, found.node
    parts = [f"reserves {total} in {total.pods} pods"]
    if node and node.cpu and node.memory:
        parts.append(
            f"{percent(total.cpu, node.cpu)} of a node's CPU and {percent(total.memory, node.memory)} of its memory"
        )
    parts.append(f"{found.wanted.peak} while it is deployed")
    if found.unread:
        parts.append(f"how many more fit is not known: {found.unread}")
    elif found.fits is False:
        parts.append(f"no room for it {found.seen or 'when it was planned'}, on {_nodes(found.nodes)}")
    elif found.more is not None:
        when = f", {found.seen}" if found.seen else ""
        parts.append(f"{how_many(found.more)} more of this size fit on {_nodes(found.nodes)}{when}")
    return "; ".join(parts)


def how_many(count: int) -> str:
    """Writes how many fit, of which no more than `MOST` are counted."""
    return f"at least {count}" if count == MOST else str(count)


def percent(part: Fraction, of: Fraction) -> str:
    """Writes a part in percent."""
    return f"{round(100 * part / of)} %"


def _nodes(count: int | None) -> str:
    return "the 1 node that takes pods" if count == 1 else f"the {count} nodes that take pods"


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


def _is_placed(pod: Mapping[str, Any]) -> bool:
    return bool(text(at(pod, "spec", "nodeName"))) and text(at(pod, "status", "phase")) not in _ENDED


def _is_usable(node: Mapping[str, Any]) -> bool:
    if at(node, "spec", "unschedulable") is True:
        return False
    if any(taint.get("effect") in {"NoSchedule", "NoExecute"} for taint in mappings(at(node, "spec", "taints"))):
        return False
    conditions = {text(one.get("type")): text(one.get("status")) for one in mappings(at(node, "status", "conditions"))}
    return conditions.get("Ready", "True") == "True"
