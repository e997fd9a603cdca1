from __future__ import annotations

import collections.abc
import json
import typing
from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as k8s
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from pulumi import _types
from pulumi.runtime import rpc
from pulumi_kubernetes.core.v1 import ConfigMapInitArgs, NamespaceInitArgs
from pulumi_kubernetes.helm.v3 import ReleaseArgs
from pulumi_kubernetes.yaml.v2 import ConfigFileArgs

from aphiria_deploy.engine import marker
from aphiria_deploy.settle import OUTPUTS, settle_inputs
from cluster import releases, state
from tests.cluster.stacks import (
    ADDRESS,
    CLUSTER_ID,
    FROM_ESC,
    KUBE_SYSTEM_UID,
    KUBECONFIG,
    SECRETS,
    STACKS,
    is_unknown,
    plain,
    run_stack,
)

DO_PROVIDER = "pulumi:providers:digitalocean"
K8S_PROVIDER = "pulumi:providers:kubernetes"
CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"
RECORD = "digitalocean:index/dnsRecord:DnsRecord"
RELEASE = "kubernetes:helm.sh/v3:Release"
FILE = "kubernetes:yaml/v2:ConfigFile"
NAMESPACE = "kubernetes:core/v1:Namespace"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"

ON_CLUSTER = {
    (K8S_PROVIDER, "cluster"),
    (FILE, "nginx-gateway-fabric-crds"),
    (RELEASE, "cert-manager"),
    (RELEASE, "nginx-gateway-fabric"),
    (NAMESPACE, "state-namespace"),
    (NAMESPACE, "kube-system"),
    (CONFIG_MAP, "marker"),
}
AT_DIGITALOCEAN = {*ON_CLUSTER, (DO_PROVIDER, "digitalocean"), (CLUSTER, "cluster"), (CRD, "gateway-api-crds")}
EXPECTED = {
    "local": {*ON_CLUSTER, (FILE, "gateway-api-crds")},
    "preview-base": AT_DIGITALOCEAN,
    "production": AT_DIGITALOCEAN,
    "preview-base-dns": {(DO_PROVIDER, "digitalocean"), (RECORD, "*.pr"), (RECORD, "*.pr-api")},
    "production-dns": {(DO_PROVIDER, "digitalocean"), (RECORD, "@"), (RECORD, "www"), (RECORD, "api")},
}
ARGUMENTS: dict[str, type[Any]] = {
    DO_PROVIDER: digitalocean.ProviderArgs,
    K8S_PROVIDER: k8s.ProviderArgs,
    CLUSTER: digitalocean.KubernetesClusterArgs,
    RECORD: digitalocean.DnsRecordArgs,
    RELEASE: ReleaseArgs,
    FILE: ConfigFileArgs,
    NAMESPACE: NamespaceInitArgs,
    CONFIG_MAP: ConfigMapInitArgs,
}

clusters = pytest.mark.parametrize("stack", ["preview-base", "production"])
every_stack = pytest.mark.parametrize("stack", STACKS)
in_preview_and_update = pytest.mark.parametrize("preview", [True, False], ids=["preview", "update"])


@every_stack
@in_preview_and_update
def test_nothing_but_the_three_concerns_and_the_marker_is_registered(stack: str, preview: bool) -> None:
    assert run_stack(stack, preview=preview).resources.keys() == EXPECTED[stack]


@every_stack
@in_preview_and_update
def test_every_input_at_every_depth_is_one_that_the_provider_knows(stack: str, preview: bool) -> None:
    for resource in run_stack(stack, preview=preview).resources.values():
        if not resource.read:
            assert list(_unknown_keys(plain(resource.inputs), ARGUMENTS[resource.type], resource.name)) == []


def test_a_misspelt_nested_input_would_be_found() -> None:
    wrong = {"nodePool": {"name": "p", "size": "s", "autoScaling": True}, "metadata": {}}
    found = list(_unknown_keys(wrong, digitalocean.KubernetesClusterArgs, "cluster"))
    assert found == ["cluster.nodePool.autoScaling", "cluster.metadata"]


@every_stack
def test_every_resource_names_its_provider(stack: str) -> None:
    run = run_stack(stack)
    for resource in run.resources.values():
        if not resource.type.startswith("pulumi:providers:"):
            kind = K8S_PROVIDER if resource.type.startswith("kubernetes:") else DO_PROVIDER
            assert f"{kind}::" in resource.request.provider, resource.name


