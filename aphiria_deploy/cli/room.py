"""What previews reserve of their cluster, and how many more fit: read from it, and told as text and as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aphiria_deploy import capacity
from aphiria_deploy.capacity import Cluster, Outlook, Reservation, Share
from aphiria_deploy.errors import AphiriaDeployError, CancelledError
from aphiria_deploy.kube import Client, Deadline, Kind, both

_NODE, _POD = Kind("v1", "Node"), Kind("v1", "Pod")
_UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"
_SECONDS = 10.0
"""How long is waited for what nothing depends on."""

Objects = Sequence[Mapping[str, Any]]


def read(client: Client, deadline: Deadline) -> tuple[Objects, Objects] | str:
    """Reads a cluster's nodes, and its pods that have not ended, at the same time.

    Returns:
        Both; or why they cannot be had, which nothing may fail for.

    Raises:
        CancelledError: It was told to stop.
    """
    soon = deadline.within(_SECONDS, "what is free in the cluster")
    nodes, pods = both(
        lambda: client.list(_NODE, soon).items,
        lambda: client.list(_POD, soon, fields=_UNFINISHED).items,
        soon.cancellation,
    )
    try:
        return nodes.get(), pods.get()
    except CancelledError:
        raise
    except AphiriaDeployError as error:
        return str(error).splitlines()[0]


def outlook_data(found: Outlook) -> dict[str, Any]:
    """What an environment reserves, as data."""
    total, node = found.wanted.total, found.node
    has_size = node and node.cpu and node.memory
    return {
        "reserves": share_data(total),
        "peak": share_data(found.wanted.peak),
        "ofNode": {"cpu": _part(total.cpu / node.cpu), "memory": _part(total.memory / node.memory)}
        if node and has_size
        else None,
        "nodes": found.nodes,
        "fits": found.fits,
        "more": found.more,
        "unread": found.unread or None,
        "text": capacity.describe(found),
    }


def share_data(share: Share) -> dict[str, Any]:
    """CPUs, bytes and pods."""
    return {"cpu": float(share.cpu), "memoryBytes": int(share.memory), "pods": share.pods}


def summary(deployments: Mapping[str, Objects], seen: tuple[Objects, Objects] | str) -> dict[str, Any]:
    """Sums up what all previews of a cluster reserve, and how many more of the usual size fit.

    Args:
        deployments: The Deployments, by environment.
        seen: The cluster's nodes and pods, or why they could not be read.
    """
    previews = [capacity.reservation_of(items) for name, items in deployments.items() if name.startswith("pr-")]
    size = capacity.usual(previews)
    cluster = None if isinstance(seen, str) else capacity.room_of(*seen).cluster()
    more = capacity.fitting(size, cluster.free) if size and cluster else None
    parts = _previews_text(previews)
    parts += [f"what the cluster has for more is not known: {seen}"] if cluster is None else _requested(cluster)
    if size and more is not None:
        parts.append(f"{capacity.how_many(more)} more of the usual size ({size.total}) fit")
    return {
        "previews": {"count": len(previews), **share_data(_sum(previews))},
        "usual": share_data(size.total) if size else None,
        **_cluster_data(cluster),
        "more": more,
        "unread": seen if isinstance(seen, str) else None,
        "text": "; ".join(parts),
    }


def _cluster_data(cluster: Cluster | None) -> dict[str, Any]:
    if cluster is None:
        return dict.fromkeys(("nodes", "allocatable", "requested"))
    return {
        "nodes": len(cluster.nodes),
        "allocatable": share_data(cluster.allocatable),
        "requested": share_data(cluster.requested),
    }


def _previews_text(previews: Sequence[Reservation]) -> list[str]:
    total = _sum(previews)
    if not previews:
        return []
    who = "1 preview reserves" if len(previews) == 1 else f"{len(previews)} previews reserve"
    return [f"{who} {total} in {total.pods} pods"]


def _requested(cluster: Cluster) -> list[str]:
    has, used = cluster.allocatable, cluster.requested
    if not has.cpu or not has.memory:
        return ["no node takes pods"]
    nodes = "1 node" if len(cluster.nodes) == 1 else f"{len(cluster.nodes)} nodes"
    cpu, memory = capacity.percent(used.cpu, has.cpu), capacity.percent(used.memory, has.memory)
    return [f"of {nodes} with {has}, {cpu} of the CPU and {memory} of the memory are requested"]


def _sum(reservations: Iterable[Reservation]) -> Share:
    return sum((one.total for one in reservations), Share())


def _part(part: Any) -> float:
    return round(float(part), 4)
