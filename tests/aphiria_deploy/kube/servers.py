"""Servers on loopback that say exactly what a test has them say."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aphiria_deploy.kube.access import Access, Credentials
from aphiria_deploy.kube.credentials import Fixed

LOOPBACK = "127.0.0.1"


@dataclass
class Server:
    """A server whose connections are each handled by a function, in a thread of its own.

    Attributes:
        port: Its port.
        heads: The head of each request that came.
        connections: How many connections were made.
    """

    port: int = 0
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def read(self, connection: socket.socket) -> str:
        """Reads a request, body included; empty where the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            received = connection.recv(65536)
            if not received:
                return ""
            data += received
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.heads.append(head.decode())
        return head.decode()


Handler = Callable[[Server, socket.socket], None]


@contextlib.contextmanager
def serving(handler: Handler) -> Iterator[Server]:
    """A server, while in the block."""
    server = Server()
    listener = socket.create_server((LOOPBACK, 0))
    server.port = listener.getsockname()[1]

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            handler(server, connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                server.connections += 1
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def saying(*answers: bytes) -> Handler:
    """Answers the requests of a connection one after the other, and then closes it."""

    def handler(server: Server, connection: socket.socket) -> None:
        for answer in answers:
            if not server.read(connection):
                return
            connection.sendall(answer)

    return handler


def answer(status: int, body: bytes, *headers: str) -> bytes:
    """An answer of JSON, written out."""
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def access(port: int, credentials: Credentials | None = None) -> Access:
    """How a server here is reached."""
    return Access(
        where="context 'test' of a test",
        scheme="http",
        host=LOOPBACK,
        port=port,
        credentials=credentials or Fixed({"Authorization": "Bearer hush-hush"}),
    )
