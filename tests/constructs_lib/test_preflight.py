"""The rules in every synthesis, by construct path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from constructs_lib import (
    App,
    Chart,
    Construct,
    Hostname,
    ImageRef,
    Manifest,
    Placement,
    PreflightError,
    Route,
    RouteProps,
    WebApp,
    WebAppProps,
    add_preflight,
    require_preflight,
)
from constructs_lib.checks import Context
from constructs_lib.gateway_ref import GatewayRef

SHOP = Placement(namespace="shop", part_of="shop", instance="test")
IMAGE = ImageRef.parse(f"registry.example.com/web@sha256:{'1' * 64}")
GATEWAY = GatewayRef(name="public", namespace="gateways", hostnames=[Hostname("*.example.com")])


def _broken(chart: Chart) -> None:
    """A front end whose Deployment does not find its own pods, and beside it an object with a misspelt field."""
    web = WebApp(chart, "front-end", WebAppProps(placement=SHOP, image=IMAGE))
    hosts = [Hostname("www.example.com")]
    Route(chart, "entry", RouteProps(placement=SHOP, name="web", hostnames=hosts, gateway=GATEWAY, service=web.service))
    deployment = next(node for node in _manifests(web) if node.manifest["kind"] == "Deployment")
    deployment.manifest["spec"]["template"]["metadata"]["labels"] = {"app": "nobody"}
    Manifest(
        Construct(chart, "extra"),
        "settings",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}, "dta": {}},
    )


def _manifests(construct: Construct) -> list[Manifest]:
    return [node for node in construct.node.find_all() if isinstance(node, Manifest)]


@pytest.fixture
def app(tmp_path: Path) -> Any:
    return App(outdir=str(tmp_path))


def test_a_synthesis_fails_with_all_errors_by_construct_path(app: Any, tmp_path: Path) -> None:
    chart = Chart(app, "shop", disable_resource_name_hashes=True)
    _broken(chart)
    add_preflight(chart)

    with pytest.raises(RuntimeError) as raised:
        app.synth()

    message = str(raised.value)
    assert "[shop/front-end/deployment] selector-labels: Deployment shop/web" in message
    assert "[shop/extra/settings] unknown-field: ConfigMap shop/settings" in message
    assert "data" in message, "the nearest field is named"
    assert not list(tmp_path.iterdir())


def test_a_synthesis_without_errors_succeeds(app: Any, tmp_path: Path) -> None:
    chart = Chart(app, "shop", disable_resource_name_hashes=True)
    WebApp(chart, "front-end", WebAppProps(placement=SHOP, image=IMAGE))
    add_preflight(chart)

    app.synth()

    assert [file.name for file in tmp_path.iterdir()] == ["shop.k8s.yaml"]


def test_what_the_context_knows_is_compared_too(app: Any) -> None:
    chart = Chart(app, "shop", disable_resource_name_hashes=True)
    WebApp(chart, "front-end", WebAppProps(placement=SHOP, image=ImageRef.parse("registry.example.com/web:latest")))
    objects = [node.manifest for node in _manifests(chart)]

    with pytest.raises(PreflightError, match=r"\[shop/front-end/deployment\] image-digest"):
        require_preflight(chart, objects, Context(environment="production", namespace="shop"))

    assert not require_preflight(chart, objects, Context()).errors
