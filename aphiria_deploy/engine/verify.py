"""After a deploy: does the running site answer as its bundle says?

The Gateway's own address is asked, with the host's name in the handshake and in the request: a DNS name that still
leads elsewhere never answers for it. What a deploy changes takes seconds to reach a Gateway, so each check is asked
again until it holds or its time is over; all checks at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from aphiria_deploy.bundle import Check, CorsCheck, HealthCheck, RedirectCheck
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.fields import one_line
from aphiria_deploy.http import Answer, HttpAt, HttpFailureError, UntrustedCertificateError
from aphiria_deploy.kube.deadline import Deadline

WITHIN: Final = 30.0
"""Seconds that the checks have."""
ATTEMPT_SECONDS: Final = 5.0
"""Seconds after which an answer that does not come is asked for again."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 2.0

_ALLOWED: Final = "access-control-allow-origin"
_PORTS: Final = {"http": 80, "https": 443}


class VerificationError(AphiriaDeployError):
    """The running site does not answer as it has to.

    Attributes:
        results: What came of every check, of those that hold too.
    """

    def __init__(self, results: Sequence[CheckResult]) -> None:
        self.results = tuple(results)
        super().__init__("\n".join(str(result) for result in results if not result.ok))


@dataclass(frozen=True)
class CheckResult:
    """What came of a check.

    Attributes:
        check: The check.
        address: Who was asked.
        ok: Whether it holds.
        found: What the last answer was, or why there was none.
        expected: What it has to be.
        hint: What to do; empty where it holds.
        attempts: How often it was asked.
        seconds: How long it took.
    """

    check: Check
    address: str
    ok: bool
    found: str
    expected: str
    hint: str
    attempts: int
    seconds: float

    def __str__(self) -> str:
        method = "OPTIONS" if isinstance(self.check, CorsCheck) else "GET"
        asked = f"{method} {self.check.url} at {self.address}: found {self.found}"
        if self.ok:
            return asked
        times = f"{self.attempts} time{'' if self.attempts == 1 else 's'} in {self.seconds:.0f} s"
        return f"{asked}, expected {self.expected} (asked {times}): {self.hint}"


def verify(
    checks: Sequence[Check],
    address: str,
    deadline: Deadline,
    *,
    verified: bool = True,
    within: float = WITHIN,
    ports: Mapping[int, int] | None = None,
) -> list[CheckResult]:
    """Asks the running site, and gives what came of each check, in their order.

    Args:
        checks: What has to hold.
        address: The Gateway's, as its status says: an IP address or a name.
        deadline: When to stop at the latest.
        verified: Whether certificates are verified; those of a local cluster are self-signed.
        within: Seconds after which a check that does not hold yet has failed.
        ports: The ports at the address, by the URLs'; the same, if not given.

    Raises:
        CancelledError: It was told to stop.
        DeadlineExceededError: There was no time left to ask.
    """
    waiting = f"the running site at {address}"
    deadline.check(waiting)
    asking = _Asking(address, verified, ports, deadline.within(within))
    try:
        return asyncio.run(asking.all(checks))
    except asyncio.CancelledError:
        deadline.check(waiting)
        raise


def require(results: Sequence[CheckResult]) -> None:
    """Does nothing where every check holds.

    Raises:
        VerificationError: One does not.
    """
    if not all(result.ok for result in results):
        raise VerificationError(results)


@dataclass(frozen=True)
class _Outcome:
    """What one request came to."""

    ok: bool
    found: str
    hint: str