@every_stack
def test_no_secret_travels_in_plain_text(stack: str) -> None:
    run = run_stack(stack)
    values = [*SECRETS.values(), KUBECONFIG]
    for resource in run.resources.values():
        request = resource.request.properties if resource.read else resource.request.object
        assert not [value for value in values if value in _open_text(json_format.MessageToDict(request))]


@clusters
def test_the_cluster_is_as_the_stack_s_file_says(stack: str) -> None:
    inputs = run_stack(stack).one(CLUSTER).inputs
    name, nodes, pods, services = {
        "preview-base": ("aphiria-com-preview-cluster", (1, 11), "10.244.0.0/16", "10.245.0.0/16"),
        "production": ("aphiria-com-cluster", (2, 3), "10.246.0.0/16", "10.247.0.0/16"),
    }[stack]
    assert inputs == {
        "name": name,
        "region": "nyc3",
        "version": "1.34.2-do.10",
        "vpcUuid": FROM_ESC["vpcUuid"],
        "clusterSubnet": pods,
        "serviceSubnet": services,
        "ha": False,
        "autoUpgrade": True,
        "surgeUpgrade": True,
        "destroyAllAssociatedResources": False,
        "maintenancePolicy": {"day": "sunday", "startTime": "04:00"},
        "nodePool": {
            "name": f"{name}-pool",
            "size": "s-2vcpu-4gb",
            "autoScale": True,
            "minNodes": nodes[0],
            "maxNodes": nodes[1],
        },
    }


@clusters
def test_what_the_autoscaler_and_digitalocean_write_is_let_be(stack: str) -> None:
    request = run_stack(stack).one(CLUSTER).request
    assert list(request.ignoreChanges) == ["nodePool.nodeCount", "version"]


def test_a_cluster_is_upgraded_only_when_it_is_asked_for() -> None:
    request = run_stack("production", upgradeKubernetes="true").one(CLUSTER).request
    assert list(request.ignoreChanges) == ["nodePool.nodeCount"]


@clusters
def test_what_a_loss_of_would_hurt_is_protected(stack: str) -> None:
    run = run_stack(stack)
    protected = {resource.name for resource in run.resources.values() if getattr(resource.request, "protect", False)}
    assert protected == {"cluster", "nginx-gateway-fabric-crds", "state-namespace", "marker"}
    assert run.get(FILE, "nginx-gateway-fabric-crds").request.retainOnDelete


def test_records_are_protected_and_nothing_on_a_local_cluster_is() -> None:
    records = [each for each in run_stack("production-dns").resources.values() if each.type == RECORD]
    assert all(each.request.protect for each in records)
    assert not any(getattr(each.request, "protect", False) for each in run_stack("local").resources.values())


@clusters
def test_a_fresh_account_can_be_planned(stack: str) -> None:
    run = run_stack(stack, preview=True)
    # The cluster is not asked for as long as there is none; what comes of it is not known, and nothing else.
    assert [token for token, _ in run.calls] == ["digitalocean:index/getKubernetesVersions:getKubernetesVersions"]
    assert is_unknown(plain(run.get(K8S_PROVIDER, "cluster").inputs["kubeconfig"]))
    assert is_unknown(plain(run.get(CONFIG_MAP, "marker").inputs["data"])["kube-system-uid"])
    assert run.outputs["clusterId"] is run.outputs["kubeconfig"] is None
    assert run.outputs["gatewayName"] == "nginx-gateway"


@clusters
def test_the_kubeconfig_is_fetched_in_each_run(stack: str) -> None:
    run = run_stack(stack)
    name = plain(run.one(CLUSTER).inputs["name"])
    assert ("digitalocean:index/getKubernetesCluster:getKubernetesCluster", {"name": name}) in run.calls
    provider = run.get(K8S_PROVIDER, "cluster").inputs
    assert rpc.is_rpc_secret(provider["kubeconfig"])
    assert plain(provider["kubeconfig"]) == KUBECONFIG
    # Other credentials are no other cluster.
    assert plain(provider["clusterIdentifier"]) == CLUSTER_ID


