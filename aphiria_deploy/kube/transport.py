"""HTTP/1.1 to one API server: the one module that knows the HTTP client, and where its errors end.

The client is the standard library's. Measured beside it, urllib3, httpx, niquests and aiohttp took 0.1 to 0.4 s more to
import, which is what a whole deploy of nothing may take; and HTTP/2 brought nothing, near or 30 ms away, with 8
requests at a time, while its one connection would tie the deadline and the cancellation of each request and each watch
to those of all the others. Here every request and every watch has a connection of its own while it runs, so that it is
stopped, at once and alone, by shutting that connection down.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import io
import os
import selectors
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aphiria_deploy.errors import AphiriaDeployError, CancelledError, ClusterUnavailableError, CredentialError
from aphiria_deploy.kube.access import Access, ClientCertificate
from aphiria_deploy.kube.deadline import Deadline

_CONNECT_SECONDS = 10.0
_SLICE_SECONDS = 0.1
_IDLE_SECONDS = 60.0
_CHUNK = 1 << 16

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


class _Wire:
    """A socket of which every operation ends by the deadline of the request that it serves.

    `http.client` takes it for a socket, which it may close before the answer is read; it is ended by its owner alone.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.deadline: Deadline | None = None
        self.ended = False

    def sendall(self, data: bytes) -> None:
        self._set_patience()
        self._socket.sendall(data)

    def receive(self, buffer: Any) -> int:
        self._set_patience()
        received = self._socket.recv_into(buffer)
        self.ended = not received
        return received

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self), _CHUNK)

    def close(self) -> None:
        pass

    def end(self) -> None:
        self._socket.close()

    def shutdown(self) -> None:
        """Wakes whoever reads or writes, from any thread; also where TLS is spoken."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @property
    def quiet(self) -> bool:
        """Nothing to be read: the server has not closed it."""
        return not _ready(self._socket, selectors.EVENT_READ, 0)

    def _set_patience(self) -> None:
        remaining = self.deadline.remaining if self.deadline else _CONNECT_SECONDS
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)


class _Reader(io.RawIOBase):
    """One answer's view of a wire."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.receive(buffer)


class _Connection(http.client.HTTPConnection):
    """A connection that is already there."""

    def __init__(self, access: Access, wire: _Wire, generation: int) -> None:
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
        deadline = deadline.within(_CONNECT_SECONDS)
        access = self._access
        peer = access.proxy or access
        connected = _tcp(peer.host, peer.port, deadline)
        try:
            connected.settimeout(max(deadline.remaining, _SLICE_SECONDS))
            if access.proxy:
                with deadline.cancellation.waking(_Wire(connected).shutdown):
                    _tunnel(connected, access)
            if access.scheme == "https":
                name = access.server_name or access.host
                context = self._tls(deadline)
                connected = context.wrap_socket(connected, server_hostname=name, do_handshake_on_connect=False)
                with deadline.cancellation.waking(_Wire(connected).shutdown):
                    connected.do_handshake()
        except BaseException:
            connected.close()
            raise
        with self._lock:
            self.connections += 1
        return _Connection(access, _Wire(connected), generation)

    def _tls(self, deadline: Deadline) -> ssl.SSLContext:
        certificate = self._access.credentials.certificate(deadline)
        with self._lock:
            if self._context is None or certificate != self._certificate:
                self._context = _context(self._access, certificate)
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


def _tcp(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connects to the first of the host's addresses that answers."""
    problem: OSError = OSError("it has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.setblocking(False)
            _await_connected(connecting, address, deadline)
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(connecting)
        except OSError as error:
            connecting.close()
            problem = error
        except BaseException:
            connecting.close()
            raise
        else:
            return connecting
    raise problem


def _await_connected(connecting: socket.socket, address: Any, deadline: Deadline) -> None:
    number = connecting.connect_ex(address)
    if number in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
        # In slices: nothing else could wake it.
        while not _ready(connecting, selectors.EVENT_WRITE, _SLICE_SECONDS):
            if deadline.over or deadline.cancellation.cancelled:
                raise TimeoutError
        number = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


def _ready(what: socket.socket, event: int, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(what, event)
        return bool(selector.select(seconds))


def _keep_alive(connected: socket.socket) -> None:
    """Has the kernel notice a peer that is no longer there, within half a minute, while a watch is silent."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPALIVE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if option := getattr(socket, name, None):
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def _tunnel(connected: socket.socket, access: Access) -> None:
    host = f"[{access.host}]" if ":" in access.host else access.host
    lines = [f"CONNECT {host}:{access.port} HTTP/1.1", f"Host: {host}:{access.port}"]
    lines += [f"{name}: {value}" for name, value in (access.proxy.headers if access.proxy else {}).items()]
    connected.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # A byte at a time: what follows is the server's.
        byte = connected.recv(1)
        if not byte or len(head) > _CHUNK:
            raise ConnectionAbortedError(None, "the proxy gave no answer")
        head += byte
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        found = b"".join(status).decode(errors="replace")
        raise ConnectionAbortedError(None, f"the proxy {access.proxy} answered {found}")


def _context(access: Access, certificate: ClientCertificate | None) -> ssl.SSLContext:
    try:
        authorities = access.authorities.decode("ascii") if access.authorities else None
        context = ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise CredentialError(
            f"{access.where}: certificate-authority: not a certificate; expected PEM (-----BEGIN CERTIFICATE-----)"
        ) from error
    # As Go does it: many clusters' own authorities lack extensions that Python 3.13 and newer ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        _load(context, access, certificate)
    return context


def _load(context: ssl.SSLContext, access: Access, certificate: ClientCertificate) -> None:
    # OpenSSL reads it from a file alone: nobody else may read that one, and it is gone at once.
    number, path = tempfile.mkstemp()
    try:
        with os.fdopen(number, "wb") as file:
            file.write(certificate.certificate + b"\n" + certificate.key)
        context.load_cert_chain(path)
    except (ssl.SSLError, OSError) as error:
        raise CredentialError(
            f"{access.where}: client-certificate, client-key: not a certificate and its key; expected PEM without a "
            "passphrase"
        ) from error
    finally:
        os.unlink(path)  # noqa: PTH108 - as the descriptor, it is the operating system's
