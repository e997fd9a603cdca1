"""A credential of the account that makes previews' accounts: for CI, which deploys previews and is no administrator."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aphiria_deploy.errors import InputError, NotFoundError
from aphiria_deploy.fields import at, moment
from aphiria_deploy.kube import Access, Client, Deadline, Kind, Ref
from aphiria_deploy.masked import SecretValue

ISSUER: Final = Ref(Kind("v1", "ServiceAccount"), "preview-issuer", "aphiria-deploy-issuer")
"""The account; the preview base makes it."""

_LEAST_SECONDS: Final = 600.0
"""The API server gives no token for less."""


@dataclass(frozen=True)
class Issued:
    """A credential of the account.

    Attributes:
        kubeconfig: The kubeconfig that it is in.
        ends: When it ends, as the cluster says: it may be earlier than what was asked for.
    """

    kubeconfig: SecretValue = field(repr=False)
    ends: datetime


def issue(client: Client, seconds: float, deadline: Deadline) -> Issued:
    """Makes a token of the account that makes previews' accounts.

    Args:
        client: The cluster, as its administrator.
        seconds: How long it is to last.
        deadline: By when.

    Raises:
        InputError: It would end too soon, or the cluster has no such account.
        ForbiddenError: The client may not do it.
    """
    if seconds < _LEAST_SECONDS:
        raise InputError(f"the token of {ISSUER}: found {seconds:g} s, expected {_LEAST_SECONDS:g} s or more")
    spec = {"expirationSeconds": round(seconds)}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    try:
        status = client.ask_of(ISSUER, "token", request, deadline)["status"]
    except NotFoundError as error:
        raise InputError(
            f"{client.access.where}: {ISSUER}: found none, expected the account that the preview base makes: deploy "
            "preview-base, then again"
        ) from error
    ends = moment(status["expirationTimestamp"])
    if ends is None:
        raise InputError(f"the token of {ISSUER}: found no time at which it ends, expected one")
    return Issued(SecretValue(json.dumps(_kubeconfig(client.access, status["token"]))), ends)


def _kubeconfig(access: Access, token: str) -> dict[str, Any]:
    cluster: dict[str, Any] = {"server": access.url}
    if access.authorities:
        cluster["certificate-authority-data"] = base64.b64encode(access.authorities).decode()
    if access.server_name:
        cluster["tls-server-name"] = access.server_name
    if not access.verify:
        cluster["insecure-skip-tls-verify"] = True
    name = ISSUER.name
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "previews", "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": "previews", "user": name}}],
        "current-context": name,
    }


def ends(token: SecretValue) -> datetime | None:
    """Gives when a token says that it ends; None of one that does not end, or is of another kind.

    What it says is not checked: that is the cluster's business.
    """
    parts = token.reveal().split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError):
        return None
    seconds = at(claims, "exp")
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