@clusters
def test_a_version_that_is_not_offered_is_refused_with_those_that_are(stack: str) -> None:
    with pytest.raises(pulumi.RunError, match=r"kubernetesVersion: found 1\.34, expected .* 1\.36\.0-do\.0"):
        run_stack(stack, preview=True, offered=["1.36.0-do.0", "1.35.1-do.0"])


@pytest.mark.parametrize("stack", ["local", "preview-base", "production"])
def test_releases_are_pinned_and_run_their_hooks(stack: str) -> None:
    run = run_stack(stack)
    expected = {
        "cert-manager": ("cert-manager", "v1.21.1", "cert-manager"),
        "nginx-gateway-fabric": ("oci://ghcr.io/nginx/charts/nginx-gateway-fabric", "2.6.7", "nginx-gateway"),
    }
    for name, (chart, version, namespace) in expected.items():
        inputs = run.get(RELEASE, name).inputs
        assert (inputs["chart"], inputs["version"], inputs["namespace"]) == (chart, version, namespace)
        assert inputs["name"] == name
        assert inputs["atomic"]
        assert inputs["waitForJobs"]
        assert inputs["timeout"] == 600
        assert "disableWebhooks" not in inputs, "hooks would not run"
        assert "skipAwait" not in inputs


@pytest.mark.parametrize("stack", ["local", "preview-base", "production"])
def test_releases_come_after_the_gateway_api(stack: str) -> None:
    run = run_stack(stack)
    for name in ("cert-manager", "nginx-gateway-fabric"):
        dependencies = " ".join(run.get(RELEASE, name).request.dependencies)
        # Of a component it is what it consists of that is waited for, which the mocks do not have.
        wanted = CRD if stack != "local" else ""
        assert wanted in dependencies


def test_the_crds_are_those_of_the_releases() -> None:
    run = run_stack("local")
    assert run.get(FILE, "nginx-gateway-fabric-crds").inputs["file"] == releases.NGINX_CRDS
    assert run.get(FILE, "gateway-api-crds").inputs["file"] == releases.GATEWAY_API_CRDS
    assert run.get(RELEASE, "nginx-gateway-fabric").inputs["skipCrds"]


@clusters
def test_the_gateway_api_of_digitalocean_is_read_not_installed(stack: str) -> None:
    crd = run_stack(stack).get(CRD, "gateway-api-crds")
    assert crd.read
    assert crd.request.id == "gateways.gateway.networking.k8s.io"


@clusters
def test_the_client_s_address_survives_the_load_balancer(stack: str) -> None:
    nginx = run_stack(stack).get(RELEASE, "nginx-gateway-fabric").inputs["values"]["nginx"]
    assert nginx["config"]["rewriteClientIP"] == {
        "mode": "ProxyProtocol",
        "trustedAddresses": [{"type": "CIDR", "value": "10.0.0.0/8"}],
    }
    [patch] = nginx["service"]["patches"]
    annotations = patch["value"]["metadata"]["annotations"]
    assert annotations == {"service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol": "true"}


def test_a_local_gateway_expects_no_load_balancer_s_header() -> None:
    run = run_stack("local", serviceType="NodePort", nodePorts='{"80": "30080", "443": "30443"}')
    nginx = run.get(RELEASE, "nginx-gateway-fabric").inputs["values"]["nginx"]
    assert "config" not in nginx
    ports = [{"port": 30080, "listenerPort": 80}, {"port": 30443, "listenerPort": 443}]
    assert nginx["service"] == {"type": "NodePort", "nodePorts": ports}


@pytest.mark.parametrize("stack", ["local", "preview-base", "production"])
def test_the_marker_says_which_cluster_this_is_to_the_command(stack: str) -> None:
    found = run_stack(stack).get(CONFIG_MAP, "marker").inputs
    written = marker.Marker("aphiria.com", stack, KUBE_SYSTEM_UID)
    *_, expected = written.manifests()
    assert found["data"] == expected["data"]
    assert (found["metadata"]["namespace"], found["metadata"]["name"]) == (marker.NAMESPACE, marker.NAME)
    assert (state.NAMESPACE, state.MARKER) == (marker.NAMESPACE, marker.NAME)


