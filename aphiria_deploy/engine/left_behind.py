"""What those that an environment is taken over from have beside its objects: Helm's records, and what nobody names.

Helm's records of a release go with the take-over: as long as one is there, ``helm uninstall`` deletes the site. What
else Helm or kubectl made is told, and never deleted: who made it may still need it. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine import helm_records
from aphiria_deploy.engine.former_owners import LeftBehind, helm_release, owner
from aphiria_deploy.engine.helm_records import HelmRelease
from aphiria_deploy.engine.managed_fields import is_applied_with_kubectl, owned_fields
from aphiria_deploy.errors import NotFoundError, UnknownKindError
from aphiria_deploy.kube import Client, Deadline, Kind, Ref, concurrently
from aphiria_deploy.kube.mapping import KNOWN
from aphiria_deploy.objects import GroupKind, ObjectKey

# What nobody applies, and what says of itself whose it is.
_OF_CONTROLLERS = frozenset({"ControllerRevision", "EndpointSlice", "Endpoints", "Event", "Lease", "Pod", "ReplicaSet"})


def left_behind(
    client: Client, manifests: Iterable[Manifest], live: Mapping[ObjectKey, Manifest], deadline: Deadline
) -> LeftBehind:
    """Reads what former owners have left beside an environment's objects.

    Args:
        client: The cluster.
        manifests: What is wanted, Secrets too.
        live: What is there of it.
        deadline: By when.

    Raises:
        HelmRecordError: A record of Helm's cannot be read.
        ApiError: The server refuses a request; of it all, Secrets have to be listed.
    """
    wanted = {ObjectKey.of(item) for item in manifests}
    there = [live[key] for key in wanted if key in live]
    releases = _releases(client, wanted, there, deadline)
    found = {ObjectKey.of(item): (item, why) for item, why in _of_releases(client, releases, deadline)}
    strangers = [item for item in there if owned_fields(item) is None]
    found |= {ObjectKey.of(item): (item, owner(item)) for item in _of_kubectl(client, strangers, deadline)}
    left = [
        (item, f"{why} made it, and the site does not name it: see whether somebody needs it, else delete it")
        for key, (item, why) in sorted(found.items())
        if key not in wanted and owned_fields(item) is None
    ]
    return LeftBehind(tuple(record for release in releases for record in release.records), tuple(left))


def _releases(
    client: Client, wanted: set[ObjectKey], there: Iterable[Manifest], deadline: Deadline
) -> list[HelmRelease]:
    """The releases that made something that is wanted, wherever Helm remembers them."""
    named = {release[0] for release in map(helm_release, there) if release}
    namespaces = sorted({*named, *(key.namespace for key in wanted)} - {""})
    places = [(kind, namespace) for kind in helm_records.KINDS for namespace in namespaces]
    records = _listed(client, places, deadline, labels=helm_records.SELECTOR)

    def is_of_it(release: HelmRelease) -> bool:
        return any(
            ObjectKey(GroupKind(ref.kind.group, ref.kind.name), namespace, ref.name) in wanted
            for ref in release.made
            for namespace in (ref.namespace or release.namespace, "")
        )

    return list(filter(is_of_it, helm_records.releases(records)))


def _of_releases(client: Client, releases: Iterable[HelmRelease], deadline: Deadline) -> Iterator[tuple[Manifest, str]]:
    """What there is of all that releases made."""
    for release in releases:
        calls = [partial(_found, client, ref, release.namespace, deadline) for ref in sorted(release.made, key=str)]
        for outcome in concurrently(calls, deadline.cancellation, workers=client.width):
            item = outcome.get()
            # What another release has taken meanwhile is that one's.
            if item and helm_release(item) in {None, (release.namespace, release.name)}:
                yield item, str(release)


def _found(client: Client, ref: Ref, namespace: str, deadline: Deadline) -> Manifest | None:
    try:
        is_namespaced = client.is_namespaced(ref.kind, deadline)
    except UnknownKindError:
        return None
    place = (ref.namespace or namespace) if is_namespaced else None
    return client.find(Ref(ref.kind, ref.name, place), deadline, metadata_only=True)


def _of_kubectl(client: Client, strangers: Iterable[Manifest], deadline: Deadline) -> Iterator[Manifest]:
    """What ``kubectl apply`` made in the namespaces of objects that it made too."""
    namespaces = sorted({ObjectKey.of(item).namespace for item in strangers if is_applied_with_kubectl(item)} - {""})
    if not namespaces:
        return
    applied = [key for key, one in KNOWN.items() if one.namespaced and key[1] not in _OF_CONTROLLERS]
    kinds = [client.kind(group, name, deadline) if group else Kind("v1", name) for group, name in applied]
    places = [(kind, namespace) for kind in filter(None, kinds) for namespace in namespaces]
    for item in _listed(client, places, deadline, metadata_only=True):
        if is_applied_with_kubectl(item) and not item["metadata"].get("ownerReferences") and not helm_release(item):
            yield item


def _listed(client: Client, places: Iterable[tuple[Kind, str]], deadline: Deadline, **how: Any) -> list[Manifest]:
    def listing(kind: Kind, namespace: str) -> list[Manifest]:
        try:
            return client.list(kind, deadline, namespace=namespace, **how).items
        except (NotFoundError, UnknownKindError):
            # No such kind here, so nobody made one.
            return []

    calls: list[Callable[[], list[Manifest]]] = [partial(listing, kind, namespace) for kind, namespace in places]
    outcomes = concurrently(calls, deadline.cancellation, workers=client.width)
    return [item for outcome in outcomes for item in outcome.get()]
