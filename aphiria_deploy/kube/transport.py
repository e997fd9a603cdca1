"""HTTP/1.1 to one API server: the one module that knows the HTTP client, and where its errors end.

The client is the standard library's. Measured beside it, urllib3, httpx, niquests and aiohttp took 0.1 to 0.4 s more to
import, which is what a whole deploy of nothing may take; and HTTP/2 brought nothing, near or 30 ms away, with 8
requests at a time, while its one connection would tie the deadline and the cancellation of each request and each watch
to those of all the others. Here every request and every watch has a connection of its own while it runs, so that it is
stopped, at once and alone, by shutting that connection down.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aphiria_deploy.errors import AphiriaDeployError, CancelledError, ClusterUnavailableError
from aphiria_deploy.kube.access import Access, ClientCertificate
from aphiria_deploy.kube.deadline import Deadline
from aphiria_deploy.kube.wires import CONNECT_SECONDS, Wire, connect, tls_context

# Shorter than what load balancers before an API server wait for, who may forget a connection silently.
_IDLE_SECONDS = 30.0
_CHUNK = 1 << 16

WIDTH, WIDTH_NEAR = 8, 4
"""How many requests are made at a time; and of a server that is less than this far away."""
_NEAR_SECONDS = 0.005

FOREIGN: Mapping[type[Exception], str] = {
    ssl.SSLCertVerificationError: "its certificate is not trusted",
    ssl.SSLError: "TLS failed",
    socket.gaierror: "its name cannot be resolved",
    ConnectionRefusedError: "it refused the connection",
    TimeoutError: "it did not answer in time",
    http.client.IncompleteRead: "the answer was cut",
    http.client.HTTPException: "the answer is not HTTP/1.1",
    OSError: "the connection was cut",
}
"""Every error of the HTTP client and of what is below it, and what it means; the first that fits counts."""

_NEVER_TRANSIENT = (ssl.SSLCertVerificationError,)


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        method: The HTTP method.
        target: Path and query.
        what: What it does, for messages: ``apply Deployment preview-pr-1/web``.
        body: The body.
        headers: Its headers, without the credentials.
    """

    method: str
    target: str
    what: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """An answer, read whole.

    Attributes:
        status: The HTTP status.
        headers: The headers, by lower-case name; of several the last.
        warnings: The texts of the server's warnings.
        body: The body.
    """

    status: int
    headers: Mapping[str, str]
    warnings: tuple[str, ...]
    body: bytes = field(repr=False)


class _Connection(http.client.HTTPConnection):
    """A connection that is already there."""

    def __init__(self, access: Access, wire: Wire, generation: int) -> None:
        super().__init__(access.host, access.port)
        self.sock = cast("Any", wire)
        self.wire = wire
        self.generation = generation
        self.idle_since = 0.0

    def connect(self) -> None:
        raise http.client.NotConnected


class Stream:
    """An answer that is read as it comes."""

    def __init__(self, response: http.client.HTTPResponse, attempt: _Attempt) -> None:
        self._response = response
        self._attempt = attempt

    def lines(self) -> Iterator[bytes]:
        """Each line without its end.

        Raises:
            ClusterUnavailableError: The connection was cut, or silent until the deadline.
            CancelledError: It was told to stop.
        """
        rest = b""
        while chunk := self._read():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def _read(self) -> bytes:
        with self._attempt.translating():
            return self._response.read1(_CHUNK)


@dataclass
class _Attempt:
    """A request on its way."""

    access: Access
    request: Request
    deadline: Deadline
    sent: bool = False
    since: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def translating(self) -> Iterator[None]:
        """The boundary: no error of the HTTP client or of what is below it gets past."""
        try:
            yield
        except tuple(FOREIGN) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> AphiriaDeployError:
        if self.deadline.cancellation.cancelled:
            # What cancelled it also cut the connection.
            return CancelledError(f"{self.request.what}: stopped: {self.deadline.cancellation.reason}")
        meaning = next(text for kind, text in FOREIGN.items() if isinstance(error, kind))
        if isinstance(error, TimeoutError):
            meaning = f"it did not answer within {time.monotonic() - self.since:.3g} s"
        detail = f" ({_detail(error)})" if _detail(error) else ""
        return ClusterUnavailableError(
            f"{self.request.what}: {self.access.url} ({self.access.where}): {meaning}{detail}; expected the cluster's "
            "API server: see that it runs and can be reached from here",
            may_have_acted=self.sent,
            transient=not isinstance(error, _NEVER_TRANSIENT),
        )


