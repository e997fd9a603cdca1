"""A route from the Gateway to a Service: over HTTPS only, with its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constructs_lib._k8s import Construct, Manifest
from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.gateway_ref import GATEWAY_API_GROUP, GatewayRef, Listener
from constructs_lib.placement import Placement
from constructs_lib.values import BodySize, Hostname, Name
from constructs_lib.workload import ServiceRef

_COMPONENT = "routing"


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """How often one client may ask.

    Attributes:
        requests_per_second: Requests of one client's address.
        burst: How many more are answered at once before the limit holds.
        zone_size: The memory in which nginx counts.
    """

    requests_per_second: int
    burst: int
    zone_size: BodySize = BodySize("10m")


@dataclass(frozen=True, kw_only=True)
class RouteProps:
    """What a route is made of.

    Attributes:
        placement: Where it lives: in the namespace of the Service.
        name: Its name.
        hostnames: The hosts whose requests it takes; the Gateway has a listener for each.
        gateway: The Gateway.
        service: Where the requests go.
        rate_limit: How often one client may ask; as often as it likes without.
        max_body_size: The largest request body; the Gateway's own without.
        response_headers: Headers that every answer gets.

    Raises:
        InvalidPropsError: A prop is not valid; all problems are listed.
    """

    placement: Placement
    name: str
    hostnames: Sequence[Hostname]
    gateway: GatewayRef
    service: ServiceRef
    rate_limit: RateLimit | None = None
    max_body_size: BodySize | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        if self.service.namespace != self.placement.namespace:
            problems.append(
                f"service.namespace: found {self.service.namespace!r}, expected the route's own, "
                f"{self.placement.namespace!r}"
            )
        if not self.hostnames:
            problems.append("hostnames: found none, expected one or more: without, it would take every host's requests")
        for host in self.hostnames:
            try:
                self.gateway.listener_for(host)
            except InvalidValueError as error:
                problems.append(f"hostnames: {error}")
        if self.rate_limit and (self.rate_limit.requests_per_second < 1 or self.rate_limit.burst < 0):
            found = f"{self.rate_limit.requests_per_second} a second, burst {self.rate_limit.burst}"
            problems.append(f"rate_limit: found {found}, expected a rate of 1 or more and a burst of 0 or more")
        try:
            Name(self.name)
        except InvalidValueError as error:
            problems.append(str(error))
        if problems:
            raise InvalidPropsError(f"Route {self.name}: {problem}" for problem in problems)


class Route(Construct):
    """An HTTPRoute that attaches to the HTTPS listeners of its hosts, and the policies that limit it.

    Its objects are plain data: every preview has several, and a generated binding costs four times as much of each.
    """

    def __init__(self, scope: Construct, id: str, props: RouteProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        metadata = props.placement.metadata(props.name, app=props.name, component=_COMPONENT)
        target = {"group": GATEWAY_API_GROUP, "kind": "HTTPRoute", "name": props.name}
        Manifest(
            self,
            "route",
            {
                "apiVersion": f"{GATEWAY_API_GROUP}/v1",
                "kind": "HTTPRoute",
                "metadata": metadata,
                "spec": _route_spec(props),
            },
        )
        if props.rate_limit:
            rule = {
                "key": "$binary_remote_addr",
                "rate": f"{props.rate_limit.requests_per_second}r/s",
                "burst": props.rate_limit.burst,
                "noDelay": True,
                "zoneSize": str(props.rate_limit.zone_size),
            }
            Manifest(
                self,
                "rate-limit",
                {
                    "apiVersion": "gateway.nginx.org/v1alpha1",
                    "kind": "RateLimitPolicy",
                    "metadata": metadata,
                    "spec": {
                        "targetRefs": [target],
                        "rateLimit": {"rejectCode": 429, "local": {"rules": [rule]}},
                    },
                },
            )
        if props.max_body_size:
            Manifest(
                self,
                "client-settings",
                {
                    "apiVersion": "gateway.nginx.org/v1alpha1",
                    "kind": "ClientSettingsPolicy",
                    "metadata": metadata,
                    "spec": {"targetRef": target, "body": {"maxSize": str(props.max_body_size)}},
                },
            )


def _route_spec(props: RouteProps) -> dict[str, Any]:
    # What the server would default is written out: an atomic list with defaulted members is in conflict between
    # managers even when it looks equal.
    listeners = dict.fromkeys(props.gateway.listener_for(host) for host in props.hostnames)
    rule: dict[str, Any] = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}
    if props.response_headers:
        headers = [{"name": name, "value": value} for name, value in props.response_headers.items()]
        rule["filters"] = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": headers}}]
    backend = {"group": "", "kind": "Service", "name": props.service.name, "port": props.service.port, "weight": 1}
    rule["backendRefs"] = [backend]
    return {
        "parentRefs": [_parent_ref(props.gateway, listener) for listener in listeners],
        "hostnames": [str(host) for host in props.hostnames],
        "rules": [rule],
    }


def _parent_ref(gateway: GatewayRef, listener: Listener) -> dict[str, str]:
    return {
        "group": GATEWAY_API_GROUP,
        "kind": "Gateway",
        "name": gateway.name,
        "namespace": gateway.namespace,
        "sectionName": listener.name,
    }
