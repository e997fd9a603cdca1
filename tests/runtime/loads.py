"""Loads: clients that never stop asking, and count what they get."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from tests.runtime.needs import binary


@dataclass(frozen=True)
class Tally:
    """What clients saw.

    Attributes:
        requests: How many requests were answered.
        slow: How many were slow ones.
        failures: How many failed, by the way in which they did.
    """

    requests: int
    slow: int
    failures: dict[str, int]

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return sum(self.failures.values())

    def __str__(self) -> str:
        ways = ", ".join(f"{count} {way}" for way, count in self.failures.items() if count)
        return f"{self.requests} requests, {self.slow} of them slow, {self.failed} failed{f' ({ways})' if ways else ''}"


class Load(Protocol):
    """A load that runs."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def stop(self) -> Tally:
        """Ends it, and says what the clients saw."""


class Wrk:
    """wrk with requests of which one in ten takes PHP one to two seconds."""

    def __init__(self, port: int, *, connections: int = 16) -> None:
        script = Path(__file__).with_name("load.lua")
        url = f"http://127.0.0.1:{port}"
        options = ["-t2", f"-c{connections}", "-d1h", "--timeout", "10s", "-s", str(script)]
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", str(binary("wrk")), *options, url], stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def stop(self) -> Tally:
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=30)
        counted = json.loads(output.splitlines()[-1])
        requests, slow = counted.pop("requests"), counted.pop("slow")
        return Tally(requests, slow, counted)
