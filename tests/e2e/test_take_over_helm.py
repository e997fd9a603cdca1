"""A site that Helm made is taken over: with the plan first, without downtime, and so that Helm lets go of it."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aphiria_deploy.bundle import Bundle, Manifest, ManifestFile
from aphiria_deploy.cli.showing import plan_data, plan_text
from aphiria_deploy.engine.changes import field_changes
from aphiria_deploy.engine.drift import drift
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.kube import FIELD_MANAGER, Kind, Ref
from aphiria_deploy.objects import ObjectKey
from tests.e2e.charts import Helm
from tests.e2e.engine import Cluster, preview, soon, steps
from tests.e2e.small import Small
from tests.e2e.witness import Serving
from tests.objects import one

pytestmark = pytest.mark.xdist_group("site-cluster")

# Deployments count their revisions themselves.
_NOT_PLANNED = {"metadata.annotations[deployment.kubernetes.io/revision]: 1 → 2"}

ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute")
WAYS = {"server-side": (), "client-side": ("--server-side=false",)}


@pytest.fixture
def helm(site_cluster: Cluster, tmp_path: Path) -> Helm:
    return Helm(site_cluster.plane.kubeconfig, tmp_path)


def secret(namespace: str, name: str, **values: str) -> Manifest:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": data,
    }


def as_it_was(bundle: Bundle) -> list[Manifest]:
    """The site as a chart had it: with fields and objects that it has no longer, and without what came since."""
    namespace = bundle.environment.namespace
    kept = [item for item in bundle.manifests if item["kind"] not in {"Namespace", "Job", "ClientSettingsPolicy"}]
    former = copy.deepcopy(kept)
    for item in former:
        # It was somebody else's word in a chart.
        item["metadata"]["labels"].pop("app.kubernetes.io/managed-by", None)
        item["metadata"].get("annotations", {}).clear()
    api, service = one(former, "Deployment", "api"), one(former, "Service", "web")
    php = next(each for each in api["spec"]["template"]["spec"]["containers"] if each["name"] == "php")
    php.setdefault("env", []).append({"name": "FORMER", "value": "{{ .Values.former }}"})
    service["spec"]["ports"].append({"name": "former", "port": 8080, "targetPort": "http"})
    service["metadata"]["annotations"] = {"chart.test/by": "{{ .Release.Name }}"}
    one(former, "ConfigMap", "js-config")["data"]["former.js"] = "{{ .Values.former }}"
    extra = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "former-settings", "namespace": namespace},
        "data": {},
    }
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web"},
        "spec": {"defaultBackend": backend},
    }
    password = secret(namespace, "env-var-secrets", DB_PASSWORD="the-chart-s-password", FORMER="1")  # noqa: S106 - a test's
    hook = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "of-a-hook", "annotations": {"helm.sh/hook": "pre-install"}},
        "data": {},
    }
    return [*former, extra, ingress, password, hook]


def settle(cluster: Cluster, namespace: str) -> None:
    for name in ("web", "api"):
        done = cluster.plane.kubectl(
            "rollout", "status", f"deployment/{name}", f"--namespace={namespace}", "--timeout=60s"
        )
        assert done.returncode == 0, done.stderr


def uids(cluster: Cluster, namespace: str, app: str = "") -> Mapping[str, str]:
    """The identities of what must not be made anew; those of one workload's pods, where one is said."""
    kinds = (
        Kind("apps/v1", "Deployment"),
        Kind("v1", "Service"),
        ROUTE,
        Kind("v1", "ConfigMap"),
        Kind("v1", "Secret"),
    )
    if app:
        kinds = (Kind("apps/v1", "ReplicaSet"), Kind("v1", "Pod"))
    labels = f"app={app}" if app else ""
    return {
        str(Ref.of(item)): item["metadata"]["uid"]
        for kind in kinds
        for item in cluster.client.list(kind, soon(), namespace=namespace, labels=labels).items
    }


def live(cluster: Cluster, bundle: Bundle) -> dict[ObjectKey, Manifest]:
    found = (cluster.client.find(Ref.of(item), soon()) for item in bundle.manifests)
    return {ObjectKey.of(item): item for item in found if item}


def owners(item: Mapping[str, Any]) -> set[str]:
    return {entry["manager"] for entry in item["metadata"]["managedFields"] if entry.get("subresource") != "status"}


