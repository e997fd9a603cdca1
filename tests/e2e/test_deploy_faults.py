"""Hundreds of deploys through a proxy where requests go wrong: each ends deployed, or failed with a true reason.

``FAULT_DEPLOYS`` says how many. A seed that is told can be had again alone: ``FAULT_SEED``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from aphiria_deploy.engine.lease import LockedError
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.kube import Client, Manners, load
from aphiria_deploy.objects import ObjectKey
from tests.e2e.engine import Cluster, steps
from tests.e2e.small import Small
from tests.faults.proxy import FaultProxy
from tests.faults.schedule import How, seeded

pytestmark = pytest.mark.xdist_group("fault-cluster")

DEPLOYS = int(os.environ.get("FAULT_DEPLOYS", "150"))
SEED = os.environ.get("FAULT_SEED")

_VERSIONS = 3
_AT_ONCE = 6
# What a message says where the fault was the proxy's doing: the status that it answers with, a connection that it cut,
# a list that it keeps from being the newest.
_TRUE_REASONS = ("injected ", "was cut", "fallen behind", "closed the connection")


@dataclass(frozen=True)
class _Weather:
    """How much goes wrong, and how patient the client is.

    Attributes:
        rate: How many of the requests go wrong.
        patience: For how many seconds the client tries a request again.
    """

    rate: float
    patience: float

    def client(self, proxy: FaultProxy) -> Client:
        """A client that asks through the proxy."""
        manners = Manners(chance=lambda: 0.02, patience_seconds=self.patience)
        return Client(load(proxy.kubeconfig), manners=manners)


_FAIR = [_Weather(rate, patience=120) for rate in (0.05, 0.2, 0.4)]
# The first failure of a request counts: a run fails wherever it happens to be.
_ROUGH = [_Weather(rate, patience=0) for rate in (0.01, 0.03, 0.08)]


@dataclass
class _Told:
    """What became of an environment's deploys."""

    results: Counter[str] = field(default_factory=Counter)
    errors: list[AphiriaDeployError] = field(default_factory=list)
    injected: Counter[How] = field(default_factory=Counter)


def _versions(small: Small) -> list[Small]:
    """A first one, one with another image, configuration and object, and one from which the object is gone."""
    extra = small.object("ConfigMap", "extra", data={"a": "b"})
    newer = replace(small, image="registry.example/api:2", config="2", more=(extra,))
    return [small, newer, replace(newer, config="3", more=())]


def _deploys(cluster: Cluster, folder: Path, seed: int, weather: _Weather) -> _Told:
    # Half of them without Jobs, whose controller takes its time.
    small, told = Small(with_jobs=seed % 2 == 0), _Told()
    with FaultProxy(cluster.plane.kubeconfig, folder, seeded(seed, weather.rate)) as proxy:
        for version in _versions(small):
            with weather.client(proxy) as client:
                try:
                    report = cluster.deploy(version.bundle(), client=client)
                except AphiriaDeployError as error:
                    told.results["not begun"] += 1
                    told.errors.append(error)
                else:
                    told.results[report.result] += 1
                    told.errors += [report.error] if report.error else []
    told.injected.update(one.fault.how for one in proxy.injected)
    _is_as_planned_after_a_clean_run(cluster, _versions(small)[-1], seed)
    return told


def _is_as_planned_after_a_clean_run(cluster: Cluster, small: Small, seed: int) -> None:
    with cluster.asked() as (client, _):
        clean = cluster.deploy(small.bundle(), client=client, wait_for_lock=30)
        assert clean.result in {"deployed", "unchanged"}, f"seed {seed}: {clean.error}"
        again = cluster.deploy(small.bundle(), client=client)
    changes = {name: step.changes for name, step in steps(again).items() if step.changes}
    assert again.result == "unchanged", f"seed {seed}: {changes}"
    bundle = small.bundle()
    wanted = {str(ObjectKey.of(item)) for item in bundle.manifests}
    wanted |= {f"Secret {spec.namespace}/{spec.name}" for spec in bundle.secrets}
    assert cluster.members(small.environment) == wanted, f"seed {seed}"


def _all(deploys: int, weathers: list[_Weather], one: Callable[[int, _Weather], _Told]) -> _Told:
    """What became of all of them."""
    seeds: Iterable[int] = [int(SEED)] if SEED else range(max(deploys // _VERSIONS, len(weathers)))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        every = list(pool.map(lambda seed: one(seed, weathers[seed % len(weathers)]), seeds))
    told = _Told()
    for part in every:
        told.results += part.results
        told.errors += part.errors
        told.injected += part.injected
    return told


def test_a_deploy_through_faults_that_pass_is_done(site_cluster: Cluster, tmp_path: Path) -> None:
    told = _all(DEPLOYS * 2 // 3, _FAIR, lambda seed, weather: _deploys(site_cluster, tmp_path, seed, weather))
    assert not told.errors, told.errors
    assert set(told.results) == {"deployed"}
    assert len(told.injected) > 5, "next to nothing went wrong"


def test_a_deploy_that_faults_stop_says_so_and_the_next_one_is_done(site_cluster: Cluster, tmp_path: Path) -> None:
    told = _all(DEPLOYS // 3, _ROUGH, lambda seed, weather: _deploys(site_cluster, tmp_path, seed, weather))
    assert told.results["failed"] or SEED, told.results
    for error in told.errors:
        # A lease that could not be given back is waited out.
        assert isinstance(error, LockedError) or any(reason in str(error) for reason in _TRUE_REASONS), error


def test_a_destruction_through_faults_is_done_and_proved(site_cluster: Cluster, tmp_path: Path) -> None:
    def one(seed: int, weather: _Weather) -> _Told:
        small, told = Small(with_jobs=False, with_pods=False), _Told()
        with site_cluster.asked() as (client, _):
            assert site_cluster.deploy(small.bundle(), client=client).result == "deployed"
        with (
            FaultProxy(site_cluster.plane.kubeconfig, tmp_path, seeded(seed, weather.rate)) as proxy,
            weather.client(proxy) as client,
        ):
            report = site_cluster.destroy(small.environment, client=client)
        assert report.result == "destroyed", f"seed {seed}: {report.error}"
        assert all(receipt.gone for receipt in report.receipt)
        assert site_cluster.leftovers(small.environment) == [], f"seed {seed}"
        told.injected.update(injected.fault.how for injected in proxy.injected)
        return told

    assert len(_all(DEPLOYS // 6, _FAIR, one).injected) > 3, "next to nothing went wrong"
