"""Measures deploys beside kubectl and helm, on one real API server, in one run: ``python -m bench deploys``.

The cluster is the one of the end-to-end tests, with their stand-ins for nodes and controllers, which keep one pace for
all. It needs the control plane's binaries and the CRDs: without them all of it is left out, and without helm its part.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.engine.applying_secrets import apply_secrets
from aphiria_deploy.kube import Cancellation, Client, Deadline
from apps import site
from bench import listing, requests
from bench.peers import Helm, Kubectl, Ours, Peer, Took, find_helm
from bench.witness import Witness
from tests.crds import FOLDER
from tests.e2e.assets import ASSETS, missing_binaries
from tests.e2e.control_plane import ControlPlane
from tests.e2e.controllers import Controllers
from tests.e2e.engine import OUTPUTS, Cluster, inputs, prepare, preview
from tests.e2e.kubelet import Kubelet

NO_OPS = 15
DEPLOYS = 7

_DIGITS = "cdef0123456789"

T = TypeVar("T")


@dataclass
class Taken:
    """What the commands of one peer took.

    Attributes:
        wall: Seconds, from start to end.
        cpu: Seconds of the processor.
        lost: Seconds between the cluster being ready and the end.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)

    def add(self, took: Took, ready_at: float | None = None) -> None:
        """Adds one."""
        self.wall.append(took.wall)
        self.cpu.append(took.cpu)
        if ready_at is not None:
            self.lost.append(took.ended - ready_at)


def main() -> None:
    """Prints the figures."""
    if missing := missing_binaries():
        print(f"Deploys: left out, {', '.join(missing)} not in {ASSETS} (KUBEBUILDER_ASSETS)")
        return
    if not any(FOLDER.glob("*.yaml")):
        print(f"Deploys: left out, no CRDs in {FOLDER} (CRDS)")
        return
    with tempfile.TemporaryDirectory() as temporary, _cluster(Path(temporary)) as cluster:
        _Bench(cluster, Path(temporary)).run()


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    for name in ("plane", "kubelet"):
        (folder / name).mkdir()
    with ControlPlane(folder / "plane") as plane, Client.load(plane.kubeconfig) as administrator:
        prepare(plane, administrator)
        with (
            Kubelet(administrator, folder / "kubelet", schedules=not plane.has_scheduler) as kubelet,
            Controllers(administrator) as controllers,
        ):
            running = Cluster(plane, administrator, kubelet, controllers)
            report = running.deploy(site.bundle("preview-base", {}))
            assert report.result == "deployed", report.error
            yield running


class _Bench:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._numbers = itertools.count(1)
        kubeconfig = cluster.plane.kubeconfig
        self._ours = Ours(kubeconfig, folder, OUTPUTS)
        self._kubectl = Kubectl(kubeconfig, folder)
        helm = find_helm()
        self._helm = Helm(helm, kubeconfig, folder) if helm else None

    def run(self) -> None:
        version = self._cluster.client.probe(Deadline.after(10, "the version")).git_version
        helm = f"helm {self._helm.version}" if self._helm else "no helm (HELM=FILE names one)"
        print(f"Deploys: Kubernetes {version}, kubectl {self._kubectl.version}, {helm}; medians of alternating runs")
        others: list[Peer] = [self._kubectl, *([self._helm] if self._helm else [])]
        peers: list[Peer] = [self._ours, *others]
        mine = {peer.name: self._first(peer) for peer in peers}
        _show("no-op", self._no_op(mine))
        with Witness(self._cluster.client, mine[peers[0].name]) as witness:
            apart = Kubectl(self._cluster.plane.kubeconfig, self._folder, job_by_job=True)
            _show("first deploy", self._firsts([self._ours, apart, *self._with_hooks(), *others], witness))
            _show("one image changed", self._images(peers, mine, witness))
        requests.main(self._cluster, preview(next(self._numbers)))
        listing.main(self._cluster.client, self._ours)

    def _with_hooks(self) -> list[Peer]:
        helm = find_helm()
        return [Helm(helm, self._cluster.plane.kubeconfig, self._folder, hooks=True)] if helm else []

    def _prepared(self, bundle: Bundle) -> Bundle:
        """The namespace and the Secrets, which are there before anything is measured: all peers have the same."""
        client, deadline = self._cluster.client, Deadline.after(60, "the Secrets")
        for item in bundle.manifests:
            if item["kind"] == "Namespace":
                client.apply(item, deadline)
        apply_secrets(client, bundle, inputs(), deadline, Cancellation())
        return bundle

    def _first(self, peer: Peer) -> Bundle:
        bundle = self._prepared(preview(next(self._numbers)))
        peer.write(bundle)
        peer.deploy(bundle)
        return bundle

    def _no_op(self, mine: Mapping[str, Bundle]) -> dict[str, Taken]:
        calls: dict[str, Callable[[], Took]] = {
            self._ours.name: lambda: self._ours.deploy(mine[self._ours.name]),
            "kubectl apply": lambda: self._kubectl.apply(mine[self._kubectl.name]),
        }
        if helm := self._helm:
            calls[helm.name] = lambda: helm.deploy(mine[helm.name])
        taken = {name: Taken() for name in calls}
        for turn in range(NO_OPS + 1):
            for name, call in _in_turn(list(calls.items()), turn):
                took = call()
                if turn:
                    taken[name].add(took)
        return taken

    def _firsts(self, peers: Sequence[Peer], witness: Witness) -> dict[str, Taken]:
        taken = {peer.name: Taken() for peer in peers}
        for turn in range(DEPLOYS):
            for peer in _in_turn(peers, turn):
                bundle = self._prepared(preview(next(self._numbers)))
                peer.write(bundle)
                taken[peer.name].add(peer.deploy(bundle), witness.ready_at(bundle))
        return taken

    def _images(self, peers: Sequence[Peer], mine: Mapping[str, Bundle], witness: Witness) -> dict[str, Taken]:
        taken = {peer.name: Taken() for peer in peers}
        for turn in range(DEPLOYS):
            for peer in _in_turn(peers, turn):
                number = mine[peer.name].environment.number
                bundle = preview(number, web=_DIGITS[turn])
                peer.write(bundle)
                taken[peer.name].add(peer.deploy(bundle), witness.ready_at(bundle))
        return taken


def _in_turn(items: Sequence[T], turn: int) -> Sequence[T]:
    """Every other time the other way round, so that none is always the first."""
    return items if turn % 2 else items[::-1]


def _show(what: str, taken: Mapping[str, Taken]) -> None:
    ours = next(iter(taken.values()))
    for name, one in taken.items():
        wall, cpu = statistics.median(one.wall), statistics.median(one.cpu)
        lost = f", {statistics.median(one.lost):.2f} s after the last object was ready" if one.lost else ""
        ratio = statistics.median(mine / other for mine, other in zip(ours.wall, one.wall, strict=True))
        beside = (
            "" if one is ours else f"; ours beside it {ratio:.2f}, of the processor {_ratio(ours.cpu, one.cpu):.2f}"
        )
        print(f"{what}, {name}: {wall:.2f} s, {cpu:.2f} s of the processor{lost}{beside}")


def _ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, others, strict=True))
