"""How the library hands objects to cdk8s, and in which order they are applied."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cdk8s import ApiObject

from constructs_lib import (
    App,
    Chart,
    Gateway,
    GatewayProps,
    Manifest,
    Namespace,
    NamespaceProps,
    Phase,
    Placement,
    Route,
    RouteProps,
    SelfSigned,
    WebApp,
    WebAppProps,
    manifests,
)
from constructs_lib import Hostname as Host
from tests.constructs_lib.samples import GATEWAY, PLACEMENT, WEB
from tests.objects import Object, key


def bare(kind: str, name: str) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


KINDS_IN_ORDER = [
    ("10-base", "Namespace"),
    ("10-base", "ResourceQuota"),
    ("10-base", "LimitRange"),
    ("10-base", "NetworkPolicy"),
    ("10-base", "ServiceAccount"),
    ("10-base", "Secret"),
    ("10-base", "ConfigMap"),
    ("10-base", "PersistentVolumeClaim"),
    ("10-base", "ClusterIssuer"),
    ("10-base", "Certificate"),
    ("10-base", "NginxProxy"),
    ("10-base", "Gateway"),
    ("20-jobs", "Job"),
    ("30-workloads", "Service"),
    ("30-workloads", "Deployment"),
    ("30-workloads", "CronJob"),
    ("30-workloads", "PodDisruptionBudget"),
    ("30-workloads", "HTTPRoute"),
    ("30-workloads", "AnythingElse"),
]


def test_every_kind_is_applied_after_what_it_needs(chart: Chart) -> None:
    for _, kind in reversed(KINDS_IN_ORDER):
        Manifest(chart, kind, bare(kind, "it"))

    assert [(phase.value, item["kind"]) for phase, item in manifests(chart)] == KINDS_IN_ORDER


def test_objects_of_one_kind_keep_the_order_in_which_they_were_made(chart: Chart) -> None:
    for name in ("z", "a", "m"):
        Manifest(chart, name, bare("Job", name))

    assert [item["metadata"]["name"] for _, item in manifests(chart)] == ["z", "a", "m"]


def test_an_object_may_be_applied_earlier_than_its_kind(chart: Chart) -> None:
    Manifest(chart, "web", bare("Deployment", "web"))
    Manifest(chart, "db", bare("Deployment", "db"), Phase.BASE)

    assert [(phase.value, item["metadata"]["name"]) for phase, item in manifests(chart)] == [
        ("10-base", "db"),
        ("30-workloads", "web"),
    ]


def test_a_manifest_may_be_changed_until_it_is_rendered(chart: Chart) -> None:
    made = Manifest(chart, "it", bare("ConfigMap", "it"))
    made.manifest["data"] = {"key": "value"}

    assert [item["data"] for _, item in manifests(chart)] == [{"key": "value"}]


def test_a_patch_that_would_be_lost_is_refused(chart: Chart) -> None:
    made = Manifest(chart, "it", bare("ConfigMap", "settings"))

    with pytest.raises(TypeError, match=r"ConfigMap settings: change \.manifest instead of patching"):
        made.add_json_patch({"op": "remove", "path": "/data"})


def test_an_object_of_cdk8s_itself_is_rendered_too(chart: Chart) -> None:
    ApiObject(chart, "it", api_version="v1", kind="ConfigMap", metadata={"name": "plain"})

    assert [item for _, item in manifests(chart)] == [bare("ConfigMap", "plain")]


def test_a_plain_app_of_cdk8s_writes_the_same_objects(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    chart = Chart(app, "shop", disable_resource_name_hashes=True)
    Namespace(chart, "namespace", NamespaceProps(placement=PLACEMENT))
    web = WebApp(chart, "web", WebAppProps(placement=PLACEMENT, image=WEB, replicas=2))
    edge = Placement(namespace="edge", part_of="shop.example", instance="staging")
    Gateway(chart, "gateway", GatewayProps(placement=edge, ref=GATEWAY, tls=SelfSigned()))
    host = Host("www.shop.example")
    Route(
        chart,
        "route",
        RouteProps(placement=PLACEMENT, name="web", hostnames=[host], gateway=GATEWAY, service=web.service),
    )
    ours = [manifest for _, manifest in manifests(chart)]

    app.synth()

    theirs = list(yaml.safe_load_all((tmp_path / "shop.k8s.yaml").read_text(encoding="utf-8")))
    assert len(ours) > 8
    assert sorted(theirs, key=key) == sorted(ours, key=key)
