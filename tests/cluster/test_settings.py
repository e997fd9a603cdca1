from __future__ import annotations

from typing import Any

import pulumi
import pytest

from apps import site
from apps.definition import GATEWAY, SERVER
from apps.environments import SITE, values_of
from cluster.capacity import Capacity
from cluster.kubernetes import newest_patch
from cluster.program import settings_of
from cluster.reading import SettingsError
from cluster.releases import PROXY_PROTOCOL, cert_manager_values, nginx_values
from cluster.settings import ClusterSettings, DnsSettings
from constructs_lib.checks.quantity import parse
from tests.cluster.stacks import STACKS, configuration


def settings(stack: str, **changed: Any) -> Any:
    found, encrypted = configuration(stack, **changed)
    return settings_of(stack, found, encrypted)


def problems(stack: str, **changed: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings(stack, **changed)
    return list(caught.value.problems)


@pytest.mark.parametrize("stack", STACKS)
def test_the_stacks_files_are_complete_with_what_esc_adds(stack: str) -> None:
    assert settings(stack).kind in {"local", "digitalocean", "dns"}


def test_missing_and_unknown_and_wrong_keys_are_told_at_once() -> None:
    found = problems("production", region=None, ghcrToken=None, minNodes="two", nodesize="s-1vcpu-2gb", vpcUuid=" ")
    assert [line.split(":")[0] for line in found] == ["region", "vpcUuid", "minNodes", "ghcrToken", "nodesize"]
    assert "did you mean nodeSize?" in found[-1]
    assert "pulumi config set --secret ghcrToken" in found[-2]


def test_a_secret_in_plain_text_is_refused_and_not_shown() -> None:
    found, encrypted = configuration("production")
    with pytest.raises(SettingsError) as caught:
        settings_of("production", found, set(encrypted) - {"ghcrToken"})
    assert "ghcrToken: found it in plain text" in str(caught.value)
    assert found["ghcrToken"] not in str(caught.value)


def test_an_encrypted_value_at_the_wrong_key_is_not_shown() -> None:
    found, encrypted = configuration("production", maxNodes="a-token-that-was-misplaced")
    with pytest.raises(SettingsError) as caught:
        settings_of("production", found, {*encrypted, "maxNodes"})
    assert "a-token-that-was-misplaced" not in str(caught.value)


def test_a_secret_shows_nothing() -> None:
    assert "token" not in repr(settings("production").ghcr_token)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"kubernetesVersion": "1.32"}, "kubernetesVersion"),
        ({"kubernetesVersion": "1.34.2-do.1"}, "kubernetesVersion"),
        ({"kubernetesVersion": "latest"}, "kubernetesVersion"),
        ({"clusterSubnet": "10.244.0.1/16"}, "clusterSubnet"),
        ({"serviceSubnet": "8.8.0.0/16"}, "serviceSubnet"),
        ({"clusterName": "Production!"}, "clusterName"),
        ({"proxyProtocolFrom": '["everywhere"]'}, "proxyProtocolFrom"),
        ({"maxNodes": "1"}, "maxNodes"),
        ({"minNodes": "0"}, "maxNodes"),
        ({"backupAccessKeyId": None}, "backupSecretAccessKey"),
        ({"imports": '{"network": "1"}'}, "imports"),
        ({"kind": "aws"}, "kind"),
        ({"highAvailability": "yes"}, "highAvailability"),
        ({"baseCpu": "a lot"}, "baseCpu"),
        ({"proxyProtocolFrom": '{"10.0.0.0/8": true}'}, "proxyProtocolFrom"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_key(changed: dict[str, Any], key: str) -> None:
    assert [line.split(":")[0] for line in problems("production", **changed)] == [key]


def test_an_old_cluster_is_told_what_it_lacks() -> None:
    [found] = problems("production", kubernetesVersion="1.32")
    assert "Gateway API's CRDs" in found


def test_dns_records_need_none_of_the_secrets_that_their_environment_has() -> None:
    assert settings("production-dns").records == ("@", "www", "api")
    assert problems("production-dns", adress="203.0.113.7")[0].startswith("adress: found an unknown key; did you mean")


@pytest.mark.parametrize(
    "changed", [{"records": "[]"}, {"records": '["www", "www"]'}, {"records": '["-x"]'}, {"ttl": "1"}]
)
def test_records_that_cannot_be_are_refused(changed: dict[str, Any]) -> None:
    assert problems("production-dns", **changed)


def test_the_newest_patch_is_taken_by_number_not_by_letter() -> None:
    offered = ["1.34.9-do.2", "1.34.10-do.0", "1.34.9-do.11", "1.35.0-do.0"]
    assert newest_patch("1.34", offered, "production") == "1.34.10-do.0"
    assert newest_patch("1.34", ["1.34.9-do.2", "1.34.9-do.11"], "production") == "1.34.9-do.11"


def test_a_minor_version_is_not_another_that_begins_alike() -> None:
    with pytest.raises(pulumi.RunError, match=r"production: kubernetesVersion: found 1\.3"):
        newest_patch("1.3", ["1.34.9-do.2"], "production")


GIB = {"allocatable": ("2", "4Gi"), "daemons": ("500m", "1Gi"), "base": ("500m", "1Gi")}


@pytest.mark.parametrize(
    ("previews", "preview", "needed"),
    [
        (0, ("1", "1Gi"), 1),
        (3, ("500m", "1Gi"), 2),
        (4, ("500m", "1Gi"), 3),
        (2, ("100m", "2Gi"), 3),
        (10, ("700m", "1Gi"), 6),
        (1, ("2", "1Gi"), None),
    ],
)
def test_the_nodes_that_previews_need(previews: int, preview: tuple[str, str], needed: int | None) -> None:
    capacity = Capacity(min_nodes=1, max_nodes=9, previews=previews, preview=preview, **GIB)
    assert capacity.nodes_needed() == needed
    assert bool(capacity.problems()) == (needed is None)


def test_too_few_nodes_for_the_previews_are_refused_with_the_sum() -> None:
    [found] = problems("preview-base", maxNodes="10")
    assert found == "maxNodes: found 10, expected 11 or more for 10 previews of 700m and 1664Mi beside the base"


def _requests(environment: str, kinds: set[str]) -> tuple[Any, Any]:
    """What the pods of an environment ask for, but for those of Jobs, which end."""
    sums = [parse("0"), parse("0")]
    for manifest in site.bundle(environment, {}).manifests:
        if manifest["kind"] in kinds:
            replicas = manifest["spec"].get("replicas", 1)
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                requests = container["resources"]["requests"]
                sums[0] += replicas * parse(requests["cpu"])
                sums[1] += replicas * parse(requests["memory"])
    return sums[0], sums[1]


def test_a_preview_is_counted_as_what_it_asks_for() -> None:
    found = settings("preview-base")
    asked = _requests("pr-107", {"Deployment", "StatefulSet"})
    assert (parse(found.preview_cpu), parse(found.preview_memory)) == asked


@pytest.mark.parametrize("stack", ["preview-base", "production"])
def test_the_base_is_counted_as_what_it_asks_for(stack: str) -> None:
    found: ClusterSettings = settings(stack)
    cpu, memory = _requests(stack, {"Deployment", "StatefulSet"})
    for resources in _release_resources(found):
        cpu += parse(resources["requests"]["cpu"])
        memory += parse(resources["requests"]["memory"])
    assert (parse(found.base_cpu), parse(found.base_memory)) == (cpu, memory)


def _release_resources(found: ClusterSettings) -> list[dict[str, Any]]:
    certificates, nginx = cert_manager_values(), nginx_values(found)
    return [
        certificates["resources"],
        certificates["webhook"]["resources"],
        certificates["cainjector"]["resources"],
        nginx["nginxGateway"]["resources"],
        nginx["nginx"]["container"]["resources"],
    ]


@pytest.mark.parametrize("stack", ["preview-base", "production"])
def test_the_program_and_the_site_agree_on_what_both_say(stack: str) -> None:
    found: ClusterSettings = settings(stack)
    values = values_of(stack)
    assert found.proxy_protocol_from == values.cluster.load_balancer_networks
    assert values.cluster.load_balancer_annotations == PROXY_PROTOCOL
    assert (found.gateway_name, found.gateway_namespace) == (GATEWAY, GATEWAY)
    assert (found.postgresql_host, found.postgresql_port) == (SERVER.host, SERVER.port)
    assert found.site == SITE


@pytest.mark.parametrize(
    ("stack", "environments"), [("preview-base-dns", ["pr-107"]), ("production-dns", ["production"])]
)
def test_every_host_of_the_site_has_a_record(stack: str, environments: list[str]) -> None:
    found: DnsSettings = settings(stack)
    names = {found.zone if name == "@" else f"{name}.{found.zone}" for name in found.records}
    for environment in environments:
        values = values_of(environment)
        assert values.hosting is not None
        for host in (values.hosting.web, values.hosting.api, *(values.cluster.redirects if not values.number else ())):
            assert str(host) in names or f"*.{str(host).partition('.')[2]}" in names


def test_a_node_pool_that_exists_keeps_its_name() -> None:
    assert settings("production").node_pool is None
    assert settings("production", nodePool="workers").node_pool == "workers"
