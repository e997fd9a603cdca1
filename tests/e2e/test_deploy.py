"""Deploys on a real API server: from nothing, again, with changes; and what that takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from aphiria_deploy.engine.plan import Action
from aphiria_deploy.engine.releases import Result
from aphiria_deploy.kube import Deadline, Kind, Ref
from aphiria_deploy.readiness import judge
from tests.e2e.engine import Cluster, Heard, inputs, preview, soon, steps
from tests.e2e.pod_status import Behaviour
from tests.e2e.small import SHARED, Small

pytestmark = pytest.mark.xdist_group("site-cluster")


def test_a_first_deploy_brings_everything_and_a_second_writes_nothing(site_cluster: Cluster) -> None:
    bundle = preview()
    name = bundle.environment.name
    first = site_cluster.deploy(bundle)
    assert (first.result, first.revision, first.error) == ("deployed", 1, None)
    assert {step.action for step in steps(first).values()} == {Action.CREATE}
    with site_cluster.asked() as (client, requests):
        second = site_cluster.deploy(bundle, client=client)
    assert (second.result, second.revision) == ("unchanged", 1)
    assert not requests.writes
    assert not requests.watches
    assert [header.revision for header in site_cluster.remembered(name).headers] == [1]


def test_a_deploy_that_changes_nothing_makes_a_list_a_kind_and_a_dry_run_an_object(site_cluster: Cluster) -> None:
    bundle = preview()
    assert site_cluster.deploy(bundle).result == "deployed"
    with site_cluster.asked() as (client, requests):
        assert site_cluster.deploy(bundle, client=client).result == "unchanged"
    namespaced = {(item["kind"], item["metadata"].get("namespace")) for item in bundle.manifests} - {
        ("Namespace", None)
    }
    lists = [one.what for one in requests.reads if one.what.startswith("list ")]
    # What is remembered, and a kind in a namespace each.
    assert len(lists) == 1 + len(namespaced)
    assert len(set(lists)) == len(lists)
    # kube-system, the marker, the namespaces, the database server's claim, and Secrets, which are never listed.
    gets = Counter(one.what.split()[1] for one in requests.reads if one.what.startswith("get "))
    assert gets == {"Namespace": 1 + 2, "ConfigMap": 1, "PersistentVolumeClaim": 1, "Secret": len(bundle.secrets)}
    # The migration has run, and Secrets are compared here.
    assert len(requests.dry_runs) == len(bundle.manifests) - 1


def test_an_image_is_changed_rolled_back_and_all_of_it_destroyed(site_cluster: Cluster) -> None:
    first = preview()
    number, name = first.environment.number, first.environment.name
    assert site_cluster.deploy(first).result == "deployed"
    api = site_cluster.pods(first.environment.namespace, "api")
    report = site_cluster.deploy(preview(number, web="c"))
    assert report.result == "deployed", report.error
    assert site_cluster.pods(first.environment.namespace, "api") == api, "its image is what it was"
    back = site_cluster.roll_back(name)
    assert (back.result, back.revision, back.error) == ("deployed", 3, None)
    gone = site_cluster.destroy(name)
    assert gone.result == "destroyed", gone.error
    assert site_cluster.destroy(name).result == "absent"
    assert site_cluster.leftovers(name) == []


def test_when_a_deploy_is_done_its_jobs_are_complete_and_not_only_their_pods(site_cluster: Cluster) -> None:
    # Without pods that serve nothing takes as long as the Job controller, which looks once a second.
    small = Small(with_pods=False)
    report = site_cluster.deploy(small.bundle())
    assert report.result == "deployed", report.error
    assert report.plan
    jobs = [step.key for step in report.plan.steps if step.key.group_kind.kind == "Job"]
    assert len(jobs) == 2
    for key in jobs:
        ref = Ref(Kind("batch/v1", "Job"), key.name, key.namespace)
        assert judge(site_cluster.client.get(ref, soon())).ok


def test_one_changed_image_restarts_its_pods_and_runs_its_migration_alone(site_cluster: Cluster) -> None:
    small = Small()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    newer = replace(small, image="registry.example/api:2")
    with site_cluster.asked() as (client, requests):
        report = site_cluster.deploy(newer.bundle(), client=client)
    assert report.result == "deployed", report.error
    did = {name: step.action for name, step in steps(report).items() if step.action is not Action.NOTHING}
    where = f"{small.namespace}/"
    assert did == {f"Job {where}{newer.migration_job}": Action.CREATE, f"Deployment {where}api": Action.UPDATE}
    assert site_cluster.find("batch/v1", "Job", small.migration_job, small.namespace) is None
    # The lease, the record and the parent twice, what changed, what is pruned, and the lease again.
    assert len(requests.writes) == 1 + 2 + 2 + 1 + 2 + 1, [one.what for one in requests.writes]


def test_a_changed_configuration_restarts_the_pods_that_read_it(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    before = site_cluster.pods(small.namespace, "api")
    report = site_cluster.deploy(replace(small, config="2").bundle())
    assert report.result == "deployed", report.error
    assert not before.items() & site_cluster.pods(small.namespace, "api").items()
    changes = steps(report)[f"ConfigMap {small.namespace}/settings"].changes
    assert [str(one) for one in changes] == ["data.said: 1 → 2"]


def test_a_rotated_secret_restarts_the_pods_that_read_it_and_is_shown_nowhere(site_cluster: Cluster) -> None:
    small, heard = Small(with_jobs=False), Heard()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    pods = site_cluster.pods(small.namespace, "api")
    kept = site_cluster.secret("passwords", small.namespace)
    report = site_cluster.deploy(small.bundle(), heard, inputs=inputs(ghcrToken="the-new-token"))
    assert report.result == "deployed", report.error
    after = site_cluster.secret("passwords", small.namespace)
    assert after == kept | {"token": "the-new-token"}, "what was generated stays"
    assert not pods.items() & site_cluster.pods(small.namespace, "api").items()
    record = site_cluster.remembered(small.environment).newest
    assert record
    assert record.secrets[f"{small.namespace}/passwords"] == 2
    told = repr((report.plan, heard, record))
    assert "the-new-token" not in told
    assert after["database"] not in told


def test_a_password_made_anew_runs_the_job_that_gives_it_to_the_database(site_cluster: Cluster) -> None:
    small = Small()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    before = site_cluster.get("batch/v1", "Job", small.database_job, SHARED)
    site_cluster.plane.kubectl("delete", "secret", "passwords", f"--namespace={small.namespace}")
    report = site_cluster.deploy(small.bundle())
    assert report.result == "deployed", report.error
    after = site_cluster.get("batch/v1", "Job", small.database_job, SHARED)
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    step = steps(report)[f"Job {SHARED}/{small.database_job}"]
    assert (step.action, step.why) == (Action.REPLACE, "a Secret that it uses has changed")
    assert steps(report)[f"Job {small.namespace}/{small.migration_job}"].action is Action.NOTHING


def test_a_first_deploy_that_failed_is_in_nobodys_way(site_cluster: Cluster) -> None:
    small = Small()
    with site_cluster.behaving(small.namespace, migrate=Behaviour.FAIL):
        assert site_cluster.deploy(small.bundle()).result == "failed"
    assert [header.result for header in site_cluster.remembered(small.environment).headers] == [Result.FAILED]
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


def test_a_preview_whose_namespace_is_being_deleted_is_made_anew(site_cluster: Cluster) -> None:
    small = Small()
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    namespace = Ref(Kind("v1", "Namespace"), small.namespace)
    going = site_cluster.client.delete(namespace, Deadline.after(10, "the test"))
    assert going
    report = site_cluster.deploy(small.bundle())
    assert report.result == "deployed", report.error
    made = site_cluster.get("v1", "Namespace", small.namespace)
    assert made["metadata"]["uid"] != going["metadata"]["uid"]
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


def test_objects_of_a_kind_that_comes_with_them_are_made_and_go_and_their_kind_stays(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False, with_pods=False)
    group = f"small-{small.number}.example"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}},
                }
            ],
        },
    }
    thing = small.object("Thing", "one", api=f"{group}/v1", spec={})
    bundle = replace(small, more=(definition, thing)).bundle()
    report = site_cluster.deploy(bundle)
    assert report.result == "deployed", report.error
    assert site_cluster.get(f"{group}/v1", "Thing", "one", small.namespace)
    assert site_cluster.deploy(bundle).result == "unchanged"

    report = site_cluster.deploy(replace(small, more=()).bundle())
    assert report.plan
    assert report.result == "deployed", report.error
    assert [(item["kind"], item["metadata"]["name"]) for item in report.plan.prune.delete] == [("Thing", "one")]
    [(kept, reason)] = report.plan.prune.kept
    assert (kept["metadata"]["name"], reason.partition(":")[0]) == (f"things.{group}", "a definition is never pruned")
    things = Kind(f"{group}/v1", "Thing")
    assert not site_cluster.client.list(things, soon(), namespace=small.namespace).items, "and the kind is served"
