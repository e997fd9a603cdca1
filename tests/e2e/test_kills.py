"""Runs that are killed after each of their writes in turn: one more run, and all is as it was meant."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from aphiria_deploy.engine.releases import Result
from aphiria_deploy.objects import ObjectKey
from tests.e2e.control_plane import eventually
from tests.e2e.engine import Cluster
from tests.e2e.killed import LEASE_SECONDS, Doomed, Runs
from tests.e2e.small import Small

pytestmark = pytest.mark.xdist_group("fault-cluster")

_AT_ONCE = 6
_PROCESSES = 5
_KILLED = -signal.SIGKILL


def _older(small: Small) -> Small:
    """What an update starts from: another image and configuration, and an object that goes."""
    extra = small.object("ConfigMap", "extra", data={})
    return replace(small, image="registry.example/api:0", config="0", more=(extra,))


def _made(cluster: Cluster, act: Callable[[Any], Any]) -> int:
    """How many writes something makes."""
    with cluster.asked() as (client, requests):
        act(client)
    return len(requests.writes)


def _at_once(act: Callable[[Any], Any], of: Sequence[Any]) -> list[Any]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(act, of))


def _ended(doomed: Sequence[Doomed]) -> set[int]:
    """With what runs ended, of which some are made at the same time."""

    def some(part: Sequence[Doomed]) -> set[int]:
        with Runs() as runs:
            return {runs.end()[0] for one in part if runs.begin(one)}

    return set().union(*_at_once(some, [doomed[first::_PROCESSES] for first in range(_PROCESSES)]))


def _converges(cluster: Cluster, small: Small) -> None:
    """One more run, and all is as planned, with nothing left over."""
    with cluster.asked() as (client, _):
        report = cluster.deploy(small.bundle(), client=client, wait_for_lock=LEASE_SECONDS + 10)
        assert report.error is None, (small, report.error)
        assert report.result in {"deployed", "unchanged"}
        again = cluster.deploy(small.bundle(), client=client)
    assert again.result == "unchanged", small
    bundle = small.bundle()
    wanted = {str(ObjectKey.of(item)) for item in bundle.manifests}
    wanted |= {f"Secret {spec.namespace}/{spec.name}" for spec in bundle.secrets}
    assert cluster.members(small.environment) == wanted
    assert cluster.remembered(small.environment).headers[0].result is Result.DEPLOYED
    # A run that has nothing to do writes nothing: the lease of one that was killed at its very end is left.
    leases = [one for one in cluster.leftovers(small.environment) if one.startswith("Lease")]
    assert not leases or report.result == "unchanged"


@pytest.fixture(scope="module")
def killed(site_cluster: Cluster) -> dict[str, list[Small]]:
    """Of each kind of run one that was killed after each of its writes; their leases run out together."""
    counted = Small()
    updated = _older(Small())
    numbers = {
        "first": _made(site_cluster, lambda client: site_cluster.deploy(counted.bundle(), client=client)),
        "destroy": _made(site_cluster, lambda client: site_cluster.destroy(counted.environment, client=client)),
    }
    assert site_cluster.deploy(updated.bundle()).result == "deployed"
    newer = Small(number=updated.number)
    numbers["update"] = _made(site_cluster, lambda client: site_cluster.deploy(newer.bundle(), client=client))
    runs = {kind: [Small() for _ in range(number)] for kind, number in numbers.items()}
    before = [_older(small) for small in runs["update"]] + runs["destroy"]

    def deploy(small: Small) -> None:
        with site_cluster.asked() as (client, _):
            assert site_cluster.deploy(small.bundle(), client=client).result == "deployed"

    _at_once(deploy, before)
    doomed = [
        Doomed(site_cluster.plane.kubeconfig, "destroy" if kind == "destroy" else "deploy", small, at)
        for kind, smalls in runs.items()
        for at, small in enumerate(smalls, 1)
    ]
    assert _ended(doomed) == {_KILLED}
    return runs


def test_a_first_deploy_that_was_killed_is_finished_by_the_next(
    site_cluster: Cluster, killed: dict[str, list[Small]]
) -> None:
    assert len(killed["first"]) > 12
    _at_once(lambda small: _converges(site_cluster, small), killed["first"])


def test_an_update_that_was_killed_is_finished_by_the_next(
    site_cluster: Cluster, killed: dict[str, list[Small]]
) -> None:
    assert len(killed["update"]) > 10
    _at_once(lambda small: _converges(site_cluster, small), killed["update"])


def test_a_destruction_that_was_killed_is_finished_by_the_next(
    site_cluster: Cluster, killed: dict[str, list[Small]]
) -> None:
    def finish(small: Small) -> None:
        with site_cluster.asked() as (client, _):
            report = site_cluster.destroy(small.environment, client=client, wait_for_lock=LEASE_SECONDS + 10)
        assert report.result in {"destroyed", "absent"}, report.error

    assert len(killed["destroy"]) > 8
    _at_once(finish, killed["destroy"])
    for small in killed["destroy"]:
        assert site_cluster.leftovers(small.environment) == []


def test_a_run_that_slept_past_its_lease_writes_nothing_more(site_cluster: Cluster) -> None:
    """As on a machine that is suspended: whatever renews the lease sleeps with everything else."""
    small = Small()
    # After the write of its namespace, beside which it makes no other.
    doomed = Doomed(site_cluster.plane.kubeconfig, "deploy", replace(small, config="0"), at=4, how="SIGSTOP")
    with Runs() as runs:
        child = runs.begin(doomed)
        eventually(20, "it sleeps", lambda: site_cluster.find("v1", "Namespace", small.namespace))
        with site_cluster.asked() as (client, _):
            report = site_cluster.deploy(small.bundle(), client=client, wait_for_lock=LEASE_SECONDS + 10)
        assert report.result == "deployed", report.error
        os.kill(child, signal.SIGCONT)
        _, said = runs.end()
    assert said["error"] == "LeaseLostError", said
    assert [what for what in said["after"] if " Lease " not in what] == []
    assert site_cluster.deploy(small.bundle()).result == "unchanged"
