"""Shows what happens while something is under way: live on a terminal, a line an event elsewhere; on stderr."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

import typer

from aphiria_deploy.errors import CancelledError
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Progress

if TYPE_CHECKING:
    from rich.live import Live


class Shown(Progress, Protocol):
    """Progress that somebody sees, and may be asked about."""

    def ask(self, question: str) -> bool:
        """Asks whoever sits at the terminal."""


class Plain:
    """A line an event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._since = time.monotonic()
        self._lock = threading.Lock()

    def phase(self, name: str) -> None:
        """A phase has begun."""
        self._print(f"{name} …")

    def did(self, key: ObjectKey, what: str) -> None:
        """Something was done to an object."""
        self._print(f"  {key}: {what}")

    def state(self, key: ObjectKey, message: str, *, done: bool) -> None:
        """What an object waits for."""
        self._print(f"  {key}: {'ready: ' if done else ''}{message}")

    def log(self, source: str, line: str) -> None:
        """A line of a log."""
        self._print(f"  {source} | {line}")

    def note(self, text: str) -> None:
        """Something that is to be known."""
        self._print(text)

    def ask(self, question: str) -> bool:
        """Asks whoever sits at the terminal."""
        return _confirmed(question)

    def _print(self, text: str) -> None:
        with self._lock:
            self._stream.write(f"[{time.monotonic() - self._since:6.1f}s] {text}\n")
            self._stream.flush()


class Moving:
    """A line an object, which changes while it is waited for; what is done stays above."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._waiting: dict[ObjectKey, tuple[str, float]] = {}
        self._phase = ""
        self._lock = threading.Lock()

    def phase(self, name: str) -> None:
        """A phase has begun."""
        with self._lock:
            self._phase = name
        self._live.refresh()

    def did(self, key: ObjectKey, what: str) -> None:
        """Something was done to an object."""
        with self._lock:
            self._waiting.pop(key, None)
        self._live.console.print(f"{key}: {what}", highlight=False, markup=False)

    def state(self, key: ObjectKey, message: str, *, done: bool) -> None:
        """What an object waits for."""
        with self._lock:
            _, since = self._waiting.pop(key, ("", time.monotonic()))
            if not done:
                self._waiting[key] = message, since
        if done:
            self._live.console.print(f"{key}: {message}", highlight=False, markup=False)

    def log(self, source: str, line: str) -> None:
        """A line of a log."""
        self._live.console.print(f"{source} | {line}", highlight=False, markup=False, style="dim")

    def note(self, text: str) -> None:
        """Something that is to be known."""
        self._live.console.print(text, highlight=False, markup=False, style="yellow")

    def ask(self, question: str) -> bool:
        """Asks whoever sits at the terminal; nothing moves meanwhile."""
        self._live.stop()
        try:
            return _confirmed(question)
        finally:
            self._live.start()

    def __rich__(self) -> object:
        """What is shown now: the phase, and what each object waits for."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        with self._lock:
            table.add_row(Text(f"{self._phase} …", style="bold"))
            for key, (message, since) in self._waiting.items():
                table.add_row(Text(f"  {now - since:4.0f}s"), Text(str(key)), Text(message, style="dim"))
        return table


def _confirmed(question: str) -> bool:
    """Asks; Ctrl-C and SIGTERM end the question, though elsewhere they only tell what runs to stop.

    Raises:
        CancelledError: Nobody answers any more.
    """
    # Through a descriptor: one that comes just before the answer is waited for would not be seen until somebody types.
    told, teller = socket.socketpair()
    teller.setblocking(False)
    former = signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while (answer := _answer(question, told)) not in _ANSWERS:
            typer.echo(f"found {answer!r}, expected y or n", err=True)
        return _ANSWERS[answer]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(former)
        teller.close()
        told.close()


_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def _answer(question: str, told: socket.socket) -> str:
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    ready, _, _ = select.select([sys.stdin, told], [], [])
    line = "" if told in ready else sys.stdin.readline()
    if not line:
        typer.echo(err=True)
        raise CancelledError(f"{question} Found no answer: stopped, and nothing was changed")
    return line.strip().lower()


def is_watched() -> bool:
    """Whether somebody sits at the terminal who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Shown]:
    """Gives what shows progress on a stream: on stderr, if not given."""
    stream = stream or sys.stderr
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield Plain(stream)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream)
    with Live(console=console, refresh_per_second=8, transient=True, redirect_stdout=False) as live:
        moving = Moving(live)
        live.update(moving)  # type: ignore[arg-type] # it has __rich__
        yield moving
