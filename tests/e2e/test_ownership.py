"""Fields and objects of others: edits by hand, other tools, previews made by ``kubectl apply``, what is pruned."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from aphiria_deploy.engine.applyset import GROUP_KINDS, PART_OF
from aphiria_deploy.engine.deploying import Report
from aphiria_deploy.engine.marker import NAMESPACE
from aphiria_deploy.engine.plan import Action
from aphiria_deploy.engine.refusals import PlanError
from aphiria_deploy.engine.releases import ENVIRONMENT, SITE, Result
from aphiria_deploy.engine.state import parent_name
from aphiria_deploy.errors import CombinedError
from aphiria_deploy.kube import FIELD_MANAGER, Ref
from aphiria_deploy.readiness import judge
from tests.e2e.control_plane import eventually
from tests.e2e.engine import Cluster, soon, steps
from tests.e2e.small import Small

pytestmark = pytest.mark.xdist_group("site-cluster")

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def _kubectl(cluster: Cluster, *arguments: str, stdin: Sequence[Mapping[str, Any]] = ()) -> None:
    done = cluster.plane.kubectl(
        *arguments, stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": stdin}) if stdin else None
    )
    assert done.returncode == 0, done.stderr


def _managers(item: Mapping[str, Any]) -> set[str]:
    return {entry["manager"] for entry in item["metadata"]["managedFields"] if not entry.get("subresource")}


def test_an_edit_by_hand_is_set_back_and_said(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    where = f"--namespace={small.namespace}"
    _kubectl(site_cluster, "patch", "configmap", "settings", where, "--patch", '{"data": {"said": "by hand"}}')
    _kubectl(site_cluster, "scale", "deployment", "api", where, "--replicas=2")
    report = site_cluster.deploy(small.bundle())
    assert (report.result, report.revision) == ("deployed", 2), report.error
    settings = steps(report)[f"ConfigMap {small.namespace}/settings"]
    assert settings.why == "edited with kubectl-patch: set back"
    assert [str(one) for one in settings.changes] == ["data.said: by hand → 1"]
    deployment = steps(report)[f"Deployment {small.namespace}/api"]
    assert deployment.why == "edited with kubectl: set back"
    assert [str(one) for one in deployment.changes] == ["spec.replicas: 2 → 1"]
    assert site_cluster.get("v1", "ConfigMap", "settings", small.namespace)["data"] == {"said": "1"}
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


def test_what_a_person_added_beside_stays(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    _kubectl(site_cluster, "label", "configmap", "settings", f"--namespace={small.namespace}", "looked-at-by=ann")
    assert site_cluster.deploy(small.bundle()).result == "unchanged"
    labels = site_cluster.get("v1", "ConfigMap", "settings", small.namespace)["metadata"]["labels"]
    assert labels["looked-at-by"] == "ann"


def test_fields_of_another_tool_are_named_one_by_one_and_left_alone(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    other = small.object("ConfigMap", "settings", data={"said": "theirs", "more": "also"})
    site_cluster.client.apply(other, soon(), force=True, manager="argocd-controller")
    with pytest.raises(PlanError, match=r"\.data\.said is argocd-controller's.*--take-over") as caught:
        site_cluster.deploy(replace(small, config="2").bundle())
    assert ".data.more" not in str(caught.value)
    assert site_cluster.get("v1", "ConfigMap", "settings", small.namespace)["data"]["said"] == "theirs"
    assert [header.revision for header in site_cluster.remembered(small.environment).headers] == [1]

    report = site_cluster.deploy(replace(small, config="2").bundle(), take_over=True)
    assert report.result == "deployed", report.error
    live = site_cluster.get("v1", "ConfigMap", "settings", small.namespace)
    assert live["data"] == {"said": "2", "more": "also"}
    assert site_cluster.deploy(replace(small, config="2").bundle()).result == "unchanged"


@pytest.mark.parametrize("how", ["server-side", "client-side"])
def test_a_preview_made_by_kubectl_is_adopted_when_it_is_said(site_cluster: Cluster, how: str) -> None:
    small = Small(with_jobs=how == "client-side")
    bundle = small.bundle()
    former = json.loads(json.dumps(bundle.manifests))
    settings = next(item for item in former if item["metadata"]["name"] == "settings")
    settings["data"]["former"] = "a key that the site no longer has"
    deployment = next(item for item in former if item["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] += [{"name": "FORMER", "value": "1"}]
    deployment["metadata"]["annotations"] = {"by": "kubectl"}
    _kubectl(site_cluster, "apply", *(["--server-side"] if how == "server-side" else []), "-f", "-", stdin=former)

    jobs = [Ref.of(item) for item in former if item["kind"] == "Job"]
    eventually(20, "complete", lambda: all(judge(site_cluster.client.get(job, soon())).ok for job in jobs))

    with pytest.raises(CombinedError, match="--take-over") as caught:
        site_cluster.deploy(bundle)
    assert "ConfigMap" in str(caught.value)
    assert site_cluster.remembered(small.environment).headers == ()

    report = site_cluster.deploy(bundle, take_over=True)
    assert report.result == "deployed", report.error
    shown = [str(one) for one in steps(report)[f"ConfigMap {small.namespace}/settings"].changes]
    assert "data.former: a key that the site no longer has → nothing" in shown
    live = site_cluster.get("v1", "ConfigMap", "settings", small.namespace)
    assert live["data"] == {"said": "1"}
    assert _LAST_APPLIED not in live["metadata"].get("annotations", {})
    assert _managers(live) == {FIELD_MANAGER}
    live = site_cluster.get("apps/v1", "Deployment", "api", small.namespace)
    variables = live["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [one["name"] for one in variables] == ["PASSWORD"]
    assert "by" not in live["metadata"].get("annotations", {})
    assert not {name for name in _managers(live) if name.startswith("kubectl")}
    assert site_cluster.deploy(bundle).result == "unchanged"
    # Once it is ours it is not asked for again; and what is dropped from the site goes.
    newer = site_cluster.deploy(replace(small, image="registry.example/api:2").bundle())
    assert newer.result == "deployed", newer.error


def test_an_object_of_another_environment_is_never_taken_over(site_cluster: Cluster) -> None:
    one, other = Small(with_jobs=False), Small(with_jobs=False)
    assert site_cluster.deploy(replace(one, with_pods=False).bundle()).result == "deployed"
    theirs = one.object("ConfigMap", "settings", data={"said": "mine"})
    with pytest.raises(PlanError, match=f"found the object of aphiria.com's environment {one.environment}"):
        site_cluster.deploy(replace(other, with_pods=False, more=(theirs,)).bundle(), take_over=True)


def test_what_is_no_longer_in_the_site_goes_and_is_waited_for(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    extra = small.object("ConfigMap", "extra", data={"a": "b"})
    extra["metadata"]["finalizers"] = ["deploy.test/slow"]
    assert site_cluster.deploy(replace(small, more=(extra,)).bundle()).result == "deployed"
    outcome: list[Report] = []
    thread = threading.Thread(target=lambda: outcome.append(site_cluster.deploy(small.bundle())))
    thread.start()
    thread.join(3)
    assert thread.is_alive(), outcome
    going = site_cluster.get("v1", "ConfigMap", "extra", small.namespace)
    assert going["metadata"]["deletionTimestamp"]
    where = f"--namespace={small.namespace}"
    _kubectl(site_cluster, "patch", "configmap", "extra", where, "--patch", '{"metadata": {"finalizers": null}}')
    thread.join(30)
    assert outcome[0].result == "deployed", outcome[0].error
    assert site_cluster.find("v1", "ConfigMap", "extra", small.namespace) is None


def test_what_does_not_go_is_named_and_still_waited_for_by_the_next_run(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    extra = small.object("ServiceAccount", "extra")
    extra["metadata"]["finalizers"] = ["deploy.test/stuck"]
    assert site_cluster.deploy(replace(small, more=(extra,)).bundle()).result == "deployed"
    for revision in (2, 3):
        report = site_cluster.deploy(small.bundle(), timeout=5)
        assert (report.result, report.revision) == ("failed", revision)
        assert "ServiceAccount" in str(report.error)
        assert "deploy.test/stuck" in str(report.error)
        parent = site_cluster.get("v1", "Secret", parent_name(small.environment), NAMESPACE)
        assert "ServiceAccount" in parent["metadata"]["annotations"][GROUP_KINDS], (
            "the set keeps the kind until it is gone"
        )
    where = f"--namespace={small.namespace}"
    _kubectl(site_cluster, "patch", "serviceaccount", "extra", where, "--patch", '{"metadata": {"finalizers": null}}')
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    parent = site_cluster.get("v1", "Secret", parent_name(small.environment), NAMESPACE)
    assert "ServiceAccount" not in parent["metadata"]["annotations"][GROUP_KINDS]
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


def test_what_a_controller_owns_is_kept_and_said(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    service = site_cluster.get("v1", "Service", "api", small.namespace)
    owner = {
        "apiVersion": "v1",
        "kind": "Service",
        "name": "api",
        "uid": service["metadata"]["uid"],
        "controller": True,
    }
    owned = small.object("ConfigMap", "of-a-controller", data={})
    labels = {name: service["metadata"]["labels"][name] for name in (PART_OF, ENVIRONMENT, SITE)}
    owned["metadata"] |= {"labels": labels, "ownerReferences": [owner]}
    site_cluster.client.apply(owned, soon(), manager="a-controller")
    report = site_cluster.deploy(replace(small, config="2").bundle())
    assert report.result == "deployed", report.error
    assert report.plan
    assert [(item["metadata"]["name"], why) for item, why in report.plan.prune.kept] == [
        ("of-a-controller", "it belongs to Service api")
    ]
    assert site_cluster.find("v1", "ConfigMap", "of-a-controller", small.namespace)


def test_nothing_is_pruned_before_everything_was_applied(site_cluster: Cluster) -> None:
    small = Small()
    extra = small.object("ConfigMap", "extra", data={})
    assert site_cluster.deploy(replace(small, more=(extra,)).bundle()).result == "deployed"
    wrong = replace(small, workload={"nodeSelector": {"there-is": "none"}}, image="registry.example/api:2")
    report = site_cluster.deploy(wrong.bundle(), timeout=3)
    assert report.result == "failed"
    assert site_cluster.find("v1", "ConfigMap", "extra", small.namespace)
    assert site_cluster.find("batch/v1", "Job", small.migration_job, small.namespace)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    assert site_cluster.find("v1", "ConfigMap", "extra", small.namespace) is None


def test_an_immutable_field_is_a_plan_error_and_nothing_is_written(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    bundle = small.bundle()
    deployment = bundle.manifests[-1]
    assert deployment["kind"] == "Deployment"
    deployment["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    deployment["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with (
        site_cluster.asked() as (client, requests),
        pytest.raises(PlanError, match=r"Deployment .*: spec\.selector: found a change, expected none"),
    ):
        site_cluster.deploy(bundle, client=client)
    assert not requests.writes


def test_all_that_the_server_refuses_is_told_at_once_and_nothing_is_written(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    assert site_cluster.deploy(small.bundle()).result == "deployed"
    misspelt = small.object("ConfigMap", "misspelt", dta={"a": "b"})
    invalid = small.object("Service", "invalid", spec={"ports": [{"port": 80000}]})
    with (
        site_cluster.asked() as (client, requests),
        pytest.raises(CombinedError) as caught,
    ):
        site_cluster.deploy(replace(small, more=(misspelt, invalid)).bundle(), client=client)
    assert "dta" in str(caught.value)
    assert "spec.ports[0].port" in str(caught.value)
    assert not requests.writes
    assert [header.result for header in site_cluster.remembered(small.environment).headers] == [Result.DEPLOYED]


def test_a_plan_alone_writes_nothing(site_cluster: Cluster) -> None:
    small = Small(with_jobs=False)
    with site_cluster.asked() as (client, requests):
        report = site_cluster.deploy(small.bundle(), client=client, plan_only=True)
    assert (report.result, report.revision) == ("planned", 1)
    assert {step.action for step in steps(report).values()} == {Action.CREATE}
    assert not requests.writes
    assert site_cluster.leftovers(small.environment) == []
