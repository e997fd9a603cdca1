"""A way to a server that ends in the middle: after so many bytes, the server is gone for whoever comes by it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Relay:
    """Hands connections on to a port of this machine's.

    Attributes:
        port: Where it listens.
        passed: How many bytes it has handed on to the server.
    """

    def __init__(self, target: int, limit: int) -> None:
        self._target = target
        self._limit = limit
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends every connection, and takes no more."""
        with self._lock, suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open |= {client, server}
            threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                if counted:
                    with self._lock:
                        self.passed += len(data)
                    if self.passed > self._limit:
                        self.cut()
                        return
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def relay(target: int, limit: int) -> Iterator[Relay]:
    """Gives a way to a port that ends after so many bytes."""
    made = Relay(target, limit)
    try:
        yield made
    finally:
        made.cut()
