"""Deploys that fail: soon after the cluster knows it, with the reason, while the old pods go on serving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aphiria_deploy.diagnosis import Diagnosis
from aphiria_deploy.engine.deploying import Report
from aphiria_deploy.engine.releases import Result
from aphiria_deploy.kube import Kind, Ref, Watched
from aphiria_deploy.objects import ObjectKey
from tests.e2e.engine import Cluster, Heard, inputs, soon
from tests.e2e.pod_status import Behaviour
from tests.e2e.small import SHARED, Small
from tests.e2e.witness import Witness

pytestmark = pytest.mark.xdist_group("site-cluster")

SOON = 5.0
"""Within so many seconds of the cluster knowing it a failure is told."""


def _diagnosis(report: Report) -> Diagnosis:
    assert report.result == "failed"
    assert report.diagnosis, report.error
    return report.diagnosis


def _newest(cluster: Cluster, small: Small) -> Result:
    newest = cluster.remembered(small.environment).newest
    assert newest
    return newest.result


def _waits_with(reason: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a container of a pod waits for a reason."""

    def sees(pod: dict[str, Any]) -> bool:
        status = pod.get("status") or {}
        entries = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        return any((entry["state"].get("waiting") or {}).get("reason") == reason for entry in entries)

    return sees


def _has(condition: str) -> Callable[[dict[str, Any]], bool]:
    def sees(item: dict[str, Any]) -> bool:
        found = (item.get("status") or {}).get("conditions") or ()
        return any(one["type"] == condition and one["status"] == "True" for one in found)

    return sees


def test_a_failing_migration_is_told_with_its_log_and_the_old_pods_go_on_serving(site_cluster: Cluster) -> None:
    small, heard = Small(), Heard()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    pods = site_cluster.pods(small.namespace, "api")
    newer = replace(small, image="registry.example/api:2")
    password = site_cluster.secret("passwords", small.namespace)["database"]
    site_cluster.kubelet.logs["migrate"] = [
        "== 20260101 Users: migrating",
        f"connecting as api with {password} and the-pull-token",
        "SQLSTATE[42P01]: Undefined table: relation users does not exist",
    ]
    watched = Watched(Kind("batch/v1", "Job"), small.namespace, fields=f"metadata.name={newer.migration_job}")
    with (
        site_cluster.behaving(small.namespace, newer.image, migrate=Behaviour.FAIL),
        Witness(site_cluster.client, watched, _has("Failed")) as witness,
    ):
        report = site_cluster.deploy(newer.bundle(), heard)
        assert witness.seconds_ago < SOON
    found = _diagnosis(report)
    assert (found.kind, found.object) == ("Job", f"{small.namespace}/{newer.migration_job}")
    assert "42P01" in found.message
    assert "migration" in found.hint
    lines = [line for tail in found.logs for line in tail.lines]
    assert lines[0] == "== 20260101 Users: migrating"
    assert "with *** and ***" in lines[1]
    told = repr((report, heard))
    assert password not in told
    assert "the-pull-token" not in told
    assert site_cluster.pods(small.namespace, "api") == pods
    assert _newest(site_cluster, small) is Result.FAILED

    again = site_cluster.deploy(newer.bundle())
    assert (again.result, again.revision) == ("deployed", 3)
    assert not pods.items() & site_cluster.pods(small.namespace, "api").items()


@pytest.mark.parametrize(
    ("behaviour", "seen_as", "reason", "says"),
    [
        (Behaviour.CRASH_LOOP, "CrashLoopBackOff", "CrashLoopBackOff", "exit code 1"),
        (Behaviour.IMAGE_NOT_FOUND, "ErrImagePull", "ErrImagePull", "registry.example/api:2"),
        (Behaviour.CONFIG_ERROR, "CreateContainerConfigError", "CreateContainerConfigError", "password"),
        (Behaviour.RUN_ERROR, "RunContainerError", "RunContainerError", "no such file"),
    ],
    ids=str,
)
def test_a_doomed_container_is_told_soon(
    site_cluster: Cluster, behaviour: Behaviour, seen_as: str, reason: str, says: str
) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    pods = site_cluster.pods(small.namespace, "api")
    newer = replace(small, image="registry.example/api:2")
    watched = Watched(Kind("v1", "Pod"), small.namespace)
    with (
        site_cluster.behaving(small.namespace, newer.image, api=behaviour),
        Witness(site_cluster.client, watched, _waits_with(seen_as)) as witness,
    ):
        report = site_cluster.deploy(newer.bundle())
        assert witness.seconds_ago < SOON
        found = _diagnosis(report)
        assert (found.kind, found.object) == ("Deployment", f"{small.namespace}/api")
        assert found.reason in {reason, "ImagePullBackOff"}
        assert says in found.message
        assert pods.items() <= site_cluster.pods(small.namespace, "api").items()
        assert _newest(site_cluster, small) is Result.FAILED
        # As it was: the new pods go.
        assert site_cluster.deploy(small.bundle()).result == "deployed"
        assert site_cluster.pods(small.namespace, "api") == pods


