"""The stand-ins for nodes and controllers: what is reported is what those would report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aphiria_deploy.errors import BadRequestError
from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from tests.crds import load_crds
from tests.e2e import controllers
from tests.e2e.control_plane import eventually
from tests.e2e.controllers import Controllers
from tests.e2e.kubelet import Kubelet
from tests.e2e.objects import DEPLOYMENT, POD, deployment, job
from tests.e2e.plane import Plane
from tests.e2e.planes import node
from tests.e2e.pod_status import ANNOTATION, Behaviour, image_id

pytestmark = pytest.mark.xdist_group("control-plane")

_JOB = Kind("batch/v1", "Job")
_CERTIFICATE = Kind("cert-manager.io/v1", "Certificate")
_GATEWAY = Kind("gateway.networking.k8s.io/v1", "Gateway")
_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute")


@pytest.fixture(scope="module")
def kubelet(client: Client, control_plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    with node(control_plane, client, tmp_path_factory.mktemp("kubelet")) as running:
        yield running


@pytest.fixture(scope="module")
def running_controllers(client: Client) -> Iterator[Controllers]:
    deadline = Deadline.after(60, "the CRDs")
    for crd in load_crds():
        client.apply(crd, deadline, force=True)
    for kind in (_CERTIFICATE, _GATEWAY, _ROUTE, Kind("gateway.nginx.org/v1alpha1", "RateLimitPolicy")):
        eventually(30, f"{kind} is served", lambda kind=kind: client.serves(kind, deadline))
    with Controllers(client) as running:
        yield running


def _pods(client: Client, namespace: str, deadline: Deadline) -> list[dict[str, Any]]:
    return client.list(POD, deadline, namespace=namespace).items


def _condition(item: dict[str, Any] | None, name: str) -> str:
    found = [one for one in ((item or {}).get("status") or {}).get("conditions") or () if one["type"] == name]
    return f"{found[0]['status']} {found[0].get('reason', '')}".strip() if found else ""


def test_a_deployment_becomes_available_and_its_pods_report_what_they_run(
    client: Client, kubelet: Kubelet, namespace: str, deadline: Deadline
) -> None:
    image = f"site/web@sha256:{'a' * 64}"
    made = client.apply(deployment(namespace, "web", replicas=3, image=image), deadline)
    available = "True MinimumReplicasAvailable"
    eventually(30, "available", lambda: _condition(client.get(Ref.of(made), deadline), "Available") == available)
    assert client.get(Ref.of(made), deadline)["status"]["availableReplicas"] == 3
    for pod in _pods(client, namespace, deadline):
        status = pod["status"]["containerStatuses"][0]
        assert status["imageID"] == image_id(image)
        assert "running" in status["state"]
        assert status["ready"]


_WAITING: list[tuple[Behaviour, str]] = [
    (Behaviour.CRASH_LOOP, "CrashLoopBackOff"),
    (Behaviour.IMAGE_NOT_FOUND, "ImagePullBackOff"),
    (Behaviour.IMAGE_UNAUTHORIZED, "ImagePullBackOff"),
    (Behaviour.INVALID_IMAGE, "InvalidImageName"),
    (Behaviour.CONFIG_ERROR, "CreateContainerConfigError"),
    (Behaviour.RUN_ERROR, "RunContainerError"),
]


@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize(("behaviour", "reason"), _WAITING)
def test_pods_fail_as_they_are_told_to(
    *,
    client: Client,
    kubelet: Kubelet,
    namespace: str,
    deadline: Deadline,
    behaviour: Behaviour,
    reason: str,
    init: bool,
) -> None:
    name = "prepare" if init else "main"
    manifest = deployment(namespace, "web", annotations={ANNOTATION: f"{name}={behaviour}"})
    manifest["spec"]["template"]["spec"]["initContainers"] = [{"name": "prepare", "image": "x"}]
    client.apply(manifest, deadline)
    key = "initContainerStatuses" if init else "containerStatuses"

    def reasons() -> set[str]:
        statuses = [status for pod in _pods(client, namespace, deadline) for status in pod["status"].get(key) or ()]
        return {status["state"].get("waiting", {}).get("reason", "") for status in statuses if status["name"] == name}

    eventually(30, reason, lambda: reasons() == {reason})
    assert client.get(Ref(DEPLOYMENT, "web", namespace), deadline)["status"].get("availableReplicas", 0) == 0


def test_a_pod_may_never_become_ready(client: Client, kubelet: Kubelet, namespace: str, deadline: Deadline) -> None:
    client.apply(deployment(namespace, "web", annotations={ANNOTATION: "never-ready"}), deadline)
    running = eventually(
        30,
        "running",
        lambda: [pod for pod in _pods(client, namespace, deadline) if pod["status"]["phase"] == "Running"],
    )
    assert _condition(running[0], "Ready").startswith("False")


@pytest.mark.parametrize(("behaviour", "condition"), [(Behaviour.COMPLETE, "Complete"), (Behaviour.FAIL, "Failed")])
def test_jobs_end_and_leave_their_logs(
    *, client: Client, kubelet: Kubelet, namespace: str, deadline: Deadline, behaviour: Behaviour, condition: str
) -> None:
    kubelet.logs["main"] = ["migrating", "", "ünï: done"]
    made = client.apply(job(namespace, "migrate", annotations={ANNOTATION: behaviour}), deadline)
    eventually(30, condition, lambda: _condition(client.get(Ref.of(made), deadline), condition).startswith("True"))
    pod = _pods(client, namespace, deadline)[0]["metadata"]["name"]
    assert list(client.logs(pod, namespace, deadline)) == ["migrating", "", "ünï: done"]
    assert list(client.logs(pod, namespace, deadline, container="main", tail=1)) == ["ünï: done"]
    del kubelet.logs["main"]


def test_a_log_is_followed_until_the_container_ends(
    client: Client, kubelet: Kubelet, namespace: str, deadline: Deadline
) -> None:
    kubelet.logs["main"] = ["one"]
    made = client.apply(job(namespace, "migrate", annotations={ANNOTATION: "hang"}), deadline)
    pods = eventually(
        30,
        "running",
        lambda: [pod for pod in _pods(client, namespace, deadline) if pod["status"]["phase"] == "Running"],
    )
    lines = client.logs(pods[0]["metadata"]["name"], namespace, deadline, follow=True)
    assert next(lines) == "one"
    kubelet.logs["main"] = ["one", "two"]
    assert next(lines) == "two"
    client.delete(Ref.of(made), deadline)
    assert list(lines) == []
    eventually(30, "the pod is gone", lambda: not _pods(client, namespace, deadline))
    del kubelet.logs["main"]


def test_logs_that_there_are_not_and_those_of_the_instance_before(
    client: Client, kubelet: Kubelet, namespace: str, deadline: Deadline
) -> None:
    kubelet.previous_logs["main"] = ["boom"]
    client.apply(deployment(namespace, "crash", annotations={ANNOTATION: "crash-loop"}), deadline)

    def restarted() -> list[dict[str, Any]]:
        pods = _pods(client, namespace, deadline)
        return [pod for pod in pods if (pod["status"].get("containerStatuses") or [{}])[0].get("restartCount")]

    pod = eventually(30, "restarted", restarted)[0]["metadata"]["name"]
    assert list(client.logs(pod, namespace, deadline, previous=True)) == ["boom"]
    client.apply(deployment(namespace, "pull", annotations={ANNOTATION: "image-not-found"}), deadline)
    waiting = eventually(
        30,
        "waiting",
        lambda: [
            pod
            for pod in _pods(client, namespace, deadline)
            if pod["metadata"]["labels"]["app"] == "pull" and pod["status"].get("containerStatuses")
        ],
    )
    with pytest.raises(BadRequestError, match="is waiting to start"):
        list(client.logs(waiting[0]["metadata"]["name"], namespace, deadline))


def test_a_claim_is_bound_and_a_namespace_goes_with_its_pods(
    client: Client, kubelet: Kubelet, namespace: str, deadline: Deadline
) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "data", "namespace": namespace}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
    client.apply(claim, deadline)
    manifest = deployment(namespace, "db")
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    made = client.apply(manifest, deadline)
    eventually(60, "available", lambda: _condition(client.get(Ref.of(made), deadline), "Available").startswith("True"))
    assert client.get(Ref.of(claim), deadline)["status"]["phase"] == "Bound"
    ref = Ref(Kind("v1", "Namespace"), namespace)
    client.delete(ref, deadline)
    eventually(90, "the namespace is gone", lambda: client.find(ref, deadline) is None)


def _route(namespace: str, said: str) -> dict[str, Any]:
    return {
        "apiVersion": _ROUTE.api_version,
        "kind": _ROUTE.name,
        "metadata": {"name": "web", "namespace": namespace, "annotations": {controllers.ANNOTATION: said}},
        "spec": {"parentRefs": [{"name": "gateway", "sectionName": "https"}], "rules": [{}]},
    }


def _policy(namespace: str, said: str) -> dict[str, Any]:
    target = {"group": _ROUTE.group, "kind": _ROUTE.name, "name": "web"}
    return {
        "apiVersion": "gateway.nginx.org/v1alpha1",
        "kind": "RateLimitPolicy",
        "metadata": {"name": "limits", "namespace": namespace, "annotations": {controllers.ANNOTATION: said}},
        "spec": {"targetRefs": [target]},
    }


def _certificate(namespace: str, said: str) -> dict[str, Any]:
    issuer = {"name": "letsencrypt", "kind": "ClusterIssuer"}
    return {
        "apiVersion": _CERTIFICATE.api_version,
        "kind": _CERTIFICATE.name,
        "metadata": {"name": "tls", "namespace": namespace, "annotations": {controllers.ANNOTATION: said}},
        "spec": {"secretName": "tls", "issuerRef": issuer, "dnsNames": ["example.org"]},
    }


Make = Callable[[str, str], dict[str, Any]]


@pytest.mark.parametrize(
    ("make", "said", "path", "condition", "value"),
    [
        (_route, "", ["parents"], "Accepted", "True Accepted"),
        (_route, "not-accepted", ["parents"], "Accepted", "False Invalid"),
        (_route, "not-resolved", ["parents"], "ResolvedRefs", "False BackendNotFound"),
        (_policy, "", ["ancestors"], "Accepted", "True Accepted"),
        (_policy, "not-accepted", ["ancestors"], "Accepted", "False Invalid"),
        (_certificate, "", [], "Ready", "True Ready"),
        (_certificate, "issuing", [], "Issuing", "True Issuing"),
        (_certificate, "not-ready", [], "Ready", "False Failed"),
    ],
)
def test_controllers_report_as_they_are_told_to(
    *,
    client: Client,
    running_controllers: Controllers,
    namespace: str,
    deadline: Deadline,
    make: Make,
    said: str,
    path: list[str],
    condition: str,
    value: str,
) -> None:
    made = client.apply(make(namespace, said), deadline)

    def reported() -> str:
        status = client.get(Ref.of(made), deadline).get("status") or {}
        for step in path:
            status = (status.get(step) or [{}])[0]
        return _condition({"status": status}, condition)

    eventually(20, value, lambda: reported() == value)


def test_a_gateway_waits_for_its_certificate(
    client: Client, running_controllers: Controllers, namespace: str, deadline: Deadline
) -> None:
    listener = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "tls"}]}}
    gateway = {
        "apiVersion": _GATEWAY.api_version,
        "kind": _GATEWAY.name,
        "metadata": {"name": "gateway", "namespace": namespace},
        "spec": {"gatewayClassName": "nginx", "listeners": [listener]},
    }
    made = client.apply(gateway, deadline)

    def listeners() -> dict[str, Any]:
        status = client.get(Ref.of(made), deadline).get("status") or {}
        first: dict[str, Any] = (status.get("listeners") or [{}])[0]
        return first

    unresolved = "False InvalidCertificateRef"
    eventually(20, "no certificate", lambda: _condition({"status": listeners()}, "ResolvedRefs") == unresolved)
    client.apply(_certificate(namespace, ""), deadline)
    eventually(20, "programmed", lambda: _condition({"status": listeners()}, "Programmed") == "True Programmed")
    status = client.get(Ref.of(made), deadline)["status"]
    assert status["addresses"] == [{"type": "IPAddress", "value": controllers.ADDRESS}]
