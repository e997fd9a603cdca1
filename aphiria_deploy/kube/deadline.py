"""How long something may take, and whether it is still wanted: one value that every blocking call takes."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aphiria_deploy.errors import CancelledError, DeadlineExceededError


class Cancellation:
    """Something that can be told to stop, from any thread: what blocks under it is woken at once.

    Cancelling it cancels what was made with it as parent, never the parent.
    """

    def __init__(self, parent: Cancellation | None = None) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._wakers: dict[int, Callable[[], None]] = {}
        self._reason = ""
        self._next = 0
        self._parent = parent
        self._key = parent._add(self._inherit) if parent else 0

    def cancel(self, reason: str) -> None:
        """Tells everything under it to stop. The first reason counts.

        Not for a signal handler, which may interrupt a thread that holds the same lock: see `cancelled_by_signals`.

        Args:
            reason: Ends the sentence "stopped: …".
        """
        with self._lock:
            if self._event.is_set():
                return
            self._reason = reason
            self._event.set()
            wakers = list(self._wakers.values())
            self._wakers.clear()
        for wake in wakers:
            wake()

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop."""
        return self._event.is_set()

    @property
    def reason(self) -> str:
        """Why; empty while it was not."""
        return self._reason

    def wait(self, seconds: float) -> bool:
        """Sleeps, at most until it is told to stop; says whether it was."""
        return self._event.wait(seconds)

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """While in the block, calls ``wake`` when it is told to stop: at once where it already was."""
        key = self._add(wake)
        try:
            yield
        finally:
            self._remove(key)

    def close(self) -> None:
        """Takes it off its parent, which would otherwise keep it for as long as it lives itself."""
        if self._parent:
            self._parent._remove(self._key)

    def _inherit(self) -> None:
        if self._parent:
            self.cancel(self._parent.reason)

    def _add(self, wake: Callable[[], None]) -> int:
        with self._lock:
            self._next += 1
            key = self._next
            if not self._event.is_set():
                self._wakers[key] = wake
                return key
        wake()
        return key

    def _remove(self, key: int) -> None:
        with self._lock:
            self._wakers.pop(key, None)


@dataclass(frozen=True)
class Deadline:
    """The moment by which something must be done.

    Attributes:
        at: The moment, of `time.monotonic`.
        what: What was given that long, for messages: ``the deploy``.
        seconds: How long that was.
        cancellation: What stops it earlier.
    """

    at: float
    what: str
    seconds: float
    cancellation: Cancellation = field(default_factory=Cancellation, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, what: str = "this", cancellation: Cancellation | None = None) -> Deadline:
        """A deadline so many seconds from now."""
        return cls(time.monotonic() + seconds, what, seconds, cancellation or Cancellation())

    @property
    def remaining(self) -> float:
        """Seconds until then; never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether there is no time left."""
        return self.remaining <= 0

    def within(self, seconds: float, what: str | None = None) -> Deadline:
        """So many seconds from now, or this one where it is earlier; stopped by the same cancellation."""
        at = time.monotonic() + seconds
        if at >= self.at:
            return self
        return Deadline(at, what or self.what, seconds, self.cancellation)

    def under(self, cancellation: Cancellation) -> Deadline:
        """The same moment, stopped by another cancellation."""
        return Deadline(self.at, self.what, self.seconds, cancellation)

    def check(self, waiting_for: str) -> None:
        """Does nothing while there is time.

        Args:
            waiting_for: Ends the sentence "… while waiting for".

        Raises:
            CancelledError: It was told to stop.
            DeadlineExceededError: There is no time left.
        """
        if self.cancellation.cancelled:
            raise CancelledError(f"stopped while waiting for {waiting_for}: {self.cancellation.reason}")
        if self.over:
            raise DeadlineExceededError(
                f"{self.what} took longer than the {self.seconds:g} s it was given: stopped while waiting for "
                f"{waiting_for}"
            )

    def sleep(self, seconds: float, waiting_for: str) -> None:
        """Sleeps so long, at most until the deadline, and then checks.

        Raises:
            CancelledError: It was told to stop.
            DeadlineExceededError: There is no time left.
        """
        self.cancellation.wait(min(seconds, self.remaining))
        self.check(waiting_for)


@contextlib.contextmanager
def cancelled_by_signals(cancellation: Cancellation) -> Iterator[None]:
    """While in the block, Ctrl-C and SIGTERM cancel; a second Ctrl-C ends the process as it would without.

    Only for the main thread. What the block waits for raises `CancelledError`, so that there is time to clean up
    under another cancellation.
    """
    # Through a descriptor and a thread: a handler runs in the main thread, which may be about to block, or hold the
    # lock that cancelling takes.
    told, teller = socket.socketpair()
    teller.setblocking(False)

    def listen() -> None:
        while numbers := told.recv(1):
            with contextlib.suppress(ValueError):
                cancellation.cancel(signal.Signals(numbers[0]).name)

    def once(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    former = signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, once) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former)
        teller.close()
        listener.join()
        told.close()
