"""Drift on a real API server: what it adds is none, what somebody edits is found, field by field."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.engine.drift import Departure, drift
from aphiria_deploy.kube import FIELD_MANAGER, Client, Deadline, Kind, Ref
from aphiria_deploy.objects import ObjectKey
from apps import site
from tests.crds import load_crds
from tests.e2e.control_plane import eventually
from tests.e2e.objects import config_map, deployment
from tests.e2e.plane import Plane
from tests.objects import one

pytestmark = pytest.mark.xdist_group("control-plane")

_SHARED = ("default", "nginx-gateway", "cert-manager")


@pytest.fixture(scope="module", autouse=True)
def crds(control_plane: Plane) -> None:
    """The kinds that the site uses."""
    found = load_crds()
    control_plane.apply(*found)
    for crd in found:
        control_plane.kubectl("wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}", "--timeout=30s")


_NUMBERS = itertools.count(901)


@pytest.fixture(params=["preview", "production"])
def bundle(request: pytest.FixtureRequest, client: Client, deadline: Deadline) -> Iterator[Bundle]:
    """An environment that was applied: each time another preview, since its namespace takes long to go."""
    made = site.bundle("production" if request.param == "production" else f"pr-{next(_NUMBERS)}", {})
    for name in _SHARED:
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, deadline)
    for manifest in made.manifests:
        client.apply(manifest, deadline, force=True)
    yield made
    end = Deadline.after(60, "the end of the test")
    for manifest in reversed(made.manifests):
        client.delete(Ref.of(manifest), end)
    if request.param == "production":
        eventually(60, "it is gone", lambda: not live(client, made.manifests, end))


def live(client: Client, manifests: list[Manifest], deadline: Deadline) -> dict[ObjectKey, Manifest]:
    found = (client.find(Ref.of(manifest), deadline) for manifest in manifests)
    return {ObjectKey.of(item): item for item in found if item}


def departures(client: Client, manifests: list[Manifest], deadline: Deadline) -> list[Departure]:
    return drift(manifests, live(client, manifests, deadline))


def edited(control_plane: Plane, *arguments: str) -> None:
    done = control_plane.kubectl(*arguments)
    assert done.returncode == 0, done.stderr


def told(found: list[Departure]) -> list[tuple[str, str, Any, Any, str]]:
    return [(one.key.group_kind.kind, one.path, one.wanted, one.found, one.owner) for one in found]


def test_what_was_applied_has_not_departed(client: Client, bundle: Bundle, deadline: Deadline) -> None:
    # Controllers have seen it: they write statuses, defaults and annotations of their own.
    workload = one(bundle.manifests, "Deployment", "db" if bundle.environment.name == "production" else "api")
    eventually(
        30,
        "the controllers have seen it",
        lambda: client.get(Ref.of(workload), deadline).get("status", {}).get("observedGeneration"),
    )
    assert departures(client, bundle.manifests, deadline) == []


def test_what_is_edited_by_hand_is_found_exactly(
    client: Client, control_plane: Plane, bundle: Bundle, deadline: Deadline
) -> None:
    namespace = bundle.environment.namespace
    api = one(
        [item for item in bundle.manifests if item["metadata"].get("namespace") == namespace], "Deployment", "api"
    )
    php = next(item for item in api["spec"]["template"]["spec"]["containers"] if item["name"] == "php")
    replicas = api["spec"]["replicas"]
    log_level = one(bundle.manifests, "ConfigMap", "env-vars")["data"]["LOG_LEVEL"]
    place = ["--namespace", namespace]
    begun = datetime.now(UTC)
    edited(control_plane, "set", "image", "deployment/api", "php=evil:latest", *place)
    edited(control_plane, "scale", "deployment/api", f"--replicas={replicas + 3}", *place)
    edited(control_plane, "rollout", "restart", "deployment/web", *place)
    edited(control_plane, "set", "env", "deployment/web", "DEBUG=1", *place)
    change = json.dumps({"data": {"LOG_LEVEL": "loud", "MORE": "1"}})
    edited(control_plane, "patch", "configmap", "env-vars", "--patch", change, *place)
    edited(control_plane, "delete", "service", "web", *place)
    container = "spec.template.spec.containers[name=php].image"
    found = departures(client, bundle.manifests, deadline)
    assert sorted(told(found)) == sorted(
        [
            ("ConfigMap", "data.LOG_LEVEL", log_level, "loud", "kubectl-patch"),
            ("Deployment", "spec.replicas", replicas, replicas + 3, "kubectl"),
            ("Deployment", container, php["image"], "evil:latest", "kubectl-set"),
            ("Service", "", "the object", None, ""),
        ]
    )
    # Of what was changed by a subresource, here scale, the server does not say when.
    since = {one.path: one.since for one in found}
    assert since.pop("spec.replicas") is None
    assert since.pop("") is None
    assert all(time and abs(time - begun) < timedelta(minutes=1) for time in since.values()), (since, begun)


def test_setting_it_back_ends_the_drift(
    client: Client, control_plane: Plane, namespace: str, deadline: Deadline
) -> None:
    wanted = deployment(namespace, "web", env=[{"name": "A", "value": "1"}])
    client.apply(wanted, deadline)
    edited(control_plane, "set", "env", "deployment/web", "A=2", "--namespace", namespace)
    [found] = departures(client, [wanted], deadline)
    assert (found.path, found.found, found.owner) == (
        "spec.template.spec.containers[name=main].env[name=A].value",
        "2",
        "kubectl-set",
    )
    client.apply(wanted, deadline, force=True)
    assert departures(client, [wanted], deadline) == []


def test_what_is_left_out_because_it_is_nothing_has_not_departed_and_what_was_removed_has(
    client: Client, control_plane: Plane, namespace: str, deadline: Deadline
) -> None:
    wanted = deployment(
        namespace,
        "web",
        replicas=0,
        stdin=False,
        args=[],
        workingDir="",
        env=[{"name": "A", "value": ""}],
        ports=[{"containerPort": 80}],
        securityContext={"privileged": False, "capabilities": {"add": []}},
        resources={"limits": {"cpu": "1000m", "memory": "0.5Gi"}, "requests": {"cpu": 0.5, "memory": "128Mi"}},
    )
    wanted["spec"]["template"]["spec"] |= {
        "hostNetwork": False,
        "automountServiceAccountToken": False,
        "nodeSelector": {},
        "securityContext": {},
        "initContainers": [],
        "tolerations": [],
    }
    wanted["spec"] |= {"paused": False, "minReadySeconds": 0}
    client.apply(wanted, deadline)
    assert departures(client, [wanted], deadline) == []
    remove = '[{"op": "remove", "path": "/spec/template/spec/automountServiceAccountToken"}]'
    edited(control_plane, "patch", "deployment", "web", "--type=json", "--patch", remove, "--namespace", namespace)
    [found] = departures(client, [wanted], deadline)
    assert (found.path, found.wanted, found.found) == (
        "spec.template.spec.automountServiceAccountToken",
        False,
        None,
    )


def test_who_shares_a_field_with_us_is_not_the_one_who_changed_it(
    client: Client, control_plane: Plane, namespace: str, deadline: Deadline
) -> None:
    wanted = config_map(namespace, "shared", a="1", b="1")
    client.apply(wanted, deadline)
    metadata = {"name": "shared", "namespace": namespace}
    same = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}})
    done = control_plane.kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=same)
    assert done.returncode == 0, done.stderr
    assert departures(client, [wanted], deadline) == []
    edited(control_plane, "patch", "configmap", "shared", "-p", '{"data": {"a": "2"}}', "--namespace", namespace)
    [found] = departures(client, [wanted], deadline)
    assert (found.path, found.owner) == ("data.a", "kubectl-patch")


def test_an_autoscalers_replicas_are_its_own(client: Client, namespace: str, deadline: Deadline) -> None:
    wanted = deployment(namespace, "web", replicas=1)
    client.apply(wanted, deadline)
    client.apply(deployment(namespace, "web", replicas=3), deadline)
    assert [one.owner for one in departures(client, [wanted], deadline)] == [FIELD_MANAGER]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5},
    }
    client.apply(autoscaler, deadline)
    assert departures(client, [wanted, autoscaler], deadline) == []
    found = live(client, [wanted, autoscaler], deadline)
    assert drift([wanted], found) == [], "also where somebody else made it"


def test_a_job_that_was_cleaned_away_has_not_departed(client: Client, namespace: str, deadline: Deadline) -> None:
    job = Ref(Kind("batch/v1", "Job"), "migration", namespace)
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "site/api:1"}]}}
    wanted = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": template},
    }
    client.apply(wanted, deadline)
    assert departures(client, [wanted], deadline) == []
    client.delete(job, deadline)
    eventually(30, "the Job is gone", lambda: client.find(job, deadline) is None)
    assert departures(client, [wanted], deadline) == []
