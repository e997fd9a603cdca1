"""What `cdk8s synth` and `kubectl apply` do for those who use no more than these, on a real API server."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.files import render, write
from apps import site
from tests.crds import load_crds
from tests.e2e.control_plane import eventually, names
from tests.e2e.plane import Plane

pytestmark = pytest.mark.xdist_group("control-plane")

_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
_SHARED_NAMESPACES = ("default", "nginx-gateway", "cert-manager", "aphiria-deploy")


@pytest.fixture(scope="module")
def cluster(control_plane: Plane) -> Plane:
    """A cluster with the CRDs, and with the namespaces that the Helm releases would bring: restricted, with a quota."""
    crds = load_crds()
    control_plane.apply(*crds)
    for crd in crds:
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}", "--timeout=30s")
    for name in _SHARED_NAMESPACES:
        metadata = {"name": name, "labels": _RESTRICTED}
        control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        quota = {"spec": {"hard": {"pods": "20", "services": "10", "persistentvolumeclaims": "2"}}}
        control_plane.apply(
            {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all", "namespace": name}} | quota
        )
    return control_plane


_NUMBERS = itertools.count(1)


@pytest.fixture(params=site.environments)
def bundle(request: pytest.FixtureRequest, cluster: Plane) -> Iterator[Bundle]:
    """An environment that nothing of is there yet: each time another preview, since its namespace takes long to go."""
    made = _preview() if request.param.startswith("pr-") else site.bundle(request.param, {})
    yield made
    wait = "false" if made.environment.number else "true"
    delete = ["delete", "--ignore-not-found", "--timeout=60s", f"--wait={wait}", "-f", "-"]
    done = cluster.kubectl(*delete, stdin=_stream(made))
    assert done.returncode == 0, done.stderr


def _preview() -> Bundle:
    return site.bundle(f"pr-{next(_NUMBERS)}", {})


def _stream(bundle: Bundle) -> str:
    return "".join(render(bundle).values())


def test_every_file_applies_in_order_with_strict_validation(cluster: Plane, bundle: Bundle, tmp_path: Path) -> None:
    write([bundle], tmp_path)
    done = cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", str(tmp_path / bundle.environment.name))
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "the server warned of something, of a pod that is not restricted for example"
    assert done.stdout.count("serverside-applied") == len(bundle.manifests)


def test_a_second_apply_changes_nothing(cluster: Plane, bundle: Bundle) -> None:
    stream = _stream(bundle)
    first = cluster.kubectl("apply", "--server-side", "--validate=strict", "-o", "json", "-f", "-", stdin=stream)
    assert first.returncode == 0, first.stderr
    diff = cluster.kubectl("diff", "--server-side", "-f", "-", stdin=stream)
    assert diff.returncode == 0, diff.stdout


def test_the_pods_of_every_workload_are_admitted(cluster: Plane, bundle: Bundle) -> None:
    done = cluster.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=_stream(bundle))
    assert done.returncode == 0, done.stderr
    workloads = [item for item in bundle.manifests if item["kind"] in {"Deployment", "Job"}]
    assert workloads
    for workload in workloads:
        namespace, app = workload["metadata"]["namespace"], workload["metadata"]["labels"]["app"]
        expected = workload["spec"].get("replicas", 1)
        instance = workload["metadata"]["labels"]["app.kubernetes.io/instance"]
        eventually(30, f"{expected} pods of {app}", lambda: len(_pods(cluster, namespace, app, instance)) >= expected)  # noqa: B023
        refused = [event for event in cluster.get("events", namespace) if event["reason"] == "FailedCreate"]
        assert not refused, [event["message"] for event in refused]


def test_a_preview_cannot_use_more_than_its_quota(cluster: Plane) -> None:
    preview = _preview()
    done = cluster.kubectl("apply", "--server-side", "-f", "-", stdin=_stream(preview))
    assert done.returncode == 0, done.stderr
    pod = next(item for item in preview.manifests if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    namespace = preview.environment.namespace
    greedy = [container | {"resources": {"requests": _large(), "limits": _large()}} for container in pod["containers"]]
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy", "namespace": namespace},
        "spec": pod | {"containers": greedy},
    }
    refused = cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=_json(manifest))
    assert "exceeded quota: preview-quota" in refused.stderr


def test_a_preview_admits_no_pod_that_is_not_restricted(cluster: Plane) -> None:
    preview = _preview()
    done = cluster.kubectl("apply", "--server-side", "-f", "-", stdin=_stream(preview))
    assert done.returncode == 0, done.stderr
    resources = {"cpu": "10m", "memory": "16Mi"}
    container = {"name": "x", "image": "x", "resources": {"requests": resources, "limits": resources}}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": preview.environment.namespace},
        "spec": {"containers": [container], "hostNetwork": True},
    }
    refused = cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=_json(manifest))
    assert 'violates PodSecurity "restricted' in refused.stderr


def _large() -> dict[str, str]:
    return {"cpu": "5", "memory": "9Gi"}


def _json(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest)


def _pods(cluster: Plane, namespace: str, app: str, instance: str) -> set[str]:
    return names(
        pod
        for pod in cluster.get("pods", namespace)
        if pod["metadata"]["labels"].get("app") == app
        and pod["metadata"]["labels"].get("app.kubernetes.io/instance") == instance
    )
