"""Sets of manifests with an API or a front end in them: what the tests run, and nothing else of the library."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from constructs_lib._k8s import App, Chart, Construct, manifests
from constructs_lib.placement import Placement
from tests.runtime.pods import Manifest

PLACEMENT = Placement(namespace="site", part_of="site", instance="test")


@dataclass(frozen=True)
class Set:
    """The objects of a chart."""

    objects: tuple[Manifest, ...]

    @classmethod
    def of(cls, build: Callable[[Construct], object]) -> Set:
        """Synthesizes what a function adds to a chart."""
        app = App()
        chart = Chart(app, "set", disable_resource_name_hashes=True)
        build(chart)
        return cls(tuple(manifest for _, manifest in manifests(chart)))

    def only(self, kind: str) -> Manifest:
        """The one object of a kind."""
        (found,) = (item for item in self.objects if item["kind"] == kind)
        return found

    def template(self, kind: str = "Deployment") -> dict[str, Any]:
        """A copy of the pod template of the one workload of a kind."""
        template: dict[str, Any] = copy.deepcopy(self.only(kind)["spec"]["template"])
        return template


def without_pre_stop(template: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a pod template whose containers are told to end at once."""
    changed = copy.deepcopy(dict(template))
    for part in changed["spec"]["containers"]:
        del part["lifecycle"]
    return changed


def with_pre_stop(template: Mapping[str, Any], container: str, script: str) -> dict[str, Any]:
    """Gives a pod template one of whose containers has another preStop."""
    changed = copy.deepcopy(dict(template))
    (part,) = (part for part in changed["spec"]["containers"] if part["name"] == container)
    part["lifecycle"]["preStop"]["exec"]["command"] = ["sh", "-c", script]
    return changed
