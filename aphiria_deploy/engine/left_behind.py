"""What those that an environment is taken over from have beside its objects: Helm's records, and what nobody names.

Helm's records of a release go with the take-over: as long as one is there, ``helm uninstall`` deletes the site. What
else Helm or kubectl made is told, and never deleted: who made it may still need it. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine import helm_records
from aphiria_deploy.engine.former_owners import LeftBehind, helm_release, owner
from aphiria_deploy.engine.helm_records import HelmRelease
from aphiria_deploy.engine.managed_fields import is_applied_with_kubectl, owned_fields
from aphiria_deploy.errors import ForbiddenError, NotFoundError, UnknownKindError
from aphiria_deploy.kube import Client, Deadline, Kind, Ref, concurrently
from aphiria_deploy.kube.mapping import KNOWN
from aphiria_deploy.objects import GroupKind, ObjectKey

_Found = TypeVar("_Found")

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
        ApiError: The server refuses a request, other than for want of rights.
    """
    wanted = {ObjectKey.of(item) for item in manifests}
    there = [live[key] for key in wanted if key in live]
    look = _Look(client, deadline)
    releases = look.releases(wanted, there)
    found = {ObjectKey.of(item): (item, why) for item, why in look.of_releases(releases)}
    found |= {ObjectKey.of(item): (item, owner(item)) for item in look.of_kubectl(there)}
    left = [
        (item, f"{why} made it, and the site does not name it: see whether somebody needs it, else delete it")
        for key, (item, why) in sorted(found.items())
        if key not in wanted and owned_fields(item) is None
    ]
    records = tuple(record for release in releases for record in release.records)
    return LeftBehind(records, tuple(left), (*_unseen_records(there, look.unseen), *_unseen_kinds(look.unseen)))


class _Look:
    """Looks for things in a cluster, and remembers where it may not.

    Attributes:
        unseen: Of which kinds in which namespaces nobody knows what is there.
    """

    def __init__(self, client: Client, deadline: Deadline) -> None:
        self.unseen: set[tuple[str, str]] = set()
        self._client = client
        self._deadline = deadline

    def releases(self, wanted: set[ObjectKey], there: Iterable[Manifest]) -> list[HelmRelease]:
        """The releases that made something that is wanted, wherever Helm remembers them."""
        named = {release[0] for release in map(helm_release, there) if release}
        namespaces = sorted({*named, *(key.namespace for key in wanted)} - {""})
        places = [(kind, namespace) for kind in helm_records.KINDS for namespace in namespaces]
        records = self._listed(places, labels=helm_records.SELECTOR)
        return [release for release in helm_records.releases(records) if _made_some(release, wanted)]

    def of_releases(self, releases: Iterable[HelmRelease]) -> Iterator[tuple[Manifest, str]]:
        """What there is of all that releases made."""
        for release in releases:
            calls = [partial(self._found, ref, release.namespace) for ref in sorted(release.made, key=str)]
            for item in filter(None, self._all(calls)):
                # What another release has taken meanwhile is that one's.
                if helm_release(item) in {None, (release.namespace, release.name)}:
                    yield item, str(release)

    def of_kubectl(self, there: Iterable[Manifest]) -> Iterator[Manifest]:
        """What ``kubectl apply`` made in the namespaces of objects that are taken over from it."""
        taken = [item for item in there if owned_fields(item) is None and is_applied_with_kubectl(item)]
        namespaces = sorted({ObjectKey.of(item).namespace for item in taken} - {""})
        if not namespaces:
            return
        kinds = [
            self._client.kind(group, name, self._deadline) if group else Kind("v1", name)
            for (group, name), resource in KNOWN.items()
            if resource.namespaced and name not in _OF_CONTROLLERS
        ]
        places = [(kind, namespace) for kind in filter(None, kinds) for namespace in namespaces]
        for item in self._listed(places, metadata_only=True):
            if is_applied_with_kubectl(item) and not item["metadata"].get("ownerReferences") and not helm_release(item):
                yield item

    def _listed(self, places: Iterable[tuple[Kind, str]], **how: Any) -> list[Manifest]:
        def listing(kind: Kind, namespace: str) -> list[Manifest]:
            try:
                return self._client.list(kind, self._deadline, namespace=namespace, **how).items
            except (NotFoundError, UnknownKindError):
                # No such kind here, so nobody made one.
                return []
            except ForbiddenError:
                self.unseen.add((kind.name, namespace))
                return []

        return [item for found in self._all([partial(listing, *place) for place in places]) for item in found]

    def _found(self, ref: Ref, namespace: str) -> Manifest | None:
        try:
            is_namespaced = self._client.is_namespaced(ref.kind, self._deadline)
            place = (ref.namespace or namespace) if is_namespaced else None
            return self._client.find(Ref(ref.kind, ref.name, place), self._deadline, metadata_only=True)
        except UnknownKindError:
            return None
        except ForbiddenError:
            self.unseen.add((ref.kind.name, ref.namespace or namespace))
            return None

    def _all(self, calls: Sequence[Callable[[], _Found]]) -> list[_Found]:
        outcomes = concurrently(calls, self._deadline.cancellation, workers=self._client.width)
        return [outcome.get() for outcome in outcomes]


def _unseen_records(there: Iterable[Manifest], unseen: set[tuple[str, str]]) -> Iterator[str]:
    """What is to be done about Helm's records that nobody could look for."""
    strangers = [item for item in there if owned_fields(item) is None]
    for namespace, name in sorted({release for release in map(helm_release, strangers) if release}):
        if ("Secret", namespace) in unseen:
            yield (
                f"Helm's record of its release {namespace}/{name}: as long as it is there, helm uninstall deletes what "
                f"is taken over: kubectl delete secret --namespace {namespace} --selector owner=helm,name={name}"
            )


def _unseen_kinds(unseen: set[tuple[str, str]]) -> Iterator[str]:
    for namespace in sorted({namespace for _, namespace in unseen}):
        yield f"{', '.join(sorted(kind for kind, place in unseen if place == namespace))} in {namespace}"


def _made_some(release: HelmRelease, wanted: set[ObjectKey]) -> bool:
    return any(
        ObjectKey(GroupKind(ref.kind.group, ref.kind.name), namespace, ref.name) in wanted
        for ref in release.made
        for namespace in (ref.namespace or release.namespace, "")
    )