@clusters
def test_the_outputs_are_what_the_command_reads(stack: str) -> None:
    run = run_stack(stack)
    backup = {"backupAccessKeyId", "backupSecretAccessKey"}
    assert run.outputs.keys() == OUTPUTS.keys() - (backup if stack == "preview-base" else set())
    assert run.secret == (SECRETS.keys() | {"kubeconfig"}) - (backup if stack == "preview-base" else set())
    settled = settle_inputs([], json.loads(json.dumps(run.outputs)), {}, required=["kubeconfig"])
    assert settled.outputs.cluster_id == CLUSTER_ID
    assert settled.outputs.postgresql_port == 5432
    assert settled.outputs.ghcr_token is not None
    assert settled.outputs.ghcr_token.reveal() == SECRETS["ghcrToken"]


@pytest.mark.parametrize("stack", ["preview-base-dns", "production-dns"])
def test_a_record_for_each_name_points_at_the_address(stack: str) -> None:
    for name, record in (
        (each.name, each.inputs) for each in run_stack(stack).resources.values() if each.type == RECORD
    ):
        assert record == {"domain": "aphiria.com", "type": "A", "name": name, "value": ADDRESS, "ttl": 300}


def test_the_names_are_an_output_of_their_stack() -> None:
    outputs = run_stack("production-dns").outputs
    assert outputs["names"] == ["aphiria.com", "www.aphiria.com", "api.aphiria.com"]
    assert run_stack("preview-base-dns").outputs["names"] == ["*.pr.aphiria.com", "*.pr-api.aphiria.com"]
    assert outputs["address"] == ADDRESS


@pytest.mark.parametrize("stack", ["preview-base-dns", "production-dns"])
@pytest.mark.parametrize("address", [None, "", "pending", "10.244.0.7", "127.0.0.1", "2001:db8::1", "0.0.0.0"])
def test_no_records_without_a_real_address(stack: str, address: str | None) -> None:
    with pytest.raises(pulumi.RunError, match="address: found"):
        run_stack(stack, address=address)


@pytest.mark.parametrize(
    ("stack", "type_", "name", "id_"),
    [
        ("production", CLUSTER, "cluster", CLUSTER_ID),
        ("production", RELEASE, "cert-manager", "cert-manager/cert-manager"),
        ("production", RELEASE, "nginx-gateway-fabric", "nginx-gateway/ngf"),
        ("production", NAMESPACE, "state-namespace", "aphiria-deploy"),
        ("production", CONFIG_MAP, "marker", "aphiria-deploy/cluster"),
        ("production-dns", RECORD, "www", "aphiria.com,1234"),
        ("local", RELEASE, "cert-manager", "cert-manager/cert-manager"),
    ],
)
def test_what_exists_is_imported_and_not_made(stack: str, type_: str, name: str, id_: str) -> None:
    run = run_stack(stack, imports=json.dumps({name: id_}))
    imported = {
        (each.type, each.name): each.request.importId
        for each in run.resources.values()
        if getattr(each.request, "importId", "")
    }
    assert imported == {(type_, name): id_}


@every_stack
def test_an_import_of_what_the_stack_does_not_have_is_refused(stack: str) -> None:
    with pytest.raises(pulumi.RunError, match="imports: found 'cluster-of-another'"):
        run_stack(stack, imports='{"cluster-of-another": "1"}')


def _unknown_keys(value: Any, kind: Any, path: str) -> Iterator[str]:
    """The keys of inputs that the SDK's type does not have, at any depth."""
    kind = _bare(kind)
    if isinstance(value, dict) and _types.is_input_type(kind):
        known = _types.input_type_types(kind)
        for key, item in value.items():
            if key in known:
                yield from _unknown_keys(item, known[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(value, list) and typing.get_origin(kind) in {list, collections.abc.Sequence}:
        for index, item in enumerate(value):
            yield from _unknown_keys(item, typing.get_args(kind)[0], f"{path}[{index}]")


def _bare(kind: Any) -> Any:
    """The type of a value that may also be an output, awaited or absent."""
    if typing.get_origin(kind) is typing.Union:
        candidates = [each for each in typing.get_args(kind) if _types.is_input_type(each) or typing.get_origin(each)]
        return next((each for each in candidates if each is not type(None)), kind)
    return kind


def _open_text(value: Any) -> str:
    """All texts of a request that are not marked as secret."""
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return ""
        return " ".join(map(_open_text, value.values()))
    return " ".join(map(_open_text, value)) if isinstance(value, list) else str(value)
