"""Deletes objects and waits until they are gone: those with these UIDs, for one that was made anew is another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.errors import AphiriaDeployError, ConflictError, DeadlineExceededError
from aphiria_deploy.kube import Change, Client, Deadline, Kind, Ref, Watched, Watches, concurrently
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Progress
from aphiria_deploy.readiness import judge

_LOOK_AGAIN_SECONDS = 5.0


class NotGoneError(AphiriaDeployError):
    """Something is still there after its deletion."""


def delete(client: Client, items: Sequence[Manifest], progress: Progress, deadline: Deadline) -> None:
    """Deletes objects at the same time, in the foreground, and waits until all of them are gone.

    Args:
        client: The cluster.
        items: The objects as they were read.
        progress: Is told what holds each of them up.
        deadline: By when they must be gone.

    Raises:
        NotGoneError: Some are still there; it says what blocks them. Nothing is forced.
        ApiError: The server refuses to delete one.
    """
    going = {ObjectKey.of(item): item for item in items}
    calls: list[Callable[[], Manifest | None]] = [partial(_delete, client, item, deadline) for item in items]
    for key, outcome in zip(list(going), concurrently(calls, deadline.cancellation), strict=True):
        left = outcome.get()
        if left is None:
            progress.did(key, "deleted")
            del going[key]
        else:
            going[key] = left
    if going:
        _wait(client, going, progress, deadline)


def _delete(client: Client, item: Manifest, deadline: Deadline) -> Manifest | None:
    try:
        return client.delete(Ref.of(item), deadline, uid=item["metadata"]["uid"])
    except ConflictError:
        live = client.find(Ref.of(item), deadline)
        if live is None or live["metadata"]["uid"] != item["metadata"]["uid"]:
            # Gone, and another one is in its place.
            return None
        if live["metadata"].get("deletionTimestamp"):
            # A namespace that is going refuses to be deleted again.
            return live
        raise


def _wait(client: Client, going: dict[ObjectKey, Manifest], progress: Progress, deadline: Deadline) -> None:
    watched = [_watched(item) for item in going.values()]
    told: dict[ObjectKey, str] = {}
    uids = {item["metadata"]["uid"]: key for key, item in going.items()}
    there: dict[str, Manifest] = {}
    try:
        with Watches(client, watched, deadline) as watches:
            while going:
                found = watches.next(_LOOK_AGAIN_SECONDS)
                if found is None:
                    continue
                what, (change, item) = found
                if change is Change.SYNCED:
                    unseen = [key for uid, key in uids.items() if key in going and uid not in there]
                    for missing in unseen:
                        if _place(_watched(going[missing])) == _place(what):
                            _gone(missing, going, progress)
                    continue
                uid = item["metadata"]["uid"]
                if uid not in uids:
                    continue
                key = uids[uid]
                if change is Change.DELETED:
                    there.pop(uid, None)
                    _gone(key, going, progress)
                else:
                    there[uid] = going[key] = item
                    message = judge(item).message
                    if told.get(key) != message:
                        told[key] = message
                        progress.state(key, message, done=False)
    except DeadlineExceededError:
        raise NotGoneError(
            "; ".join(
                f"{key}: found it still there, expected it gone: {judge(item).message}: see what its finalizers wait "
                f"for (kubectl describe {_described(item)}); nothing was forced"
                for key, item in going.items()
            )
        ) from None


def _gone(key: ObjectKey, going: dict[ObjectKey, Manifest], progress: Progress) -> None:
    if going.pop(key, None) is not None:
        progress.did(key, "deleted")


def _watched(item: Manifest) -> Watched:
    metadata = item["metadata"]
    return Watched(Kind.of(item), metadata.get("namespace"), fields=f"metadata.name={metadata['name']}")


def _place(watched: Watched) -> str:
    return f"{watched}/{watched.fields}"


def _described(item: Manifest) -> str:
    metadata = item["metadata"]
    where = f" --namespace {metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{item['kind'].lower()} {metadata['name']}{where}"
