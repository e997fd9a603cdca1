"""Reads from a cluster what a plan is made of. Nothing here writes.

Secrets are read by their names and never listed: whoever may list them may read every one beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from aphiria_deploy.applyset import PART_OF, Parent
from aphiria_deploy.bundle import Bundle, Manifest, SecretSpec
from aphiria_deploy.errors import ConflictError, InputError, NotFoundError, UnknownKindError
from aphiria_deploy.kube import Client, Deadline, Kind, Outcome, Ref, concurrently
from aphiria_deploy.objects import GroupKind, ObjectKey
from aphiria_deploy.plan import BY_HAND, Live, is_ours
from aphiria_deploy.secrets import SecretRef

_SECRET = Kind("v1", "Secret")
_NAMESPACE = Kind("v1", "Namespace")
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
    manifests, secrets, parent = sought.manifests, sought.secrets, sought.parent
    kinds = _kinds(client, sought, deadline)
    places = _places(sought, kinds)
    own = {item["metadata"]["name"] for item in manifests if item["kind"] == "Namespace"}
    namespaces = sorted({place for _, place in places if place} | {ref.namespace for ref in secrets} | own)
    readings: list[Reading] = [
        partial(_listed, client, kind, place, "" if place in own else f"{PART_OF}={parent.id}", deadline)
        for kind, place in places
        if GroupKind(kind.group, kind.name) not in _BY_NAME
    ]
    readings += [partial(_found, client, Ref(_NAMESPACE, name), deadline) for name in namespaces]
    readings += [partial(_found, client, Ref(_SECRET, ref.name, ref.namespace), deadline) for ref in secrets]
    at_identities = len(readings)
    readings += [partial(_found, client, _ref(client, key, deadline), deadline) for key in sought.identities]
    outcomes = [outcome.get() for outcome in concurrently(readings, deadline.cancellation)]
    found = {ObjectKey.of(item): item for items in outcomes[:at_identities] for item in items}
    uids = {
        key: items[0]["metadata"]["uid"] if items else ""
        for key, items in zip(sought.identities, outcomes[at_identities:], strict=True)
    }
    there = frozenset(name for name in namespaces if ObjectKey(GroupKind("", "Namespace"), "", name) in found)
    # Those that are there and not of the set: somebody else's, which a list of the set's members does not tell.
    unlisted = [
        item
        for item in manifests
        if ObjectKey.of(item) not in found
        and (place := item["metadata"].get("namespace", "")) not in own
        and (not place or place in there)
        and item["kind"] != "Namespace"
    ]
    more = concurrently([partial(_found, client, Ref.of(item), deadline) for item in unlisted], deadline.cancellation)
    found |= {ObjectKey.of(item): item for outcome in more for item in outcome.get()}
    wanted = {ObjectKey.of(item) for item in manifests}
    objects = {
        key: item
        for key, item in found.items()
        # Of what else is in the environment's own namespaces nothing is ours.
        if key in wanted
        or (item["metadata"].get("labels") or {}).get(PART_OF) == parent.id
        or key.group_kind.kind == "Secret"
    }
    return Live(objects, there, uids)


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
    outcomes = concurrently(calls, deadline.cancellation)
    return {ObjectKey.of(item): outcome for item, outcome in zip(manifests, outcomes, strict=True)}


def _tried(client: Client, manifest: Manifest, live: Live, deadline: Deadline, *, take_over: bool) -> Manifest:
    there = live.objects.get(ObjectKey.of(manifest))
    adopts = take_over or (there is not None and not is_ours(there))
    try:
        return client.apply(manifest, deadline, dry_run=True, force=adopts)
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
