"""Which requests go wrong, and how: as data, so that a run can be told and repeated."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class How(StrEnum):
    """What is done to a request."""

    REFUSE = "refuse"
    """It is answered with a status, and the server never hears of it."""

    LOSE_ANSWER = "lose-answer"
    """The server does it, and it is answered with a status all the same."""

    RESET_BEFORE = "reset-before"
    """The connection is reset, and the server never hears of it."""

    RESET_AFTER = "reset-after"
    """The server does it, and the connection is reset."""

    SLOW = "slow"
    """It is passed on late."""

    TRUNCATE = "truncate"
    """The server does it, and a part of the answer's body comes."""

    CUT_WATCH = "cut-watch"
    """A watch ends after some events: in the middle of one where a fraction is given, reset."""

    GONE = "gone"
    """A watch is told that its resource version is too old; so is the rest of a list."""

    STALE_LIST = "stale-list"
    """A list is answered as it was some answers ago."""


@dataclass(frozen=True)
class Fault:
    """What is done to a request.

    Attributes:
        how: What.
        status: Of REFUSE and LOSE_ANSWER.
        retry_after: Of REFUSE: the header.
        seconds: Of SLOW.
        events: Of CUT_WATCH: how many come before.
        fraction: Of TRUNCATE and CUT_WATCH: how much of the body, or of the next event, still comes.
        back: Of STALE_LIST: how many answers ago.
    """

    how: How
    status: int = 503
    retry_after: str = ""
    seconds: float = 0.2
    events: int = 0
    fraction: float = 0.0
    back: int = 1


@dataclass(frozen=True)
class Asked:
    """A request, as a schedule sees it.

    Attributes:
        method: The HTTP method.
        path: The path, without the query.
        watch: Whether it is a watch.
        list: Whether it is a list.
        rest: Whether it is a further page of one.
        nth: How many of this method, path and kind came before it.
    """

    method: str
    path: str
    watch: bool
    list: bool
    rest: bool
    nth: int

    def suits(self, fault: Fault) -> bool:
        """Whether the fault means something for it."""
        match fault.how:
            case How.CUT_WATCH:
                return self.watch
            case How.GONE:
                return self.watch or self.rest
            case How.STALE_LIST:
                return self.list and not self.rest
            case How.TRUNCATE | How.LOSE_ANSWER:
                return not self.watch
            case _:
                return True


Schedule = Callable[[Asked], Fault | None]
"""Says what goes wrong with a request, if anything does. It is asked in the order in which requests come."""


@dataclass(frozen=True)
class Rule:
    """A fault for certain requests.

    Attributes:
        fault: The fault.
        method: Of which method; any where it is empty.
        path: A regular expression that is found in the path.
        watch: Whether of watches only, or of others only.
        nth: Which of them, counted from 0 for each path; none means all.
    """

    fault: Fault
    method: str = ""
    path: str = ""
    watch: bool | None = None
    nth: Sequence[int] = field(default=())

    def fits(self, asked: Asked) -> bool:
        """Whether the fault is this request's."""
        return (
            self.method in {"", asked.method}
            and re.search(self.path, asked.path) is not None
            and self.watch in {None, asked.watch}
            and (not self.nth or asked.nth in self.nth)
            and asked.suits(self.fault)
        )


def rules(*given: Rule) -> Schedule:
    """The fault of the first rule that fits."""
    return lambda asked: next((rule.fault for rule in given if rule.fits(asked)), None)


def nothing(_: Asked) -> Fault | None:
    """Nothing goes wrong."""
    return None


EVERYTHING: Sequence[Fault] = (
    Fault(How.REFUSE, status=429, retry_after="0"),
    Fault(How.REFUSE, status=429),
    Fault(How.REFUSE, status=500),
    Fault(How.REFUSE, status=503),
    Fault(How.REFUSE, status=503, retry_after="Mon, 01 Jan 2024 00:00:00 GMT"),
    Fault(How.REFUSE, status=504),
    Fault(How.LOSE_ANSWER, status=500),
    Fault(How.LOSE_ANSWER, status=504),
    Fault(How.RESET_BEFORE),
    Fault(How.RESET_AFTER),
    Fault(How.SLOW, seconds=0.1),
    Fault(How.TRUNCATE, fraction=0.0),
    Fault(How.TRUNCATE, fraction=0.5),
    Fault(How.CUT_WATCH, events=0),
    Fault(How.CUT_WATCH, events=1),
    Fault(How.CUT_WATCH, events=2, fraction=0.5),
    Fault(How.GONE),
    Fault(How.STALE_LIST, back=1),
    Fault(How.STALE_LIST, back=3),
)
"""One of each."""


def seeded(seed: int, rate: float, faults: Iterable[Fault] = EVERYTHING, at_most: int = 3) -> Schedule:
    """Faults by chance, but the same for the same seed, in whatever order the requests of several threads come.

    Args:
        seed: The seed.
        rate: How many of the requests go wrong, from 0 to 1.
        faults: What may go wrong.
        at_most: How often at most in succession for one path, so that a run comes to an end.
    """
    of = tuple(faults)

    def drawn(asked: Asked, nth: int) -> Fault | None:
        chance = random.Random(f"{seed} {asked.method} {asked.path} {asked.watch} {nth}")
        suitable = [fault for fault in of if asked.suits(fault)]
        return chance.choice(suitable) if suitable and chance.random() < rate else None

    def schedule(asked: Asked) -> Fault | None:
        before = range(asked.nth - at_most, asked.nth)
        if before[0] >= 0 and all(drawn(asked, nth) for nth in before):
            return None
        return drawn(asked, asked.nth)

    return schedule
