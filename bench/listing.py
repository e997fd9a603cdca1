"""Measures the list of all environments, of a cluster with many."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from functools import partial

import msgspec

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.cli.inspecting import environments
from aphiria_deploy.engine.applyset import Parent
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.engine.releases import ENVIRONMENT, KEPT, Release, Result
from aphiria_deploy.engine.state import State, parent_name
from aphiria_deploy.kube import Client, Deadline, Tried, concurrently
from bench.peers import Ours
from tests.e2e.engine import preview

PREVIEWS = (10, 200)
RUNS = 5

_FIRST = 1001
_WORKLOADS = "bench-workloads"


def main(client: Client, ours: Ours) -> None:
    """Prints the figures."""
    deadline = Deadline.after(600, "the previews to list")
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _WORKLOADS}}, deadline)
    there = 0
    for count in PREVIEWS:
        calls = [partial(_record, client, preview(_FIRST + number), deadline) for number in range(there, count)]
        for outcome in concurrently(calls):
            outcome.get()
        there = count
        made: list[Tried] = []
        with Client(client.access, observe=made.append) as counting:
            listed = len(environments(counting, deadline)["environments"])
        taken = statistics.median(ours.run(ours.list()).wall for _ in range(RUNS))
        print(f"list, {listed} environments, {count} of them with {KEPT} releases: {taken:.2f} s, {len(made)} requests")


def _record(client: Client, bundle: Bundle, deadline: Deadline) -> None:
    """Writes down the releases of a preview, and makes its Deployments, without pods."""
    state, now = State(client), datetime.now(UTC)
    release = Release(
        revision=1, result=Result.DEPLOYED, bundle=bundle, started=now, author="bench", tool="0.1.0", finished=now
    )
    for revision in range(1, KEPT + 1):
        state.record(msgspec.structs.replace(release, revision=revision), deadline)
    environment = bundle.environment.name
    parent = Parent(name=parent_name(environment), namespace=NAMESPACE).holding(bundle.manifests)
    state.set_parent(parent, release, deadline, finished=now)
    for item in bundle.manifests:
        if item["kind"] == "Deployment":
            client.apply(_at_rest(item, environment), deadline)


def _at_rest(item: Manifest, environment: str) -> Manifest:
    """A Deployment of a preview, of no pod, in the one namespace of all that are listed."""
    metadata = item["metadata"]
    labels = {**metadata.get("labels", {}), ENVIRONMENT: environment}
    name = f"{metadata['name']}-{environment}"
    return item | {
        "metadata": metadata | {"name": name, "namespace": _WORKLOADS, "labels": labels},
        "spec": item["spec"] | {"replicas": 0},
    }
