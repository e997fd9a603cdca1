"""Destructions on a real API server: the proof, what is refused, what blocks them, and from nothing but the cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.engine.destroying import DestroyError, Receipt
from aphiria_deploy.engine.lease import LockedError
from aphiria_deploy.engine.marker import NAMESPACE, WrongClusterError
from aphiria_deploy.engine.releases import Result
from aphiria_deploy.engine.waiting import NotReadyError
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Kind, Ref
from tests.e2e.engine import Cluster, mark, preview, soon
from tests.e2e.pod_status import Behaviour
from tests.e2e.small import SHARED, Small

pytestmark = pytest.mark.xdist_group("site-cluster")


def _patch_labels(cluster: Cluster, small: Small, labels: Mapping[str, str | None]) -> None:
    ref = Ref(Kind("v1", "Namespace"), small.namespace)
    cluster.client.patch(ref, {"metadata": {"labels": labels}}, soon())


def test_a_destruction_leaves_nothing_and_proves_it(site_cluster: Cluster) -> None:
    small = Small()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    assert site_cluster.deploy(replace(small, config="2").bundle()).result == "deployed"
    report = site_cluster.destroy(small.environment)
    assert report.result == "destroyed", report.error
    assert {(one.kind, one.name) for one in report.receipt} == {
        ("database", f"db_{small.number}"),
        ("role", f"db_{small.number}"),
        ("Job", f"{SHARED}/{small.database_job}"),
        ("Job", f"{SHARED}/drop-{small.environment}"),
        ("Secret", f"{SHARED}/role-{small.environment}"),
        ("Namespace", small.namespace),
        ("Secret", f"{NAMESPACE}/applyset.{small.environment}"),
        ("Secret", f"{NAMESPACE}/release.{small.environment}.v1"),
        ("Secret", f"{NAMESPACE}/release.{small.environment}.v2"),
    }
    assert all(one.gone for one in report.receipt)
    assert report.receipt[-1] == Receipt("Secret", f"{NAMESPACE}/release.{small.environment}.v2", gone=True)
    assert site_cluster.leftovers(small.environment) == []
    with site_cluster.asked() as (client, requests):
        assert site_cluster.destroy(small.environment, client=client).result == "absent"
    assert not requests.writes


def test_a_preview_that_was_destroyed_is_made_again_with_its_database(site_cluster: Cluster) -> None:
    small = Small()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    password = site_cluster.secret("passwords", small.namespace)["database"]
    assert site_cluster.destroy(small.environment).result == "destroyed"
    report = site_cluster.deploy(small.bundle())
    assert (report.result, report.revision) == ("deployed", 1), report.error
    assert site_cluster.secret("passwords", small.namespace)["database"] != password
    for name, namespace in ((small.database_job, SHARED), (small.migration_job, small.namespace)):
        assert site_cluster.get("batch/v1", "Job", name, namespace)["status"]["succeeded"] == 1


def test_a_finalizer_that_nobody_removes_is_named_and_nothing_is_forced(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False, with_pods=False)
    stuck = small.object("ConfigMap", "stuck", data={})
    stuck["metadata"]["finalizers"] = ["deploy.test/stuck"]
    assert site_cluster.deploy(replace(small, more=(stuck,)).bundle()).result == "deployed"
    report = site_cluster.destroy(small.environment, timeout=8)
    assert report.result == "failed"
    assert f"Namespace {small.namespace}: found it still there" in str(report.error)
    assert "deploy.test/stuck" in str(report.error)
    assert "nothing was forced" in str(report.error)
    live = site_cluster.get("v1", "ConfigMap", "stuck", small.namespace)
    assert live["metadata"]["finalizers"] == ["deploy.test/stuck"]
    assert site_cluster.remembered(small.environment).newest, "what is left is still remembered"
    site_cluster.client.patch(Ref.of(live), {"metadata": {"finalizers": None}}, soon())
    again = site_cluster.destroy(small.environment)
    assert again.result == "destroyed", again.error
    assert site_cluster.leftovers(small.environment) == []


def test_a_database_that_is_not_dropped_keeps_everything_else(site_cluster: Cluster) -> None:
    small = Small()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    site_cluster.kubelet.logs[f"drop-{small.number}"] = ['ERROR: database "x" is being accessed by other users']
    with site_cluster.behaving(SHARED, **{f"drop_{small.number}": Behaviour.FAIL}):
        report = site_cluster.destroy(small.environment)
    assert report.result == "failed"
    assert isinstance(report.error, NotReadyError)
    assert "accessed by other users" in str(report.error.diagnosis.logs)
    assert report.receipt == ()
    assert site_cluster.pods(small.namespace, "api")
    again = site_cluster.destroy(small.environment)
    assert again.result == "destroyed", again.error
    assert site_cluster.leftovers(small.environment) == []


@pytest.mark.parametrize(
    "labels",
    [
        {"app.kubernetes.io/managed-by": "Helm"},
        {"deploy.aphiria.com/environment": "pr-1"},
        {"deploy.aphiria.com/site": "example.com"},
        {"deploy.aphiria.com/site": None},
    ],
    ids=str,
)
def test_a_namespace_that_is_not_this_environment_s_is_not_touched(
    site_cluster: Cluster, labels: dict[str, str | None]
) -> None:
    small = Small(with_jobs=False, with_pods=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    _patch_labels(site_cluster, small, labels)
    with (
        site_cluster.asked() as (client, requests),
        pytest.raises(DestroyError, match="it is not this environment's, and was not touched"),
    ):
        site_cluster.destroy(small.environment, client=client)
    assert not requests.writes


@pytest.mark.parametrize("name", ["production", "preview-base", "local", "pr-0", "pr-07", "pr-1;pr-2"])
def test_nothing_but_a_preview_is_ever_destroyed(site_cluster: Cluster, name: str) -> None:
    with site_cluster.asked() as (client, requests), pytest.raises(InputError, match="expected pr-N"):
        site_cluster.destroy(name, client=client)
    assert not requests.made


def test_a_namespace_of_which_nothing_is_remembered_is_not_touched(site_cluster: Cluster) -> None:
    small = Small()
    namespace = small.bundle().manifests[0]
    site_cluster.client.apply(namespace, soon(), manager="somebody")
    with pytest.raises(DestroyError, match=r"no release of it in aphiria-deploy.*--bundle FILE"):
        site_cluster.destroy(small.environment)
    with pytest.raises(DestroyError, match="it is not this environment's"):
        site_cluster.destroy(small.environment, bundle=small.bundle())
    assert site_cluster.find("v1", "Namespace", small.namespace)


@pytest.mark.parametrize("stack", ["production", "local"])
def test_another_cluster_is_told_by_its_marker(site_cluster: Cluster, stack: str) -> None:
    small = Small(with_jobs=False, with_pods=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    mark(site_cluster.client, stack)
    try:
        with site_cluster.asked() as (client, requests):
            said = f"stack {stack}, expected that of aphiria.com's stack preview-base"
            with pytest.raises(WrongClusterError, match=said):
                site_cluster.destroy(small.environment, client=client)
            with pytest.raises(WrongClusterError, match=said):
                site_cluster.roll_back(small.environment, client, to=1)
            with pytest.raises(WrongClusterError, match=said):
                site_cluster.deploy(small.bundle(), client=client)
        assert not requests.writes
    finally:
        mark(site_cluster.client)


def test_a_cluster_without_a_marker_proves_nothing(site_cluster: Cluster) -> None:
    marker = Ref(Kind("v1", "ConfigMap"), "cluster", NAMESPACE)
    site_cluster.client.delete(marker, soon(), propagation="Background")
    try:
        with pytest.raises(WrongClusterError, match="no marker of a site's cluster"):
            site_cluster.destroy(Small().environment)
        with pytest.raises(WrongClusterError, match="found none, expected the marker"):
            site_cluster.deploy(Small().bundle())
    finally:
        mark(site_cluster.client)


def test_a_namespace_that_was_deleted_by_hand_is_in_nobodys_way(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False, with_pods=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    site_cluster.plane.kubectl("delete", "namespace", small.namespace)
    report = site_cluster.destroy(small.environment)
    assert report.result == "destroyed", report.error
    assert Receipt("Namespace", small.namespace, gone=True) in report.receipt
    assert site_cluster.leftovers(small.environment) == []


def test_what_a_failed_first_deploy_left_is_destroyed(site_cluster: Cluster) -> None:
    small = Small()
    with site_cluster.behaving(small.namespace, migrate=Behaviour.FAIL):
        assert site_cluster.deploy(small.bundle()).result == "failed"
    report = site_cluster.destroy(small.environment)
    assert report.result == "destroyed", report.error
    assert site_cluster.leftovers(small.environment) == []


def test_a_preview_on_which_somebody_works_is_not_destroyed(site_cluster: Cluster) -> None:
    small = Small()
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": small.environment, "namespace": NAMESPACE},
        "spec": {
            "holderIdentity": "somebody@elsewhere",
            "leaseDurationSeconds": 15,
            "renewTime": site_cluster.client.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
    # Its first deploy has just begun: nothing else is there yet.
    site_cluster.client.create(lease, soon())
    with pytest.raises(LockedError):
        site_cluster.destroy(small.environment)
    site_cluster.client.patch(Ref.of(lease), {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}}, soon())
    assert site_cluster.destroy(small.environment).result == "absent"
    assert site_cluster.leftovers(small.environment) == []


def test_rolling_back_and_destroying_need_nothing_but_the_cluster(site_cluster: Cluster, tmp_path: Path) -> None:
    """From an empty folder: no source of the site, no Node.js, no Pulumi."""
    first = preview()
    name, namespace = first.environment.name, first.environment.namespace
    for bundle in (first, preview(first.environment.number, web="c")):
        assert site_cluster.deploy(bundle).result == "deployed"

    def command(*arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "aphiria-deploy"), *arguments],
            cwd=tmp_path,
            env={"PATH": "/nowhere", "HOME": str(tmp_path), "PYTHONNOUSERSITE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    common = (f"--kubeconfig={site_cluster.plane.kubeconfig}", "--output=json", "--yes")
    back = command("rollback", name, *common, "--skip-health-check")
    assert (back["result"], back["revision"]) == ("deployed", 3)
    web = site_cluster.get("apps/v1", "Deployment", "web", namespace)
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == first.images["web"].ref
    assert site_cluster.remembered(name).headers[0].result is Result.DEPLOYED
    gone = command("destroy", name, *common)
    assert gone["result"] == "destroyed"
    assert all(one["gone"] for one in gone["receipt"])
    assert site_cluster.leftovers(name) == []
    assert not list(tmp_path.iterdir())
