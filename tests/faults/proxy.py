"""A reverse proxy on loopback between a client and a real API server, where requests go wrong by a schedule.

::

    with FaultProxy(control_plane.kubeconfig, folder, seeded(7, 0.2)) as proxy:
        client = Client.load(proxy.kubeconfig)
        …
        proxy.schedule = nothing
    assert proxy.injected

It speaks plain HTTP to its clients, and passes their credentials on.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import yaml

from tests.faults.schedule import Asked, Fault, How, Schedule, nothing

_LOOPBACK = "127.0.0.1"
_REASONS = {
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date"}


@dataclass(frozen=True)
class Injected:
    """A request that went wrong.

    Attributes:
        asked: The request.
        fault: What was done to it.
    """

    asked: Asked
    fault: Fault


@dataclass
class _Upstream:
    host: str
    port: int
    context: ssl.SSLContext
    versions: dict[str, list[str]] = field(default_factory=lambda: collections.defaultdict(list))

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=120)


class FaultProxy:
    """The proxy, while it is entered.

    Args:
        kubeconfig: Of the API server: one cluster with a certificate authority, users of any kind but certificates.
        folder: Where its own kubeconfig is written.
        schedule: What goes wrong; may be changed at any time.

    Attributes:
        schedule: What goes wrong.
        kubeconfig: For its clients.
        asked: The requests that came.
        injected: Those that went wrong.
    """

    def __init__(self, kubeconfig: Path, folder: Path, schedule: Schedule = nothing) -> None:
        self.schedule = schedule
        self.asked: list[Asked] = []
        self.injected: list[Injected] = []
        self._lock = threading.Lock()
        self._counts: collections.Counter[tuple[str, str, bool]] = collections.Counter()
        self._open: set[socket.socket] = set()
        self._refusing = False
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        server = urlsplit(cluster["server"])
        assert server.hostname
        assert server.port
        authority = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self.upstream = _Upstream(server.hostname, server.port, authority)
        self._server = _Server((_LOOPBACK, 0), _Handler)
        self._server.proxy = self
        config["clusters"][0]["cluster"] = {"server": f"http://{_LOOPBACK}:{self._server.server_port}"}
        self.kubeconfig = folder / f"proxy-{self._server.server_port}.kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config), encoding="utf-8")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self.cut()
        self._server.server_close()
        self._thread.join(5)

    def cut(self) -> None:
        """Cuts every connection that is open."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """While in the block, nothing answers: what is open is cut, what comes is reset."""
        self._refusing = True
        self.cut()
        try:
            yield
        finally:
            self._refusing = False

    def decide(self, method: str, path: str, query: dict[str, list[str]]) -> tuple[Asked, Fault | None]:
        """What becomes of a request, and writes it down."""
        watch = query.get("watch") == ["true"]
        listing = method == "GET" and not watch and _is_collection(path)
        with self._lock:
            nth = self._counts[method, path, watch]
            self._counts[method, path, watch] += 1
            asked = Asked(method, path, watch, listing, "continue" in query, nth)
            self.asked.append(asked)
            fault = Fault(How.RESET_BEFORE) if self._refusing else self.schedule(asked)
            if fault and asked.suits(fault):
                self.injected.append(Injected(asked, fault))
                return asked, fault
        return asked, None

    def opened(self, connection: socket.socket) -> None:
        """Remembers a connection."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forgets a connection."""
        with self._lock:
            self._open.discard(connection)


