"""A site that Kustomize made, alone or within Flux or Argo CD, is taken over: the plan first, and without downtime."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.cli.showing import plan_text
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.kube import Kind, Ref
from tests.e2e.charts import kustomization
from tests.e2e.engine import Cluster, preview, soon
from tests.e2e.former_site import (
    FORMER,
    as_it_was,
    as_small_was,
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

pytestmark = pytest.mark.xdist_group("site-cluster")

WAYS = {"client-side": (), "server-side": ("--server-side",)}


def apply(cluster: Cluster, folder: Path, namespace: str, *how: str) -> None:
    """What a user does: the namespace, and then ``kubectl apply -k``."""
    cluster.plane.kubectl("create", "namespace", namespace)
    done = cluster.plane.kubectl("apply", *how, "-k", str(folder))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", list(WAYS))
def test_a_kustomization_is_taken_over_with_the_plan_first_and_without_downtime(
    site_cluster: Cluster, tmp_path: Path, how: str
) -> None:
    bundle = preview()
    environment, namespace = bundle.environment.name, bundle.environment.namespace
    settings = {
        "namespace": namespace,
        "labels": [{"pairs": {"former.test/team": "web"}}],
        "configMapGenerator": [{"name": "generated", "literals": ["a=b"]}],
        "secretGenerator": [{"name": "generated", "literals": ["hidden=much"]}],
    }
    folder = kustomization(tmp_path / "site", as_it_was(bundle, "its"), settings)
    apply(site_cluster, folder, namespace, *WAYS[how])
    settle(site_cluster, namespace)
    before, web_pods = uids(site_cluster, namespace), pods(site_cluster, namespace, "web")
    generated = [name for name in before if f"{namespace}/generated-" in name]
    assert len(generated) == 2, before

    with site_cluster.asked() as (client, requests):
        with pytest.raises(AphiriaDeployError, match="--take-over") as refused:
            site_cluster.deploy(bundle, client=client)
        planned = site_cluster.deploy(bundle, client=client, plan_only=True, take_over=True)
    assert not requests.writes
    manager = "kubectl" if how == "server-side" else "kubectl-client-side-apply"
    for kind in ("Deployment", "Service", "HTTPRoute"):
        said = f"{kind} {namespace}/web: found one that this tool did not make (its fields are {manager}'s"
        assert said in str(refused.value)

    assert planned.plan
    shown = plan_text(planned.plan, environment)
    assert f"~ Deployment {namespace}/web: taken over from {manager}" in shown
    for left in (*generated, f"ConfigMap {namespace}/{FORMER}", f"Ingress {namespace}/web"):
        assert f"  {left}: left alone: {manager} made it" in shown
    assert shown.count("left alone") == 4
    require_former_fields_told(planned, "its")
    assert "metadata.labels[former.test/team]: web → nothing" in shown

    with (
        Serving(site_cluster.client, namespace, "web") as web,
        Serving(site_cluster.client, namespace, "api") as api,
    ):
        report = site_cluster.deploy(bundle, take_over=True)
    assert report.result == "deployed", report.error
    assert (web.fewest, api.fewest) == (1, 1), "there is always one that serves"
    require_as_planned(site_cluster, planned)
    after = uids(site_cluster, namespace)
    assert {name: after.get(name) for name in before} == before
    assert pods(site_cluster, namespace, "web") == web_pods, "what stays the same is not restarted"
    require_ours(site_cluster, bundle, "kubectl", "kubectl-client-side-apply", "kubectl-create")
    require_steady(site_cluster, bundle)


def test_common_labels_in_selectors_are_refused_and_what_is_said_then_helps(
    site_cluster: Cluster, tmp_path: Path
) -> None:
    small = Small(with_jobs=False)
    settings = {"namespace": small.namespace, "labels": [{"pairs": {"team": "web"}, "includeSelectors": True}]}
    apply(site_cluster, kustomization(tmp_path / "site", as_small_was(small), settings), small.namespace)
    done = site_cluster.plane.kubectl("rollout", "status", "deployment/api", f"--namespace={small.namespace}")
    assert done.returncode == 0, done.stderr
    with pytest.raises(AphiriaDeployError, match=r"spec\.selector: found a change") as refused:
        site_cluster.deploy(small.bundle(), take_over=True)
    command = re.search(r"\(kubectl (delete [^)]+)\)", str(refused.value))
    assert command
    with Serving(site_cluster.client, small.namespace, "api") as serving:
        done = site_cluster.plane.kubectl(*command[1].split())
        assert done.returncode == 0, done.stderr
        report = site_cluster.deploy(small.bundle(), take_over=True)
    assert report.result == "deployed", report.error
    assert serving.fewest == 1
    assert site_cluster.deploy(small.bundle()).result == "unchanged"


_PRESERVED = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture(scope="module")
def controllers(site_cluster: Cluster) -> Iterator[None]:
    """The kinds that tell Flux and Argo CD what to apply."""
    made: list[dict[str, Any]] = []
    for group, version, kind in (
        ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"),
        ("helm.toolkit.fluxcd.io", "v2", "HelmRelease"),
        ("argoproj.io", "v1alpha1", "Application"),
    ):
        plural = f"{kind.lower()}s"
        served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": _PRESERVED}}
        names = {"kind": kind, "plural": plural, "singular": kind.lower()}
        made.append({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
        })  # fmt: skip
    site_cluster.plane.apply(*made)
    for crd in made:
        done = site_cluster.plane.kubectl(
            "wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}", "--timeout=30s"
        )
        assert done.returncode == 0, done.stderr
    yield
    for crd in made:
        site_cluster.plane.kubectl("delete", "crd", crd["metadata"]["name"])


def _flux(which: str) -> dict[str, dict[str, str]]:
    labels = {f"{which}.toolkit.fluxcd.io/name": "shop", f"{which}.toolkit.fluxcd.io/namespace": "default"}
    return {"labels": labels}


@dataclass(frozen=True)
class Controlled:
    """What a controller applies.

    Attributes:
        manager: The controller's name.
        kind: What it is told by what to apply.
        marks: Labels or annotations of what it has applied.
        stopped: How it is told to stop.
        called: How it is called.
        stop: The command that stops it.
    """

    manager: str
    kind: Kind
    marks: Mapping[str, Mapping[str, str]]
    stopped: Mapping[str, Any]
    called: str
    stop: str


CONTROLLED = {
    "flux": Controlled(
        "kustomize-controller",
        Kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        _flux("kustomize"),
        {"suspend": True},
        "Flux's Kustomization default/shop",
        "flux suspend kustomization shop --namespace default",
    ),
    "flux-helm": Controlled(
        "helm-controller",
        Kind("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
        _flux("helm"),
        {"suspend": True},
        "Flux's HelmRelease default/shop",
        "flux suspend helmrelease shop --namespace default",
    ),
    "argo-cd": Controlled(
        "argocd-controller",
        Kind("argoproj.io/v1alpha1", "Application"),
        {"annotations": {"argocd.argoproj.io/tracking-id": "default_shop:apps/Deployment:x/api"}},
        {"syncPolicy": {"syncOptions": []}},
        "Argo CD's Application default/shop",
        "argocd app set default/shop --sync-policy none",
    ),
}


@pytest.mark.usefixtures("controllers")
@pytest.mark.parametrize("by", list(CONTROLLED))
def test_what_a_controller_still_applies_is_not_taken_over_before_it_is_stopped(site_cluster: Cluster, by: str) -> None:
    controlled = CONTROLLED[by]
    small = Small(with_jobs=False)
    site_cluster.plane.kubectl("create", "namespace", small.namespace)
    for item in as_small_was(small):
        site_cluster.client.apply(
            item | {"metadata": item["metadata"] | controlled.marks}, soon(), manager=controlled.manager
        )
    source: Manifest = {
        "apiVersion": controlled.kind.api_version,
        "kind": controlled.kind.name,
        "metadata": {"name": "shop", "namespace": "default"},
    }
    site_cluster.client.apply(
        source | {"spec": {"syncPolicy": {"automated": {"prune": True}}}}, soon(), manager="a-user"
    )
    with site_cluster.asked() as (client, requests):
        with pytest.raises(AphiriaDeployError, match=f"it is of {controlled.called}"):
            site_cluster.deploy(small.bundle(), client=client)
        with pytest.raises(AphiriaDeployError, match=f"{controlled.called}.*{controlled.stop}"):
            site_cluster.deploy(small.bundle(), client=client, take_over=True)
    assert not requests.writes

    site_cluster.client.apply(source | {"spec": controlled.stopped}, soon(), manager="a-user", force=True)
    report = site_cluster.deploy(small.bundle(), take_over=True)
    assert report.result == "deployed", report.error
    for one in small.bundle().manifests:
        live = site_cluster.client.get(Ref.of(one), soon())
        assert controlled.manager not in {entry["manager"] for entry in live["metadata"]["managedFields"]}
        for part, found in controlled.marks.items():
            assert not found.keys() & live["metadata"].get(part, {}).keys()
    site_cluster.client.delete(Ref.of(source), soon(), propagation="Background")
    assert site_cluster.deploy(small.bundle()).result == "unchanged"
