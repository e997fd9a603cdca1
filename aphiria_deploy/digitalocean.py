"""Access to a cluster at DigitalOcean, asked of its API: what a stack's outputs hold dies after 7 days."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from aphiria_deploy.errors import CredentialError, InputError, UnavailableError
from aphiria_deploy.http import Answer, Http, HttpFailureError
from aphiria_deploy.masked import SecretValue

TOKEN: Final = "DIGITALOCEAN_TOKEN"  # noqa: S105 - a variable's name
"""The environment variable with a token that may read the cluster's kubeconfig."""
API_URL: Final = "DIGITALOCEAN_API_URL"
"""The environment variable with another address of the API, as DigitalOcean's own tools know it."""

_API: Final = "https://api.digitalocean.com"
_LIFE_SECONDS: Final = 2 * 3600
"""How long the credentials live: longer than any run, and no longer."""
_ASK_SECONDS: Final = 30.0
_LARGEST: Final = 1_000_000


def token_of(environ: Mapping[str, str] = os.environ) -> SecretValue | None:
    """Gives the token of the environment, if there is one."""
    value = environ.get(TOKEN, "").strip()
    return SecretValue(value) if value else None


def fetch_kubeconfig(
    cluster_id: str,
    token: SecretValue,
    *,
    environ: Mapping[str, str] = os.environ,
    seconds: float = _ASK_SECONDS,
) -> SecretValue:
    """Asks for a kubeconfig with new credentials.

    Args:
        cluster_id: The cluster's ID.
        token: A token of the account.
        environ: The environment variables, of which one may name another address of the API.
        seconds: How long to try.

    Raises:
        CredentialError: The token is not taken, or may not do it.
        InputError: There is no such cluster in the token's account.
        UnavailableError: There is no answer that can be used.
    """
    base = (environ.get(API_URL) or _API).rstrip("/")
    url = f"{base}/v2/kubernetes/clusters/{quote(cluster_id, safe='')}/kubeconfig?expiry_seconds={_LIFE_SECONDS}"
    what = f"the kubeconfig of the cluster {cluster_id} at {base}"
    try:
        answer = asyncio.run(_ask(url, token, seconds))
    except HttpFailureError as error:
        raise UnavailableError(f"{what}: found {error}, expected an answer: try again later") from None
    if answer.status in {401, 403}:
        raise CredentialError(
            f"{what}: found the answer {answer.status}, expected one to a token that may read it: see {TOKEN}, and "
            "docs/SECRETS.md for its scopes"
        )
    if answer.status == 404:
        raise InputError(
            f"{what}: found none, expected a cluster of the account that {TOKEN} belongs to: is it the right account, "
            "and are the outputs those of the stack as it is now?"
        )
    text = answer.body.decode("utf-8", "replace")
    if answer.status != 200 or "clusters" not in text:
        raise UnavailableError(f"{what}: found the answer {answer.status}, expected a kubeconfig: try again later")
    return SecretValue(text)


async def _ask(url: str, token: SecretValue, seconds: float) -> Answer:
    async with Http(seconds) as http:
        headers = {"Accept": "application/yaml"}
        return await http.ask(
            "GET", url, headers=headers, limit=_LARGEST, authorization=SecretValue(f"Bearer {token.reveal()}")
        )
