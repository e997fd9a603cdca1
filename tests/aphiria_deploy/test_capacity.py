"""What a preview reserves, and how many more fit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from aphiria_deploy import capacity
from aphiria_deploy.capacity import Reservation, Share, fitting, reservation
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


def test_a_line_tells_it() -> None:
    said = capacity.describe(reservation(preview()), NODE, 3)

    assert said == (
        "reserves 700m CPU, 1664Mi memory in 2 pods; 37 % of a node's CPU and 54 % of its memory; "
        "1300m CPU, 3Gi memory while it is deployed; 3 more of this size fit"
    )


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


def pod(where: str, phase: str = "Running", namespace: str = "preview-pr-7") -> dict[str, Any]:
    resources = {"requests": {"cpu": "500m", "memory": "1Gi"}}
    spec = {"containers": [{"name": "x", "resources": resources}], **({"nodeName": where} if where else {})}
    return {"metadata": {"namespace": namespace, "name": "x"}, "spec": spec, "status": {"phase": phase}}


def test_what_is_free_is_what_pods_do_not_request() -> None:
    pods = [pod("a"), pod("a", "Pending"), pod("a", "Succeeded"), pod("a", "Failed"), pod("b"), pod("")]

    assert capacity.rooms([node("a"), node("b"), node("c")], pods) == [
        NODE - share("1", 2048, 2),
        NODE - share("0.5", 1024),
        NODE,
    ]


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
    assert capacity.rooms([node("a", **more)], []) == []


def test_what_a_namespace_reserves_now() -> None:
    pods = [pod("a"), pod("b", "Failed"), pod("a", namespace="other")]

    assert capacity.in_namespace(pods, "preview-pr-7").total == share("0.5", 1024)


def test_a_hostile_number_of_replicas_is_no_hang() -> None:
    def change(data: dict[str, Any]) -> None:
        manifest(data, "Deployment", "web")["spec"]["replicas"] = 10**9

    assert reservation(changed(preview(), change)).total.pods == capacity.MOST + 1
