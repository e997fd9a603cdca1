"""The Gateway: a listener for each host, the certificate behind it, and the redirects that every site wants.

Only sets with a Gateway of their own pay for loading the bindings: routes need :mod:`constructs_lib.gateway_ref` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from constructs_lib._imports.io.cert_manager import (
    Certificate,
    CertificateSpec,
    CertificateSpecIssuerRef,
    ClusterIssuer,
    ClusterIssuerSpec,
    ClusterIssuerSpecAcme,
    ClusterIssuerSpecAcmePrivateKeySecretRef,
    ClusterIssuerSpecAcmeSolvers,
    ClusterIssuerSpecAcmeSolversDns01,
    ClusterIssuerSpecAcmeSolversDns01Digitalocean,
    ClusterIssuerSpecAcmeSolversDns01DigitaloceanTokenSecretRef,
    ClusterIssuerSpecAcmeSolversHttp01,
    ClusterIssuerSpecAcmeSolversHttp01GatewayHttpRoute,
    ClusterIssuerSpecAcmeSolversHttp01GatewayHttpRouteParentRefs,
)
from constructs_lib._imports.io.k8s.networking import gateway as api
from constructs_lib._imports.org.nginx.gateway import (
    NginxProxy,
    NginxProxySpec,
    NginxProxySpecRewriteClientIp,
    NginxProxySpecRewriteClientIpMode,
    NginxProxySpecRewriteClientIpTrustedAddresses,
    NginxProxySpecRewriteClientIpTrustedAddressesType,
)
from constructs_lib._k8s import Construct, Manifest, api_metadata
from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.gateway_ref import GATEWAY_API_GROUP, GatewayRef, Listener, Protocol
from constructs_lib.placement import Placement
from constructs_lib.values import Hostname, SecretKey, network_problems

_APP = "gateway"
_COMPONENT = "gateway"


@dataclass(frozen=True, kw_only=True)
class SelfSigned:
    """Certificates that only the machine itself trusts.

    Attributes:
        issuer: The ClusterIssuer's name.
    """

    issuer: str = "selfsigned-issuer"


@dataclass(frozen=True, kw_only=True)
class Acme:
    """Certificates of an ACME server.

    Attributes:
        dns01_token: The key of DigitalOcean's token in a Secret of cert-manager's namespace, with which the server is
            shown that the domain's DNS is ours; without it, that its web server is, which no wildcard can have.
        issuer: The ClusterIssuer's name, and that of the Secret of its account.
        server: The server's directory.
        email: Whom the server may write to.
    """

    dns01_token: SecretKey | None = None
    issuer: str = "letsencrypt-prod"
    server: str = "https://acme-v02.api.letsencrypt.org/directory"
    email: str | None = None


@dataclass(frozen=True, kw_only=True)
class GatewayProps:
    """What a Gateway is made of.

    Attributes:
        placement: Where it lives: the namespace is the reference's.
        ref: How routes see it.
        tls: Who signs its certificate.
        gateway_class: Its class.
        certificate: The name of its Certificate, and of the Secret that it is kept in.
        redirects: Hosts that only redirect, and where to.
        proxy_protocol_from: The networks of a load balancer that tells the client's address by PROXY protocol.
        service_annotations: Annotations of the load balancer's Service.

    Raises:
        InvalidPropsError: A prop is not valid; all problems are listed.
    """

    placement: Placement
    ref: GatewayRef
    tls: SelfSigned | Acme
    gateway_class: str = "nginx"
    certificate: str = "tls-cert"
    redirects: Mapping[Hostname, Hostname] = field(default_factory=dict)
    proxy_protocol_from: Sequence[str] = ()
    service_annotations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        if self.placement.namespace != self.ref.namespace:
            problems.append(
                f"placement.namespace: found {self.placement.namespace!r}, expected the ref's, {self.ref.namespace!r}"
            )
        wildcards = [str(host) for host in self.ref.hostnames if host.is_wildcard]
        if wildcards and isinstance(self.tls, Acme) and self.tls.dns01_token is None:
            problems.append(
                f"tls.dns01_token: found none, expected a token: an ACME server signs {', '.join(wildcards)} "
                "only for whoever can change the domain's DNS"
            )
        problems += network_problems("proxy_protocol_from", self.proxy_protocol_from)
        for host in self.redirects:
            try:
                self.ref.listener_for(host)
            except InvalidValueError as error:
                problems.append(f"redirects: {error}")
        problems += [
            f"redirects: found {source} to {target}, expected one host to another"
            for source, target in self.redirects.items()
            if source.is_wildcard or target.is_wildcard or source == target
        ]
        if problems:
            raise InvalidPropsError(f"Gateway {self.ref.name}: {problem}" for problem in problems)


class Gateway(Construct):
    """A Gateway with its listeners, issuer and certificate; HTTP answers 301 to HTTPS."""

    def __init__(self, scope: Construct, id: str, props: GatewayProps) -> None:  # noqa: A002 - cdk8s's name
        super().__init__(scope, id)
        self._props = props
        if isinstance(props.tls, Acme):
            self._add_acme_issuer(props.tls)
        else:
            # Not by the binding: jsii takes an empty struct for none, and `selfSigned: {}` would be lost.
            manifest = {
                "apiVersion": "cert-manager.io/v1",
                "kind": "ClusterIssuer",
                "metadata": self._metadata(props.tls.issuer, namespaced=False),
                "spec": {"selfSigned": {}},
            }
            Manifest(self, "issuer", manifest)
        Certificate(
            self,
            "certificate",
            metadata=api_metadata(self._metadata(props.certificate)),
            spec=CertificateSpec(
                secret_name=props.certificate,
                dns_names=[str(host) for host in props.ref.hostnames],
                issuer_ref=CertificateSpecIssuerRef(
                    name=props.tls.issuer, kind="ClusterIssuer", group="cert-manager.io"
                ),
            ),
        )
        if props.proxy_protocol_from:
            self._add_proxy()
        self._add_gateway()
        self._add_https_redirect()
        taken = {"https-redirect"}
        for source, target in props.redirects.items():
            # Named after what is added, such as www-redirect, else after the host itself.
            label = str(target).removesuffix(f".{source}")
            name = f"{label}-redirect"
            if "." in label or name in taken:
                name = f"{str(source).replace('.', '-')}-redirect"
            taken.add(name)
            self._add_redirect(name, source, target)

    def _metadata(self, name: str, *, namespaced: bool = True) -> dict[str, object]:
        return self._props.placement.metadata(name, app=_APP, component=_COMPONENT, namespaced=namespaced)

    def _add_acme_issuer(self, acme: Acme) -> None:
        ref = self._props.ref
        if acme.dns01_token:
            token = ClusterIssuerSpecAcmeSolversDns01DigitaloceanTokenSecretRef(
                name=acme.dns01_token.secret, key=acme.dns01_token.key
            )
            solver = ClusterIssuerSpecAcmeSolvers(
                dns01=ClusterIssuerSpecAcmeSolversDns01(
                    digitalocean=ClusterIssuerSpecAcmeSolversDns01Digitalocean(token_secret_ref=token)
                )
            )
        else:
            parent = ClusterIssuerSpecAcmeSolversHttp01GatewayHttpRouteParentRefs(
                name=ref.name, namespace=ref.namespace, kind="Gateway", group=GATEWAY_API_GROUP
            )
            solver = ClusterIssuerSpecAcmeSolvers(
                http01=ClusterIssuerSpecAcmeSolversHttp01(
                    gateway_http_route=ClusterIssuerSpecAcmeSolversHttp01GatewayHttpRoute(parent_refs=[parent])
                )
            )
        ClusterIssuer(
            self,
            "issuer",
            metadata=api_metadata(self._metadata(acme.issuer, namespaced=False)),
            spec=ClusterIssuerSpec(
                acme=ClusterIssuerSpecAcme(
                    server=acme.server,
                    email=acme.email,
                    private_key_secret_ref=ClusterIssuerSpecAcmePrivateKeySecretRef(name=acme.issuer),
                    solvers=[solver],
                )
            ),
        )

    def _add_proxy(self) -> None:
        NginxProxy(
            self,
            "proxy",
            metadata=api_metadata(self._metadata(self._props.ref.name)),
            spec=NginxProxySpec(
                rewrite_client_ip=NginxProxySpecRewriteClientIp(
                    mode=NginxProxySpecRewriteClientIpMode.PROXY_PROTOCOL,
                    trusted_addresses=[
                        NginxProxySpecRewriteClientIpTrustedAddresses(
                            type=NginxProxySpecRewriteClientIpTrustedAddressesType.CIDR, value=network
                        )
                        for network in self._props.proxy_protocol_from
                    ],
                )
            ),
        )

    def _add_gateway(self) -> None:
        props = self._props
        parameters = None
        if props.proxy_protocol_from:
            parameters = api.GatewaySpecInfrastructureParametersRef(
                group="gateway.nginx.org", kind="NginxProxy", name=props.ref.name
            )
        infrastructure = None
        if parameters or props.service_annotations:
            infrastructure = api.GatewaySpecInfrastructure(
                annotations=dict(props.service_annotations) or None, parameters_ref=parameters
            )
        api.Gateway(
            self,
            "gateway",
            metadata=api_metadata(self._metadata(props.ref.name)),
            spec=api.GatewaySpec(
                gateway_class_name=props.gateway_class,
                infrastructure=infrastructure,
                listeners=[self._listener(listener) for listener in props.ref.listeners()],
            ),
        )

    def _listener(self, listener: Listener) -> api.GatewaySpecListeners:
        tls = None
        if listener.protocol is Protocol.HTTPS:
            tls = api.GatewaySpecListenersTls(
                mode=api.GatewaySpecListenersTlsMode.TERMINATE,
                certificate_refs=[
                    api.GatewaySpecListenersTlsCertificateRefs(group="", kind="Secret", name=self._props.certificate)
                ],
            )
        return api.GatewaySpecListeners(
            name=listener.name,
            port=listener.port,
            protocol=listener.protocol.value,
            hostname=str(listener.hostname),
            tls=tls,
            allowed_routes=api.GatewaySpecListenersAllowedRoutes(
                namespaces=api.GatewaySpecListenersAllowedRoutesNamespaces(
                    from_=api.GatewaySpecListenersAllowedRoutesNamespacesFrom.ALL
                )
            ),
        )

    def _add_https_redirect(self) -> None:
        ref = self._props.ref
        filters = _redirect(scheme=api.HttpRouteSpecRulesFiltersRequestRedirectScheme.HTTPS)
        api.HttpRoute(
            self,
            "https-redirect",
            metadata=api_metadata(self._metadata("https-redirect")),
            spec=api.HttpRouteSpec(
                parent_refs=[
                    _parent_ref(ref, listener) for listener in ref.listeners() if listener.protocol is Protocol.HTTP
                ],
                rules=[api.HttpRouteSpecRules(filters=[filters])],
            ),
        )

    def _add_redirect(self, name: str, source: Hostname, target: Hostname) -> None:
        filters = _redirect(scheme=api.HttpRouteSpecRulesFiltersRequestRedirectScheme.HTTPS, hostname=str(target))
        api.HttpRoute(
            self,
            name,
            metadata=api_metadata(self._metadata(name)),
            spec=api.HttpRouteSpec(
                parent_refs=[_parent_ref(self._props.ref, self._props.ref.listener_for(source))],
                hostnames=[str(source)],
                rules=[api.HttpRouteSpecRules(filters=[filters])],
            ),
        )


def _parent_ref(ref: GatewayRef, listener: Listener) -> api.HttpRouteSpecParentRefs:
    """Gives a route's reference to one listener, with what the server would default written out.

    An atomic list with defaulted members is in conflict between managers even when it looks equal.
    """
    return api.HttpRouteSpecParentRefs(
        group=GATEWAY_API_GROUP,
        kind="Gateway",
        name=ref.name,
        namespace=ref.namespace,
        section_name=listener.name,
    )


def _redirect(
    scheme: api.HttpRouteSpecRulesFiltersRequestRedirectScheme, hostname: str | None = None
) -> api.HttpRouteSpecRulesFilters:
    return api.HttpRouteSpecRulesFilters(
        type=api.HttpRouteSpecRulesFiltersType.REQUEST_REDIRECT,
        request_redirect=api.HttpRouteSpecRulesFiltersRequestRedirect(
            scheme=scheme,
            hostname=hostname,
            status_code=api.HttpRouteSpecRulesFiltersRequestRedirectStatusCode.VALUE_301,
        ),
    )
