"""What is told while something is under way: events, whoever shows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aphiria_deploy.objects import ObjectKey


class Progress(Protocol):
    """Is told what happens; by several threads."""

    def phase(self, name: str) -> None:
        """A phase has begun."""

    def did(self, key: ObjectKey, what: str) -> None:
        """Something was done to an object: ``created``, ``deleted``."""

    def state(self, key: ObjectKey, message: str, *, done: bool) -> None:
        """What an object that is waited for waits for, or that it is ready."""

    def log(self, source: str, line: str) -> None:
        """A line of the log of something that runs."""

    def note(self, text: str) -> None:
        """Something that is to be known."""


class Silent:
    """Tells nobody."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def did(self, key: ObjectKey, what: str) -> None:
        """Nothing."""

    def state(self, key: ObjectKey, message: str, *, done: bool) -> None:
        """Nothing."""

    def log(self, source: str, line: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


@dataclass
class Phases:
    """How long each phase took.

    Attributes:
        progress: Is told of each.
        seconds: The phases, in order.
    """

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Takes the time of the block; of a phase that is entered again, the sum."""
        self.progress.phase(name)
        since = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - since

    @property
    def total(self) -> float:
        """Seconds since the first."""
        return time.monotonic() - self._since
