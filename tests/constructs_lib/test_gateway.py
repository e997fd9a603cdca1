"""The Gateway: a listener for each host, its certificate, its issuer and the redirects."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import (
    Acme,
    Gateway,
    GatewayProps,
    GatewayRef,
    Hostname,
    InvalidPropsError,
    InvalidValueError,
    Placement,
    SecretKey,
    SelfSigned,
)
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import GATEWAY, PLACEMENT
from tests.objects import Object, names, one

EDGE = Placement(namespace="edge", part_of="shop.example", instance="staging")
PROPS = GatewayProps(placement=EDGE, ref=GATEWAY, tls=SelfSigned())
TOKEN = SecretKey("dns-token", "access-token")
ROOT, WWW = Hostname("shop.example"), Hostname("www.shop.example")


def ref(*hosts: str) -> GatewayRef:
    return GatewayRef(name="edge", namespace="edge", hostnames=[Hostname(host) for host in hosts])


def test_the_defaults_are_these() -> None:
    assert required(GatewayProps) == {"placement", "ref", "tls"}
    assert defaults(GatewayProps) == {
        "gateway_class": "nginx",
        "certificate": "tls-cert",
        "redirects": {},
        "proxy_protocol_from": (),
        "service_annotations": {},
    }
    assert (required(GatewayRef), defaults(GatewayRef)) == ({"name", "namespace", "hostnames"}, {})
    assert defaults(SelfSigned) == {"issuer": "selfsigned-issuer"}
    assert defaults(Acme) == {
        "dns01_token": None,
        "issuer": "letsencrypt-prod",
        "server": "https://acme-v02.api.letsencrypt.org/directory",
        "email": None,
    }


@pytest.mark.parametrize(
    ("hosts", "listeners"),
    [
        (["a.example"], ["http-root a.example", "https-root a.example"]),
        (["*.a.example"], ["http-subdomains *.a.example", "https-subdomains *.a.example"]),
        (
            ["a.example", "*.a.example"],
            [
                "http-root a.example",
                "http-subdomains *.a.example",
                "https-root a.example",
                "https-subdomains *.a.example",
            ],
        ),
        (
            ["*.b.example", "*.a.example"],
            [
                "http-subdomains-1 *.b.example",
                "http-subdomains-2 *.a.example",
                "https-subdomains-1 *.b.example",
                "https-subdomains-2 *.a.example",
            ],
        ),
        (
            ["b.example", "*.c.example", "a.example"],
            [
                "http-root-1 b.example",
                "http-root-2 a.example",
                "http-subdomains *.c.example",
                "https-root-1 b.example",
                "https-root-2 a.example",
                "https-subdomains *.c.example",
            ],
        ),
    ],
)
def test_every_host_has_two_listeners_named_after_its_kind_and_place(
    render: Render, hosts: list[str], listeners: list[str]
) -> None:
    gateway = one(render(Gateway, replace(PROPS, ref=ref(*hosts))), "Gateway")

    found = gateway["spec"]["listeners"]
    assert [f"{listener['name']} {listener['hostname']}" for listener in found] == listeners
    for listener in found:
        secure = listener["name"].startswith("https-")
        assert (listener["protocol"], listener["port"]) == (("HTTPS", 443) if secure else ("HTTP", 80))
        assert listener["allowedRoutes"] == {"namespaces": {"from": "All"}}
        assert listener.get("tls") == (
            {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "name": "tls-cert"}]}
            if secure
            else None
        )


@pytest.mark.parametrize(
    ("host", "listener"),
    [
        ("shop.example", "https-root"),
        ("www.shop.example", "https-subdomains"),
        ("*.shop.example", "https-subdomains"),
        ("api.shop.example", "https-own"),
    ],
)
def test_a_host_finds_its_listener_its_own_before_a_wildcards(host: str, listener: str) -> None:
    hosts = ref("shop.example", "*.shop.example", *(["api.shop.example"] if listener == "https-own" else []))

    found = hosts.listener_for(Hostname(host))

    assert found.name == ("https-root-2" if listener == "https-own" else listener)
    assert found.port == 443


@pytest.mark.parametrize("host", ["other.example", "a.b.shop.example", "*.www.shop.example", "example.shop"])
def test_a_host_without_a_listener_is_refused(host: str) -> None:
    with pytest.raises(
        InvalidValueError,
        match=re.escape(
            f"host of a route to Gateway edge/edge: found '{host}', expected one of shop.example, *.shop.example"
        ),
    ):
        GATEWAY.listener_for(Hostname(host))


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ([], "Gateway edge: hostnames: found none, expected one or more"),
        (
            ["a.example", "b.example", "a.example"],
            "Gateway edge: hostnames: found a.example, b.example, a.example, expected each once",
        ),
    ],
)
def test_a_gateway_has_hosts_and_each_once(hosts: list[str], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=message):
        ref(*hosts)


def test_the_certificate_names_every_host(render: Render) -> None:
    certificate = one(render(Gateway, PROPS), "Certificate", "tls-cert")

    assert certificate["metadata"]["namespace"] == "edge"
    assert certificate["spec"] == {
        "secretName": "tls-cert",
        "dnsNames": ["shop.example", "*.shop.example"],
        "issuerRef": {"name": "selfsigned-issuer", "kind": "ClusterIssuer", "group": "cert-manager.io"},
    }


def test_a_machine_signs_for_itself(render: Render) -> None:
    issuer = one(render(Gateway, PROPS), "ClusterIssuer", "selfsigned-issuer")

    assert issuer["spec"] == {"selfSigned": {}}
    assert "namespace" not in issuer["metadata"]


def acme(objects: list[Object]) -> Object:
    issuer = one(objects, "ClusterIssuer", "letsencrypt-prod")
    assert "namespace" not in issuer["metadata"]
    spec: Object = issuer["spec"]["acme"]
    return spec


def test_a_public_authority_is_shown_that_the_dns_is_ours(render: Render) -> None:
    assert acme(render(Gateway, replace(PROPS, tls=Acme(dns01_token=TOKEN)))) == {
        "server": "https://acme-v02.api.letsencrypt.org/directory",
        "privateKeySecretRef": {"name": "letsencrypt-prod"},
        "solvers": [
            {"dns01": {"digitalocean": {"tokenSecretRef": {"name": "dns-token", "key": "access-token"}}}},
        ],
    }


def test_without_a_wildcard_it_is_enough_that_the_web_server_is_ours(render: Render) -> None:
    props = replace(PROPS, ref=ref("shop.example"), tls=Acme(email="me@shop.example"))

    spec = acme(render(Gateway, props))

    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "namespace": "edge"}
    assert spec["email"] == "me@shop.example"
    assert spec["solvers"] == [{"http01": {"gatewayHTTPRoute": {"parentRefs": [parent]}}}]


def test_http_answers_with_https_on_every_listener(render: Render) -> None:
    route = one(render(Gateway, PROPS), "HTTPRoute", "https-redirect")

    assert [parent["sectionName"] for parent in route["spec"]["parentRefs"]] == ["http-root", "http-subdomains"]
    assert "hostnames" not in route["spec"]
    assert route["spec"]["rules"] == [
        {
            "filters": [
                {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}},
            ]
        }
    ]


def test_a_host_that_only_redirects_does_so_over_https(render: Render) -> None:
    route = one(render(Gateway, replace(PROPS, redirects={ROOT: WWW})), "HTTPRoute", "www-redirect")

    assert route["spec"] == {
        "hostnames": ["shop.example"],
        "parentRefs": [
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": "edge",
                "namespace": "edge",
                "sectionName": "https-root",
            }
        ],
        "rules": [
            {
                "filters": [
                    {
                        "type": "RequestRedirect",
                        "requestRedirect": {"scheme": "https", "hostname": "www.shop.example", "statusCode": 301},
                    }
                ]
            }
        ],
    }


@pytest.mark.parametrize(
    ("redirects", "expected"),
    [
        ({"a.example": "www.a.example"}, ["www-redirect"]),
        ({"a.example": "b.example"}, ["a-example-redirect"]),
        ({"a.example": "https.a.example"}, ["a-example-redirect"]),
        ({"a.example": "www.a.example", "b.example": "www.b.example"}, ["www-redirect", "b-example-redirect"]),
    ],
)
def test_redirects_are_named_after_what_they_add_or_whom_they_serve(
    render: Render, redirects: dict[str, str], expected: list[str]
) -> None:
    hosts = {Hostname(source): Hostname(target) for source, target in redirects.items()}

    objects = render(Gateway, replace(PROPS, ref=ref("a.example", "b.example"), redirects=hosts))

    assert names(objects, "HTTPRoute") == ["https-redirect", *expected]


def test_a_load_balancers_word_is_taken_for_the_clients_address(render: Render) -> None:
    props = replace(PROPS, proxy_protocol_from=["10.0.0.0/8", "fd00::/8"], service_annotations={"lb": "proxy"})

    objects = render(Gateway, props)

    assert one(objects, "NginxProxy", "edge")["spec"] == {
        "rewriteClientIP": {
            "mode": "ProxyProtocol",
            "trustedAddresses": [{"type": "CIDR", "value": "10.0.0.0/8"}, {"type": "CIDR", "value": "fd00::/8"}],
        }
    }
    assert one(objects, "Gateway")["spec"]["infrastructure"] == {
        "annotations": {"lb": "proxy"},
        "parametersRef": {"group": "gateway.nginx.org", "kind": "NginxProxy", "name": "edge"},
    }


def test_without_a_load_balancer_nobodys_word_is_taken(render: Render) -> None:
    objects = render(Gateway, PROPS)

    assert names(objects, "NginxProxy") == []
    assert "infrastructure" not in one(objects, "Gateway")["spec"]


def test_annotations_alone_need_no_proxy(render: Render) -> None:
    gateway = one(render(Gateway, replace(PROPS, service_annotations={"lb": "x"})), "Gateway")

    assert gateway["spec"]["infrastructure"] == {"annotations": {"lb": "x"}}


def test_another_class_and_certificate_are_taken(render: Render) -> None:
    objects = render(Gateway, replace(PROPS, gateway_class="other", certificate="shop-cert"))

    gateway = one(objects, "Gateway")
    assert gateway["spec"]["gatewayClassName"] == "other"
    assert one(objects, "Certificate", "shop-cert")["spec"]["secretName"] == "shop-cert"
    assert gateway["spec"]["listeners"][-1]["tls"]["certificateRefs"][0]["name"] == "shop-cert"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"placement": PLACEMENT}, "Gateway edge: placement.namespace: found 'shop', expected the ref's, 'edge'"),
        (
            {"tls": Acme()},
            "Gateway edge: tls.dns01_token: found none, expected a token: an ACME server signs *.shop.example only for "
            "whoever can change the domain's DNS",
        ),
        (
            {"proxy_protocol_from": ["10.0.0.1/8"]},
            "Gateway edge: proxy_protocol_from: found '10.0.0.1/8', expected a network such as 10.0.0.0/8: ",
        ),
        (
            {"redirects": {Hostname("other.example"): WWW}},
            "Gateway edge: redirects: host of a route to Gateway edge/edge: found 'other.example', expected one of",
        ),
        (
            {"redirects": {WWW: WWW}},
            "Gateway edge: redirects: found www.shop.example to www.shop.example, expected one host to another",
        ),
        (
            {"redirects": {Hostname("*.shop.example"): ROOT}},
            "Gateway edge: redirects: found *.shop.example to shop.example, expected one host to another",
        ),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)
