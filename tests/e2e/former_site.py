"""A site as somebody else had made it, and what must hold of it when it was taken over."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterable, Mapping
from typing import Any

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.engine.changes import field_changes
from aphiria_deploy.engine.deploying import Report
from aphiria_deploy.engine.drift import drift
from aphiria_deploy.kube import Kind, Ref
from aphiria_deploy.objects import ObjectKey
from tests.e2e.engine import Cluster, soon, steps
from tests.e2e.small import Small
from tests.objects import one

FORMER = "former-settings"
"""A ConfigMap that the site has no longer."""
PASSWORD = "the-former-password"

# Deployments count their revisions themselves.
_NOT_PLANNED = {"metadata.annotations[deployment.kubernetes.io/revision]: 1 → 2"}
_OBJECTS = (
    Kind("apps/v1", "Deployment"),
    Kind("v1", "Service"),
    Kind("v1", "ConfigMap"),
    Kind("v1", "Secret"),
    Kind("gateway.networking.k8s.io/v1", "HTTPRoute"),
)
_PODS = (Kind("apps/v1", "ReplicaSet"), Kind("v1", "Pod"))


def secret(namespace: str, name: str, **values: str) -> Manifest:
    """A Secret."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def config_map(namespace: str, name: str) -> Manifest:
    """A ConfigMap."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}


def as_it_was(bundle: Bundle, value: str = "former") -> list[Manifest]:
    """The site's objects with fields that it has no longer, beside objects that it has no longer.

    Args:
        bundle: The site.
        value: A value of such fields.
    """
    namespace = bundle.environment.namespace
    without = {"Namespace", "Job", "ClientSettingsPolicy"}
    former = copy.deepcopy([item for item in bundle.manifests if item["kind"] not in without])
    for item in former:
        item["metadata"]["labels"].pop("app.kubernetes.io/managed-by", None)
        item["metadata"].get("annotations", {}).clear()
    containers = one(former, "Deployment", "api")["spec"]["template"]["spec"]["containers"]
    php = next(each for each in containers if each["name"] == "php")
    php["env"] = [{"name": "FORMER", "value": value}]
    service = one(former, "Service", "web")
    service["spec"]["ports"].append({"name": "former", "port": 8080, "targetPort": "http"})
    service["metadata"]["annotations"] = {"former.test/by": value}
    one(former, "ConfigMap", "js-config")["data"]["former.js"] = value
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    }
    password = secret(namespace, "env-var-secrets", DB_PASSWORD=PASSWORD, FORMER="1")
    return [*former, config_map(namespace, FORMER), ingress, password]


def as_small_was(small: Small) -> list[Manifest]:
    """The same of a small site, which has no former fields."""
    kept = copy.deepcopy([item for item in small.bundle().manifests if item["kind"] not in {"Namespace", "Job"}])
    for item in kept:
        item["metadata"].pop("labels")
    return [*kept, secret(small.namespace, "passwords", database="former", token="former")]


def settle(cluster: Cluster, namespace: str) -> None:
    """Waits until the site's pods are ready."""
    for name in ("web", "api"):
        where = (f"--namespace={namespace}", "--timeout=60s")
        done = cluster.plane.kubectl("rollout", "status", f"deployment/{name}", *where)
        assert done.returncode == 0, done.stderr


def uids(cluster: Cluster, namespace: str) -> dict[str, str]:
    """The identities of what is never made anew."""
    return _uids(cluster, namespace, _OBJECTS)


def pods(cluster: Cluster, namespace: str, app: str) -> dict[str, str]:
    """The identities of a workload's ReplicaSets and pods."""
    return _uids(cluster, namespace, _PODS, f"app={app}")


def _uids(cluster: Cluster, namespace: str, kinds: Iterable[Kind], labels: str = "") -> dict[str, str]:
    return {
        str(Ref.of(item)): item["metadata"]["uid"]
        for kind in kinds
        for item in cluster.client.list(kind, soon(), namespace=namespace, labels=labels).items
    }


def changes(report: Report) -> set[str]:
    """All fields that a plan changes."""
    assert report.plan, report.error
    return {str(change) for step in report.plan.steps for change in step.changes}


def require_former_fields_told(planned: Report, value: str) -> None:
    """What is gone afterwards was in the plan."""
    told = changes(planned)
    env = f'[{{"name": "FORMER", "value": "{value}"}}]'
    assert f"spec.template.spec.containers[php].env: {env} → nothing" in told
    assert f"data[former.js]: {value} → nothing" in told
    assert f"metadata.annotations[former.test/by]: {value} → nothing" in told
    assert any("8080" in change and change.endswith("→ nothing") for change in told)


def require_as_planned(cluster: Cluster, planned: Report) -> None:
    """What has changed is what the plan said, field by field."""
    assert planned.plan
    for step in planned.plan.steps:
        if step.live:
            now = cluster.client.get(Ref.of(step.live), soon())
            done = {str(change) for change in field_changes(_without_last_applied(step.live), now)}
            told = {str(change) for change in steps(planned)[str(step.key)].changes}
            assert (done - told - _NOT_PLANNED, told - done) == (set(), set()), f"{step.key}: {told}"


def _without_last_applied(item: Manifest) -> Manifest:
    """Without what kubectl wrote down for itself, which nobody wants to be told of."""
    kept = {
        k: v for k, v in item["metadata"].get("annotations", {}).items() if not k.startswith("kubectl.kubernetes.io")
    }
    rest = {key: value for key, value in item["metadata"].items() if key != "annotations"}
    return item | {"metadata": rest | ({"annotations": kept} if kept else {})}


def require_ours(cluster: Cluster, bundle: Bundle, *former: str) -> None:
    """Nothing of the site is another's: no field, no label, and nothing is left of what it has no longer."""
    found = _live(cluster, bundle)
    assert len(found) == len(bundle.manifests)
    for key, item in found.items():
        owners = {each["manager"] for each in item["metadata"]["managedFields"] if each.get("subresource") != "status"}
        assert not owners & {*former}, key
        assert item["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") in {None, "aphiria-deploy"}, key
        annotations = item["metadata"].get("annotations", {})
        assert not [name for name in annotations if "helm.sh" in name or "kubectl" in name], key
    namespace = bundle.environment.namespace
    ports = cluster.get("v1", "Service", "web", namespace)["spec"]["ports"]
    assert [port["port"] for port in ports] == [80]
    assert cluster.secret("env-var-secrets", namespace) == {"DB_PASSWORD": PASSWORD}, "and no other password"


def require_steady(cluster: Cluster, bundle: Bundle) -> None:
    """A further deploy changes nothing, and nothing has departed."""
    assert cluster.deploy(bundle).result == "unchanged"
    assert cluster.deploy(bundle, take_over=True).result == "unchanged"
    recorded = cluster.remembered(bundle.environment.name).current
    assert recorded
    assert drift(recorded.bundle.manifests, _live(cluster, bundle)) == []


def _live(cluster: Cluster, bundle: Bundle) -> Mapping[ObjectKey, dict[str, Any]]:
    found = (cluster.client.find(Ref.of(item), soon()) for item in bundle.manifests)
    return {ObjectKey.of(item): item for item in found if item}
