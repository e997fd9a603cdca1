"""What a preview's deploy needs of a stack's outputs: nothing with which more than previews could be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aphiria_deploy.errors import InputError

FOR_PREVIEWS: Final = (
    "clusterName",
    "clusterEndpoint",
    "gatewayName",
    "gatewayNamespace",
    "postgresqlHost",
    "postgresqlPort",
    "ghcrUsername",
    "ghcrToken",
)
"""The outputs beside the kubeconfig. Not the cluster's ID: with DigitalOcean's token it leads to an administrator."""


def for_previews(outputs: Mapping[str, Any], kubeconfig: str, label: str) -> dict[str, Any]:
    """Gives the outputs that a preview's deploy needs.

    Args:
        outputs: All outputs of the stack.
        kubeconfig: That of the account which deploys previews.
        label: What to call the stack in an error.

    Raises:
        InputError: Some are missing, or the kubeconfig is the administrator's.
    """
    if kubeconfig.strip() == str(outputs.get("kubeconfig", "")).strip():
        raise InputError(
            f"{label}: kubeconfig: found the administrator's, expected that of the account which deploys previews "
            "(docs/operations.md)"
        )
    if missing := [name for name in FOR_PREVIEWS if name not in outputs]:
        raise InputError(f"{label}: {', '.join(missing)}: found none, expected the outputs of a stack with a cluster")
    return {"kubeconfig": kubeconfig, **{name: outputs[name] for name in FOR_PREVIEWS}}
