"""How to be let into the cluster that a stack's outputs name: with credentials made in this run, where that can be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aphiria_deploy.digitalocean import TOKEN, fetch_kubeconfig, token_of
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Access, load_document


def access_of(outputs: Mapping[str, Any], label: str, environ: Mapping[str, str] = os.environ) -> Access:
    """Gives access to a stack's cluster.

    With a token of DigitalOcean in the environment its API is asked for new credentials; without one the outputs' own
    serve, which die 7 days after the stack's last run.

    Args:
        outputs: The stack's outputs.
        label: What to call them in an error.
        environ: The environment variables.

    Raises:
        InputError: They name no cluster, or one that there is not.
        KubeconfigError: The kubeconfig cannot be used.
        CredentialError: The token is not taken.
        UnavailableError: DigitalOcean does not answer.
    """
    cluster_id, token = outputs.get("clusterId"), token_of(environ)
    if token and isinstance(cluster_id, str) and cluster_id.strip():
        fresh = fetch_kubeconfig(cluster_id.strip(), token, environ=environ)
        return load_document(fresh.reveal(), f"kubeconfig of the cluster {cluster_id.strip()}", environment=environ)
    kubeconfig = outputs.get("kubeconfig")
    if isinstance(kubeconfig, str) and kubeconfig.strip():
        # Without the cluster's ID it is no administrator's, and nothing that could be fetched anew.
        life = f"; it dies 7 days after the stack's last run, with {TOKEN} a new one is fetched" if cluster_id else ""
        return load_document(kubeconfig, f"kubeconfig in {label}{life}", environment=environ)
    raise InputError(
        f"the cluster: found none named: {label} has no kubeconfig; expected one there, or a clusterId and a token of "
        f"its account in {TOKEN}, or --kubeconfig FILE or --context NAME beside it"
    )
