"""Makes the fields ours that former owners left behind, before an object that was not ours is applied.

A server-side apply takes fields over only while it names them: what ``kubectl apply`` or Helm set and the site does not
would stay for ever, owned by nobody who removes it (https://github.com/kubernetes/kubernetes/issues/99003). So the
records of those owners are first made ours, as kubectl and Helm themselves do when they move from client-side to
server-side apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.managed_fields import adopted, as_adopted
from aphiria_deploy.errors import ConflictError, OutcomeUnknownError
from aphiria_deploy.kube import Client, Deadline, Patch, Ref

# What says which object it is, and what is not asked for.
_HEAD = frozenset({"apiVersion", "kind", "metadata", "status"})


def adopt(client: Client, live: Manifest, deadline: Deadline) -> None:
    """Makes the fields of an object's former owners ours; nothing is changed where there are none.

    Raises:
        NotFoundError: It is gone.
    """
    ref = Ref.of(live)
    while (entries := adopted(live["metadata"].get("managedFields") or [])) is not None:
        version = live["metadata"]["resourceVersion"]
        records = [
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        ]
        try:
            client.patch(ref, records, deadline, how=Patch.JSON)
        except (ConflictError, OutcomeUnknownError):
            # A controller wrote its status meanwhile, or it is done already: the next look tells.
            live = client.get(ref, deadline)
        else:
            return


def adoption_tried(client: Client, live: Manifest, manifest: Manifest, deadline: Deadline) -> Manifest:
    """Asks the server what an object would be when it was adopted and applied: it fills in the rest, and checks all.

    Args:
        client: The cluster.
        live: The object as it is.
        manifest: What is asked for.
        deadline: By when.

    Raises:
        NotFoundError: It is gone.
        InvalidError: A value is not valid, or a field is immutable.
        BadRequestError: The manifest has fields that there are not.
    """
    return client.patch(Ref.of(live), change(live, as_adopted(live, manifest)), deadline, how=Patch.JSON, dry_run=True)


def change(live: Manifest, becomes: Manifest) -> list[dict[str, Any]]:
    """Gives the JSON patch that makes one object of another, whatever its controllers write into it meanwhile."""
    return [
        *_operations("/metadata", live["metadata"], becomes["metadata"], ("annotations", "finalizers", "labels")),
        *_operations("", live, becomes, [part for part in {**live, **becomes} if part not in _HEAD]),
    ]


def _operations(
    path: str, live: Mapping[str, Any], becomes: Mapping[str, Any], parts: Iterable[str]
) -> Iterator[dict[str, Any]]:
    for part in parts:
        if part in becomes:
            yield {"op": "add", "path": f"{path}/{part}", "value": becomes[part]}
        elif part in live:
            yield {"op": "remove", "path": f"{path}/{part}"}
