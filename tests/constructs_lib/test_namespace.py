"""A namespace: what it may use, whom it may talk to, what its pods may do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    Destination,
    InvalidPropsError,
    Isolation,
    Namespace,
    NamespaceProps,
    Placement,
    Quantity,
    Quota,
)
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import PLACEMENT
from tests.objects import one

PROPS = NamespaceProps(placement=PLACEMENT)
QUOTA = Quota(cpu=Quantity("4"), memory=Quantity("8Gi"), pods=5)
ISOLATION = Isolation(gateway_namespace="edge", ports=[80, 8080])
PRIVATE = ["10.0.0.0/8", "192.168.0.0/16"]


def test_the_defaults_are_these() -> None:
    assert required(NamespaceProps) == {"placement"}
    assert defaults(NamespaceProps) == {
        "quota": None,
        "isolation": None,
        "pod_security": "restricted",
        "annotations": {},
    }
    assert (required(Quota), defaults(Quota)) == ({"cpu", "memory", "pods"}, {"name": "quota"})
    assert required(Isolation) == {"gateway_namespace", "ports"}
    assert defaults(Isolation) == {"destinations": (), "cluster_networks": (), "name": "isolation"}


def test_a_namespace_alone_enforces_restricted_and_limits_nothing(render: Render) -> None:
    objects = render(Namespace, PROPS)

    (namespace,) = objects
    assert (namespace["apiVersion"], namespace["kind"]) == ("v1", "Namespace")
    assert namespace["metadata"]["name"] == "shop"
    assert namespace["metadata"].keys() == {"name", "labels"}
    assert {
        name: value
        for name, value in namespace["metadata"]["labels"].items()
        if name.startswith("pod-security.kubernetes.io/")
    } == {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
    }


def test_another_standard_and_annotations_are_taken(render: Render) -> None:
    objects = render(Namespace, replace(PROPS, pod_security="baseline", annotations={"owner": "me"}))

    metadata = one(objects, "Namespace")["metadata"]
    assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"
    assert metadata["annotations"] == {"owner": "me"}


def test_a_quota_holds_for_requests_and_limits(render: Render) -> None:
    quota = one(render(Namespace, replace(PROPS, quota=QUOTA)), "ResourceQuota")

    assert (quota["metadata"]["name"], quota["metadata"]["namespace"]) == ("quota", "shop")
    assert quota["spec"] == {
        "hard": {
            "requests.cpu": "4",
            "requests.memory": "8Gi",
            "limits.cpu": "4",
            "limits.memory": "8Gi",
            "pods": "5",
        }
    }


def namespaces(*found: str) -> list[dict[str, Any]]:
    return [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in found]


DNS = {
    "to": namespaces("kube-system"),
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
HTTPS = [{"protocol": "TCP", "port": 443}]


def test_only_the_gateway_reaches_an_isolated_namespace(render: Render) -> None:
    policy = one(render(Namespace, replace(PROPS, isolation=ISOLATION)), "NetworkPolicy")

    assert (policy["metadata"]["name"], policy["metadata"]["namespace"]) == ("isolation", "shop")
    assert policy["spec"]["podSelector"] == {}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == [
        {
            "from": namespaces("edge"),
            "ports": [{"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 8080}],
        }
    ]


def test_an_isolated_namespace_reaches_dns_and_https_and_what_is_named(render: Render) -> None:
    to = Destination(namespace="data", app="db", port=5432)
    isolation = replace(ISOLATION, destinations=[to], cluster_networks=PRIVATE)

    policy = one(render(Namespace, replace(PROPS, isolation=isolation)), "NetworkPolicy")

    assert policy["spec"]["egress"] == [
        DNS,
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}}], "ports": HTTPS},
        {
            "to": [namespaces("data")[0] | {"podSelector": {"matchLabels": {"app": "db"}}}],
            "ports": [{"protocol": "TCP", "port": 5432}],
        },
    ]


@pytest.mark.parametrize(
    ("networks", "blocks"),
    [
        ([], [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}]),
        (["fd00::/8"], [{"cidr": "::/0", "except": ["fd00::/8"]}]),
        (
            ["10.0.0.0/8", "fd00::/8"],
            [{"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}, {"cidr": "::/0", "except": ["fd00::/8"]}],
        ),
    ],
)
def test_a_family_of_addresses_whose_own_networks_are_not_known_is_closed(
    render: Render, networks: list[str], blocks: list[dict[str, Any]]
) -> None:
    isolation = replace(ISOLATION, cluster_networks=networks)

    policy = one(render(Namespace, replace(PROPS, isolation=isolation)), "NetworkPolicy")

    https = [rule for rule in policy["spec"]["egress"] if rule["ports"] == HTTPS]
    assert https == [{"to": [{"ipBlock": block} for block in blocks], "ports": HTTPS}]


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease", "kube-mine"])
def test_a_namespace_of_the_cluster_itself_is_never_made(name: str) -> None:
    placement = Placement(namespace=name, part_of="shop.example", instance="staging")

    with pytest.raises(
        InvalidPropsError,
        match=f"Namespace {name}: placement.namespace: found '{name}', expected one that is not the cluster's own",
    ):
        NamespaceProps(placement=placement)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pod_security": "strict"},
            "Namespace shop: pod_security: found 'strict', expected restricted, baseline or privileged",
        ),
        ({"quota": replace(QUOTA, pods=0)}, "Namespace shop: quota.pods: found 0, expected 1 or more"),
        (
            {"isolation": replace(ISOLATION, ports=[])},
            "Namespace shop: isolation.ports: found [], expected one or more, 1 to 65535",
        ),
        (
            {"isolation": replace(ISOLATION, ports=[80, 65536])},
            "Namespace shop: isolation.ports: found [80, 65536], expected one or more, 1 to 65535",
        ),
        (
            {"isolation": replace(ISOLATION, cluster_networks=["10.0.0.1/8"])},
            "Namespace shop: isolation.cluster_networks: found '10.0.0.1/8', expected a network such as 10.0.0.0/8: ",
        ),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(InvalidPropsError) as error:
        NamespaceProps(placement=PLACEMENT, pod_security="none", quota=replace(QUOTA, pods=-1))

    assert [problem.partition(": found")[0] for problem in error.value.problems] == [
        "Namespace shop: pod_security",
        "Namespace shop: quota.pods",
    ]
