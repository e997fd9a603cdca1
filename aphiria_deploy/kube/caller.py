"""Requests to one API server that are answered: tried again where that may help, their failures named."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from aphiria_deploy.errors import (
    AphiriaDeployError,
    ClusterUnavailableError,
    CredentialError,
    DeadlineExceededError,
    OutcomeUnknownError,
    ServerError,
)
from aphiria_deploy.kube.access import Access
from aphiria_deploy.kube.clock import Clock
from aphiria_deploy.kube.deadline import Deadline
from aphiria_deploy.kube.masking import masked
from aphiria_deploy.kube.retries import Repeat, pause, worth_another_try
from aphiria_deploy.kube.statuses import error_of
from aphiria_deploy.kube.transport import Answer, Request, Stream, Transport


@dataclass(frozen=True)
class Tried:
    """One request that was made: for counting, for progress, for a log. It holds no secret.

    Attributes:
        method: The HTTP method.
        target: Path and query.
        what: What it does, in words.
        status: The HTTP status of the answer; none where there was none.
        seconds: How long that took; of a watch or of logs that are followed, until they began.
        error: What it came to, where it failed.
        again_in: After how many seconds it is tried again; none where it is not.
    """

    method: str
    target: str
    what: str
    status: int | None
    seconds: float
    error: AphiriaDeployError | None = None
    again_in: float | None = None


@dataclass(frozen=True)
class Manners:
    """How a server is asked.

    Attributes:
        answer_seconds: How long one answer may take.
        patience_seconds: How long one request is tried again, within its deadline, before its last failure counts.
        chance: Uniformly random numbers from 0 to 1, for the jitter.
    """

    answer_seconds: float = 30.0
    patience_seconds: float = 120.0
    chance: Callable[[], float] = random.random


class Caller:
    """Makes requests. Any number of threads may use it.

    Args:
        access: The server, and how to be let in.
        manners: How it is asked.
        observe: Is told of each request that was made, by the thread that made it.
        warn: Is given each warning of the server, with what the request does.
    """

    def __init__(
        self,
        access: Access,
        *,
        manners: Manners | None = None,
        observe: Callable[[Tried], None] | None = None,
        warn: Callable[[str, str], None] | None = None,
    ) -> None:
        self.access = access
        self.manners = manners or Manners()
        self.clock = Clock()
        self._transport = Transport(access)
        self._observe = observe or (lambda _: None)
        self._warn = warn or (lambda _text, _what: None)

    def call(
        self, request: Request, deadline: Deadline, repeat: Repeat, *, secrets: Collection[str] = ()
    ) -> dict[str, Any]:
        """Makes a request until it succeeds, and gives the JSON object of the answer.

        Args:
            request: The request.
            deadline: By when there must be an answer.
            repeat: Whether it may be made again when it may already have been done.
            secrets: Values that no message may repeat.

        Raises:
            ApiError: The server refused it.
            OutcomeUnknownError: It may not be made again, and may have been done.
            ClusterUnavailableError: The server does not answer, or is overloaded, for too long.
            CredentialError: The server does not take the credential, or there is none.
            DeadlineExceededError: There is no time left.
            CancelledError: It was told to stop.
        """
        tries = _Tries(self, request, deadline, repeat)
        while True:
            with tries.one() as attempt:
                answer = self._transport.send(request, attempt)
                tries.status = answer.status
                self.clock.told(answer.headers.get("date", ""))
                document = _document(answer, request, secrets)
                for warning in answer.warnings:
                    self._warn(masked(warning, secrets), request.what)
                return document

    @contextlib.contextmanager
    def stream(self, request: Request, deadline: Deadline, *, tries_again: bool = True) -> Iterator[Stream]:
        """Makes a request until its answer begins, and gives that to be read as it comes.

        Args:
            request: A request that changes nothing.
            deadline: By when it must have begun, and by when it must have ended.
            tries_again: Whether it is made again when it fails.

        Raises:
            As `call`; and what is raised while it is read.
        """
        tries = _Tries(self, request, deadline, Repeat.SAFE, tries_again=tries_again)
        with contextlib.ExitStack() as stack:
            stream = None
            while stream is None:
                with tries.one() as attempt:
                    begun = stack.enter_context(self._transport.stream(request, attempt, deadline))
                    if isinstance(begun, Answer):
                        stack.close()
                        tries.status = begun.status
                        raise error_of(begun.status, begun.headers, begun.body, request.what)
                    tries.status, stream = 200, begun
            yield stream

    @property
    def width(self) -> int:
        """How many requests at a time are worth it."""
        return self._transport.width

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._transport.connections

    def close(self) -> None:
        """Closes the connections that nobody uses."""
        self._transport.close()


class _Tries:
    """The tries of one request."""

    def __init__(
        self, caller: Caller, request: Request, deadline: Deadline, repeat: Repeat, *, tries_again: bool = True
    ) -> None:
        self._caller = caller
        self._request = request
        self._deadline = deadline
        self._repeat = repeat
        self._tries_again = tries_again
        self._patience = deadline.within(caller.manners.patience_seconds)
        self._numbers = itertools.count()
        self._renewed = False
        self._last: AphiriaDeployError | None = None
        self.status: int | None = None

    @contextlib.contextmanager
    def one(self) -> Iterator[Deadline]:
        """One try, by the deadline that it gives: what is raised in it ends here where another one is worth it."""
        self._check()
        number, since, self.status = next(self._numbers), time.monotonic(), None
        try:
            yield self._deadline.within(self._caller.manners.answer_seconds)
        except AphiriaDeployError as error:
            self._last = error
            seconds = self._pause(error, number)
            self._tell(time.monotonic() - since, error, seconds)
            if seconds is None:
                raise self._final(error) from error.__cause__
            self._deadline.cancellation.wait(min(seconds, self._deadline.remaining))
        else:
            self._tell(time.monotonic() - since, None, None)

    def _check(self) -> None:
        try:
            self._deadline.check(self._request.what)
        except DeadlineExceededError as error:
            if self._last is None:
                raise
            raise DeadlineExceededError(f"{error}; the last answer was: {self._last}") from self._last

    def _pause(self, error: AphiriaDeployError, number: int) -> float | None:
        """After how many seconds to try again; nothing where it is not worth it."""
        caller = self._caller
        if isinstance(error, CredentialError) and self.status == 401 and not self._renewed:
            self._renewed = True
            if caller.access.credentials.refused():
                caller._transport.renew()
                return 0.0
        if not self._tries_again or not worth_another_try(error, self._repeat):
            return None
        seconds = pause(number, caller.manners.chance(), getattr(error, "retry_after", None))
        return seconds if seconds < self._patience.remaining else None

    def _final(self, error: AphiriaDeployError) -> AphiriaDeployError:
        unknown = isinstance(error, ClusterUnavailableError | ServerError) and error.may_have_acted
        if self._repeat is Repeat.UNSAFE and unknown:
            return OutcomeUnknownError(f"{error}; it may have been done all the same", may_have_acted=True)
        if self._deadline.over and isinstance(error, ClusterUnavailableError):
            return DeadlineExceededError(
                f"{self._deadline.what} took longer than the {self._deadline.seconds:g} s it was given: {error}"
            )
        return error

    def _tell(self, seconds: float, error: AphiriaDeployError | None, again_in: float | None) -> None:
        request = self._request
        self._caller._observe(
            Tried(request.method, request.target, request.what, self.status, seconds, error, again_in)
        )


def _document(answer: Answer, request: Request, secrets: Collection[str]) -> dict[str, Any]:
    if not 200 <= answer.status < 300:
        raise error_of(answer.status, answer.headers, answer.body, request.what, secrets=secrets)
    try:
        document = msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        kind = answer.headers.get("content-type", "no content type")
        raise ClusterUnavailableError(
            f"{request.what}: the answer was {answer.status} ({kind}), and not a JSON object; expected the API "
            "server's: is this its address, and does a proxy stand before it?",
            may_have_acted=True,
        )
    return document
