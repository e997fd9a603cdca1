"""As whom a command works on a preview: the preview's own account, never the one that was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aphiria_deploy import access
from aphiria_deploy.bundle import Bundle
from aphiria_deploy.engine import marker
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Client, Deadline
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Progress


@contextmanager
def acting_for(
    client: Client, environment: str, deadline: Deadline, progress: Progress, *, makes_namespace: bool = False
) -> Iterator[Client]:
    """Gives the client that works on an environment: of a preview, where the cluster has accounts, its own.

    Args:
        client: The client with the credential that was given.
        environment: The environment.
        deadline: By when the account must be had; its token ends not long after.
        progress: Is told where there are no accounts.
        makes_namespace: Whether the preview's namespace, in which its account has its rights, is made.
    """
    if not environment.startswith("pr-"):
        yield client
        return
    own = access.preview_access(client, environment, deadline, makes_namespace=makes_namespace)
    if isinstance(own, access.NotSetUp):
        progress.note(f"{environment} is worked on with the credential that was given: {own.why}")
        yield client
        return
    try:
        yield own
    finally:
        if own is not client:
            own.close()


def require_cluster(client: Client, bundle: Bundle, deadline: Deadline) -> None:
    """Checks, before anything is made, that this is the cluster, and that it has the accounts that the base declares.

    Raises:
        WrongClusterError: It is another one.
        InputError: The declared base has accounts for previews, and this cluster has none.
    """
    found, uid = marker.find(client, deadline)
    where = f"{client.access.where} ({client.access.url})"
    marker.require(found, uid, site=bundle.site, stack=bundle.environment.stack, where=where)
    template = access.TEMPLATE
    declared = {(key.group_kind.kind, key.namespace, key.name) for key in map(ObjectKey.of, bundle.base)}
    needed = (template.kind.name, template.namespace, template.name) in declared
    if needed and client.find(template, deadline) is None:
        raise InputError(
            f"{where}: {template}: found none, expected what an account of a preview consists of: deploy preview-base, "
            "with the same version of the site"
        )
