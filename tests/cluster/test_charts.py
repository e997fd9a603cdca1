"""The values of the releases, given to the charts themselves, where these and helm are to be had."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.releases import CERT_MANAGER_VERSION, NGINX_GATEWAY_FABRIC_VERSION, cert_manager_values, nginx_values
from tests.cluster.test_settings import settings

ROOT = Path(__file__).parent.parent.parent
HELM = Path(os.environ.get("HELM") or ROOT / ".cache" / "helm" / "helm")
CHARTS = Path(os.environ.get("CHARTS") or ROOT.parent / "shared" / "charts")


def render(chart: str, values: dict[str, Any], tmp_path: Path) -> list[dict[str, Any]]:
    """What helm makes of a chart; its own schema checks the values first."""
    if not (CHARTS / chart / "Chart.yaml").exists():
        pytest.skip(f"no chart to test against: no {chart} in {CHARTS}; CHARTS=FOLDER names another folder")
    if not HELM.exists():
        pytest.skip(f"no helm to test with: not at {HELM}; `make helm` brings it, HELM=FILE names another")
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    command = [str(HELM), "template", chart, str(CHARTS / chart), "--namespace", "n", "--values", str(file)]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [*command, "--include-crds", "--kube-version", "1.34.0"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def only(documents: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    [found] = [each for each in documents if each["kind"] == kind and name in {"", each["metadata"]["name"]}]
    return found


def requests(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]["resources"]
        for each in documents
        if each["kind"] == "Deployment"
    }


@pytest.mark.parametrize("stack", ["preview-base", "production"])
def test_the_proxy_of_the_class_trusts_the_load_balancer(stack: str, tmp_path: Path) -> None:
    documents = render("nginx-gateway-fabric", nginx_values(settings(stack)), tmp_path)
    proxy = only(documents, "NginxProxy")["spec"]
    assert proxy["rewriteClientIP"] == {
        "mode": "ProxyProtocol",
        "trustedAddresses": [{"type": "CIDR", "value": "10.0.0.0/8"}],
    }
    [patch] = proxy["kubernetes"]["service"]["patches"]
    assert patch["type"] == "StrategicMerge"
    assert patch["value"]["metadata"]["annotations"] == {
        "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol": "true"
    }
    assert proxy["kubernetes"]["service"]["type"] == "LoadBalancer"
    gateway_class = only(documents, "GatewayClass", "nginx")
    assert gateway_class["spec"]["parametersRef"]["name"] == only(documents, "NginxProxy")["metadata"]["name"]


def test_a_local_gateway_gets_the_node_s_ports(tmp_path: Path) -> None:
    values = nginx_values(settings("local", serviceType="NodePort", nodePorts='{"80": "30080", "443": "30443"}'))
    proxy = only(render("nginx-gateway-fabric", values, tmp_path), "NginxProxy")["spec"]
    assert "rewriteClientIP" not in proxy
    service = proxy["kubernetes"]["service"]
    assert service["type"] == "NodePort"
    assert service["nodePorts"] == [{"port": 30080, "listenerPort": 80}, {"port": 30443, "listenerPort": 443}]


@pytest.mark.parametrize("stack", ["local", "preview-base", "production"])
def test_the_controller_of_the_gateway_asks_for_what_is_counted(stack: str, tmp_path: Path) -> None:
    values = nginx_values(settings(stack))
    documents = render("nginx-gateway-fabric", values, tmp_path)
    asked = {"requests": {"cpu": "50m", "memory": "64Mi"}}
    assert requests(documents) == {"nginx-gateway-fabric": asked}
    assert only(documents, "NginxProxy")["spec"]["kubernetes"]["deployment"]["container"]["resources"] == asked


def test_a_misspelt_value_would_be_found(tmp_path: Path) -> None:
    values = nginx_values(settings("production"))
    values["nginx"]["config"]["rewriteClientIP"]["mode"] = "PROXY"
    with pytest.raises(AssertionError, match="rewriteClientIP"):
        render("nginx-gateway-fabric", values, tmp_path)


def test_cert_manager_knows_the_gateway_api_and_keeps_its_crds(tmp_path: Path) -> None:
    documents = render("cert-manager", cert_manager_values(), tmp_path)
    config = yaml.safe_load(only(documents, "ConfigMap", "cert-manager")["data"]["config.yaml"])
    assert config["kind"] == "ControllerConfiguration"
    assert config["gatewayAPI"] == {"enabled": True}
    crds = [each for each in documents if each["kind"] == "CustomResourceDefinition"]
    assert {each["metadata"]["name"] for each in crds} >= {
        "certificates.cert-manager.io",
        "clusterissuers.cert-manager.io",
    }
    assert {each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in crds} == {"keep"}
    asked = {"requests": {"cpu": "50m", "memory": "64Mi"}}
    names = {"cert-manager", "cert-manager-webhook", "cert-manager-cainjector"}
    assert requests(documents) == dict.fromkeys(names, asked)


def test_the_charts_that_are_tested_are_those_that_are_installed() -> None:
    chart = CHARTS / "nginx-gateway-fabric" / "Chart.yaml"
    if not chart.exists():
        pytest.skip(f"no chart to compare with: no {chart}; CHARTS=FOLDER names another folder")
    assert yaml.safe_load(chart.read_text(encoding="utf-8"))["version"] == NGINX_GATEWAY_FABRIC_VERSION


def test_the_bindings_are_made_from_the_crds_that_the_releases_bring() -> None:
    addresses = yaml.safe_load((ROOT / "cdk8s.yaml").read_text(encoding="utf-8"))["imports"]
    assert any(f"/cert-manager/releases/download/{CERT_MANAGER_VERSION}/" in address for address in addresses)
    assert any(f"/nginx-gateway-fabric/v{NGINX_GATEWAY_FABRIC_VERSION}/" in address for address in addresses)
