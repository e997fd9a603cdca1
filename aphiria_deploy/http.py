"""HTTP: the one module that imports the HTTP client.

What it raises is ``HttpFailureError`` and nothing of the client's. Redirects, tries again and deadlines are its own, so
that they are the same whatever the client: credentials reach the origin that they are for alone, an answer has a
largest size, and nothing outlasts the deadline, not even a server that sends a byte a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import random
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urljoin, urlsplit

from aphiria_deploy.masked import SecretValue

if TYPE_CHECKING:
    import httpx

ATTEMPTS: Final = 5
"""How often a request is sent at most."""
ATTEMPT_SECONDS: Final = 15.0
"""Seconds after which an answer that is not complete is asked for again."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
REDIRECTS: Final = 5
AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""Answers after which a request is sent again."""

_READING: Final = frozenset({"GET", "HEAD"})
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
_KEEPING: Final = frozenset({307, 308})
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


class HttpFailureError(Exception):
    """A request has no answer that can be used.

    Attributes:
        passing: Whether another try may help.
        sent: Whether the request may have reached the server, and so have been carried out.
    """

    def __init__(self, reason: str, *, passing: bool, sent: bool = True) -> None:
        super().__init__(reason)
        self.passing = passing
        self.sent = sent


class UntrustedCertificateError(HttpFailureError):
    """The host's certificate is not trusted, has ended, or is another host's."""


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        status: The status code.
        headers: The headers, with lower-case names; several of one name are joined with commas.
        body: The body, decoded.
        url: Where it came from in the end, without the query, which may be a credential.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str


@dataclass(frozen=True)
class _Request:
    method: str
    headers: Mapping[str, str] = field(repr=False)
    limit: int
    authorization: SecretValue | None = None
    body: bytes | None = field(default=None, repr=False)

    def elsewhere(self) -> _Request:
        """What of it another origin gets."""
        return replace(self, authorization=None)


class Http:
    """A client for as long as a block lasts.

    Args:
        seconds: After which nothing is waited for any more, counted from now.
        at_once: How many requests are under way at most.
        transport: What sends the requests; the network, if not given.
    """

    def __init__(self, seconds: float, *, at_once: int = 8, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._slots = asyncio.Semaphore(at_once)
        self._httpx = _library()
        # A proxy that the environment names is for other machines.
        mounts = {f"all://{host}": None for host in _LOOPBACK} if transport is None else None
        self._client = self._httpx.AsyncClient(timeout=None, follow_redirects=False, transport=transport, mounts=mounts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        limit: int,
        authorization: SecretValue | None = None,
    ) -> Answer:
        """Asks until there is an answer, or no hope of one.

        Args:
            method: ``GET`` or ``HEAD``: it is sent again without harm.
            url: The URL.
            headers: Headers, for every host that is asked on the way.
            limit: The most bytes that the body may have.
            authorization: The value of ``Authorization``, for the URL's own origin alone.

        Raises:
            HttpFailureError: There is none.
        """
        for attempt in range(1, ATTEMPTS + 1):
            after: float | None = None
            try:
                answer = await self._once(_Request(method, headers, limit, authorization), url)
            except HttpFailureError as error:
                if not error.passing or attempt == ATTEMPTS:
                    raise
                reason = str(error)
            else:
                if answer.status not in AGAIN:
                    return answer
                after = retry_after(answer.headers.get("retry-after", ""), time.time())
                reason = f"the answer {answer.status}"
                if attempt == ATTEMPTS:
                    raise HttpFailureError(f"{reason}, {ATTEMPTS} times", passing=True)
            pause = pause_before(attempt, after, random.random())  # noqa: S311 - it only spreads requests
            if time.monotonic() + pause >= self._deadline:
                asked = f" and the wish to be asked again after {after:.0f} s" if after else ""
                raise HttpFailureError(f"{reason}{asked}, with {self._seconds:g} s for everything,", passing=True)
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def once(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        limit: int,
        authorization: SecretValue | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Sends a request a single time, for those who judge themselves whether it may be sent again.

        Args:
            method: The method; one that changes something follows only redirects that keep it (307 and 308).
            url: The URL.
            headers: Headers, for every host that is asked on the way.
            limit: The most bytes that the answer's body may have.
            authorization: The value of ``Authorization``, for the URL's own origin alone.
            body: The request's body, for the URL's own origin alone.

        Raises:
            HttpFailureError: There is no answer.
        """
        return await self._once(_Request(method, headers, limit, authorization, body), url)

    def count_anew(self) -> None:
        """Gives all of its seconds to what comes now, over the same connections."""
        self._deadline = time.monotonic() + self._seconds

    async def pause(self, seconds: float) -> bool:
        """Waits, unless the deadline comes first: then it says False at once."""
        if time.monotonic() + seconds >= self._deadline:
            return False
        await asyncio.sleep(seconds)
        return True

    async def _once(self, request: _Request, url: str) -> Answer:
        async with self._slots:
            seconds = min(self._deadline - time.monotonic(), ATTEMPT_SECONDS)
            if seconds <= 0:
                raise HttpFailureError("no time left to ask", passing=True, sent=False)
            try:
                async with asyncio.timeout(seconds):
                    return await self._following(request, url)
            except TimeoutError:
                raise HttpFailureError(f"no whole answer within {seconds:.1f} s", passing=True) from None

    async def _following(self, request: _Request, url: str) -> Answer:
        first = _origin(url)
        followed = _REDIRECTING if request.method in _READING else _KEEPING
        for _ in range(REDIRECTS + 1):
            answer = await self._sent(request if _origin(url) == first else request.elsewhere(), url)
            location = answer.headers.get("location")
            if answer.status not in followed or not location:
                return answer
            target = urljoin(url, location)
            if not _may_follow(url, target):
                raise HttpFailureError("a redirect that leaves HTTPS", passing=False)
            if request.body is not None and _origin(target) != first:
                raise HttpFailureError("a redirect that takes a request's body to another host", passing=False)
            url = target
        raise HttpFailureError(f"more than {REDIRECTS} redirects", passing=False)

    async def _sent(self, request: _Request, url: str) -> Answer:
        secret = {"Authorization": request.authorization.reveal()} if request.authorization else {}
        headers = {"Accept-Encoding": "identity", **request.headers, **secret}
        with _translating(self._httpx):
            async with self._client.stream(request.method, url, headers=headers, content=request.body) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > request.limit:
                        raise HttpFailureError(f"an answer of more than {request.limit} bytes", passing=False)
                return Answer(response.status_code, _joined(response), bytes(body), _without_query(url))


