"""A route from the Gateway to a Service: over HTTPS only, with its limits."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import BodySize, GatewayRef, Hostname, InvalidPropsError, RateLimit, Route, RouteProps, ServiceRef
from tests.constructs_lib.conftest import Render
from tests.constructs_lib.defaults import defaults, required
from tests.constructs_lib.samples import GATEWAY, PLACEMENT, SERVICE
from tests.objects import one

WWW, ROOT = Hostname("www.shop.example"), Hostname("shop.example")
PROPS = RouteProps(placement=PLACEMENT, name="web", hostnames=[WWW], gateway=GATEWAY, service=SERVICE)
TARGET = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "web"}


def test_the_defaults_are_these() -> None:
    assert required(RouteProps) == {"placement", "name", "hostnames", "gateway", "service"}
    assert defaults(RouteProps) == {"rate_limit": None, "max_body_size": None, "response_headers": {}}
    assert required(RateLimit) == {"requests_per_second", "burst"}
    assert defaults(RateLimit) == {"zone_size": BodySize("10m")}


def test_a_route_takes_its_hosts_requests_from_their_https_listener_to_its_service(render: Render) -> None:
    (route,) = render(Route, PROPS)

    assert (route["kind"], route["metadata"]["name"], route["metadata"]["namespace"]) == ("HTTPRoute", "web", "shop")
    assert route["spec"] == {
        "hostnames": ["www.shop.example"],
        "parentRefs": [
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": "edge",
                "namespace": "edge",
                "sectionName": "https-subdomains",
            }
        ],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"group": "", "kind": "Service", "name": "web", "port": 8080, "weight": 1}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("hosts", "sections"),
    [
        ([ROOT], ["https-root"]),
        ([ROOT, WWW], ["https-root", "https-subdomains"]),
        ([WWW, Hostname("m.shop.example"), ROOT], ["https-subdomains", "https-root"]),
    ],
)
def test_each_listener_is_attached_to_once(render: Render, hosts: list[Hostname], sections: list[str]) -> None:
    route = one(render(Route, replace(PROPS, hostnames=hosts)), "HTTPRoute")

    assert [parent["sectionName"] for parent in route["spec"]["parentRefs"]] == sections
    assert route["spec"]["hostnames"] == [str(host) for host in hosts]


def test_every_answer_gets_the_headers(render: Render) -> None:
    route = one(render(Route, replace(PROPS, response_headers={"X-Robots-Tag": "noindex", "X-B": "c"})), "HTTPRoute")

    assert route["spec"]["rules"][0]["filters"] == [
        {
            "type": "ResponseHeaderModifier",
            "responseHeaderModifier": {
                "set": [{"name": "X-Robots-Tag", "value": "noindex"}, {"name": "X-B", "value": "c"}]
            },
        }
    ]


def test_the_rate_limit_is_an_object_that_the_gateways_controller_reads(render: Render) -> None:
    limit = RateLimit(requests_per_second=10, burst=20)

    policy = one(render(Route, replace(PROPS, rate_limit=limit)), "RateLimitPolicy", "web")

    assert policy["apiVersion"] == "gateway.nginx.org/v1alpha1"
    assert policy["metadata"]["namespace"] == "shop"
    assert policy["spec"] == {
        "targetRefs": [TARGET],
        "rateLimit": {
            "local": {
                "rules": [
                    {
                        "key": "$binary_remote_addr",
                        "rate": "10r/s",
                        "burst": 20,
                        "noDelay": True,
                        "zoneSize": "10m",
                    }
                ]
            },
            "rejectCode": 429,
        },
    }


def test_the_body_size_is_a_setting_of_this_route(render: Render) -> None:
    policy = one(render(Route, replace(PROPS, max_body_size=BodySize("2m"))), "ClientSettingsPolicy", "web")

    assert policy["metadata"]["namespace"] == "shop"
    assert policy["spec"] == {"targetRef": TARGET, "body": {"maxSize": "2m"}}


@pytest.mark.parametrize("limit", [RateLimit(requests_per_second=1, burst=0)])
def test_the_smallest_limit_is_one(render: Render, limit: RateLimit) -> None:
    rule = one(render(Route, replace(PROPS, rate_limit=limit)), "RateLimitPolicy")["spec"]["rateLimit"]["local"][
        "rules"
    ][0]

    assert (rule["rate"], rule["burst"]) == ("1r/s", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"service": ServiceRef("web", 80, "elsewhere")},
            "Route web: service.namespace: found 'elsewhere', expected the route's own, 'shop'",
        ),
        (
            {"hostnames": []},
            "Route web: hostnames: found none, expected one or more: without, it would take every host's requests",
        ),
        (
            {"hostnames": [WWW, Hostname("other.example")]},
            "Route web: hostnames: host of a route to Gateway edge/edge: found 'other.example', expected one of "
            "shop.example, *.shop.example",
        ),
        (
            {"rate_limit": RateLimit(requests_per_second=0, burst=1)},
            "Route web: rate_limit: found 0 a second, burst 1, expected a rate of 1 or more and a burst of 0 or more",
        ),
        ({"rate_limit": RateLimit(requests_per_second=1, burst=-1)}, "Route web: rate_limit: found"),
        ({"name": "Web"}, "Route Web: name: found 'Web', expected a DNS label"),
    ],
)
def test_props_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPropsError, match=re.escape(message)):
        replace(PROPS, **changes)


def test_all_problems_are_reported_together() -> None:
    gateway = GatewayRef(name="edge", namespace="edge", hostnames=[Hostname("a.example")])

    with pytest.raises(InvalidPropsError) as error:
        replace(PROPS, hostnames=[WWW, ROOT], gateway=gateway, name="")

    assert len(error.value.problems) == 3
