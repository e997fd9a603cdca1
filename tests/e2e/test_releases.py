"""What is remembered: rollbacks, Jobs that run once, records of other versions of this tool."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aphiria_deploy.engine import releases
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.engine.plan import Action
from aphiria_deploy.engine.releases import KEPT, ReleaseError, Result
from aphiria_deploy.engine.rolling_back import roll_back
from aphiria_deploy.engine.state import State
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Cancellation, Ref
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.readiness import judge
from aphiria_deploy.secrets import make_secrets
from tests.e2e import recorded
from tests.e2e.control_plane import eventually
from tests.e2e.engine import Cluster, Heard, inputs, soon, steps
from tests.e2e.pod_status import Behaviour
from tests.e2e.small import SHARED, Small

RECORDS = Path(__file__).parent.parent / "cases" / "records"

pytestmark = pytest.mark.xdist_group("site-cluster")


def _uids(cluster: Cluster, namespace: str) -> dict[str, str]:
    return {job["metadata"]["name"]: job["metadata"]["uid"] for job in cluster.listed("batch/v1", "Job", namespace)}


def _history(cluster: Cluster, small: Small) -> list[tuple[int, Result]]:
    return [(header.revision, header.result) for header in cluster.remembered(small.environment).headers]


def test_a_rollback_after_a_failure_brings_the_last_good_release_back_and_runs_no_job(site_cluster: Cluster) -> None:
    small = Small()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    pods = site_cluster.pods(small.namespace, "api")
    newer = replace(small, image="registry.example/api:2", config="2")
    with site_cluster.behaving(small.namespace, newer.image, api=Behaviour.CRASH_LOOP):
        assert site_cluster.deploy(newer.bundle()).result == "failed"
        jobs = _uids(site_cluster, SHARED)
        back = site_cluster.roll_back(small.environment)
    assert (back.result, back.revision, back.error) == ("deployed", 3, None)
    assert site_cluster.pods(small.namespace, "api") == pods, "they were there all the time"
    assert site_cluster.get("v1", "ConfigMap", "settings", small.namespace)["data"] == {"said": "1"}
    assert _uids(site_cluster, SHARED) == jobs
    acted = {step.key.name: step for step in steps(back).values() if step.key.group_kind.kind == "Job"}
    assert {step.action for step in acted.values()} == {Action.NOTHING}
    assert {step.why for step in acted.values()} == {"a rollback runs no Job"}
    newest = site_cluster.remembered(small.environment).newest
    assert newest
    assert newest.rollback_of == 1
    assert _history(site_cluster, small) == [(3, Result.DEPLOYED), (2, Result.FAILED), (1, Result.DEPLOYED)]
    # What comes after it runs what has not run: the migration of the newer image had run already.
    again = site_cluster.deploy(newer.bundle())
    assert again.result == "deployed", again.error
    assert steps(again)[f"Job {small.namespace}/{newer.migration_job}"].action is Action.NOTHING


def test_a_rollback_keeps_the_secrets_as_they_are_now(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    newer = replace(small, config="2")
    assert site_cluster.deploy(newer.bundle(), inputs=inputs(ghcrToken="the-new-token")).result == "deployed"
    kept = site_cluster.secret("passwords", small.namespace)
    back = site_cluster.roll_back(small.environment)
    assert back.result == "deployed", back.error
    assert site_cluster.secret("passwords", small.namespace) == kept
    template = site_cluster.get("apps/v1", "Deployment", "api", small.namespace)["spec"]["template"]
    assert template["metadata"]["annotations"]["checksum/secret"] == "passwords:2"


def test_a_release_is_brought_back_by_its_number(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False, with_pods=False)
    for config in "123":
        assert site_cluster.deploy(replace(small, config=config).bundle()).result == "deployed"
    assert site_cluster.roll_back(small.environment, to=1).revision == 4
    assert site_cluster.get("v1", "ConfigMap", "settings", small.namespace)["data"] == {"said": "1"}
    with pytest.raises(InputError, match=r"--to: found 9, expected one of the releases that are kept: 4, 3, 2, 1"):
        site_cluster.roll_back(small.environment, to=9)
    with pytest.raises(InputError, match="found no earlier release that was deployed"):
        site_cluster.roll_back(Small().environment)


def test_a_migration_runs_once_for_an_image_and_a_command(site_cluster: Cluster) -> None:
    small = Small()
    newer = replace(small, image="registry.example/api:2")
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    assert site_cluster.deploy(newer.bundle()).result == "deployed"
    # Back, as a deploy: its migration has run on this database.
    report = site_cluster.deploy(small.bundle())
    assert report.result == "deployed", report.error
    step = steps(report)[f"Job {small.namespace}/{small.migration_job}"]
    assert (step.action, step.why) == (Action.NOTHING, "it has run for this image and command")
    assert site_cluster.find("batch/v1", "Job", small.migration_job, small.namespace) is None
    other = replace(small, migration="2")
    assert site_cluster.deploy(other.bundle()).result == "deployed"
    assert site_cluster.get("batch/v1", "Job", other.migration_job, small.namespace)["status"]["succeeded"] == 1


def test_a_database_server_that_was_rebuilt_gets_its_databases_and_migrations_again(site_cluster: Cluster) -> None:
    small = Small()
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"claim-of-{small.number}", "namespace": SHARED},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    site_cluster.client.apply(claim, soon())
    served = replace(small, server=f"claim-of-{small.number}")
    assert site_cluster.deploy(served.bundle()).result == "deployed"
    assert site_cluster.deploy(served.bundle()).result == "unchanged"
    pods, jobs = site_cluster.pods(small.namespace, "api"), _uids(site_cluster, SHARED)
    migrations = _uids(site_cluster, small.namespace)
    site_cluster.plane.kubectl("delete", "pvc", f"claim-of-{small.number}", f"--namespace={SHARED}")
    site_cluster.client.apply(claim, soon())
    report = site_cluster.deploy(served.bundle())
    assert report.result == "deployed", report.error
    why = {name: step.why for name, step in steps(report).items() if step.action is Action.REPLACE}
    assert why == {
        f"Job {SHARED}/{small.database_job}": "the database server is another one",
        f"Job {small.namespace}/{small.migration_job}": "nothing records that it ran on this database server",
    }
    assert _uids(site_cluster, SHARED)[small.database_job] != jobs[small.database_job]
    assert _uids(site_cluster, small.namespace)[small.migration_job] != migrations[small.migration_job]
    assert site_cluster.pods(small.namespace, "api") == pods
    assert site_cluster.deploy(served.bundle()).result == "unchanged"
    site_cluster.plane.kubectl("delete", "pvc", f"claim-of-{small.number}", f"--namespace={SHARED}")


def test_a_server_that_the_same_deploy_makes_is_known_to_the_jobs_that_work_on_it(site_cluster: Cluster) -> None:
    small = Small()
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"claim-of-{small.number}", "namespace": SHARED},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    served = replace(small, server=f"claim-of-{small.number}", more=(claim,))
    assert site_cluster.deploy(served.bundle()).result == "deployed"
    jobs = _uids(site_cluster, SHARED) | _uids(site_cluster, small.namespace)
    assert site_cluster.deploy(served.bundle()).result == "unchanged"
    assert _uids(site_cluster, SHARED) | _uids(site_cluster, small.namespace) == jobs


def test_a_job_that_a_dead_run_left_running_is_waited_for(site_cluster: Cluster) -> None:
    small = Small()

    class Resuming(Heard):
        def state(self, key: ObjectKey, message: str, *, done: bool) -> None:
            if key.name == small.migration_job:
                site_cluster.ready(small.namespace)

    with site_cluster.behaving(small.namespace, migrate=Behaviour.HANG):
        assert site_cluster.deploy(small.bundle(), timeout=3).result == "failed"
        running = _uids(site_cluster, small.namespace)
        report = site_cluster.deploy(small.bundle(), Resuming())
    assert report.result == "deployed", report.error
    assert _uids(site_cluster, small.namespace) == running
    step = steps(report)[f"Job {small.namespace}/{small.migration_job}"]
    assert (step.action, step.why) == (Action.NOTHING, "it is running already")


def test_a_job_that_failed_is_made_anew(site_cluster: Cluster) -> None:
    small = Small()
    with site_cluster.behaving(small.namespace, migrate=Behaviour.FAIL):
        assert site_cluster.deploy(small.bundle()).result == "failed"
    failed = _uids(site_cluster, small.namespace)
    report = site_cluster.deploy(small.bundle())
    assert report.result == "deployed", report.error
    step = steps(report)[f"Job {small.namespace}/{small.migration_job}"]
    assert (step.action, step.why) == (Action.REPLACE, "its last attempt failed")
    assert not failed.items() & _uids(site_cluster, small.namespace).items()


def test_the_newest_releases_are_kept_and_always_the_one_that_runs(site_cluster: Cluster) -> None:
    small, state = Small(with_pods=False), State(site_cluster.client)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    first = site_cluster.remembered(small.environment).newest
    assert first
    for revision in range(2, KEPT + 3):
        state.record(msgspec.structs.replace(first, revision=revision, result=Result.FAILED), soon())
    with site_cluster.behaving(small.namespace, migrate=Behaviour.FAIL):
        assert site_cluster.deploy(replace(small, migration="2").bundle()).result == "failed"
    assert [revision for revision, _ in _history(site_cluster, small)] == [*range(KEPT + 3, 3, -1), 1]
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    assert len(_history(site_cluster, small)) == KEPT


def _rewritten(cluster: Cluster, small: Small, change: Any) -> None:
    """Changes the record of the newest release, as another version of this tool would have written it."""
    record = cluster.remembered(small.environment).headers[0].record
    document = json.loads(gzip.decompress(base64.b64decode(record["data"]["release"])))
    change(document)
    data = base64.b64encode(gzip.compress(json.dumps(document).encode())).decode()
    cluster.client.patch(Ref.of(record), {"data": {"release": data}}, soon())


def test_the_record_of_a_newer_version_is_refused_and_nothing_is_written(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False, with_pods=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    _rewritten(site_cluster, small, lambda document: document.update(format="aphiria-deploy/release/v2"))
    with site_cluster.asked() as (client, requests):
        for act in (
            lambda: site_cluster.deploy(replace(small, config="2").bundle(), client=client),
            lambda: site_cluster.destroy(small.environment, client=client),
            lambda: site_cluster.roll_back(small.environment, client, to=1),
        ):
            with pytest.raises(ReleaseError, match=r"format: found 'aphiria-deploy/release/v2', expected"):
                act()
    assert not requests.writes


def test_a_record_that_was_damaged_is_told(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False, with_pods=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    record = site_cluster.remembered(small.environment).headers[0].record
    site_cluster.client.patch(Ref.of(record), {"data": {"release": "bm90IGd6aXA="}}, soon())
    with pytest.raises(ReleaseError, match=f"Secret {NAMESPACE}/release.{small.environment}.v1: found no release"):
        site_cluster.deploy(small.bundle())


@pytest.mark.parametrize("file", sorted(RECORDS.glob("*.json")), ids=lambda file: file.stem)
def test_what_an_older_version_left_is_taken_as_it_is(site_cluster: Cluster, file: Path) -> None:
    """No pod restarts, no Job runs again, and nothing is written at all."""
    found = json.loads(file.read_text(encoding="utf-8"))
    client, release = site_cluster.client, releases.read(recorded.record_of(found))
    name, namespace = release.bundle.environment.name, release.bundle.environment.namespace
    values = {made.ref.name: made.manifest["data"] for made in make_secrets(release.bundle.secrets, inputs(), [])}
    for item in found["objects"]:
        whole = {**item, "data": values[item["metadata"]["name"]]} if item["kind"] == "Secret" else item
        client.apply(whole, soon())
    for item in (recorded.record_of(found), found["parent"]):
        client.apply(item, soon(), force=True)
    jobs = [item for item in found["objects"] if item["kind"] == "Job"]
    eventually(20, "its Jobs are complete", lambda: all(judge(client.get(Ref.of(job), soon())).ok for job in jobs))
    api = Ref.of(next(item for item in found["objects"] if item["kind"] == "Deployment"))
    eventually(20, "its pods are ready", lambda: judge(client.get(api, soon())).ok)
    pods = site_cluster.pods(namespace)
    with site_cluster.asked() as (asking, requests):
        report = site_cluster.deploy(release.bundle, client=asking)
    assert report.error is None
    assert (report.result, report.revision) == ("unchanged", 1)
    assert not requests.writes
    assert site_cluster.pods(namespace) == pods
    newer = site_cluster.deploy(replace(Small(number=recorded.NUMBER), config="2").bundle())
    assert (newer.result, newer.revision) == ("deployed", 2), newer.error
    assert site_cluster.roll_back(name).result == "deployed"
    assert site_cluster.destroy(name).result == "destroyed"
    assert site_cluster.leftovers(name) == []


def test_a_note_says_what_a_rollback_does_not_bring_back(site_cluster: Cluster) -> None:
    small, heard = Small(with_jobs=False, with_pods=False), Heard()
    for config in "12":
        assert site_cluster.deploy(replace(small, config=config).bundle()).result == "deployed"
    roll_back(site_cluster.client, small.environment, heard, Cancellation())
    assert heard.notes == ["back to revision 1: no Job runs; the database's schema and the Secrets stay as they are"]
