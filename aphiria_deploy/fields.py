"""Reading raw objects: every reader gives a value of its type, whatever the object really holds.

Objects come from a cluster, where controllers of any version and quality write their status. A field that is not
there, or not what it should be, reads as empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]
"""One Kubernetes object, or a part of one, as plain JSON data."""

_EMPTY: Object = {}
_SHOWN = 400


@dataclass(frozen=True)
class Condition:
    """One entry of ``status.conditions``.

    Attributes:
        type: What it is about: ``Ready``, ``Accepted``.
        status: ``True``, ``False`` or ``Unknown``.
        reason: One word for machines.
        message: A sentence for people.
        generation: Which generation of the object it is about; none where its controller does not say.
        since: When the status last changed; none where it is not said.
        updated: When the condition was last written, which Deployments alone say.
    """

    type: str
    status: str
    reason: str
    message: str
    generation: int | None
    since: datetime | None
    updated: datetime | None

    def __str__(self) -> str:
        """The message, with the reason where the message does not say it."""
        if not self.message:
            return self.reason or f"{self.type} is {self.status}"
        return one_line(self.message if self.reason in self.message else f"{self.message} ({self.reason})")


def mapping(value: object) -> Object:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def mappings(value: object) -> list[Object]:
    """The objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def number(value: object, default: int = 0) -> int:
    """The value if it is an integer, else the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def moment(value: object) -> datetime | None:
    """The time that an RFC 3339 string says, in UTC."""
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def at(value: object, *path: str) -> Any:
    """What is at a path of keys, or None."""
    for key in path:
        value = mapping(value).get(key)
    return value


def metadata(item: Object) -> Object:
    """The object's metadata."""
    return mapping(item.get("metadata"))


def name(item: Object) -> str:
    """The object's name."""
    return text(metadata(item).get("name"))


def namespace(item: Object) -> str:
    """The object's namespace; empty where it has none."""
    return text(metadata(item).get("namespace"))


def generation(item: Object) -> int:
    """The generation of the object's spec; 0 for kinds that have none."""
    return number(metadata(item).get("generation"))


def group_kind(item: Object) -> tuple[str, str]:
    """The object's API group (empty for the core) and kind."""
    group, slash, _ = text(item.get("apiVersion")).rpartition("/")
    return group if slash else "", text(item.get("kind"))


def conditions(holder: object) -> dict[str, Condition]:
    """The conditions of a status, or of a part of one (a listener, a parent), by their type."""
    found = (
        Condition(
            type=text(entry.get("type")),
            status=text(entry.get("status")),
            reason=text(entry.get("reason")),
            message=text(entry.get("message")),
            generation=entry.get("observedGeneration") if isinstance(entry.get("observedGeneration"), int) else None,
            since=moment(entry.get("lastTransitionTime")),
            updated=moment(entry.get("lastUpdateTime")),
        )
        for entry in mappings(at(holder, "conditions"))
    )
    return {entry.type: entry for entry in found}


def current(found: Mapping[str, Condition], item: Object) -> dict[str, Condition]:
    """The conditions that are about the object as it is now: those of an earlier generation do not count."""
    now = generation(item)
    return {kind: entry for kind, entry in found.items() if entry.generation is None or entry.generation >= now}


def one_line(message: str, limit: int = _SHOWN) -> str:
    """A message as it can be shown in one line of a terminal: no control characters, and not endless.

    What is cut is cut in the middle: errors are chains, whose end says most.
    """
    if not message.isprintable():
        message = "".join(character if character.isprintable() else " " for character in message)
    line = " ".join(message.split())
    if len(line) <= limit:
        return line
    head = limit // 2
    return f"{line[:head].rstrip()} … {line[len(line) - (limit - head - 3) :].lstrip()}"
