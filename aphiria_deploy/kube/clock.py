"""The cluster's clock, as its answers tell it: a machine's own may be minutes off."""

from __future__ import annotations

import email.utils
import time
from datetime import UTC, datetime, timedelta


def _ticks() -> float:
    """Seconds that passed, those of a machine that was suspended too, where it counts them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Clock:
    """Tells the time of the server that answered last. Any number of threads may use it."""

    def __init__(self) -> None:
        self._told: tuple[str, float] | None = None

    def told(self, date: str) -> None:
        """Takes the ``Date`` header of an answer that has just come; it is read when the time is asked for."""
        if date:
            self._told = date, _ticks()

    def now(self) -> datetime:
        """The present, to a second; by this machine's clock as long as no answer told it."""
        told = self._told
        if told is None:
            return datetime.now(UTC)
        try:
            moment = email.utils.parsedate_to_datetime(told[0])
        except ValueError:
            return datetime.now(UTC)
        return moment.astimezone(UTC) + timedelta(seconds=_ticks() - told[1])