def test_an_image_that_an_init_container_cannot_pull_is_told_soon(site_cluster: Cluster) -> None:
    copy = {"name": "copy-code", "image": "registry.example/api:1"}
    small = Small(with_jobs=False, workload={"initContainers": [copy]})
    with (
        site_cluster.behaving(small.namespace, copy_code=Behaviour.IMAGE_UNAUTHORIZED),
        Witness(site_cluster.client, Watched(Kind("v1", "Pod"), small.namespace), _waits_with("ErrImagePull")) as seen,
    ):
        report = site_cluster.deploy(small.bundle())
        assert seen.seconds_ago < SOON
    found = _diagnosis(report)
    assert "copy-code" in found.message
    assert "registry.example" in found.hint


def test_an_image_that_a_job_cannot_pull_is_told_soon(site_cluster: Cluster) -> None:
    small = Small()
    with (
        site_cluster.behaving(small.namespace, migrate=Behaviour.IMAGE_NOT_FOUND),
        Witness(site_cluster.client, Watched(Kind("v1", "Pod"), small.namespace), _waits_with("ErrImagePull")) as seen,
    ):
        report = site_cluster.deploy(small.bundle())
        assert seen.seconds_ago < SOON
    found = _diagnosis(report)
    assert found.object == f"{small.namespace}/{small.migration_job}"
    assert "registry.example/api:1" in found.message


def test_a_job_that_a_quota_refuses_is_told_soon(site_cluster: Cluster) -> None:
    small = Small()
    quota = small.object("ResourceQuota", "quota", spec={"hard": {"pods": "0"}})
    watched = Watched(Kind("v1", "Event"), small.namespace)
    with Witness(site_cluster.client, watched, lambda event: event["reason"] == "FailedCreate") as seen:
        report = site_cluster.deploy(replace(small, more=(quota,)).bundle())
        assert seen.seconds_ago < SOON
    found = _diagnosis(report)
    assert found.object == f"{small.namespace}/{small.migration_job}"
    assert "quota" in found.message


def test_a_namespace_that_somebody_deletes_meanwhile_is_told_and_made_anew_by_the_next(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    deleted: list[ObjectKey] = []

    class Deleting(Heard):
        def state(self, key: ObjectKey, message: str, *, done: bool) -> None:
            if key.name == "api" and not deleted:
                deleted.append(key)
                site_cluster.client.delete(Ref(Kind("v1", "Namespace"), small.namespace), soon())

    with site_cluster.behaving(small.namespace, api=Behaviour.NEVER_READY):
        report = site_cluster.deploy(small.bundle(), Deleting())
    found = _diagnosis(report)
    assert (found.object, found.reason) == (f"{small.namespace}/api", "Deleted")
    assert site_cluster.deploy(small.bundle()).result == "deployed"


def test_pods_that_a_quota_refuses_are_told_soon(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    quota = small.object("ResourceQuota", "quota", spec={"hard": {"requests.cpu": "1500m", "pods": "5"}})
    little, much = ({"resources": {"requests": {"cpu": cpu}}} for cpu in ("100m", "1"))
    fits = replace(small, more=(quota,), container=little, job_container=little)
    assert site_cluster.deploy(fits.bundle()).result == "deployed"
    pods = site_cluster.pods(small.namespace, "api")
    # The old pod beside it, and a surge of one: 100m + 1500m.
    bursts = replace(fits, container={"resources": {"requests": {"cpu": "1500m"}}})
    watched = Watched(Kind("v1", "Event"), small.namespace)
    with Witness(site_cluster.client, watched, lambda event: event["reason"] == "FailedCreate") as seen:
        report = site_cluster.deploy(bursts.bundle())
        assert seen.seconds_ago < SOON
    found = _diagnosis(report)
    assert found.object == f"{small.namespace}/api"
    assert "exceeded quota: quota" in found.message or "quota" in found.message
    assert "requests.cpu" in found.message
    assert site_cluster.pods(small.namespace, "api") == pods
    again = site_cluster.deploy(replace(fits, container=much).bundle())
    assert again.result == "deployed", again.error


def test_what_is_never_ready_fails_at_the_deadline_and_says_what_it_waited_for(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    with site_cluster.behaving(small.namespace, api=Behaviour.NEVER_READY):
        report = site_cluster.deploy(small.bundle(), timeout=4.0)
    found = _diagnosis(report)
    assert found.object == f"{small.namespace}/api"
    assert found.message.startswith("not ready within ")
    assert 4.0 <= report.total < 4.0 + SOON
    assert _newest(site_cluster, small) is Result.FAILED


def test_a_job_that_runs_out_of_time_is_told_with_the_end_of_its_log(site_cluster: Cluster) -> None:
    small = Small()
    site_cluster.kubelet.logs["migrate"] = ["waiting for a lock on users"]
    bundle = replace(small, job_seconds=2).bundle()
    with site_cluster.behaving(small.namespace, migrate=Behaviour.HANG):
        report = site_cluster.deploy(bundle)
    found = _diagnosis(report)
    assert found.reason == "DeadlineExceeded"
    assert [line for tail in found.logs for line in tail.lines] == ["waiting for a lock on users"]


def test_the_database_s_job_fails_before_anything_else_is_touched(site_cluster: Cluster) -> None:
    small = Small()
    with site_cluster.behaving(SHARED, **{f"database_{small.number}": Behaviour.FAIL}):
        report = site_cluster.deploy(small.bundle())
    found = _diagnosis(report)
    assert found.object == f"{SHARED}/{small.database_job}"
    assert site_cluster.find("apps/v1", "Deployment", "api", small.namespace) is None
    assert site_cluster.deploy(small.bundle(), inputs=inputs()).result == "deployed"
