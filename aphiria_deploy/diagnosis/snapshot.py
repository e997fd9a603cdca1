"""What the watches have: objects, who owns whom, and the events about each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from aphiria_deploy.fields import (
    Object,
    at,
    group_kind,
    mapping,
    mappings,
    metadata,
    moment,
    name,
    namespace,
    number,
    one_line,
    text,
)

_READ = 4000
"""How much of a message is read: more than is shown, since the cause often stands at the end."""
_NAMES = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Occurrence:
    """Something that a controller or a node reported of an object: a Kubernetes Event.

    Attributes:
        type: ``Normal`` or ``Warning``.
        reason: One word: ``FailedCreate``.
        subject: Whom it is about: ``Pod/api-5cbf98db4f-jgskd``.
        message: What was reported, in one line, which may be long.
        count: How often.
        first: When it was first seen.
        last: When it was last seen.
        container: The container that it is about; empty where it is about none.
    """

    type: str
    reason: str
    subject: str
    message: str
    count: int
    first: datetime | None
    last: datetime | None
    container: str = ""

    def __str__(self) -> str:
        """The event in one line, as it is shown."""
        times = f" (x{self.count})" if self.count > 1 else ""
        return f"{one_line(f'{self.type} {self.reason} {self.subject}: {self.message}')}{times}"


class Snapshot:
    """The objects of some kinds at one moment, found by identity, owner and subject."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._owned: dict[str, list[Object]] = defaultdict(list)
        self._events: dict[str, list[Occurrence]] = defaultdict(list)
        self._pods: dict[str, list[Object]] = defaultdict(list)
        for item in objects:
            group, kind = group_kind(item)
            if kind == "Event" and group in {"", "events.k8s.io"}:
                subject, occurrence = _occurrence(item)
                self._events[subject].append(occurrence)
                continue
            if (group, kind) == ("", "Pod"):
                self._pods[namespace(item)].append(item)
            for owner in mappings(metadata(item).get("ownerReferences")):
                if owner.get("controller") is True:
                    self._owned[text(owner.get("uid"))].append(item)

    def owned(self, owner: Object, kind: str) -> list[Object]:
        """The objects of a kind that an object controls, the oldest first."""
        found = [item for item in self._owned.get(_uid(owner), ()) if group_kind(item)[1] == kind]
        return sorted(found, key=lambda item: (text(metadata(item).get("creationTimestamp")), name(item)))

    def pods(self, of_namespace: str) -> list[Object]:
        """All pods of a namespace."""
        return list(self._pods.get(of_namespace, ()))

    def events(self, *subjects: Object) -> list[Occurrence]:
        """The events about objects, the oldest first; what differs in names alone is one event, counted."""
        merged: dict[tuple[str, ...], Occurrence] = {}
        for subject in subjects:
            for entry in self._events.get(_uid(subject), ()):
                key = (entry.reason, entry.subject, entry.container, _NAMES.sub("", entry.message))
                known = merged.get(key)
                merged[key] = _merge(known, entry) if known else entry
        return sorted(merged.values(), key=_when)


def _uid(item: Object) -> str:
    # An object without a UID was never in a cluster: it owns nothing, and nothing is reported of it.
    return text(metadata(item).get("uid")) or "-"


def _when(entry: Occurrence) -> float:
    return entry.last.timestamp() if entry.last else 0.0


def _merge(one: Occurrence, other: Occurrence) -> Occurrence:
    newest = max(one, other, key=_when)
    first = min((entry.first for entry in (one, other) if entry.first), default=None)
    return replace(newest, count=one.count + other.count, first=first)


def _occurrence(event: Object) -> tuple[str, Occurrence]:
    """Reads an Event of either API: core/v1, or events.k8s.io/v1, which names the same fields anew."""
    about = mapping(event.get("involvedObject") or event.get("regarding"))
    begun = moment(event.get("eventTime"))
    first = moment(event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp")) or begun
    last = (
        moment(at(event, "series", "lastObservedTime"))
        or moment(event.get("lastTimestamp") or event.get("deprecatedLastTimestamp"))
        or first
    )
    container = re.search(r"\{([^{}]+)\}$", text(about.get("fieldPath")))
    return text(about.get("uid")), Occurrence(
        type=text(event.get("type")),
        reason=text(event.get("reason")),
        subject=f"{text(about.get('kind'))}/{text(about.get('name'))}",
        message=one_line(text(event.get("message") or event.get("note")), _READ),
        count=max(
            number(event.get("count") or event.get("deprecatedCount"), 1), number(at(event, "series", "count"), 1)
        ),
        first=first,
        last=last,
        container=container[1] if container else "",
    )