class Transport:
    """Connections to one API server, used again. Any number of threads may use it.

    Args:
        access: The server, and how to be let in.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._context: ssl.SSLContext | None = None
        self._certificate: ClientCertificate | None = None
        self._generation = 0
        self.connections = 0
        self._round_trip = math.inf

    @property
    def width(self) -> int:
        """How many requests at a time are worth it.

        A server that is near answers on a few connections before more are made, each of which costs both sides what
        several answers do; for one that is far away the way there and back is what counts. What is behind a proxy
        is taken for far.
        """
        near = self._access.proxy is None and self._round_trip < _NEAR_SECONDS
        return WIDTH_NEAR if near else WIDTH

    def send(self, request: Request, deadline: Deadline) -> Answer:
        """Sends a request and reads the whole answer, whatever its status.

        Raises:
            ClusterUnavailableError: There is no answer, in time or at all.
            CredentialError: The credential cannot be had.
            CancelledError: It was told to stop.
            DeadlineExceededError: There was no time left to begin with.
        """
        with self._exchange(request, deadline) as (response, attempt), attempt.translating():
            return _answer(response, response.read())

    @contextlib.contextmanager
    def stream(self, request: Request, begin: Deadline, end: Deadline) -> Iterator[Answer | Stream]:
        """Sends a request; the answer is read as it comes where it is a success, else whole.

        Args:
            request: The request.
            begin: By when the answer begins.
            end: By when it ends.

        Raises:
            ClusterUnavailableError: There is no answer, or it was cut.
            CredentialError: The credential cannot be had.
            CancelledError: It was told to stop.
            DeadlineExceededError: There was no time left to begin with.
        """
        with self._exchange(request, begin, end) as (response, attempt):
            if response.status == http.client.OK:
                yield Stream(response, attempt)
                return
            with attempt.translating():
                answer = _answer(response, response.read())
            yield answer

    def renew(self) -> None:
        """Connects anew from now on: the credentials are others."""
        with self._lock:
            self._generation += 1
            self._context = None
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.wire.end()

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self.renew()

    @contextlib.contextmanager
    def _exchange(
        self, request: Request, deadline: Deadline, end: Deadline | None = None
    ) -> Iterator[tuple[http.client.HTTPResponse, _Attempt]]:
        """A request and the head of its answer; the connection is kept where the answer was read to its end."""
        deadline.check(request.what)
        headers = {"Accept": "application/json", **request.headers, **self._access.credentials.headers(deadline)}
        attempt = _Attempt(self._access, request, deadline)
        with attempt.translating():
            connection = self._connection(deadline)
        kept = False
        try:
            with deadline.cancellation.waking(connection.wire.shutdown):
                with attempt.translating():
                    connection.wire.deadline, attempt.sent = deadline, True
                    connection.request(request.method, self._access.prefix + request.target, request.body, headers)
                    response = connection.getresponse()
                    if connection.wire.ended:
                        # The client takes an end in the middle of the head for the end of the head.
                        raise http.client.RemoteDisconnected("in the head")
                    connection.wire.deadline = end or deadline
                with response:
                    yield response, attempt
                    kept = response.isclosed() and not response.will_close
        finally:
            if kept and not deadline.cancellation.cancelled:
                self._keep(connection)
            else:
                connection.wire.end()

    def _connection(self, deadline: Deadline) -> _Connection:
        """One that was kept and is still good, else a new one."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
                generation = self._generation
            if connection is None:
                return self._connect(deadline, generation)
            if time.monotonic() - connection.idle_since < _IDLE_SECONDS and connection.wire.quiet:
                return connection
            connection.wire.end()

    def _keep(self, connection: _Connection) -> None:
        connection.idle_since = time.monotonic()
        connection.wire.deadline = None
        with self._lock:
            if connection.generation == self._generation:
                self._idle.append(connection)
                return
        connection.wire.end()

    def _connect(self, deadline: Deadline, generation: int) -> _Connection:
        deadline = deadline.within(CONNECT_SECONDS)
        context = self._tls(deadline) if self._access.scheme == "https" else None
        wire = connect(self._access, context, deadline)
        with self._lock:
            self.connections += 1
            self._round_trip = min(self._round_trip, wire.round_trip)
        return _Connection(self._access, wire, generation)

    def _tls(self, deadline: Deadline) -> ssl.SSLContext:
        certificate = self._access.credentials.certificate(deadline)
        with self._lock:
            if self._context is None or certificate != self._certificate:
                self._context = tls_context(self._access, certificate)
                self._certificate = certificate
            return self._context


def _answer(response: http.client.HTTPResponse, body: bytes) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    warnings = tuple(_warning(value) for value in response.headers.get_all("Warning") or ())
    return Answer(response.status, headers, warnings, body)


def _warning(header: str) -> str:
    """The text of ``299 - "text"``."""
    _, quote, rest = header.partition('"')
    return rest.rstrip().removesuffix('"').replace('\\"', '"').replace("\\\\", "\\") if quote else header


def _detail(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or ""
    if isinstance(error, TimeoutError):
        return ""
    if isinstance(error, OSError):
        return error.strerror or ""
    # Its text may quote what was read.
    return type(error).__name__
