"""Makes the fields ours that a person's commands left behind, before an object that was not ours is applied.

A server-side apply takes fields over only while it names them: what ``kubectl apply`` set and the site does not would
stay for ever, owned by nobody who removes it (https://github.com/kubernetes/kubernetes/issues/99003). So the records of
those commands are first made ours, as kubectl itself does when it moves from client-side to server-side apply.
"""

from __future__ import annotations

from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.kube import FIELD_MANAGER, Client, Deadline, Patch, Ref
from aphiria_deploy.plan import BY_HAND


def adopt(client: Client, live: Manifest, deadline: Deadline) -> None:
    """Makes the fields of ``kubectl`` in an object ours; nothing is changed where there are none.

    Raises:
        ConflictError: Somebody has changed the object since it was read.
    """
    entries = adopted(live["metadata"].get("managedFields") or [])
    if entries is None:
        return
    version = live["metadata"]["resourceVersion"]
    change = [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
    ]
    client.patch(Ref.of(live), change, deadline, how=Patch.JSON)


def adopted(entries: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Gives the managed fields with those of ``kubectl`` made ours; None where none is kubectl's."""
    mine: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for entry in entries:
        by_hand = entry.get("manager", "").startswith(BY_HAND) and not entry.get("subresource")
        is_ours = (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply") and not entry.get(
            "subresource"
        )
        (mine if by_hand or is_ours else others).append(entry)
    if not any(entry.get("manager") != FIELD_MANAGER for entry in mine):
        return None
    fields: dict[str, Any] = {}
    for entry in mine:
        fields = _union(fields, entry.get("fieldsV1") or {})
    first = mine[0]
    ours: dict[str, Any] = {key: first[key] for key in ("apiVersion", "time", "fieldsType") if key in first}
    return [{**ours, "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}, *others]


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {key: _union(one.get(key) or {}, other.get(key) or {}) for key in [*one, *(other.keys() - one.keys())]}
