"""The last step of a deploy: the pods run what was planned, and the site answers as its bundle says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from aphiria_deploy.bundle import Bundle, EnvironmentKind, Manifest
from aphiria_deploy.engine.deploying import Verify
from aphiria_deploy.engine.running_images import Resolve, WrongImage, planned_images, wrong_images
from aphiria_deploy.engine.verify import require, verify
from aphiria_deploy.errors import AphiriaDeployError, RegistryAccessError, RegistryUnavailableError
from aphiria_deploy.fields import at, mappings, text
from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from aphiria_deploy.progress import Progress

_POD = Kind("v1", "Pod")
_GATEWAY = Kind("gateway.networking.k8s.io/v1", "Gateway")
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


class WrongImageError(AphiriaDeployError):
    """Pods run something else than what was planned."""


class NoAddressError(AphiriaDeployError):
    """The Gateway of the site's routes has no address that could be asked."""


def verifier(
    digests: Resolve,
    *,
    ask_the_site: bool = True,
    ports: Mapping[int, int] | None = None,
) -> Verify:
    """Gives what a deploy calls when everything is ready.

    Args:
        digests: Gives every digest under which a pod may report an image, by the reference: asked of the registry.
        ask_the_site: Whether the site's URLs are asked.
        ports: The ports at the Gateway's address, by the URLs'; the same, if not given.
    """

    def run(client: Client, bundle: Bundle, deadline: Deadline, progress: Progress) -> None:
        try:
            require_planned_images(client, bundle, digests, deadline)
        except (RegistryUnavailableError, RegistryAccessError) as error:
            # What a pod reports cannot be judged then: that is said, and nothing is claimed.
            progress.note(f"the running images could not be compared: {error}")
        if ask_the_site and bundle.checks:
            address = gateway_address(client, bundle.manifests, deadline)
            local = bundle.environment.kind is EnvironmentKind.LOCAL
            require(verify(bundle.checks, address, deadline, verified=not local, ports=ports))

    return run


def require_planned_images(client: Client, bundle: Bundle, resolve: Resolve, deadline: Deadline) -> None:
    """Checks that the pods of the workloads run the images that were planned.

    Raises:
        WrongImageError: Some run others.
        UnavailableError: The registry had to be asked, and does not answer or refuses.
    """
    wrong: list[WrongImage] = []
    for workload in bundle.manifests:
        if workload["kind"] not in _WORKLOADS:
            continue
        labels = at(workload, "spec", "selector", "matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        namespace = workload["metadata"].get("namespace")
        pods = client.list(_POD, deadline, namespace=namespace, labels=selector).items
        wrong += wrong_images(pods, planned_images(workload), resolve)
    if wrong:
        raise WrongImageError("; ".join(map(str, wrong)) + ": see who else deploys here, and deploy again")


def gateway_address(client: Client, manifests: Sequence[Manifest], deadline: Deadline) -> str:
    """Gives the address of the Gateway that a bundle's routes attach to, as its status says.

    Raises:
        NoAddressError: There is none.
    """
    for manifest in manifests:
        if manifest["kind"] != "HTTPRoute":
            continue
        for parent in mappings(at(manifest, "spec", "parentRefs")):
            namespace = parent.get("namespace") or manifest["metadata"]["namespace"]
            ref = Ref(_GATEWAY, text(parent.get("name")), namespace)
            live = client.find(ref, deadline)
            addresses = [text(entry.get("value")) for entry in mappings(at(live, "status", "addresses"))]
            if found := next(filter(None, addresses), None):
                return found
            raise NoAddressError(
                f"{ref}: status.addresses: found none, expected the address at which the site answers: see its "
                f"conditions (kubectl describe gateway {quote(ref.name)} --namespace {quote(namespace)}), or deploy "
                "with --skip-health-check"
            )
    raise NoAddressError(
        "found no HTTPRoute, expected one of the site's: its bundle has checks, and nothing leads there"
    )
