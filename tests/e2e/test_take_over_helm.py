"""A site that Helm made is taken over: with the plan first, without downtime, and so that Helm lets go of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from aphiria_deploy.cli.showing import plan_data, plan_text
from aphiria_deploy.errors import AphiriaDeployError, InvalidError
from tests.e2e.charts import Helm
from tests.e2e.command import Commands
from tests.e2e.engine import OUTPUTS, Cluster, preview, soon
from tests.e2e.former_site import (
    FORMER,
    PASSWORD,
    as_it_was,
    as_small_was,
    changes,
    config_map,
    pods,
    require_as_planned,
    require_former_fields_told,
    require_ours,
    require_steady,
    settle,
    uids,
)
from tests.e2e.small import Small
from tests.e2e.witness import Serving
from tests.objects import one

pytestmark = pytest.mark.xdist_group("site-cluster")

WAYS = {"server-side": (), "client-side": ("--server-side=false",)}
NEW = "--create-namespace"


@pytest.fixture
def helm(site_cluster: Cluster, tmp_path: Path) -> Helm:
    return Helm(site_cluster.plane.kubeconfig, tmp_path)


@pytest.mark.parametrize("how", list(WAYS))
def test_a_release_is_taken_over_with_the_plan_first_and_without_downtime(
    site_cluster: Cluster, helm: Helm, how: str
) -> None:
    bundle = preview()
    environment, namespace = bundle.environment.name, bundle.environment.namespace
    release = f"site-{environment}"
    hook = config_map(namespace, "of-a-hook")
    hook["metadata"]["annotations"] = {"helm.sh/hook": "pre-install"}
    helm.install(release, namespace, [*as_it_was(bundle, "{{ .Values.v }}"), hook], {"v": "its"}, NEW, *WAYS[how])
    assert helm.releases(namespace) == [release]
    settle(site_cluster, namespace)
    before, web_pods = uids(site_cluster, namespace), pods(site_cluster, namespace, "web")

    with site_cluster.asked() as (client, requests):
        with pytest.raises(AphiriaDeployError, match="--take-over") as refused:
            site_cluster.deploy(bundle, client=client)
        planned = site_cluster.deploy(bundle, client=client, plan_only=True, take_over=True)
    assert not requests.writes
    for kind in ("Deployment", "Service", "HTTPRoute", "ConfigMap"):
        name = "js-config" if kind == "ConfigMap" else "web"
        said = f"{kind} {namespace}/{name}: found one that this tool did not make (it is of the Helm release "
        assert f"{said}{namespace}/{release}, its fields are helm's)" in str(refused.value)

    assert planned.plan
    shown = plan_text(planned.plan, environment)
    for what in ("Deployment {}/web", "Secret {}/env-var-secrets"):
        assert f"~ {what.format(namespace)}: taken over from the Helm release {namespace}/{release}" in shown
    record = f"Secret {namespace}/sh.helm.release.v1.{release}.v1"
    assert f"- {record}: Helm's record of its release {release}" in shown
    for left in (f"ConfigMap {namespace}/{FORMER}", f"Ingress {namespace}/web", f"ConfigMap {namespace}/of-a-hook"):
        assert f"  {left}: left alone: the Helm release {namespace}/{release} made it" in shown
    assert {left["name"] for left in plan_data(planned.plan)["leftAlone"]} == {FORMER, "web", "of-a-hook"}
    require_former_fields_told(planned, "its")
    assert "metadata.labels[app.kubernetes.io/managed-by]: Helm → aphiria-deploy" in changes(planned)
    assert PASSWORD not in shown

    with (
        Serving(site_cluster.client, namespace, "web") as web,
        Serving(site_cluster.client, namespace, "api") as api,
    ):
        report = site_cluster.deploy(bundle, take_over=True)
    assert report.result == "deployed", report.error
    assert (web.fewest, api.fewest) == (1, 1), "there is always one that serves"
    require_as_planned(site_cluster, planned)
    after = uids(site_cluster, namespace)
    assert {name: uid for name, uid in before.items() if after.get(name) != uid}.keys() == {record}
    assert pods(site_cluster, namespace, "web") == web_pods, "what stays the same is not restarted"
    require_ours(site_cluster, bundle, "helm")
    assert site_cluster.find("v1", "ConfigMap", FORMER, namespace), "it is told, and never deleted"

    assert helm.releases(namespace) == []
    assert "not found" in helm.run("uninstall", release, f"--namespace={namespace}").stderr
    assert uids(site_cluster, namespace) == after
    require_steady(site_cluster, bundle)


def test_what_was_taken_over_goes_when_the_site_drops_it(site_cluster: Cluster, helm: Helm) -> None:
    small = Small(with_jobs=False)
    extra = small.object("ConfigMap", "extra", data={"a": "b"})
    helm.install("shop", small.namespace, [*as_small_was(small), extra], {}, NEW)
    report = site_cluster.deploy(replace(small, more=(extra,)).bundle(), take_over=True)
    assert report.result == "deployed", report.error
    report = site_cluster.deploy(small.bundle())
    assert report.result == "deployed", report.error
    assert report.plan
    assert [item["metadata"]["name"] for item in report.plan.prune.delete] == ["extra"]
    assert site_cluster.find("v1", "ConfigMap", "extra", small.namespace) is None


def test_what_does_not_go_together_with_what_was_there_is_taken_over(site_cluster: Cluster, helm: Helm) -> None:
    small = Small(with_jobs=False, container={"ports": [{"name": "http", "containerPort": 8080}]})
    objects = as_small_was(small)
    workload, service = one(objects, "Deployment", "api"), one(objects, "Service", "api")
    [container] = workload["spec"]["template"]["spec"]["containers"]
    # Beside the new ones neither could be: a variable has a value or a source, and a name is given once.
    container["env"] = [{"name": "PASSWORD", "value": "in the open"}]
    container["ports"] = [{"name": "http", "containerPort": 80}]
    container["readinessProbe"] = {"tcpSocket": {"port": 80}}
    workload["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    workload["spec"]["replicas"] = 3
    service["spec"]["ports"] = [{"name": "http", "port": 8080}]
    probed = {"readinessProbe": {"httpGet": {"path": "/", "port": "http"}}}
    bundle = replace(small, container=small.container | probed).bundle()
    one(bundle.manifests, "Service", "api")["spec"]["ports"] = [{"name": "http", "port": 80}]
    bundle = msgspec.structs.replace(bundle, hash="")
    helm.install("shop", small.namespace, objects, {}, NEW)
    for item in (one(bundle.manifests, "Deployment", "api"), one(bundle.manifests, "Service", "api")):
        with pytest.raises(InvalidError):
            site_cluster.client.apply(item, soon(), force=True, dry_run=True)
    report = site_cluster.deploy(bundle, take_over=True)
    assert report.result == "deployed", report.error
    live = site_cluster.get("apps/v1", "Deployment", "api", small.namespace)
    [found] = live["spec"]["template"]["spec"]["containers"]
    assert found["env"] == [
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "passwords", "key": "database"}}}
    ]
    assert "tcpSocket" not in found["readinessProbe"]
    assert live["spec"]["replicas"] == 1
    assert site_cluster.deploy(bundle).result == "unchanged"


def test_what_else_was_in_the_release_can_be_helm_s_again_and_only_that(site_cluster: Cluster, helm: Helm) -> None:
    small = Small(with_jobs=False)
    rest = config_map(small.namespace, "rest")
    helm.install("shop", small.namespace, [*as_small_was(small), rest], {}, NEW)
    report = site_cluster.deploy(small.bundle(), take_over=True)
    assert report.result == "deployed", report.error
    assert report.plan
    assert [item["metadata"]["name"] for item, _ in report.plan.prune.kept] == ["rest"]
    helm.install("shop", small.namespace, [rest], {})
    done = helm.run("uninstall", "shop", f"--namespace={small.namespace}")
    assert done.returncode == 0, done.stderr
    assert site_cluster.find("v1", "ConfigMap", "rest", small.namespace) is None
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


@pytest.mark.parametrize("driver", ["secret", "configmap"])
def test_helm_lets_go_also_when_the_first_run_failed(site_cluster: Cluster, tmp_path: Path, driver: str) -> None:
    helm = Helm(site_cluster.plane.kubeconfig, tmp_path, driver)
    small = Small(with_jobs=False)
    other = small.object("ConfigMap", "of-another-release", data={})
    helm.install("shop", small.namespace, as_small_was(small), {}, NEW)
    helm.install("other", small.namespace, [other], {})
    wrong = replace(small, workload={"nodeSelector": {"there-is": "none"}}).bundle()
    failed = site_cluster.deploy(wrong, take_over=True, timeout=3)
    assert failed.result == "failed"
    assert sorted(helm.releases(small.namespace)) == ["other", "shop"], "until all is well Helm can still go back"

    report = site_cluster.deploy(small.bundle())
    assert report.result == "deployed", report.error
    assert helm.releases(small.namespace) == ["other"]
    assert report.plan
    assert not report.plan.prune.kept, "another release is not this site's"
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


def test_another_selector_is_refused_and_what_is_said_then_helps(site_cluster: Cluster, helm: Helm) -> None:
    small = Small(with_jobs=False)
    objects = as_small_was(small)
    labels = {"app": "api", "app.kubernetes.io/instance": "shop"}
    workload, service = one(objects, "Deployment", "api"), one(objects, "Service", "api")
    workload["spec"]["selector"] = {"matchLabels": labels}
    workload["spec"]["template"]["metadata"]["labels"] = labels
    service["spec"]["selector"] = labels
    helm.install("shop", small.namespace, objects, {}, NEW, "--wait")
    command = f"delete deployment api --namespace {small.namespace} --cascade=orphan"
    with (
        site_cluster.asked() as (client, requests),
        pytest.raises(AphiriaDeployError, match=f"spec.selector: found a change.*{command}"),
    ):
        site_cluster.deploy(small.bundle(), client=client, take_over=True)
    assert not requests.writes
    with Serving(site_cluster.client, small.namespace, "api") as serving:
        done = site_cluster.plane.kubectl(*command.split())
        assert done.returncode == 0, done.stderr
        report = site_cluster.deploy(small.bundle(), take_over=True)
    assert report.result == "deployed", report.error
    assert serving.fewest == 1
    assert helm.releases(small.namespace) == []
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


def test_the_command_shows_the_plan_and_then_takes_over(site_cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    bundle = preview()
    environment, namespace = bundle.environment.name, bundle.environment.namespace
    # A preview's namespace has no labels but a preview's: one that Helm makes has.
    site_cluster.plane.apply(one(bundle.manifests, "Namespace"))
    helm.install("shop", namespace, as_it_was(bundle), {})
    commands = Commands(tmp_path, site_cluster.plane.kubeconfig, OUTPUTS)
    refused = commands.deploy(bundle)
    assert refused.code == 1
    assert f"it is of the Helm release {namespace}/shop" in refused.err
    given = ("--bundle", commands.bundle(bundle), *commands.named, *commands.settled)
    differs = commands.run("diff", environment, "--take-over", *given)
    assert differs.code == 3, differs
    assert f"taken over from the Helm release {namespace}/shop" in differs.out
    planned = commands.run(*commands.deploying(bundle), "--take-over", "--plan")
    assert planned.code == 0, planned
    # The account of a preview may not look for Helm's records: what is to be done about them is said.
    record = f"Helm's record of its release {namespace}/shop: as long as it is there, helm uninstall deletes"
    command = f"delete secret --namespace {namespace} --selector owner=helm,name=shop"
    assert re.search(f"for want of rights: {record}.*: kubectl {command}\n", planned.out), planned.out
    assert helm.releases(namespace) == ["shop"]
    taken = commands.deploy(bundle, "--take-over")
    assert (taken.code, taken.data["result"]) == (0, "deployed"), taken
    assert command in taken.err
    done = site_cluster.plane.kubectl(*command.split())
    assert done.returncode == 0, done.stderr
    assert helm.releases(namespace) == []
    assert commands.deploy(bundle).data["result"] == "unchanged"
