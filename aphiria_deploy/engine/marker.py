"""Whether this is the cluster that was meant: one object in it says what it is for.

Whoever makes the cluster puts the marker there (the Pulumi program, or ``aphiria-deploy cluster mark``); a local
cluster gets it by its first deploy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Client, Deadline, Kind, Ref

NAMESPACE = "aphiria-deploy"
"""The namespace of what is remembered in a cluster; it outlives every environment."""
NAME = "cluster"
SITE = "site"
STACK = "stack"
UID = "kube-system-uid"
LOCAL = "local"
"""What stands for the stack in the marker of a cluster that is the user's own."""

_REF = Ref(Kind("v1", "ConfigMap"), NAME, NAMESPACE)
_KUBE_SYSTEM = Ref(Kind("v1", "Namespace"), "kube-system")


class WrongClusterError(InputError):
    """The cluster is not the one that the environment lives on."""


@dataclass(frozen=True)
class Marker:
    """What a cluster is for.

    Attributes:
        site: The site.
        stack: The stack that made it; ``local`` for one that is the user's own.
        uid: The UID of its namespace ``kube-system``, which no other cluster has.
    """

    site: str
    stack: str
    uid: str

    def manifests(self) -> list[Manifest]:
        """The namespace of what is remembered, and the marker in it."""
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": NAME, "namespace": NAMESPACE},
                "data": {SITE: self.site, STACK: self.stack, UID: self.uid},
            },
        ]


def find(client: Client, deadline: Deadline) -> tuple[Marker | None, str]:
    """Reads the cluster's marker.

    Returns:
        The marker, if there is one, and the cluster's own UID.
    """
    uid = client.get(_KUBE_SYSTEM, deadline, metadata_only=True)["metadata"]["uid"]
    live = client.find(_REF, deadline)
    return (_read(live) if live else None), uid


def require(found: Marker | None, uid: str, *, site: str, stack: str | None, where: str) -> Marker | None:
    """Checks that a cluster is the one that an environment lives on.

    Args:
        found: The cluster's marker.
        uid: The cluster's UID.
        site: The environment's site.
        stack: The environment's stack; none where the cluster is the user's own.
        where: What to call the cluster: its context and address.

    Returns:
        The marker that is to be written before anything else: of a local cluster that has none yet.

    Raises:
        WrongClusterError: It is another one, or does not say which.
    """
    wanted = Marker(site, stack or LOCAL, uid)
    if found is None:
        if stack is None:
            return wanted
        raise WrongClusterError(
            f"{where}: {_REF}: found none, expected the marker of {site}'s stack {stack}: check the context; if "
            f"this is the cluster, mark it with `aphiria-deploy cluster mark {stack}`"
        )
    if (found.site, found.stack) != (wanted.site, wanted.stack):
        raise WrongClusterError(
            f"{where}: {_REF}: found the cluster of {found.site}'s stack {found.stack}, expected that of {site}'s "
            f"stack {wanted.stack}: nothing was changed; name the right one with --kubeconfig, --context or --outputs"
        )
    if found.uid != uid:
        raise WrongClusterError(
            f"{where}: {_REF}: data.{UID}: found {found.uid}, expected {uid}, the UID of this cluster's kube-system: "
            "the marker was made in another cluster and copied; nothing was changed"
        )
    return None


def _read(live: Mapping[str, Any]) -> Marker:
    data = live.get("data") or {}
    return Marker(str(data.get(SITE, "")), str(data.get(STACK, "")), str(data.get(UID, "")))
