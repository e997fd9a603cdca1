"""Reads from a cluster what a plan is made of. Nothing here writes.

Secrets are read by their names and never listed: whoever may list them may read every one beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from aphiria_deploy.bundle import Bundle, Manifest, SecretSpec
from aphiria_deploy.engine.adoption import adoption_tried
from aphiria_deploy.engine.applyset import PART_OF, Parent
from aphiria_deploy.engine.managed_fields import BY_HAND
from aphiria_deploy.engine.plan import Live, is_going, is_ours
from aphiria_deploy.errors import ConflictError, InputError, NotFoundError, UnknownKindError
from aphiria_deploy.kube import Client, Deadline, Kind, Outcome, Ref, concurrently
from aphiria_deploy.objects import GroupKind, ObjectKey
from aphiria_deploy.secrets import SecretRef

_SECRET = Kind("v1", "Secret")
_NAMESPACE = Kind("v1", "Namespace")
_GONE: Manifest = {"metadata": {"deletionTimestamp": "gone"}}
_BY_NAME = frozenset({GroupKind("", "Secret"), GroupKind("", "Namespace")})

Reading = Callable[[], list[Manifest]]


@dataclass(frozen=True)
class Sought:
    """What is looked for.

    Attributes:
        manifests: The objects that are wanted, Secrets of the engine's aside.
        secrets: The Secrets of the engine's that are wanted or were.
        identities: The objects whose UIDs Jobs need.
        parent: The ApplySet's parent: where members may be besides.
        former: Bundles that may have left something behind.
    """

    manifests: Sequence[Manifest]
    secrets: Sequence[SecretRef]
    identities: Sequence[ObjectKey]
    parent: Parent
    former: Sequence[Bundle]


def survey(client: Client, sought: Sought, deadline: Deadline) -> Live:
    """Reads what is there of an environment.

    Raises:
        ApiError: The server refuses a request.
        UnavailableError: It does not answer.
    """
    kinds = _kinds(client, sought, deadline)
    places = [place for place in _places(sought, kinds) if GroupKind(place[0].group, place[0].name) not in _BY_NAME]
    own = {item["metadata"]["name"] for item in sought.manifests if item["kind"] == "Namespace"}
    names = sorted({place for _, place in places if place} | {ref.namespace for ref in sought.secrets} | own)
    # First what is outside of the environment's own namespaces, which may not be there: an account that has its
    # rights in them has none before.
    outside = _Reader(client, sought.parent, deadline)
    outside.read(Ref(_NAMESPACE, name) for name in names)
    outside.read(_ref(client, key, deadline) for key in sought.identities)
    outside.read(Ref(_SECRET, ref.name, ref.namespace) for ref in sought.secrets if ref.namespace not in own)
    outside.list((kind, place) for kind, place in places if place not in own)
    found = outside.all()
    there = frozenset(name for name in names if not is_going(found.get(_namespace_key(name), _GONE)))
    inside = _Reader(client, sought.parent, deadline)
    inside.read(Ref(_SECRET, ref.name, ref.namespace) for ref in sought.secrets if ref.namespace in own & there)
    inside.list(((kind, place) for kind, place in places if place in own & there), everything=True)
    # And those outside that are there and not of the set: somebody else's, which a list of its members does not tell.
    inside.read(Ref.of(item) for item in sought.manifests if _is_unlisted(item, found, own, there))
    found |= inside.all()
    wanted = {ObjectKey.of(item) for item in sought.manifests}
    objects = {
        key: item
        for key, item in found.items()
        # Of what else is in the environment's own namespaces nothing is ours.
        if key in wanted or _is_member(item, sought.parent) or key.group_kind.kind == "Secret"
    }
    uids = {key: found[key]["metadata"]["uid"] if key in found else "" for key in sought.identities}
    return Live(objects, there, uids)


class _Reader:
    """Requests that are made at the same time."""

    def __init__(self, client: Client, parent: Parent, deadline: Deadline) -> None:
        self._client = client
        self._members = f"{PART_OF}={parent.id}"
        self._deadline = deadline
        self._readings: list[Reading] = []

    def read(self, refs: Iterable[Ref]) -> None:
        """Asks for objects that may not be there."""
        self._readings += [partial(_found, self._client, ref, self._deadline) for ref in refs]

    def list(self, places: Iterable[tuple[Kind, str]], *, everything: bool = False) -> None:
        """Asks for the set's members of kinds in namespaces, or for everything that is there."""
        labels = "" if everything else self._members
        self._readings += [
            partial(_listed, self._client, kind, namespace, labels, self._deadline) for kind, namespace in places
        ]

    def all(self) -> dict[ObjectKey, Manifest]:
        """What there is."""
        outcomes = concurrently(self._readings, self._deadline.cancellation, workers=self._client.width)
        return {ObjectKey.of(item): item for outcome in outcomes for item in outcome.get()}


