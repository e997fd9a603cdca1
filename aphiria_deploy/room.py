"""The room of a cluster as somebody saw it, written down for those who cannot see it. Pure.

Whoever plans a preview without a credential of its cluster says from it how many more fit, and as of when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Annotated, Any, Final

import msgspec

from aphiria_deploy.capacity import Node, Outlook, Room, Share, outlook
from aphiria_deploy.errors import InputError

FORMAT: Final = "aphiria-deploy/room/v1"
MOST_AGE: Final = timedelta(days=7)
"""What was seen before says nothing of today."""

_SKEW: Final = timedelta(minutes=5)
_Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,24}(/[1-9][0-9]{0,11})?$")]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class _Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """CPUs and bytes, as exact fractions, and pods."""

    cpu: _Amount
    memory: _Amount
    pods: _Count


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    has: _Share | None
    taken: dict[str, _Share]


class _Record(msgspec.Struct, frozen=True, tag=FORMAT, tag_field="format", forbid_unknown_fields=True):
    seen: datetime
    nodes: list[_Node]


@dataclass(frozen=True)
class SeenRoom:
    """A cluster's room, and when it was so.

    Attributes:
        room: The room.
        seen: When it was seen.
    """

    room: Room
    seen: datetime

    def outlook(self, manifests: Sequence[Mapping[str, Any]], now: datetime) -> Outlook:
        """Gives what an environment reserves of the cluster as it was seen; of one that is not known any more says so.

        Args:
            manifests: The environment's.
            now: The time at which this is said.
        """
        found, age = outlook(manifests, self.room), now - self.seen
        when = f"as of {self.seen.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if age > MOST_AGE or age < -_SKEW:
            return Outlook(found.wanted, unread=f"the cluster was last seen {when.removeprefix('as of ')}")
        return replace(found, seen=f"{when}, {_ago(age)}")


def encode(seen: SeenRoom) -> bytes:
    """Gives a cluster's room as JSON."""
    nodes = [
        _Node(_written(node.has) if node.has else None, {name: _written(share) for name, share in node.taken.items()})
        for node in seen.room.nodes
    ]
    return msgspec.json.encode(_Record(seen.seen, nodes), order="sorted") + b"\n"


def decode(document: bytes, where: str) -> SeenRoom:
    """Reads a cluster's room.

    Args:
        document: What `encode` gave.
        where: What to call it in an error.

    Raises:
        InputError: It is none.
    """
    try:
        found = msgspec.json.decode(document, type=_Record)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InputError(f"{where}: {error}; expected what `aphiria-deploy github room` wrote") from error
    if found.seen.tzinfo is None:
        raise InputError(f"{where}: seen: found a time of no zone, expected what `aphiria-deploy github room` wrote")
    nodes = (
        Node(_read(node.has) if node.has else None, {name: _read(share) for name, share in node.taken.items()})
        for node in found.nodes
    )
    return SeenRoom(Room(tuple(nodes)), found.seen)


def _ago(age: timedelta) -> str:
    minutes = max(round(age.total_seconds() / 60), 0)
    if minutes < 120:
        return f"{minutes} min before this plan"
    return f"{round(minutes / 60)} h before this plan"


def _written(share: Share) -> _Share:
    return _Share(str(share.cpu), str(share.memory), share.pods)


def _read(share: _Share) -> Share:
    return Share(Fraction(share.cpu), Fraction(share.memory), share.pods)
