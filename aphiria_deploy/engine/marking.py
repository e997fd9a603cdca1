"""Puts the marker into a cluster that was made without Pulumi."""

from __future__ import annotations

from aphiria_deploy.engine import marker
from aphiria_deploy.engine.marker import Marker, WrongClusterError
from aphiria_deploy.kube import Client, Deadline


def mark(client: Client, site: str, stack: str, deadline: Deadline) -> bool:
    """Says in a cluster which one it is.

    Args:
        client: The cluster.
        site: The site.
        stack: The stack that stands for the cluster.
        deadline: By when.

    Returns:
        Whether it was written; it was there already otherwise.

    Raises:
        WrongClusterError: The cluster is marked as another one.
        ConflictError: Somebody else is marking it.
    """
    found, uid = marker.find(client, deadline)
    wanted = Marker(site, stack, uid)
    if found == wanted:
        return False
    if found is not None:
        copied = f" with another cluster's UID ({found.uid})" if found.uid != uid else ""
        raise WrongClusterError(
            f"{client.access.where} ({client.access.url}): found the marker of {found.site}'s stack {found.stack}"
            f"{copied}, expected none, or that of {site}'s stack {stack}: nothing was changed; if nobody needs it, "
            f"delete it: kubectl delete configmap --namespace {marker.NAMESPACE} {marker.NAME}"
        )
    for manifest in wanted.manifests():
        client.apply(manifest, deadline)
    return True
