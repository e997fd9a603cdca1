"""One run at a time: two deploys at once, leases that are stolen, lost or left behind, runs that are stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from aphiria_deploy.engine import lease
from aphiria_deploy.engine.deploying import Report
from aphiria_deploy.engine.lease import SECONDS, LeaseLostError, LockedError
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.engine.plan import Action
from aphiria_deploy.engine.releases import Result
from aphiria_deploy.errors import AphiriaDeployError, CancelledError
from aphiria_deploy.kube import Cancellation, Client, Kind, Ref, load
from tests.e2e.control_plane import eventually
from tests.e2e.engine import Cluster, Heard, Requests, soon
from tests.e2e.pod_status import Behaviour
from tests.e2e.small import Small
from tests.faults.proxy import FaultProxy

pytestmark = pytest.mark.xdist_group("site-cluster")

LEASE = Kind("coordination.k8s.io/v1", "Lease")


def _lease(small: Small) -> Ref:
    return Ref(LEASE, small.environment, NAMESPACE)


def _results(cluster: Cluster, small: Small) -> list[Result]:
    return [header.result for header in cluster.remembered(small.environment).headers]


def _manifest(small: Small, holder: str, renewed: Any) -> dict[str, Any]:
    when = renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.name,
        "metadata": {"name": small.environment, "namespace": NAMESPACE},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": SECONDS, "acquireTime": when, "renewTime": when},
    }


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that are soon renewed, and soon run out."""
    for name, seconds in (("SECONDS", 5), ("RENEW_SECONDS", 1.0), ("MARGIN_SECONDS", 1.0)):
        monkeypatch.setattr(lease, name, seconds)


class _Running:
    """A deploy in a thread, with a client of its own."""

    def __init__(self, cluster: Cluster, small: Small, **how: Any) -> None:
        self.requests = Requests()
        self.cancellation = Cancellation()
        self.outcome: Report | BaseException | None = None
        self.heard = Heard()
        self._client = Client(load(cluster.plane.kubeconfig), observe=self.requests)
        self._run: Callable[[], Report] = lambda: cluster.deploy(
            small.bundle(), self.heard, self._client, cancellation=self.cancellation, **how
        )
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cancellation.cancel("the test is over")
        self._thread.join(30)
        self._client.close()
        assert not self._thread.is_alive()

    def end(self) -> Report | BaseException | None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.outcome

    def waits_for(self, name: str, message: str) -> None:
        """Until it waits for an object of this name, or one that begins so, and says this."""

        def told() -> bool:
            return any(key.name.startswith(name) and message in said for key, said in list(self.heard.states))

        eventually(20, message, lambda: self.outcome or told())
        assert self.outcome is None, self.outcome

    def _go(self) -> None:
        try:
            self.outcome = self._run()
        except BaseException as error:  # noqa: BLE001 - the test is told
            self.outcome = error


def test_of_two_first_deploys_at_once_one_is_told_who_is_at_work(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)

    def one(_: int) -> Report | AphiriaDeployError:
        with site_cluster.asked() as (client, _requests):
            try:
                return site_cluster.deploy(small.bundle(), client=client)
            except AphiriaDeployError as error:
                return error

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(one, range(2)))
    locked = [outcome for outcome in outcomes if isinstance(outcome, LockedError)]
    reports = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    assert len(locked) == 1, outcomes
    assert locked[0].exit_code == 4
    assert "at work (deploy) since" in str(locked[0])
    assert [report.result for report in reports] == ["deployed"]
    assert _results(site_cluster, small) == [Result.DEPLOYED]


def test_of_two_first_deploys_at_once_one_waits_and_then_finds_nothing_to_do(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)

    def one(_: int) -> Report:
        with site_cluster.asked() as (client, _requests):
            return site_cluster.deploy(small.bundle(), client=client, wait_for_lock=30)

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(report.result for report in pool.map(one, range(2)))
    assert outcomes == ["deployed", "unchanged"]
    assert _results(site_cluster, small) == [Result.DEPLOYED]
    assert site_cluster.find(LEASE.api_version, LEASE.name, small.environment, NAMESPACE) is None


def test_a_plan_that_has_changed_while_another_run_was_waited_for_is_shown_again(site_cluster: Cluster) -> None:
    small, shown = Small(with_jobs=False), []

    def approve(plan: Any) -> bool:
        shown.append({step.key.name: step.action for step in plan.steps})
        return len(shown) == 1

    with site_cluster.behaving(small.namespace, api=Behaviour.NEVER_READY), _Running(site_cluster, small) as first:
        first.waits_for("api", "0 of 1")
        with _Running(site_cluster, replace(small, config="2"), approve=approve, wait_for_lock=30) as second:
            eventually(20, "asked", lambda: shown)
            site_cluster.plane.kubectl("delete", "configmap", "settings", f"--namespace={small.namespace}")
            first.cancellation.cancel("the test says so")
            report = second.end()
    assert isinstance(report, Report), report
    assert report.result == "refused"
    assert [plan["settings"] for plan in shown] == [Action.UPDATE, Action.CREATE]
    assert _results(site_cluster, small) == [Result.FAILED]


