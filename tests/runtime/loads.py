"""Loads: clients that never stop asking, and count what they get."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import socket
import subprocess
import threading
import time
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


class Downloads:
    """Clients that download a file, each as slowly as a phone does, and compare what they get."""

    def __init__(
        self, port: int, path: str, content: bytes, *, clients: int = 6, seconds: float = 2, buffer: int = 65536
    ) -> None:
        """Starts them.

        Args:
            port: Where the file is.
            path: Its path.
            content: What is in it.
            clients: How many there are.
            seconds: How long each download takes at least.
            buffer: The size of a client's buffer, and of what it reads at once.
        """
        self._port, self._path, self._buffer = port, path, buffer
        self._expected = hashlib.sha256(content).digest()
        self._between = seconds * buffer / len(content)
        self._stopping = threading.Event()
        self._count = threading.Lock()
        self._complete = 0
        self._failures: dict[str, int] = {}
        # They do not all begin at once.
        begins = [seconds * number / clients for number in range(clients)]
        self._clients = [threading.Thread(target=self._download_until_stopped, args=[begin]) for begin in begins]
        for client in self._clients:
            client.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for client in self._clients:
            client.join()

    def stop(self) -> Tally:
        self.__exit__()
        return Tally(self._complete, self._complete, self._failures)

    def _download_until_stopped(self, begin: float) -> None:
        self._stopping.wait(begin)
        while not self._stopping.is_set():
            try:
                failure = self._download()
            except (OSError, http.client.HTTPException) as error:
                failure = type(error).__name__
            with self._count:
                if failure:
                    self._failures[failure] = self._failures.get(failure, 0) + 1
                else:
                    self._complete += 1

    def _download(self) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.sock = socket.socket()
        connection.sock.settimeout(10)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        try:
            connection.sock.connect(("127.0.0.1", self._port))
            connection.request("GET", self._path)
            response = connection.getresponse()
            received = hashlib.sha256()
            while part := response.read(self._buffer):
                received.update(part)
                time.sleep(self._between)
            if response.status != 200:
                return f"status {response.status}"
            return None if received.digest() == self._expected else "wrong content"
        finally:
            connection.close()