class HttpAt:
    """Asks hosts at one address, whatever the DNS says of their names, for as long as a block lasts.

    Each request is sent once, on a connection of its own, and straight to the address, also where the environment names
    a proxy: what answers is what is there now. A host's name is what its certificate is compared with.

    Args:
        address: An IP address or a name, without a port.
        verified: Whether certificates are.
        ports: The ports there, by the URL's; the same, if not given.
    """

    def __init__(self, address: str, *, verified: bool, ports: Mapping[int, int] | None = None) -> None:
        self._address = f"[{address}]" if ":" in address else address
        self._ports = ports or {}
        self._httpx = _library()
        limits = self._httpx.Limits(max_keepalive_connections=0)
        transport = self._httpx.AsyncHTTPTransport(verify=verified, limits=limits)
        self._client = self._httpx.AsyncClient(timeout=None, follow_redirects=False, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def head(self, method: str, url: str, *, headers: Mapping[str, str], seconds: float) -> Answer:
        """Asks once, and gives the answer without its body, which is not read.

        Args:
            method: The method.
            url: The URL; its host is named in the handshake and in the request.
            headers: Further headers.
            seconds: After which an answer is not waited for any more.

        Raises:
            HttpFailureError: There is none.
        """
        parts = urlsplit(url)
        _, host, port = _origin(url)
        at = f"{self._address}:{self._ports.get(port or 0, port)}"
        target = parts._replace(netloc=at, path=parts.path or "/", fragment="").geturl()
        headers = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity", **headers}
        extensions = {"sni_hostname": host}
        try:
            async with asyncio.timeout(seconds):
                with _translating(self._httpx):
                    async with self._client.stream(method, target, headers=headers, extensions=extensions) as response:
                        return Answer(response.status_code, _joined(response), b"", _without_query(url))
        except TimeoutError:
            raise HttpFailureError(f"no answer within {seconds:.1f} s", passing=True) from None


def retry_after(text: str, now: float) -> float | None:
    """Gives the seconds that a header ``Retry-After`` asks for: a number of them, or a date (RFC 9110, 10.2.3).

    Args:
        text: The header.
        now: The time, in seconds since 1970.
    """
    seconds = text.strip()
    if seconds.isascii() and seconds.isdigit():
        return float(seconds[:9])
    try:
        at: float = email.utils.parsedate_to_datetime(seconds).timestamp()
    except (ValueError, OverflowError):
        return None
    return at - now if at > now else 0.0


def pause_before(attempt: int, after: float | None, chance: float) -> float:
    """Gives the seconds before a request is sent again.

    Args:
        attempt: How often it was sent.
        after: What the server asked for.
        chance: From 0 to 1: of the pause that doubles, a part from half to all of it.
    """
    own: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1)) * (0.5 + chance / 2)
    return own if after is None else max(after, own / 2)


def _library() -> ModuleType:
    """Imports the client, without its command line, for which it would import rich, click and pygments."""
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment] # an import of it fails, as it may
        try:
            import httpx  # noqa: PLC0415
        finally:
            del sys.modules["httpx._main"]
    import httpx  # noqa: PLC0415

    # They log URLs with their queries, and headers: both may be credentials.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx


def _joined(response: httpx.Response) -> dict[str, str]:
    return {name: ", ".join(response.headers.get_list(name)) for name in response.headers}


@contextlib.contextmanager
def _translating(library: ModuleType) -> Iterator[None]:
    try:
        yield
    except (library.HTTPError, library.InvalidURL, library.StreamError, library.CookieConflict) as error:
        # Their messages may hold the URL with its query; what matters of them is their kind.
        raise _translated(error) from None


def _translated(error: Exception) -> HttpFailureError:
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    for found in causes:
        if isinstance(found, ssl.SSLCertVerificationError):
            message = f"a certificate that is not trusted ({found.verify_message})"
            return UntrustedCertificateError(message, passing=False, sent=False)
        if isinstance(found, socket.gaierror):
            return HttpFailureError(
                f"no address for its name ({found.strerror})", passing=found.errno != socket.EAI_NONAME, sent=False
            )
        if isinstance(found, ConnectionRefusedError):
            return HttpFailureError("a refused connection", passing=True, sent=False)
    kind = type(error).__name__
    final = {"InvalidURL", "UnsupportedProtocol", "LocalProtocolError", "CookieConflict"}
    words = {
        "RemoteProtocolError": "an answer that breaks off or is no HTTP",
        "DecodingError": "a body that cannot be decoded",
    }
    return HttpFailureError(words.get(kind, f"no answer ({kind})"), passing=kind not in final)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _may_follow(url: str, target: str) -> bool:
    return urlsplit(target).scheme == "https" or (urlsplit(url).scheme, urlsplit(target).scheme) == ("http", "http")


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