@pytest.mark.usefixtures("short_lease")
@pytest.mark.parametrize("how", ["stolen", "deleted"])
def test_whose_lease_is_taken_away_writes_nothing_more(site_cluster: Cluster, how: str) -> None:
    small = Small()
    with (
        site_cluster.behaving(small.namespace, migrate=Behaviour.HANG),
        _Running(site_cluster, small) as running,
    ):
        running.waits_for("migrate", "running")
        if how == "stolen":
            other = {"spec": {"holderIdentity": "somebody@elsewhere"}}
            site_cluster.client.patch(_lease(small), other, soon())
        else:
            site_cluster.client.delete(_lease(small), soon())
        before = len(running.requests.writes)
        outcome = running.end()
        after = running.requests.writes[before:]
    assert isinstance(outcome, LeaseLostError), outcome
    # Nothing but attempts to renew it, and to give it back if it is its own after all.
    assert {one.what for one in after} <= {f"replace {_lease(small)}", f"delete {_lease(small)}"}
    assert _results(site_cluster, small) == [Result.PENDING], "not even the record is its own any more"
    if how == "stolen":
        assert site_cluster.get(LEASE.api_version, LEASE.name, small.environment, NAMESPACE)
        site_cluster.client.delete(_lease(small), soon())
    again = site_cluster.deploy(small.bundle())
    assert (again.result, again.revision) == ("deployed", 2), again.error


def test_the_lease_of_a_run_that_died_is_waited_out(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    now = site_cluster.client.now()
    dead = _manifest(small, "dead@elsewhere", now - timedelta(seconds=SECONDS - 2))
    site_cluster.client.create(dead, soon())
    with pytest.raises(LockedError, match="found dead@elsewhere at work"):
        site_cluster.deploy(small.bundle())
    report = site_cluster.deploy(small.bundle(), wait_for_lock=10)
    assert report.result == "deployed"
    assert site_cluster.find(LEASE.api_version, LEASE.name, small.environment, NAMESPACE) is None


@pytest.mark.parametrize("wave", ["migrate", "api"])
def test_a_run_that_is_told_to_stop_stops_soon_and_gives_its_lease_back(site_cluster: Cluster, wave: str) -> None:
    small = Small()
    with (
        site_cluster.behaving(
            small.namespace, **{wave: Behaviour.HANG if wave == "migrate" else Behaviour.NEVER_READY}
        ),
        _Running(site_cluster, small) as running,
    ):
        running.waits_for(wave, "running" if wave == "migrate" else "0 of 1")
        begun = time.monotonic()
        running.cancellation.cancel("SIGTERM")
        report = running.end()
        took = time.monotonic() - begun
    assert isinstance(report, Report), report
    assert report.result == "failed"
    assert isinstance(report.error, CancelledError)
    assert "SIGTERM" in str(report.error)
    assert took < 2
    assert _results(site_cluster, small) == [Result.FAILED]
    assert site_cluster.find(LEASE.api_version, LEASE.name, small.environment, NAMESPACE) is None
    assert site_cluster.deploy(small.bundle()).result == "deployed"


def test_a_server_that_is_away_for_less_than_a_lease_is_waited_for(site_cluster: Cluster, tmp_path: Path) -> None:
    small = Small(with_jobs=False)
    with (
        FaultProxy(site_cluster.plane.kubeconfig, tmp_path) as proxy,
        Client(load(proxy.kubeconfig)) as client,
        site_cluster.behaving(small.namespace, api=Behaviour.NEVER_READY),
        ThreadPoolExecutor(1) as pool,
    ):
        heard = Heard()
        report = pool.submit(lambda: site_cluster.deploy(small.bundle(), heard, client))
        eventually(20, "it waits", lambda: any("0 of 1" in message for _, message in list(heard.states)))
        with proxy.down():
            time.sleep(4)
            site_cluster.ready(small.namespace)
        assert report.result().result == "deployed", report.result().error


@pytest.mark.usefixtures("short_lease")
def test_a_server_that_is_away_for_longer_ends_the_run(site_cluster: Cluster, tmp_path: Path) -> None:
    small = Small(with_jobs=False)
    with (
        FaultProxy(site_cluster.plane.kubeconfig, tmp_path) as proxy,
        Client(load(proxy.kubeconfig)) as client,
        site_cluster.behaving(small.namespace, api=Behaviour.NEVER_READY),
        ThreadPoolExecutor(1) as pool,
    ):
        heard = Heard()
        report = pool.submit(lambda: site_cluster.deploy(small.bundle(), heard, client))
        eventually(20, "it waits", lambda: any("0 of 1" in message for _, message in list(heard.states)))
        with proxy.down(), pytest.raises(LeaseLostError, match="the lease was lost"):
            report.result()
    assert site_cluster.deploy(small.bundle(), wait_for_lock=20).result == "deployed"
