"""Requests to GitHub's REST API: the one module here that imports the HTTP client.

Of each answer it is decided here whether it counts, whether to ask again, and which of our errors it is. A request
that changes something and may have been carried out is repeated only where that does no harm.

The limits and how to keep them:
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from aphiria_deploy.errors import InputError
from aphiria_deploy.fields import one_line
from aphiria_deploy.github.errors import (
    GitHubAccessError,
    GitHubConflictError,
    GitHubContentError,
    GitHubInvalidError,
    GitHubNotFoundError,
    GitHubOutcomeUnknownError,
    GitHubRefusedError,
    GitHubUnavailableError,
)
from aphiria_deploy.http import ATTEMPTS, Answer, Http, HttpFailureError, pause_before, retry_after
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.registry.reference import is_loopback

API_VERSION: Final = "2022-11-28"
SECONDS: Final = 120.0
"""Seconds for one operation, with its pages and its tries again."""
PER_PAGE: Final = 100
MOST_PAGES: Final = 100
"""A list that goes on after this many pages is not believed."""
ANSWER_BYTES: Final = 32 * 1024 * 1024
SECONDARY_PAUSE: Final = 60.0
"""Seconds to wait after a secondary rate limit that says nothing more."""

_FAILING: Final = frozenset({500, 502, 503, 504})
_REPEATABLE: Final = frozenset({"GET", "PUT", "PATCH", "DELETE"})
_T = TypeVar("_T")


class _Problem(msgspec.Struct):
    """How GitHub says what is wrong."""

    message: str = ""
    errors: Any = None


class Transport:
    """A connection to GitHub, for as long as a block lasts.

    Args:
        api: The address of the API: ``https://api.github.com``.
        token: The token.
        seconds: Seconds for one operation.

    Raises:
        InputError: The address would send the token in the clear.
    """

    def __init__(self, api: str, token: SecretValue, *, seconds: float = SECONDS) -> None:
        parts = urlsplit(api)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.netloc)):
            raise InputError(
                f"GITHUB_API_URL: found {api!r}, expected an address at https, such as https://api.github.com"
            )
        self._api = api.rstrip("/")
        self._authorization = SecretValue(f"Bearer {token.reveal()}")
        self._seconds = seconds
        self._runner = asyncio.Runner()
        self._http: Http | None = None

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._http is not None:
            self._runner.run(self._http.__aexit__(None, None, None))
        self._runner.__exit__(kind, error, traceback)

    def get(self, path: str, kind: type[_T], query: Mapping[str, str] | None = None) -> _T:
        """Reads one thing.

        Raises:
            AphiriaDeployError: One of GitHub's.
        """
        return _decoded(self._run(self._asked("GET", path, query)), kind, f"GET {path}")

    def content(self, path: str, limit: int) -> bytes:
        """Reads what is no JSON, wherever GitHub redirects to; the token goes to GitHub alone.

        Raises:
            AphiriaDeployError: One of GitHub's.
        """
        return self._run(self._asked("GET", path, limit=limit)).body

    def pages(self, path: str, kind: type[_T], query: Mapping[str, str] | None = None, key: str = "") -> list[_T]:
        """Reads a list, to its end.

        It ends with a page that is not full and names none that follows; a full one that names none is not believed.

        Args:
            path: The path.
            kind: The type of one item.
            query: Parameters beside those of the pages.
            key: Where the list is in the answer, if the answer is not the list; ``total_count`` then has to agree.

        Raises:
            GitHubContentError: The list contradicts itself.
            AphiriaDeployError: Another of GitHub's.
        """
        return self._run(self._pages(path, kind, query or {}, key))

    def write(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool | None = None
    ) -> Answer:
        """Changes something.

        Args:
            method: ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
            path: The path.
            body: The request's JSON.
            repeatable: Whether it does no harm twice; all but ``POST`` unless it is said.

        Raises:
            GitHubOutcomeUnknownError: It may have happened, and must not be repeated blindly.
            AphiriaDeployError: Another of GitHub's.
        """
        content = msgspec.json.encode(body) if body is not None else None
        return self._run(self._asked(method, path, body=content, repeatable=repeatable))

    def written(self, method: str, path: str, kind: type[_T], body: Mapping[str, Any]) -> _T:
        """Changes something and reads what it has become.

        Raises:
            GitHubOutcomeUnknownError: It may have happened, and must not be repeated blindly.
            AphiriaDeployError: Another of GitHub's.
        """
        return _decoded(self.write(method, path, body), kind, f"{method} {path}")

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._http is not None:
            self._http.count_anew()
        return self._runner.run(work)

    async def _pages(self, path: str, kind: type[_T], query: Mapping[str, str], key: str) -> list[_T]:
        items: list[_T] = []
        for page in range(1, MOST_PAGES + 1):
            answer = await self._asked("GET", path, {**query, "per_page": str(PER_PAGE), "page": str(page)})
            where = f"GET {path} (page {page})"
            found, total = _listed(answer, kind, key, where)
            items += found
            follows = 'rel="next"' in answer.headers.get("link", "")
            # A page may be full to the last item and be the last: then the next one is empty.
            if len(found) < PER_PAGE and not follows:
                if total is not None and total != len(items):
                    raise GitHubContentError(
                        f"{where}: found {len(items)} items, expected {total} as the answer says: the list changed "
                        "while it was read, or is incomplete; try again"
                    )
                return items
        raise GitHubContentError(
            f"GET {path}: found no end after {MOST_PAGES} pages, expected one: the list is longer than is believed"
        )

    async def _asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        limit: int = ANSWER_BYTES,
        repeatable: bool | None = None,
    ) -> Answer:
        if self._http is None:
            self._http = await Http(self._seconds, at_once=1).__aenter__()
        again = method in _REPEATABLE if repeatable is None else repeatable
        where = f"{method} {path}"
        url = f"{self._api}{path}{f'?{urlencode(query)}' if query else ''}"
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
            "User-Agent": "aphiria-deploy",
            **({"Content-Type": "application/json"} if body is not None else {}),
        }
        for attempt in range(1, ATTEMPTS + 1):
            after: float | None = None
            try:
                answer = await self._http.once(
                    method, url, headers=headers, limit=limit, authorization=self._authorization, body=body
                )
            except HttpFailureError as error:
                failure = _failed(error, where, may_repeat=again)
                if not error.passing or (error.sent and not again):
                    raise failure from None
            else:
                after = rate_limited(answer, time.time())
                if after is None and answer.status not in _FAILING:
                    return _accepted(answer, where)
                failure = _later(answer, where, after)
                if after is None and not again:
                    raise GitHubOutcomeUnknownError(
                        f"{where}: found the answer {answer.status}, expected one that says whether it was done: "
                        "look whether it was"
                    )
            pause = pause_before(attempt, after, random.random())  # noqa: S311 - it only spreads requests
            if attempt == ATTEMPTS or not await self._http.pause(pause):
                raise failure from None
        raise AssertionError("the last attempt returns or raises")


def path_of(*parts: str | int) -> str:
    """Gives a path whose parts are names, whatever characters they have."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def rate_limited(answer: Answer, now: float) -> float | None:
    """Gives the seconds that GitHub wants to be left alone for; None where it does not say so.

    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit

    Args:
        answer: An answer.
        now: The time, in seconds since 1970.
    """
    if answer.status not in {403, 429}:
        return None
    asked = retry_after(answer.headers.get("retry-after", ""), now)
    if asked is not None:
        return asked
    if answer.headers.get("x-ratelimit-remaining") == "0":
        reset = answer.headers.get("x-ratelimit-reset", "")
        # A second more: the clocks differ, and the limit is lifted after that second.
        return max(0.0, float(reset) - now) + 1 if re.fullmatch(r"[0-9]{1,12}", reset) else SECONDARY_PAUSE
    if answer.status == 429 or b"secondary rate limit" in answer.body.lower():
        return SECONDARY_PAUSE
    return None


