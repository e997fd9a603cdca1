"""A route from the Gateway to a Service: over HTTPS only, with its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from constructs_lib._imports.io.k8s.networking import gateway as api
from constructs_lib._imports.org.nginx.gateway import (
    ClientSettingsPolicy,
    ClientSettingsPolicySpec,
    ClientSettingsPolicySpecBody,
    ClientSettingsPolicySpecTargetRef,
    RateLimitPolicy,
    RateLimitPolicySpec,
    RateLimitPolicySpecRateLimit,
    RateLimitPolicySpecRateLimitLocal,
    RateLimitPolicySpecRateLimitLocalRules,
    RateLimitPolicySpecTargetRefs,
)
from constructs_lib._k8s import Construct, api_metadata
from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.gateway import GatewayRef, parent_ref
from constructs_lib.placement import Placement
from constructs_lib.values import BodySize, Hostname, Name
from constructs_lib.workload import ServiceRef

_COMPONENT = "routing"
_GROUP = "gateway.networking.k8s.io"


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
    zone_size: str = "10m"


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
            problems.append(
                f"rate_limit: found {self.rate_limit}, expected a rate of 1 or more and a burst of 0 or more"
            )
        try:
            Name(self.name)
        except InvalidValueError as error:
            problems.append(str(error))
        if problems:
            raise InvalidPropsError(f"Route {self.name}: {problem}" for problem in problems)


class Route(Construct):
    """An HTTPRoute that attaches to the HTTPS listeners of its hosts, and the policies that limit it."""

    def __init__(self, scope: Construct, id: str, props: RouteProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        metadata = api_metadata(props.placement.metadata(props.name, app=props.name, component=_COMPONENT))
        listeners = dict.fromkeys(props.gateway.listener_for(host) for host in props.hostnames)
        filters = None
        if props.response_headers:
            headers = [
                api.HttpRouteSpecRulesFiltersResponseHeaderModifierSet(name=name, value=value)
                for name, value in props.response_headers.items()
            ]
            modifier = api.HttpRouteSpecRulesFiltersResponseHeaderModifier(set=headers)
            header_type = api.HttpRouteSpecRulesFiltersType.RESPONSE_HEADER_MODIFIER
            filters = [api.HttpRouteSpecRulesFilters(type=header_type, response_header_modifier=modifier)]
        backend = api.HttpRouteSpecRulesBackendRefs(
            group="", kind="Service", name=props.service.name, port=props.service.port, weight=1
        )
        everything = api.HttpRouteSpecRulesMatches(
            path=api.HttpRouteSpecRulesMatchesPath(type=api.HttpRouteSpecRulesMatchesPathType.PATH_PREFIX, value="/")
        )
        api.HttpRoute(
            self,
            "route",
            metadata=metadata,
            spec=api.HttpRouteSpec(
                parent_refs=[parent_ref(props.gateway, listener) for listener in listeners],
                hostnames=[str(host) for host in props.hostnames],
                rules=[api.HttpRouteSpecRules(matches=[everything], filters=filters, backend_refs=[backend])],
            ),
        )
        if props.rate_limit:
            rule = RateLimitPolicySpecRateLimitLocalRules(
                key="$binary_remote_addr",
                rate=f"{props.rate_limit.requests_per_second}r/s",
                burst=props.rate_limit.burst,
                no_delay=True,
                zone_size=props.rate_limit.zone_size,
            )
            RateLimitPolicy(
                self,
                "rate-limit",
                metadata=metadata,
                spec=RateLimitPolicySpec(
                    target_refs=[RateLimitPolicySpecTargetRefs(group=_GROUP, kind="HTTPRoute", name=props.name)],
                    rate_limit=RateLimitPolicySpecRateLimit(
                        local=RateLimitPolicySpecRateLimitLocal(rules=[rule]), reject_code=429
                    ),
                ),
            )
        if props.max_body_size:
            ClientSettingsPolicy(
                self,
                "client-settings",
                metadata=metadata,
                spec=ClientSettingsPolicySpec(
                    target_ref=ClientSettingsPolicySpecTargetRef(group=_GROUP, kind="HTTPRoute", name=props.name),
                    body=ClientSettingsPolicySpecBody(max_size=str(props.max_body_size)),
                ),
            )
