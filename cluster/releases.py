"""The base Helm releases, and the CRDs that they need: every version pinned, the same for every stack.

A Release is Helm's own: hooks run, and ``atomic`` brings back what was there when an upgrade fails.
"""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apiextensions.v1 import CustomResourceDefinition
from pulumi_kubernetes.helm.v3 import Release, ReleaseArgs, RepositoryOptsArgs
from pulumi_kubernetes.yaml.v2 import ConfigFile, ConfigFileArgs

from cluster import names
from cluster.options import Options
from cluster.settings import ClusterSettings, LocalSettings

CERT_MANAGER_VERSION: Final = "v1.21.1"
NGINX_GATEWAY_FABRIC_VERSION: Final = "2.6.7"
GATEWAY_API_VERSION: Final = "v1.5.1"
"""The one that this version of NGINX Gateway Fabric is made for; with another minor version it does its best."""

GATEWAY_API_CRDS: Final = (
    f"https://github.com/kubernetes-sigs/gateway-api/releases/download/{GATEWAY_API_VERSION}/standard-install.yaml"
)
NGINX_CRDS: Final = (
    f"https://raw.githubusercontent.com/nginx/nginx-gateway-fabric/v{NGINX_GATEWAY_FABRIC_VERSION}/deploy/crds.yaml"
)

GATEWAY_CRD: Final = "gateways.gateway.networking.k8s.io"

# A controller that does not become ready fails the release before the run's own patience ends.
_TIMEOUT_SECONDS: Final = 600
PROXY_PROTOCOL: Final = {"service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol": "true"}
"""How DigitalOcean's load balancer is told to say who the client is."""
_REQUESTS: Final = {"requests": {"cpu": "50m", "memory": "64Mi"}}


def add_releases(
    settings: LocalSettings | ClusterSettings, provider: k8s.Provider, options: Options
) -> list[pulumi.Resource]:
    """Adds the releases, after the CRDs of the Gateway API: controllers look for them when they start."""
    gateway_api = _gateway_api(settings, provider, options)
    nginx_crds = ConfigFile(
        "nginx-gateway-fabric-crds",
        ConfigFileArgs(file=NGINX_CRDS),
        # Without them their objects would be gone, rate limits among them. Helm would only install them, and never
        # upgrade them.
        opts=options.of("nginx-gateway-fabric-crds", provider, precious=True, retain_on_delete=True),
    )
    cert_manager = Release(
        names.CERT_MANAGER,
        _release(
            name=names.CERT_MANAGER,
            chart="cert-manager",
            namespace="cert-manager",
            version=CERT_MANAGER_VERSION,
            repository_opts=RepositoryOptsArgs(repo="https://charts.jetstack.io"),
            values=cert_manager_values(),
        ),
        options.of(names.CERT_MANAGER, provider, depends_on=[gateway_api]),
    )
    nginx = Release(
        names.NGINX_GATEWAY_FABRIC,
        _release(
            name=names.NGINX_GATEWAY_FABRIC,
            chart="oci://ghcr.io/nginx/charts/nginx-gateway-fabric",
            namespace=settings.gateway_namespace,
            version=NGINX_GATEWAY_FABRIC_VERSION,
            skip_crds=True,
            values=nginx_values(settings),
        ),
        options.of(names.NGINX_GATEWAY_FABRIC, provider, depends_on=[gateway_api, nginx_crds]),
    )
    return [cert_manager, nginx]


def cert_manager_values() -> dict[str, Any]:
    """The values of cert-manager's chart."""
    return {
        # Kept when the release goes: with the CRDs every certificate would go.
        "crds": {"enabled": True, "keep": True},
        "config": {"gatewayAPI": {"enabled": True}},
        "resources": _REQUESTS,
        "webhook": {"resources": _REQUESTS},
        "cainjector": {"resources": _REQUESTS},
    }


def nginx_values(settings: LocalSettings | ClusterSettings) -> dict[str, Any]:
    """The values of NGINX Gateway Fabric's chart: what holds for every Gateway of its class.

    A Gateway may say more by a NginxProxy of its own.
    """
    nginx: dict[str, Any] = {"container": {"resources": _REQUESTS}}
    if isinstance(settings, LocalSettings):
        nginx["service"] = _local_service(settings)
    elif settings.proxy_protocol_from:
        trusted = [{"type": "CIDR", "value": network} for network in settings.proxy_protocol_from]
        annotated = {"metadata": {"annotations": dict(PROXY_PROTOCOL)}}
        # Both or none: a connection with the header, or without it, is broken to an nginx that expects the other.
        nginx["config"] = {"rewriteClientIP": {"mode": "ProxyProtocol", "trustedAddresses": trusted}}
        nginx["service"] = {"patches": [{"type": "StrategicMerge", "value": annotated}]}
    return {"nginxGateway": {"resources": _REQUESTS}, "nginx": nginx}


def _local_service(settings: LocalSettings) -> dict[str, Any]:
    ports = [{"port": int(port), "listenerPort": int(listener)} for listener, port in settings.node_ports.items()]
    return {"type": settings.service_type, **({"nodePorts": ports} if ports else {})}


def _release(**given: Any) -> ReleaseArgs:
    return ReleaseArgs(
        atomic=True,
        cleanup_on_fail=True,
        create_namespace=True,
        max_history=5,
        timeout=_TIMEOUT_SECONDS,
        wait_for_jobs=True,
        **given,
    )


def _gateway_api(
    settings: LocalSettings | ClusterSettings, provider: k8s.Provider, options: Options
) -> pulumi.Resource:
    """The Gateway API's CRDs: a local cluster is given them, DigitalOcean's come with them, which is checked."""
    if isinstance(settings, LocalSettings) and settings.gateway_api:
        return ConfigFile(
            "gateway-api-crds",
            ConfigFileArgs(file=GATEWAY_API_CRDS),
            opts=options.of("gateway-api-crds", provider, retain_on_delete=True),
        )
    return CustomResourceDefinition.get("gateway-api-crds", GATEWAY_CRD, pulumi.ResourceOptions(provider=provider))