def refusal(status: int, body: bytes, where: str) -> Exception:
    """Gives the error for an answer that is none of success.

    Args:
        status: The status, from 300 on.
        body: The answer's body.
        where: What was asked.
    """
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        problem = _Problem()
    said = one_line(problem.message) or "nothing more"
    found = f"{where}: found the answer {status}: {said}"
    if status == 401:
        return GitHubAccessError(f"{found}; expected the token to be taken: it is wrong or has expired", status=status)
    if status == 403:
        return GitHubAccessError(
            f"{found}; expected leave: give the job or the token the permission that this needs (docs/SECRETS.md)",
            status=status,
        )
    details = [entry for entry in problem.errors if isinstance(entry, dict)] if isinstance(problem.errors, list) else []
    codes = [code for entry in details if isinstance(code := entry.get("code"), str)]
    if details:
        parts = (
            " ".join(str(entry[name]) for name in ("field", "code", "message") if entry.get(name)) for entry in details
        )
        found = f"{found} ({one_line('; '.join(parts))})"
    if status in {404, 410}:
        return GitHubNotFoundError(
            f"{found}; expected it to be there, and the token to be allowed to see it", status=status, codes=codes
        )
    if status == 409:
        return GitHubConflictError(f"{found}; expected no conflict: look at what is there", status=status, codes=codes)
    if status == 422:
        return GitHubInvalidError(f"{found}; expected it to be taken as valid", status=status, codes=codes)
    return GitHubRefusedError(f"{found}; expected success", status=status, codes=codes)


def _accepted(answer: Answer, where: str) -> Answer:
    if not 200 <= answer.status < 300:
        raise refusal(answer.status, answer.body, where)
    return answer


def _later(answer: Answer, where: str, after: float | None) -> GitHubUnavailableError:
    if after is not None:
        return GitHubUnavailableError(
            f"{where}: found a rate limit for {after:.0f} s more, expected an answer: try again after that"
        )
    return GitHubUnavailableError(
        f"{where}: found the answer {answer.status} {ATTEMPTS} times, expected success: try again later"
    )


def _failed(error: HttpFailureError, where: str, *, may_repeat: bool) -> GitHubUnavailableError:
    if error.sent and not may_repeat:
        return GitHubOutcomeUnknownError(f"{where}: found {error}, expected an answer: look whether it was done")
    return GitHubUnavailableError(f"{where}: found {error}, expected an answer of GitHub: try again later")


def _decoded(answer: Answer, kind: type[_T], where: str) -> _T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise GitHubContentError(f"{where}: {error}; expected what GitHub's API describes") from error


def _listed(answer: Answer, kind: type[_T], key: str, where: str) -> tuple[list[_T], int | None]:
    if not key:
        return _decoded(answer, list[kind], where), None  # type: ignore[valid-type]
    wrapped = _decoded(answer, dict[str, msgspec.Raw], where)
    if key not in wrapped or "total_count" not in wrapped:
        raise GitHubContentError(f"{where}: found no {key} with a total_count, expected both as GitHub's API describes")
    try:
        return (
            msgspec.json.decode(wrapped[key], type=list[kind]),  # type: ignore[valid-type]
            msgspec.json.decode(wrapped["total_count"], type=int),
        )
    except msgspec.MsgspecError as error:
        raise GitHubContentError(f"{where}: {key}: {error}; expected what GitHub's API describes") from error
