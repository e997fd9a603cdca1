"""A Gateway in small: one address in front of the pods that it knows, with connections that it keeps and no retries.

Every request goes to one of the pods chosen at random, on a connection of its own or on one that was kept. What goes
wrong is answered with 502 and remembered, never tried again: a lost request is what the tests look for.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self

from tests.runtime.pods import Pod

_CHUNK = 65536
_KEPT = 0.7

_HEAD_END = b"\r\n\r\n"

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _ClientGoneError(Exception):
    """The client has closed its connection."""


@dataclass(eq=False)
class _Endpoint:
    """A pod as the balancer sees it."""

    pod: Pod
    idle: list[_Streams] = field(default_factory=list)
    in_flight: int = 0
    removed: bool = False


@dataclass(frozen=True)
class _Head:
    """The first part of a message: its start line and its headers."""

    start: str
    headers: list[tuple[str, str]]

    @classmethod
    def parse(cls, text: bytes) -> _Head:
        start, *lines = text.decode("latin-1").rstrip("\r\n").split("\r\n")
        return cls(start, [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)])

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def with_connection(self, value: str) -> bytes:
        lines = [f"{key}: {text}" for key, text in self.headers if key not in {"connection", "keep-alive"}]
        return "\r\n".join([self.start, *lines, f"connection: {value}", "", ""]).encode("latin-1")


class Balancer:
    """The balancer, on a port of this machine's loopback, in a thread of its own.

    Attributes:
        port: Where it listens.
        lost: What went wrong between it and the pods.
        reused: How many requests went over a connection that had been kept.
    """

    def __init__(self, seed: int = 0, *, buffer: int | None = None) -> None:
        """Makes a balancer.

        Args:
            seed: Of the choice of pods and connections.
            buffer: The size of the buffers of its connections, where a test needs small ones.
        """
        self.port = 0
        self.lost: list[str] = []
        self.reused = 0
        self._random = random.Random(seed)
        self._buffer = buffer
        self._endpoints: dict[Pod, _Endpoint] = {}
        self._clients: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer")

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_CHUNK), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, pod: Pod) -> None:
        """Begins to send requests to a pod."""
        self._do(lambda: self._endpoints.update({pod: _Endpoint(pod)}))

    def remove(self, pod: Pod) -> None:
        """Sends no more requests to a pod. What it has is finished, and connections that are kept are closed."""

        def remove() -> None:
            endpoint = self._endpoints[pod]
            endpoint.removed = True
            for _, writer in endpoint.idle:
                writer.close()
            endpoint.idle.clear()

        self._do(remove)

    def in_flight(self, pod: Pod) -> int:
        """How many requests the pod has now."""
        return self._endpoints[pod].in_flight

    def _do(self, action: Callable[[], None]) -> None:
        async def run() -> None:
            action()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _close(self) -> None:
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._buffer:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
        task = self._loop.create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError, _ClientGoneError):
            pass  # The client has all that it wants.
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request, and says whether the client's connection can be used again."""
        head = _Head.parse(await reader.readuntil(_HEAD_END))
        body = await reader.readexactly(int(head.get("content-length") or 0))
        ready = [endpoint for endpoint in self._endpoints.values() if not endpoint.removed]
        endpoint = self._random.choice(ready)
        begun = False
        endpoint.in_flight += 1
        try:
            async for data in self._ask(endpoint, head, body):
                begun = True
                try:
                    writer.write(data)
                    await writer.drain()
                except OSError as error:
                    raise _ClientGoneError from error
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            self.lost.append(f"{head.start}: {error!r}{' in the middle of the answer' if begun else ''}")
            if not begun:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            return not begun
        finally:
            endpoint.in_flight -= 1
        return True

    async def _ask(self, endpoint: _Endpoint, head: _Head, body: bytes) -> AsyncIterator[bytes]:
        """Asks a pod, and gives its answer in parts."""
        upstream, writer = self._kept(endpoint) or await self._connect(endpoint.pod)
        keep = self._random.random() < _KEPT
        try:
            writer.write(head.with_connection("keep-alive" if keep else "close") + body)
            await writer.drain()
            answer = _Head.parse(await upstream.readuntil(_HEAD_END))
            yield answer.with_connection("keep-alive")
            async for part in _body(upstream, answer):
                yield part
            keep = keep and answer.get("connection") != "close" and not endpoint.removed
        except BaseException:
            keep = False
            raise
        finally:
            if keep:
                endpoint.idle.append((upstream, writer))
            else:
                writer.close()

    def _kept(self, endpoint: _Endpoint) -> _Streams | None:
        while endpoint.idle:
            streams = endpoint.idle.pop()
            if not streams[0].at_eof():
                self.reused += 1
                return streams
            streams[1].close()
        return None

    async def _connect(self, pod: Pod) -> _Streams:
        connection = pod.socket()
        connection.setblocking(False)
        if self._buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        try:
            await self._loop.sock_connect(connection, ("127.0.0.1", pod.http_port))
        except BaseException:
            connection.close()
            raise
        return await asyncio.open_connection(sock=connection, limit=_CHUNK)


async def _body(reader: asyncio.StreamReader, head: _Head) -> AsyncIterator[bytes]:
    """Reads the body that belongs to a head, as it is on the wire."""
    if head.get("transfer-encoding") == "chunked":
        size = 1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line, 16)
            yield line + await reader.readexactly(size + 2)
    elif (length := head.get("content-length")) is not None:
        left = int(length)
        while left:
            part = await reader.read(min(left, _CHUNK))
            if not part:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(part)
            yield part
    elif head.start.split()[1] not in {"204", "304"}:
        raise ValueError("an answer without a length")
