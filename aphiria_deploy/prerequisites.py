"""What must be on a cluster before a site can be deployed to it, and what brings it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Client, Deadline, Kind, Ref

CERT_MANAGER_VERSION: Final = "v1.21.1"
NGINX_GATEWAY_FABRIC_VERSION: Final = "2.6.7"
GATEWAY_API_VERSION: Final = "v1.5.1"
"""The versions that the Pulumi program installs."""

_CLASS: Final = Ref(Kind("gateway.networking.k8s.io/v1", "GatewayClass"), "nginx")


@dataclass(frozen=True)
class Prerequisite:
    """Something that must be there.

    Attributes:
        what: Its name.
        kinds: The kinds that the cluster serves when it is there.
        command: What brings it.
    """

    what: str
    kinds: tuple[Kind, ...]
    command: str


_GATEWAY_API: Final = Prerequisite(
    "the Gateway API's CRDs",
    (Kind("gateway.networking.k8s.io/v1", "Gateway"), Kind("gateway.networking.k8s.io/v1", "HTTPRoute")),
    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/"
    f"{GATEWAY_API_VERSION}/standard-install.yaml",
)
_CERT_MANAGER: Final = Prerequisite(
    "cert-manager",
    (Kind("cert-manager.io/v1", "Certificate"), Kind("cert-manager.io/v1", "ClusterIssuer")),
    "helm upgrade --install cert-manager oci://quay.io/jetstack/charts/cert-manager "
    f"--version {CERT_MANAGER_VERSION} --namespace cert-manager --create-namespace --set crds.enabled=true "
    "--set config.gatewayAPI.enabled=true --wait",
)
_NGINX: Final = Prerequisite(
    "NGINX Gateway Fabric",
    (Kind("gateway.nginx.org/v1alpha1", "RateLimitPolicy"),),
    "helm upgrade --install nginx-gateway-fabric oci://ghcr.io/nginx/charts/nginx-gateway-fabric "
    f"--version {NGINX_GATEWAY_FABRIC_VERSION} --namespace nginx-gateway --create-namespace --wait",
)
# In the order in which they must come.
_ALL: Final = (_GATEWAY_API, _CERT_MANAGER, _NGINX)


class MissingPrerequisitesError(InputError):
    """A cluster lacks what a site needs."""


def missing(client: Client, deadline: Deadline) -> list[Prerequisite]:
    """Gives what a cluster lacks: CRDs, or the controller of the Gateways' class.

    Args:
        client: The cluster.
        deadline: By when.
    """
    lacking = [each for each in _ALL if not all(client.serves(kind, deadline) for kind in each.kinds)]
    if _NGINX not in lacking and _GATEWAY_API not in lacking and client.find(_CLASS, deadline) is None:
        lacking.append(_NGINX)
    return lacking


def require(lacking: Sequence[Prerequisite], where: str, why: str) -> None:
    """Checks that nothing is lacking.

    Args:
        lacking: What is.
        where: What to call the cluster.
        why: Why it is not brought by itself.

    Raises:
        MissingPrerequisitesError: Something is.
    """
    if lacking:
        listed = "\n".join(f"  - {each.what}: {each.command}" for each in lacking)
        raise MissingPrerequisitesError(
            f"{where}: found a cluster without what the site needs; {why}. `aphiria-deploy cluster up local` brings "
            f"all of it (it needs Pulumi: https://www.pulumi.com/docs/install/), or, in this order:\n{listed}"
        )
