"""What a preview's deploy needs of a stack's outputs: nothing with which more than previews could be reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from aphiria_deploy.errors import InputError
from aphiria_deploy.masked import SecretValue

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
PLAIN: Final = "PREVIEW_OUTPUTS"
"""What of them is not secret, and the kubeconfig without its token."""
ISSUER: Final = "PREVIEW_ISSUER_TOKEN"
"""The kubeconfig's token."""
PULLER: Final = "PREVIEW_PULL_TOKEN"
"""What images are pulled with."""
VARIABLES: Final = (PLAIN, ISSUER, PULLER)
"""The secrets of a CI that the outputs are kept as: each secret value one of its own, so that it is known in logs."""
RENEW: Final = "aphiria-deploy github setup --issuer-token 2160h --yes"
"""What makes them anew."""


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


def taken_apart(outputs: Mapping[str, Any], label: str) -> dict[str, SecretValue]:
    """Gives a preview's outputs as secrets of a CI, by their names.

    Args:
        outputs: What `for_previews` gave.
        label: What to call them in an error.

    Raises:
        InputError: The kubeconfig has no token that could be kept.
    """
    where = f"{label}: kubeconfig"
    try:
        kubeconfig = yaml.safe_load(outputs["kubeconfig"])
    except yaml.YAMLError as error:
        raise InputError(f"{where}: found no YAML, expected a kubeconfig") from error
    user = _only_user(kubeconfig, where)
    token = user.pop("token", None)
    if user or not isinstance(token, str) or not token:
        raise InputError(f"{where}: users[0].user: found no token, or more than that, expected a token alone")
    plain = {name: outputs[name] for name in FOR_PREVIEWS if name != "ghcrToken"}
    return {
        PLAIN: SecretValue(json.dumps({"kubeconfig": kubeconfig, **plain})),
        ISSUER: SecretValue(token),
        PULLER: SecretValue(str(outputs["ghcrToken"])),
    }


def put_together(environ: Mapping[str, str]) -> dict[str, Any]:
    """Gives the outputs that were taken apart.

    Args:
        environ: The environment variables.

    Raises:
        InputError: One is missing, or holds something else: more than previews may have, for example.
    """
    if missing := [name for name in VARIABLES if not environ.get(name, "").strip()]:
        raise InputError(
            f"environment variable {', '.join(missing)}: found none, expected secrets of the environment: `{RENEW}` "
            "sets them"
        )
    try:
        plain = json.loads(environ[PLAIN])
    except ValueError:
        raise InputError(f"environment variable {PLAIN}: found no JSON, expected what `{RENEW}` sets") from None
    wanted = {"kubeconfig", *FOR_PREVIEWS} - {"ghcrToken"}
    found = plain.keys() if isinstance(plain, dict) else set()
    if found != wanted:
        raise InputError(
            f"environment variable {PLAIN}: found {', '.join(sorted(found)) or 'no outputs'}, expected exactly "
            f"{', '.join(sorted(wanted))}: what deploys previews has nothing else"
        )
    kubeconfig = plain["kubeconfig"]
    user = _only_user(kubeconfig, f"environment variable {PLAIN}: kubeconfig")
    if user:
        raise InputError(f"environment variable {PLAIN}: kubeconfig: users[0].user: found a credential, expected none")
    user["token"] = environ[ISSUER].strip()
    return {**plain, "kubeconfig": json.dumps(kubeconfig), "ghcrToken": environ[PULLER].strip()}


def _only_user(kubeconfig: object, where: str) -> dict[str, Any]:
    """The credential of a kubeconfig that has one, in its place."""
    users = kubeconfig.get("users") if isinstance(kubeconfig, dict) else None
    user = users[0].get("user") if isinstance(users, list) and len(users) == 1 and isinstance(users[0], dict) else None
    if not isinstance(user, dict):
        raise InputError(f"{where}: users: found none, or several, expected one")
    return user
