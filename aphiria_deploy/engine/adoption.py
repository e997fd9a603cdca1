"""Makes the fields ours that former owners left behind, before an object that was not ours is applied.

A server-side apply takes fields over only while it names them: what ``kubectl apply`` or Helm set and the site does not
would stay for ever, owned by nobody who removes it (https://github.com/kubernetes/kubernetes/issues/99003). So the
records of those owners are first made ours, as kubectl and Helm themselves do when they move from client-side to
server-side apply.
"""

from __future__ import annotations

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.managed_fields import adopted
from aphiria_deploy.errors import ConflictError, OutcomeUnknownError
from aphiria_deploy.kube import Client, Deadline, Patch, Ref


def adopt(client: Client, live: Manifest, deadline: Deadline) -> None:
    """Makes the fields of an object's former owners ours; nothing is changed where there are none.

    Raises:
        NotFoundError: It is gone.
    """
    ref = Ref.of(live)
    while (entries := adopted(live["metadata"].get("managedFields") or [])) is not None:
        version = live["metadata"]["resourceVersion"]
        change = [
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        ]
        try:
            client.patch(ref, change, deadline, how=Patch.JSON)
        except (ConflictError, OutcomeUnknownError):
            # A controller wrote its status meanwhile, or it is done already: the next look tells.
            live = client.get(ref, deadline)
        else:
            return