class _Asking:
    def __init__(self, address: str, verified: bool, ports: Mapping[int, int] | None, deadline: Deadline) -> None:
        self._address = address
        self._verified = verified
        self._ports = ports
        self._deadline = deadline

    async def all(self, checks: Sequence[Check]) -> list[CheckResult]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            # The loop is closed where everything was answered in this moment.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)  # type: ignore[union-attr] # a coroutine runs in a task

        with self._deadline.cancellation.waking(stop):
            async with HttpAt(self._address, verified=self._verified, ports=self._ports) as http:
                return list(await asyncio.gather(*(self._until_it_holds(http, check) for check in checks)))

    async def _until_it_holds(self, http: HttpAt, check: Check) -> CheckResult:
        begun, attempts, outcome = time.monotonic(), 0, None
        pause = FIRST_PAUSE
        while True:
            seconds = min(ATTEMPT_SECONDS, self._deadline.remaining)
            attempts += 1
            now = await _once(http, check, seconds)
            # An attempt that the end of all time cut short says less than the one before.
            if outcome is None or seconds == ATTEMPT_SECONDS or not self._deadline.over:
                outcome = now
            if outcome.ok or self._deadline.remaining <= pause:
                taken = time.monotonic() - begun
                hint = "" if outcome.ok else outcome.hint
                return CheckResult(
                    check, self._address, outcome.ok, outcome.found, _expected(check), hint, attempts, taken
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


async def _once(http: HttpAt, check: Check, seconds: float) -> _Outcome:
    method, headers = "GET", {}
    if isinstance(check, CorsCheck):
        # As a browser asks: https://fetch.spec.whatwg.org/#cors-preflight-fetch
        method, headers = "OPTIONS", {"Origin": check.origin, "Access-Control-Request-Method": "GET"}
    try:
        answer = await http.head(method, check.url, headers=headers, seconds=seconds)
    except UntrustedCertificateError as error:
        host = urlsplit(check.url).hostname
        return _Outcome(False, str(error), f"see whether the Gateway's certificate is ready and names {host}")
    except HttpFailureError as error:
        hint = "see whether the Gateway is programmed and has this address, and whether a firewall is in between"
        return _Outcome(False, str(error), hint)
    match check:
        case HealthCheck():
            return _Outcome(answer.status == check.status, _shown(answer), _hint(answer))
        case CorsCheck():
            return _allowed(answer, check)
        case RedirectCheck():
            location = answer.headers.get("location", "")
            right = answer.status == check.status and _leads(check.url, location) == _place(check.location)
            return _Outcome(right, _shown(answer), _hint(answer))


def _allowed(answer: Answer, check: CorsCheck) -> _Outcome:
    allowed = answer.headers.get(_ALLOWED)
    if allowed is None:
        found = f"{answer.status} without Access-Control-Allow-Origin"
    else:
        found = f"{answer.status} with Access-Control-Allow-Origin {one_line(allowed)!r}"
    hint = _hint(answer) if answer.status >= 500 else "see from which variable the API takes its front end's origin"
    return _Outcome(allowed == check.origin, found, hint)


def _expected(check: Check) -> str:
    match check:
        case HealthCheck():
            return str(check.status)
        case CorsCheck():
            return f"Access-Control-Allow-Origin {check.origin!r}"
        case RedirectCheck():
            return f"{check.status} to {check.location}"


def _shown(answer: Answer) -> str:
    location = answer.headers.get("location")
    return f"{answer.status} to {one_line(location)}" if location else str(answer.status)


def _hint(answer: Answer) -> str:
    if answer.status == 404:
        return "see whether the route of this host is accepted, and whether the site has this page"
    if answer.status in {502, 503, 504}:
        return "the route is there, but no pod behind it answers: see whether they are ready"
    if answer.status >= 500:
        return "see the logs of the site"
    return "see which route takes this host and path"


_Place = tuple[str, str | None, int | None, str, str, str]


def _leads(url: str, location: str) -> _Place | None:
    """Where a redirect leads from a URL; None where its location is no URL."""
    try:
        return _place(urljoin(url, location))
    except ValueError:
        return None


def _place(url: str) -> _Place:
    """What two spellings of a URL have in common: a port that goes without saying, and the case of the host."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path or "/", parts.query, parts.fragment
