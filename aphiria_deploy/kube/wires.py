"""Connections: TCP, proxies and TLS, each of which ends by a deadline and can be ended from another thread.

What is raised here is the operating system's; `transport` says what it means.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import selectors
import socket
import ssl
import tempfile
import time
from typing import Any

from aphiria_deploy.errors import CredentialError
from aphiria_deploy.kube.access import Access, ClientCertificate
from aphiria_deploy.kube.deadline import Deadline

CONNECT_SECONDS = 10.0
"""How long a connection may take to be there."""

_SLICE_SECONDS = 0.1
_CHUNK = 1 << 16


class Wire:
    """A socket of which every operation ends by the deadline of the request that it serves.

    `http.client` takes it for a socket, which it may close before the answer is read; it is ended by its owner alone.

    Attributes:
        round_trip: How many seconds the peer is away.
    """

    def __init__(self, connected: socket.socket, round_trip: float = 0.0) -> None:
        self.round_trip = round_trip
        self._socket = connected
        self.deadline: Deadline | None = None
        self.ended = False

    def sendall(self, data: bytes) -> None:
        """Sends all of it."""
        self._set_patience()
        self._socket.sendall(data)

    def receive(self, buffer: Any) -> int:
        """Reads what there is, at least a byte; 0 at the end."""
        self._set_patience()
        received = self._socket.recv_into(buffer)
        self.ended = not received
        return received

    def makefile(self, _: str) -> io.BufferedReader:
        """What one answer is read from."""
        return io.BufferedReader(_Reader(self), _CHUNK)

    def close(self) -> None:
        """Does nothing: see above."""

    def end(self) -> None:
        """Closes it."""
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
        remaining = self.deadline.remaining if self.deadline else CONNECT_SECONDS
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)


class _Reader(io.RawIOBase):
    """One answer's view of a wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.receive(buffer)


def connect(access: Access, context: ssl.SSLContext | None, deadline: Deadline) -> Wire:
    """Connects to the server, through its proxy where there is one, and agrees on TLS where there is a context.

    Raises:
        OSError: There is no connection, or none in time. What that means is said where it is caught.
    """
    peer = access.proxy or access
    connected, round_trip = _tcp(peer.host, peer.port, deadline)
    try:
        connected.settimeout(max(deadline.remaining, _SLICE_SECONDS))
        if access.proxy:
            with deadline.cancellation.waking(Wire(connected).shutdown):
                _tunnel(connected, access)
        if context:
            name = access.server_name or access.host
            connected = context.wrap_socket(connected, server_hostname=name, do_handshake_on_connect=False)
            with deadline.cancellation.waking(Wire(connected).shutdown):
                connected.do_handshake()
    except BaseException:
        connected.close()
        raise
    return Wire(connected, round_trip)


def _tcp(host: str, port: int, deadline: Deadline) -> tuple[socket.socket, float]:
    """Connects to the first of the host's addresses that answers, and gives how many seconds that took."""
    problem: OSError = OSError("it has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.setblocking(False)
            since = time.monotonic()
            _await_connected(connecting, address, deadline)
            round_trip = time.monotonic() - since
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(connecting)
        except OSError as error:
            connecting.close()
            problem = error
        except BaseException:
            connecting.close()
            raise
        else:
            return connecting, round_trip
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


def tls_context(access: Access, certificate: ClientCertificate | None) -> ssl.SSLContext:
    """How TLS is spoken with the server.

    Raises:
        CredentialError: An authority, the certificate or its key is none.
    """
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
