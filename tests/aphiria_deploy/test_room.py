"""What ``list`` says of what previews reserve."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.cli import environment_text, room
from tests.aphiria_deploy.cli.schemas import CAPACITY
from tests.aphiria_deploy.github.bundles import preview, production
from tests.aphiria_deploy.test_capacity import NODES, pod

REFUSED = 'list Node: nodes is forbidden: User "x" cannot list resource "nodes"'


def deployments(made: Bundle) -> list[dict[str, Any]]:
    return [item for item in made.manifests if item["kind"] == "Deployment"]


ONE = {"pr-107": deployments(preview())}
TWO = ONE | {"pr-108": deployments(preview())}


@pytest.mark.parametrize(
    ("environments", "seen", "text"),
    [
        (
            TWO,
            (NODES, [pod("a"), pod("b")]),
            "2 previews reserve 1400m CPU, 3328Mi memory in 4 pods; of 3 nodes with 5700m CPU, 9Gi memory, 18 % of the "
            "CPU and 22 % of the memory are requested; 3 more of the usual size (700m CPU, 1664Mi memory) fit",
        ),
        (
            ONE,
            (NODES[:1], [pod("a")]),
            "1 preview reserves 700m CPU, 1664Mi memory in 2 pods; of 1 node with 1900m CPU, 3Gi memory, 26 % of the "
            "CPU and 33 % of the memory are requested; 0 more of the usual size (700m CPU, 1664Mi memory) fit",
        ),
        (
            TWO,
            REFUSED,
            "2 previews reserve 1400m CPU, 3328Mi memory in 4 pods; what the cluster has for more is not known: "
            + REFUSED,
        ),
        # How large a preview is, nobody knows where there is none.
        (
            {"production": deployments(production())},
            (NODES[:1], []),
            "of 1 node with 1900m CPU, 3Gi memory, 0 % of the CPU and 0 % of the memory are requested",
        ),
        ({}, ([], []), "no node takes pods"),
    ],
)
def test_it_sums_up(environments: dict[str, Any], seen: Any, text: str) -> None:
    found = room.summary(environments, seen)

    jsonschema.validate(found, CAPACITY)
    assert found["text"] == text
    assert found["previews"]["count"] == sum(name.startswith("pr-") for name in environments)


def test_it_is_data_too() -> None:
    found = room.summary(TWO, (NODES, [pod("a"), pod("b")]))

    gibibyte = 1024**3
    assert found["previews"] == {"count": 2, "cpu": 1.4, "memoryBytes": 3328 * 1024**2, "pods": 4}
    assert found["usual"] == {"cpu": 0.7, "memoryBytes": 1664 * 1024**2, "pods": 2}
    assert found["allocatable"] == {"cpu": 5.7, "memoryBytes": 9 * gibibyte, "pods": 330}
    assert found["requested"] == {"cpu": 1.0, "memoryBytes": 2 * gibibyte, "pods": 2}
    assert (found["nodes"], found["more"], found["unread"]) == (3, 3, None)


def test_it_is_the_last_line_of_the_list() -> None:
    row = {"environment": "pr-107", "result": "deployed", "healthy": True, "pods": "2/2", "revision": 1}
    row |= {"ageSeconds": 60, "author": "ann", "urls": {}}
    listed = {"stack": None, "environments": [row], "capacity": {"text": "it sums up"}}

    assert environment_text.environments(listed).splitlines() == [
        "ENVIRONMENT  STATE     PODS  REVISION  AGE  BY   URL",
        "pr-107       deployed  2/2   1         1m   ann",
        "",
        "it sums up",
    ]