@pytest.mark.parametrize("how", list(WAYS))
def test_a_release_is_taken_over_with_the_plan_first_and_without_downtime(
    site_cluster: Cluster, helm: Helm, how: str
) -> None:
    bundle = preview()
    environment, namespace = bundle.environment.name, bundle.environment.namespace
    release = f"site-{environment}"
    helm.install(release, namespace, as_it_was(bundle), {"former": "of the chart"}, *WAYS[how])
    assert helm.releases(namespace) == [release]
    settle(site_cluster, namespace)
    before, pods = uids(site_cluster, namespace), uids(site_cluster, namespace, "web")

    with (
        site_cluster.asked() as (client, requests),
        pytest.raises(AphiriaDeployError) as refused,
    ):
        site_cluster.deploy(bundle, client=client)
    said = str(refused.value)
    assert "--take-over" in said
    for what in ("Deployment", "Service", "HTTPRoute"):
        assert f"{what} {namespace}/web: found one that this tool did not make (it is of the Helm release" in said
    assert f"the Helm release {namespace}/{release}" in said
    assert not requests.writes

    with site_cluster.asked() as (client, requests):
        planned = site_cluster.deploy(bundle, client=client, plan_only=True, take_over=True)
    assert not requests.writes
    assert planned.plan
    shown = plan_text(planned.plan, environment)
    from_helm = f"taken over from the Helm release {namespace}/{release}"
    assert f"~ Deployment {namespace}/web: {from_helm}" in shown
    assert f"~ Secret {namespace}/env-var-secrets: {from_helm}" in shown
    assert f"- Secret {namespace}/sh.helm.release.v1.{release}.v1: Helm's record of its release {release}" in shown
    for left in ("ConfigMap {}/former-settings", "Ingress {}/web", "ConfigMap {}/of-a-hook"):
        told = f"  {left.format(namespace)}: left alone: the Helm release {namespace}/{release} made it"
        assert told in shown
    changes = {str(change) for step in planned.plan.steps for change in step.changes}
    env = 'spec.template.spec.containers[php].env: [{"name": "FORMER", "value": "of the chart"}] → nothing'
    assert env in changes
    assert "data[former.js]: of the chart → nothing" in changes
    assert any(f'"chart.test/by": "{release}"' in change and change.endswith("→ nothing") for change in changes)
    assert "metadata.labels[app.kubernetes.io/managed-by]: Helm → aphiria-deploy" in changes
    assert "the-chart-s-password" not in shown
    assert {one["name"] for one in plan_data(planned.plan)["leftAlone"]} == {"former-settings", "web", "of-a-hook"}

    former = {step.key: step.live for step in planned.plan.steps if step.live}
    with (
        Serving(site_cluster.client, namespace, "web") as web,
        Serving(site_cluster.client, namespace, "api") as api,
    ):
        report = site_cluster.deploy(bundle, take_over=True)
    assert report.result == "deployed", report.error
    assert (web.fewest, api.fewest) == (1, 1), "there is always one that serves"
    for key, item in former.items():
        now = site_cluster.client.get(Ref.of(item), soon())
        told = {str(change) for change in steps(planned)[str(key)].changes}
        done = {str(change) for change in field_changes(item, now)}
        assert done - told <= _NOT_PLANNED, key
        assert told <= done, key

    after = uids(site_cluster, namespace)
    gone = {name for name in before if name not in after}
    assert gone == {f"Secret {namespace}/sh.helm.release.v1.{release}.v1"}
    assert {name: after[name] for name in before if name not in gone} == {
        name: uid for name, uid in before.items() if name not in gone
    }
    assert uids(site_cluster, namespace, "web") == pods, "what stays the same is not restarted"
    found = live(site_cluster, bundle)
    assert len(found) == len(bundle.manifests)
    for key, item in found.items():
        assert "helm" not in owners(item), key
        assert item["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "Helm", key
        assert not [name for name in item["metadata"].get("annotations", {}) if "helm.sh" in name], key
    service = site_cluster.get("v1", "Service", "web", namespace)
    assert [port["port"] for port in service["spec"]["ports"]] == [80]
    assert site_cluster.secret("env-var-secrets", namespace) == {"DB_PASSWORD": "the-chart-s-password"}

    # Helm has let go: what it does no longer touches the site.
    assert helm.releases(namespace) == []
    assert "not found" in helm.run("uninstall", release, f"--namespace={namespace}").stderr
    assert uids(site_cluster, namespace) == after

    assert site_cluster.deploy(bundle).result == "unchanged"
    assert site_cluster.deploy(bundle, take_over=True).result == "unchanged"
    recorded = site_cluster.remembered(environment).current
    assert recorded
    assert drift(recorded.bundle.manifests, live(site_cluster, bundle)) == []
    assert site_cluster.find("v1", "ConfigMap", "former-settings", namespace), "it is told, and never deleted"

    fewer = [
        ManifestFile(name=file.name, manifests=[item for item in file.manifests if item["kind"] != "RateLimitPolicy"])
        for file in bundle.files
    ]
    report = site_cluster.deploy(msgspec.structs.replace(bundle, files=fewer, hash=""))
    assert report.result == "deployed", report.error
    assert report.plan
    assert {item["kind"] for item in report.plan.prune.delete} == {"RateLimitPolicy"}
    assert site_cluster.find("gateway.nginx.org/v1alpha1", "RateLimitPolicy", "web", namespace) is None


def chart_of(small: Small, *more: Manifest) -> list[Manifest]:
    """What a small site is, as a chart has it."""
    kept = copy.deepcopy([item for item in small.bundle().manifests if item["kind"] not in {"Namespace", "Job"}])
    for item in kept:
        item["metadata"].pop("labels")
    return [*kept, secret(small.namespace, "passwords", database="former", token="former"), *more]


def test_what_does_not_go_together_with_what_was_there_is_taken_over(site_cluster: Cluster, helm: Helm) -> None:
    small = Small(with_jobs=False, container={"ports": [{"name": "http", "containerPort": 8080}]})
    objects = chart_of(small)
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
    helm.install("shop", small.namespace, objects, {})
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


@pytest.mark.parametrize("driver", ["secret", "configmap"])
def test_helm_lets_go_also_when_the_first_run_failed(site_cluster: Cluster, tmp_path: Path, driver: str) -> None:
    helm = Helm(site_cluster.plane.kubeconfig, tmp_path, driver)
    small = Small(with_jobs=False)
    other = small.object("ConfigMap", "of-another-release", data={})
    helm.install("shop", small.namespace, chart_of(small), {})
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
    objects = chart_of(small)
    labels = {"app": "api", "app.kubernetes.io/instance": "shop"}
    workload, service = one(objects, "Deployment", "api"), one(objects, "Service", "api")
    workload["spec"]["selector"] = {"matchLabels": labels}
    workload["spec"]["template"]["metadata"]["labels"] = labels
    service["spec"]["selector"] = labels
    helm.install("shop", small.namespace, objects, {}, "--wait")
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
