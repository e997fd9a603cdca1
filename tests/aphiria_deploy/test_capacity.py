"""What a preview reserves, and how many more fit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from aphiria_deploy import capacity
from aphiria_deploy.capacity import (
    Cluster,
    Outlook,
    Reservation,
    Share,
    fitting,
    outlook,
    reservation,
    room_of,
    usual,
)
from tests.aphiria_deploy.github.bundles import changed, manifest, preview, production

MI = 1024**2
GI = 1024**3
NODE = Share(Fraction(19, 10), Fraction(3 * GI), 110)


def share(cpu: str, memory: int, pods: int = 1) -> Share:
    return Share(Fraction(cpu), Fraction(memory * MI), pods)


def test_a_preview_reserves_what_its_pods_request() -> None:
    found = reservation(preview())

    assert found.total == share("0.7", 1664, 2)
    # Beside them, during a rollout, one more of the API's pods.
    assert found.peak == share("1.3", 3072, 3)


def test_production_reserves_its_replicas_its_database_and_its_backup() -> None:
    found = reservation(production())

    assert found.total == share("1.4", 3328, 4) + share("0.25", 512)


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ({"nodes": 2, "fits": True, "more": 3}, "3 more of this size fit on the 2 nodes that take pods"),
        ({"nodes": 1, "fits": True, "more": 0}, "0 more of this size fit on the 1 node that takes pods"),
        (
            {"nodes": 2, "fits": True, "more": capacity.MOST},
            "at least 1000 more of this size fit on the 2 nodes that take pods",
        ),
        ({"nodes": 0, "fits": False, "more": 0}, "no room for it when it was planned, on the 0 nodes that take pods"),
    ],
)
def test_a_line_tells_it(known: dict[str, Any], end: str) -> None:
    assert capacity.describe(Outlook(reservation(preview()), node=NODE, **known)) == (
        "reserves 700m CPU, 1664Mi memory in 2 pods; 37 % of a node's CPU and 54 % of its memory; "
        f"1300m CPU, 3Gi memory while it is deployed; {end}"
    )


def test_what_could_not_be_read_is_told() -> None:
    wanted = reservation(preview())
    alone = "reserves 700m CPU, 1664Mi memory in 2 pods; 1300m CPU, 3Gi memory while it is deployed"

    assert capacity.describe(Outlook(wanted)) == alone
    assert capacity.describe(Outlook(wanted, unread="no")) == f"{alone}; how many more fit is not known: no"


@pytest.mark.parametrize(
    ("free", "count"),
    [
        ([], 0),
        ([NODE], 1),
        # It would fit, but not with what runs beside it while it is deployed.
        ([share("9", 3071, 110)], 0),
        ([NODE, NODE], 2),
        ([NODE] * 4, 6),
        ([share("9", 1600, 110)], 0),
        ([share("9", 9000, 110)], 4),
        ([share("9", 9000, 3)], 1),
        # As much in all as one needs, in parts that hold no pod.
        ([share("0.1", 128, 110)] * 40, 0),
    ],
)
def test_how_many_more_fit(free: list[Share], count: int) -> None:
    assert fitting(reservation(preview()), free) == count


def test_nodes_that_may_still_come_count() -> None:
    assert fitting(reservation(preview()), [NODE], growth=[NODE] * 3) == 6


def test_what_reserves_nothing_is_not_counted() -> None:
    assert fitting(Reservation(()), [NODE]) == 0
    assert fitting(Reservation((Share(pods=0),)), [NODE]) == capacity.MOST


def node(name: str, **more: Any) -> dict[str, Any]:
    status = {"allocatable": {"cpu": "1900m", "memory": "3Gi", "pods": "110"}}
    return {"metadata": {"name": name}, "spec": more, "status": status | more.pop("status", {})}


def pod(
    where: str, phase: str = "Running", namespace: str = "preview-pr-7", cpu: str = "500m", memory: str = "1Gi"
) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    spec = {"containers": [{"name": "x", "resources": resources}], **({"nodeName": where} if where else {})}
    return {"metadata": {"namespace": namespace, "name": "x"}, "spec": spec, "status": {"phase": phase}}


def test_what_is_free_is_what_pods_do_not_request() -> None:
    pods = [pod("a"), pod("a", "Pending"), pod("a", "Succeeded"), pod("a", "Failed"), pod("b"), pod("")]
    found = room_of([node("a"), node("b"), node("c")], pods).cluster()

    assert found.free == (NODE - share("1", 2048, 2), NODE - share("0.5", 1024), NODE)
    assert found.allocatable == NODE * 3
    assert found.requested == share("1.5", 3072, 3)
    assert found.largest == NODE
    assert room_of([], pods).cluster() == Cluster((), ())
    assert room_of([], pods).cluster().largest is None


@pytest.mark.parametrize(
    "more",
    [
        {"unschedulable": True},
        {"taints": [{"key": "x", "effect": "NoSchedule"}]},
        {"taints": [{"key": "x", "effect": "NoExecute"}]},
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
    ],
)
def test_a_node_that_takes_no_pods_is_no_room(more: dict[str, Any]) -> None:
    assert room_of([node("a", **more)], []).cluster() == Cluster((), ())


HOME = "preview-pr-107"
WEB = pod("a", namespace=HOME, cpu="100m", memory="256Mi")
API = pod("a", namespace=HOME, cpu="600m", memory="1408Mi")
NODES = [node("a"), node("b"), node("c")]


@pytest.mark.parametrize(
    ("nodes", "pods", "fits", "more"),
    [
        # Not there yet: it takes room itself.
        (NODES, [], True, 3),
        (NODES[:1], [], True, 0),
        (NODES[:1], [pod("a")], False, 0),
        ([], [], False, 0),
        # It runs: what is free is free for others.
        (NODES, [WEB, API], True, 3),
        (NODES[:1], [WEB, API], True, 0),
        # Not all of it runs, or not yet, or less of it than what is planned: its room is its own.
        (NODES[:1], [WEB], True, 0),
        (NODES[:1], [WEB, API | {"status": {"phase": "Failed"}}], True, 0),
        (NODES[:1], [pod("a", namespace=HOME)], True, 0),
        (NODES[:1], [pod("", namespace=HOME)], True, 0),
        # Of another one it is not.
        (NODES[:1], [pod("a", namespace="preview-pr-1070")], False, 0),
    ],
)
def test_how_many_more_fit_beside_it(
    nodes: list[dict[str, Any]], pods: list[dict[str, Any]], fits: bool, more: int
) -> None:
    found = outlook(preview().manifests, room_of(nodes, pods))

    assert (found.fits, found.more, found.nodes, found.unread) == (fits, more, len(nodes), "")
    assert found.wanted == reservation(preview())
    assert found.node == (NODE if nodes else None)


def test_the_usual_size_is_what_most_have() -> None:
    small, large = (Reservation((share(cpu, 100),)) for cpu in ("0.1", "0.2"))

    assert usual([large, small, small]) == small
    assert usual([small, large]) == large
    assert usual([small, Reservation(()), Reservation(())]) == small
    assert usual([]) is None


def test_a_hostile_number_of_replicas_is_no_hang() -> None:
    def change(data: dict[str, Any]) -> None:
        manifest(data, "Deployment", "web")["spec"]["replicas"] = 10**9

    assert reservation(changed(preview(), change)).total.pods == capacity.MOST + 1
