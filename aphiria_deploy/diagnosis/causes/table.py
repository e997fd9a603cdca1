"""The form of a cause, and how patient each kind of failure is met."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

AT_ONCE = timedelta(0)
SETTLING = timedelta(seconds=10)
"""For what another controller puts right by itself within seconds: a new namespace's service account, its quota."""
SEEING = timedelta(seconds=20)
"""For references: controllers and nodes see objects in any order, and retry."""
OUTAGE = timedelta(seconds=60)
"""For a registry or a webhook that does not answer: longer than a restart of it takes."""
DECLINED = timedelta(seconds=30)
"""For a pod that fits on no node, once the autoscaler has said that it adds none."""
SCALING = timedelta(minutes=3)
"""For a pod that fits on no node: an autoscaler may be at work, and a new node takes some minutes to join. Once the
autoscaler says that it adds one, the deadline of the deploy is the limit."""


class Source(StrEnum):
    """Where a signal comes from. The order is that of their weight when nothing dooms yet."""

    REFUSED = "refused"
    """A controller may not create a pod: ``FailedCreate``."""
    WAITING = "waiting"
    """A container that does not start: the reason of its waiting state."""
    ENDED = "ended"
    """A container that ended, and is in back-off or will not be started again: its last end."""
    VOLUME = "volume"
    """A volume that is not mounted: ``FailedMount``, ``FailedAttachVolume``."""
    UNSCHEDULED = "unscheduled"
    """A pod without a node."""
    PROBE = "probe"
    """A container that runs and is not ready: ``Unhealthy``."""
    CONDITION = "condition"
    """A condition of the object itself that is not as it should be."""
    EVENT = "event"
    """A warning about the object itself."""


@dataclass(frozen=True)
class Cause:
    """One row.

    Attributes:
        source: Which signals it is about.
        reasons: The signals' reasons that fit, by words; empty: any.
        pattern: What the signal's message contains; empty: anything.
        dooms: How long it must have lasted until nothing good is to be expected any more; None: it never dooms by
            itself, but is named.
        says: The cause in one line.
        hint: What to do next.
        logs: Whether the container's log tells more.
    """

    source: Source
    reasons: str
    pattern: str
    dooms: timedelta | None
    says: str
    hint: str
    logs: bool = False

    def fits(self, source: Source, reason: str, message: str) -> dict[str, str] | None:
        """The groups of the pattern if it fits, else None."""
        if source != self.source or (self.reasons and reason not in self.reasons.split()):
            return None
        found = re.search(self.pattern, message, re.IGNORECASE)
        return {key: value or "" for key, value in found.groupdict().items()} if found else None


NO_ANSWER = (
    r"time-?d? ?out|deadline exceeded|connection (refused|reset)|no such host|server misbehaving|temporary failure"
    r"|TLS handshake|unexpected EOF|: EOF|QPS exceeded|no route to host|network is unreachable|\b50[0234] [a-z]"
    r"|i/o error"
)
"""How a program says that a server does not answer, or does so only at times."""