def _cut_hard(connection: socket.socket) -> None:
    """Cuts a connection the hard way: its peer gets an RST. A read that blocks on it elsewhere ends."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    # Closed as such: files were made of it, which would keep it open.
    with contextlib.suppress(OSError):
        os.close(connection.detach())


def _is_collection(path: str) -> bool:
    """Whether the path is that of a collection: a plural, with or without a namespace before it."""
    rest = re.sub(r"^/(api/v1|apis/[^/]+/[^/]+)/", "", path)
    return rest != path and re.fullmatch(r"(namespaces/[^/]+/)?[^/]+", rest) is not None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are gone are not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    _upstream: http.client.HTTPSConnection | None = None

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.proxy.opened(self.connection)

    def finish(self) -> None:
        self.server.proxy.closed(self.connection)
        if self._upstream:
            self._upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._pass()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _pass(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = self.server.proxy
        asked, fault = proxy.decide(self.command, parts.path, query)
        how = fault.how if fault else None
        if fault and how is How.RESET_BEFORE:
            self._reset()
        elif fault and how is How.REFUSE:
            self._status(fault.status, fault.retry_after)
        elif how is How.GONE:
            self._gone() if asked.watch else self._status(410, "")
        elif asked.watch:
            self._watch(body, fault)
        else:
            self._once(asked, body, fault)

    def _once(self, asked: Asked, body: bytes, fault: Fault | None) -> None:
        how = fault.how if fault else None
        path, versions = self.path, self.server.proxy.upstream.versions[self.path]
        if fault and how is How.SLOW:
            time.sleep(fault.seconds)
        if fault and how is How.STALE_LIST and versions:
            old = versions[max(0, len(versions) - 1 - fault.back)]
            exact = urlencode({"resourceVersion": old, "resourceVersionMatch": "Exact"})
            path = f"{path}{'&' if '?' in path else '?'}{exact}"
        try:
            response = self._ask(path, body)
            content = response.read()
        except (OSError, http.client.HTTPException):
            self._reset()
            return
        if asked.list and response.status == 200 and path == self.path and "continue=" not in path:
            with contextlib.suppress(ValueError, KeyError):
                versions.append(json.loads(content)["metadata"]["resourceVersion"])
        if fault and how is How.RESET_AFTER:
            self._reset()
        elif fault and how is How.LOSE_ANSWER:
            self._status(fault.status, "")
        else:
            shown = content[: int(len(content) * fault.fraction)] if fault and how is How.TRUNCATE else content
            self._head(response, len(content))
            self.wfile.write(shown)
            if len(shown) < len(content):
                self._reset(softly=True)

    def _watch(self, body: bytes, fault: Fault | None) -> None:
        if fault and fault.how is How.SLOW:
            time.sleep(fault.seconds)
        try:
            response = self._ask(self.path, body)
        except (OSError, http.client.HTTPException):
            self._reset()
            return
        if response.status != 200:
            content = response.read()
            self._head(response, len(content))
            self.wfile.write(content)
            return
        self._head(response, None)
        self.close_connection = True
        threading.Thread(target=self._hang_up, args=(self._upstream,), daemon=True).start()
        self._upstream = None
        cutting = fault if fault and fault.how in {How.CUT_WATCH, How.RESET_AFTER} else None
        try:
            self._stream(response, cutting)
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            self._reset()

    def _stream(self, response: http.client.HTTPResponse, cutting: Fault | None) -> None:
        told = 0
        while line := response.readline():
            if cutting and told >= cutting.events:
                if cutting.fraction:
                    self._chunk(line[: int(len(line) * cutting.fraction)])
                break
            self._chunk(line)
            told += 1
        if cutting:
            self._reset(softly=cutting.how is How.CUT_WATCH)
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _hang_up(self, upstream: http.client.HTTPSConnection) -> None:
        """When the client goes, the server's watch goes: nothing else comes from the client meanwhile."""
        connection = upstream.sock
        with contextlib.suppress(OSError):
            self.connection.recv(1)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _ask(self, path: str, body: bytes) -> http.client.HTTPResponse:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        for fresh in (False, True):
            if self._upstream is None or fresh:
                self._upstream = self.server.proxy.upstream.connect()
            try:
                self._upstream.request(self.command, path, body or None, headers)
                return self._upstream.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError):
                # It was kept too long; never asked twice otherwise.
                if fresh or self.command != "GET":
                    raise
        raise AssertionError

    def _head(self, response: http.client.HTTPResponse, length: int | None) -> None:
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _status(self, status: int, retry_after: str) -> None:
        content = json.dumps(_status_of(status)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(content)

    def _gone(self) -> None:
        content = json.dumps({"type": "ERROR", "object": _status_of(410)}).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(content)
        self.wfile.write(b"0\r\n\r\n")

    def _reset(self, *, softly: bool = False) -> None:
        """Cuts the client's connection; softly lets what was written arrive first."""
        self.close_connection = True
        if softly:
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
        else:
            _cut_hard(self.connection)


def _status_of(code: int) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"injected {code}",
        "reason": _REASONS[code],
        "code": code,
    }
