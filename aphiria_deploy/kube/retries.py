"""Which failures are worth another try, and when. Pure: the caller sleeps, and knows the deadline.

No library: what differs here (``Retry-After``, a sleep that is cancelled, a deadline, which writes may be repeated) is
more than what would be the same.
"""

from __future__ import annotations

from enum import StrEnum

from aphiria_deploy.errors import (
    AphiriaDeployError,
    ClusterUnavailableError,
    ConflictError,
    ServerError,
)

FIRST_SECONDS = 0.5
"""The longest first pause; each one after it may be twice as long."""

LONGEST_SECONDS = 5.0
"""The longest pause that is our own choice."""


class Repeat(StrEnum):
    """What may be done again after it may already have been done."""

    SAFE = "safe"
    """Anything: reads, dry runs, server-side applies, the deletion of one UID."""

    UNSAFE = "unsafe"
    """Nothing: a create, or a write that builds on a resource version, would be refused because of itself."""


def pause(attempt: int, chance: float, retry_after: float | None = None) -> float:
    """How many seconds to wait before the next try: exponential, with full jitter.

    Args:
        attempt: How many tries were made before the one that just failed; 0 after the first.
        chance: Uniformly random, from 0 to 1.
        retry_after: What the server asked for; it is waited for in any case, and the jitter beside it.
    """
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt, 30))
    return (retry_after or 0.0) + longest * chance


def worth_another_try(error: AphiriaDeployError, repeat: Repeat) -> bool:
    """Whether the same request may succeed later, and may be made again.

    Args:
        error: What came of it.
        repeat: What the request allows.
    """
    if isinstance(error, ConflictError):
        # It was refused, so it did not happen; but what a write builds on, its writer must read again.
        return error.transient and (repeat is Repeat.SAFE or error.quota)
    if isinstance(error, ClusterUnavailableError):
        return error.transient and (repeat is Repeat.SAFE or not error.may_have_acted)
    if isinstance(error, ServerError):
        return repeat is Repeat.SAFE or not error.may_have_acted
    return False