def _is_unlisted(item: Manifest, found: Mapping[ObjectKey, Manifest], own: set[str], there: frozenset[str]) -> bool:
    namespace = item["metadata"].get("namespace", "")
    reachable = not namespace or (namespace in there and namespace not in own)
    return reachable and item["kind"] != "Namespace" and ObjectKey.of(item) not in found


def _is_member(item: Manifest, parent: Parent) -> bool:
    return (item["metadata"].get("labels") or {}).get(PART_OF) == parent.id


def _namespace_key(name: str) -> ObjectKey:
    return ObjectKey(GroupKind("", "Namespace"), "", name)


def tried(
    client: Client, manifests: Sequence[Manifest], live: Live, deadline: Deadline, *, take_over: bool
) -> dict[ObjectKey, Outcome[Manifest]]:
    """Asks the server what would become of objects, all at once: its dry run.

    Args:
        client: The cluster.
        manifests: The objects.
        live: What is there.
        deadline: By when.
        take_over: Whether fields of others are taken over.
    """
    calls = [partial(_tried, client, item, live, deadline, take_over=take_over) for item in manifests]
    outcomes = concurrently(calls, deadline.cancellation, workers=client.width)
    return {ObjectKey.of(item): outcome for item, outcome in zip(manifests, outcomes, strict=True)}


def _tried(client: Client, manifest: Manifest, live: Live, deadline: Deadline, *, take_over: bool) -> Manifest:
    there = live.objects.get(ObjectKey.of(manifest))
    if there is not None and not is_ours(there):
        return adoption_tried(client, there, manifest, deadline)
    try:
        return client.apply(manifest, deadline, dry_run=True, force=take_over)
    except ConflictError as error:
        # What a person changed by hand is set back; what another program owns is not.
        if not error.conflicts or not all(conflict.manager.startswith(BY_HAND) for conflict in error.conflicts):
            raise
        return client.apply(manifest, deadline, dry_run=True, force=True)


def secret_refs(specs: Iterable[SecretSpec]) -> list[SecretRef]:
    """Gives the Secrets that specifications are of."""
    return [SecretRef(spec.namespace, spec.name) for spec in specs]


def _listed(client: Client, kind: Kind, namespace: str, labels: str, deadline: Deadline) -> list[Manifest]:
    try:
        return client.list(kind, deadline, namespace=namespace or None, labels=labels).items
    except (NotFoundError, UnknownKindError):
        # No such kind, so no object of it: what is wanted of it says so itself.
        return []


def _found(client: Client, ref: Ref, deadline: Deadline) -> list[Manifest]:
    item = client.find(ref, deadline)
    return [item] if item else []


def _ref(client: Client, key: ObjectKey, deadline: Deadline) -> Ref:
    group, name = key.group_kind.group, key.group_kind.kind
    kind = Kind("v1", name) if not group else client.kind(group, name, deadline)
    if kind is None:
        raise InputError(f"{key}: found no kind {key.group_kind} in the cluster, expected one whose UID Jobs go by")
    return Ref(kind, key.name, key.namespace or None)


def _kinds(client: Client, sought: Sought, deadline: Deadline) -> dict[GroupKind, Kind]:
    """In which version each kind is asked for: as the newest bundle has it; else as the server prefers it."""
    kinds: dict[GroupKind, Kind] = {}
    for item in [*sought.manifests, *(item for bundle in reversed(sought.former) for item in bundle.manifests)]:
        kinds.setdefault(GroupKind.of(item), Kind.of(item))
    for wanted in sorted(sought.parent.group_kinds - kinds.keys()):
        found = Kind("v1", wanted.kind) if not wanted.group else client.kind(wanted.group, wanted.kind, deadline)
        if found:
            kinds[wanted] = found
    return kinds


def _places(sought: Sought, kinds: Mapping[GroupKind, Kind]) -> list[tuple[Kind, str]]:
    """Where members may be: each kind in the namespaces in which a bundle has it.

    The parent names kinds and namespaces, and not which are where; the bundles that may have left something tell.
    """
    items = [*sought.manifests, *(item for bundle in sought.former for item in bundle.manifests)]
    places = {(kinds[GroupKind.of(item)], item["metadata"].get("namespace", "")) for item in items}
    parent, known = sought.parent, {GroupKind(kind.group, kind.name) for kind, _ in places}
    strangers = [kinds[wanted] for wanted in parent.group_kinds - known if wanted in kinds and wanted not in _BY_NAME]
    return sorted(places | {(kind, namespace) for kind in strangers for namespace in parent.namespaces or {""}})
