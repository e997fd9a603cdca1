"""The client of registries: requests, logins, and what their answers mean."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from aphiria_deploy.errors import (
    AphiriaDeployError,
    Errors,
    ImageContentError,
    ImageNotFoundError,
    InputError,
    RegistryAccessError,
    RegistryContentError,
    RegistryUnavailableError,
)
from aphiria_deploy.http import Answer, Http, HttpFailureError
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.registry.challenge import Challenge, parse_challenges
from aphiria_deploy.registry.content import (
    CONFIGS,
    INDEXES,
    MANIFESTS,
    Descriptor,
    Document,
    ImageContent,
    MalformedError,
    PlatformImage,
    revision_and_platform,
)
from aphiria_deploy.registry.login import Login
from aphiria_deploy.registry.reference import Reference, is_digest, is_loopback

MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""The largest manifest that every registry has to take, and the largest that is read."""
CONFIG_BYTES: Final = 8 * 1024 * 1024
TOKEN_BYTES: Final = 1024 * 1024
DEPTH: Final = 3
"""How deep indexes in indexes are followed."""
DOCUMENTS: Final = 256
"""How many manifests of one image are read: an index could list any number."""

_ACCEPT: Final = ", ".join(INDEXES + MANIFESTS)

_Result = TypeVar("_Result")


def run(
    images: Mapping[str, str],
    logins: Mapping[str, Login],
    ask: Callable[[Registry, Reference, str], Awaitable[_Result]],
    timeout: float,
) -> dict[str, _Result]:
    """Asks for all images at once.

    Raises:
        AphiriaDeployError: What is wrong with one, or with several.
    """
    references: dict[str, Reference] = {}
    results: dict[str, _Result] = {}
    failures: dict[str, AphiriaDeployError] = {}

    async def one(registry: Registry, name: str, reference: Reference) -> None:
        try:
            results[name] = await ask(registry, reference, f"images: {name}: {reference}")
        except AphiriaDeployError as error:
            failures[name] = error

    async def every() -> None:
        async with Http(timeout) as http, asyncio.TaskGroup() as group:
            registry = Registry(http, logins)
            for name, reference in references.items():
                group.create_task(one(registry, name, reference))

    for name, ref in images.items():
        try:
            references[name] = Reference.parse(ref, f"images: {name}")
        except InputError as error:
            failures[name] = error
    if references:
        asyncio.run(every())
    errors = Errors()
    for name in images:
        # In the order that was asked in, whichever failed first.
        if name in failures:
            errors.add(failures[name])
    errors.raise_all()
    return {name: results[name] for name in images}


class Registry:
    """Registries, with the logins that they are given and the tokens that they gave.

    Args:
        http: The HTTP client.
        logins: Logins, by the registry's host.
    """

    def __init__(self, http: Http, logins: Mapping[str, Login]) -> None:
        self._http = http
        self._logins = logins
        # What authorizes for a repository; it is got once, by whoever needs it first.
        self._authorizations: dict[tuple[str, str], SecretValue] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def pinned(self, reference: Reference, where: str) -> str:
        """Gives the reference pinned to its digest, which the registry has.

        Args:
            reference: The reference.
            where: What to call it in an error.

        Raises:
            AphiriaDeployError: One of the registry's.
        """
        url = f"{reference.api}/manifests/{reference.target}"
        answer = await self._ask("HEAD", url, reference, where, accept=_ACCEPT, limit=MANIFEST_BYTES)
        digest = answer.headers.get("docker-content-digest", "")
        # A registry may leave out the digest, or not know HEAD.
        if answer.status == 405 or (answer.status == 200 and not digest):
            digest = (await self.document(reference, reference.target, where)).digest
        else:
            _require_found(answer, reference, where)
        if not is_digest(digest) or (reference.digest and digest != reference.digest):
            raise RegistryContentError(
                f"{where}: found the digest {digest!r}, expected {reference.digest or 'sha256: and 64 hex digits'}: "
                "the registry, or what is between, answers for another image"
            )
        return reference.pinned(digest)

    async def content(self, reference: Reference, where: str) -> ImageContent:
        """Gives what is behind a reference.

        Args:
            reference: The reference.
            where: What to call it in an error.

        Raises:
            AphiriaDeployError: One of the registry's.
        """
        document = await self.document(reference, reference.target, where)
        reading = _Reading(self, reference, where)
        platforms = tuple(await reading.read(document, "", 0))
        if not platforms:
            raise ImageContentError(
                f"{where}: found an index of which the registry holds no image, expected a container image: push it "
                "with its platforms"
            )
        digests = frozenset({document.digest, *reading.digests})
        return ImageContent(reference.pinned(document.digest), document.digest, digests, platforms)

    async def document(self, reference: Reference, target: str, where: str) -> Document:
        """Gives the manifest or index behind a tag or a digest.

        Raises:
            AphiriaDeployError: One of the registry's.
        """
        url = f"{reference.api}/manifests/{target}"
        answer = await self._ask("GET", url, reference, where, accept=_ACCEPT, limit=MANIFEST_BYTES)
        _require_found(answer, reference, where)
        try:
            document = Document.read(_digest(answer.body), answer.headers.get("content-type", ""), _json(answer.body))
        except MalformedError as error:
            raise RegistryContentError(f"{where}: {error}: push it again with a present version of its tool") from None
        for expected in (answer.headers.get("docker-content-digest"), target if is_digest(target) else None):
            _require_digest(answer, expected or document.digest, where)
        return document

    async def config(self, reference: Reference, digest: str, where: str) -> object:
        """Gives the configuration of an image, by its digest.

        Raises:
            AphiriaDeployError: One of the registry's.
        """
        url = f"{reference.api}/blobs/{digest}"
        answer = await self._ask("GET", url, reference, where, accept=", ".join(CONFIGS), limit=CONFIG_BYTES)
        if answer.status == 404:
            raise ImageNotFoundError(
                f"{where}: found its manifest without its configuration {digest}, expected a whole image: push it again"
            )
        _require_found(answer, reference, where)
        _require_digest(answer, digest, where)
        return _json(answer.body)

    async def _ask(self, method: str, url: str, reference: Reference, where: str, *, accept: str, limit: int) -> Answer:
        key = (reference.registry, reference.repository)
        headers = {"Accept": accept, "User-Agent": "aphiria-deploy"}
        # With what is known; with what the registry asks for; and once more, for it may have run out in between.
        for _ in range(3):
            tried = self._authorizations.get(key)
            try:
                answer = await self._http.ask(method, url, headers=headers, limit=limit, authorization=tried)
            except HttpFailureError as error:
                raise _unavailable(error, urlsplit(url).netloc, where) from None
            if answer.status != 401:
                break
            async with self._locks.setdefault(key, asyncio.Lock()):
                # Or another task got it meanwhile.
                if self._authorizations.get(key) == tried:
                    fresh = await self._authorize(answer, reference, where)
                    if fresh == tried:
                        break
                    self._authorizations[key] = fresh
        if answer.status in {401, 403}:
            raise self._refused(answer, reference, where)
        return answer

    async def _authorize(self, answer: Answer, reference: Reference, where: str) -> SecretValue:
        challenges = parse_challenges(answer.headers.get("www-authenticate", ""))
        by_scheme = {challenge.scheme: challenge for challenge in reversed(challenges)}
        bearer = by_scheme.get("bearer", Challenge("bearer")).parameters
        login = self._logins.get(reference.registry)
        # Where a redirect led to has no say in where a login is sent. And another token would give no more leave.
        own = urlsplit(answer.url).netloc == urlsplit(reference.api).netloc
        if own and bearer.get("realm") and bearer.get("error") != "insufficient_scope":
            return await self._token(bearer, reference, login, where)
        if own and "basic" in by_scheme and login:
            return login.basic()
        raise self._refused(answer, reference, where)

    async def _token(
        self, challenge: Mapping[str, str], reference: Reference, login: Login | None, where: str
    ) -> SecretValue:
        # https://distribution.github.io/distribution/spec/auth/token/
        realm = challenge["realm"]
        host = urlsplit(realm).netloc
        if not _is_safe(realm, reference.api):
            raise RegistryContentError(
                f"{where}: found the token service {realm!r}, expected one at https: {reference.registry} would have "
                "the login sent in the clear"
            )
        query = {
            "service": challenge.get("service", ""),
            "scope": challenge.get("scope") or f"repository:{reference.repository}:pull",
        }
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode({name: text for name, text in query.items() if text})}"
        try:
            answer = await self._http.ask(
                "GET",
                url,
                headers={"Accept": "application/json", "User-Agent": "aphiria-deploy"},
                limit=TOKEN_BYTES,
                authorization=login.basic() if login else None,
            )
        except HttpFailureError as error:
            raise _unavailable(error, host, where) from None
        if answer.status in {400, 401, 403, 404}:
            raise self._refused(answer, reference, where)
        token = _token_in(answer)
        if token is None:
            raise RegistryUnavailableError(
                f"{where}: found the answer {answer.status} without a token at {host}, expected a token: "
                "try again later"
            )
        return SecretValue(f"Bearer {token}")

    def _refused(self, answer: Answer, reference: Reference, where: str) -> RegistryAccessError:
        login = self._logins.get(reference.registry)
        asked = urlsplit(answer.url).netloc
        found = f"{where}: found the answer {answer.status}{_codes(answer)} of {asked}"
        if login:
            return RegistryAccessError(
                f"{found} to the login of {login.username!r}, expected leave to pull: check that the login has not "
                f"expired, may read {reference.repository}, and that this exists"
            )
        return RegistryAccessError(
            f"{found} without a login, expected leave to pull: {reference.repository} is private, and a login at "
            f"{reference.registry} is needed, or it does not exist"
        )


class _Reading:
    """Reads the documents of one image.

    Attributes:
        digests: What a pod may report, so far.
    """

    def __init__(self, registry: Registry, reference: Reference, where: str) -> None:
        self._registry = registry
        self._reference = reference
        self._where = where
        self._count = 0
        self.digests: set[str] = set()

    async def read(self, document: Document, platform: str, depth: int) -> list[PlatformImage]:
        """Gives the images of a document and of those that it lists."""
        try:
            if document.is_index:
                children = document.children()
            else:
                config = document.config()
                if config.media_type in CONFIGS:
                    return [await self._image(document, config, platform)]
                children = []
        except MalformedError as error:
            raise RegistryContentError(f"{self._where}: {document.digest}: {error}: push it again") from None
        if not document.is_index and depth == 0:
            raise ImageContentError(
                f"{self._where}: found a manifest whose configuration is {config.media_type!r}, expected a container "
                "image"
            )
        self._count += len(children)
        if children and (depth == DEPTH or self._count > DOCUMENTS):
            raise ImageContentError(
                f"{self._where}: found indexes deeper than {DEPTH} or with more than {DOCUMENTS} manifests, expected "
                "the platforms of one image"
            )
        # A runtime may report what an index lists even when this registry does not hold it.
        self.digests |= {child.digest for child in children}
        errors = Errors()
        lists = await asyncio.gather(*(self._child(child, depth + 1, errors) for child in children))
        errors.raise_all()
        return [image for images in lists for image in images]

    async def _child(self, child: Descriptor, depth: int, errors: Errors) -> list[PlatformImage]:
        with errors.collected():
            return await self._held(child, depth)
        return []

    async def _held(self, child: Descriptor, depth: int) -> list[PlatformImage]:
        try:
            document = await self._registry.document(self._reference, child.digest, self._where)
        except ImageNotFoundError:
            return []
        return await self.read(document, child.platform, depth)

    async def _image(self, document: Document, config: Descriptor, platform: str) -> PlatformImage:
        self.digests |= {document.digest, config.digest}
        data = await self._registry.config(self._reference, config.digest, self._where)
        revision, own_platform = revision_and_platform(data)
        return PlatformImage(platform or own_platform, document.digest, config.digest, revision)


def _require_found(answer: Answer, reference: Reference, where: str) -> None:
    if answer.status in {400, 404}:
        raise ImageNotFoundError(
            f"{where}: found the answer {answer.status}{_codes(answer)}, expected an image: {reference.target} was "
            f"never pushed to {reference.registry}/{reference.repository}, or was deleted; check the name, or push it"
        )
    if answer.status != 200:
        raise RegistryUnavailableError(
            f"{where}: found the answer {answer.status}{_codes(answer)} of {urlsplit(answer.url).netloc}, "
            "expected 200: is a registry there?"
        )


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _require_digest(answer: Answer, expected: str, where: str) -> None:
    if (digest := _digest(answer.body)) != expected:
        raise RegistryContentError(
            f"{where}: found a document of digest {digest}, expected {expected!r}: the registry, or what is "
            "between, changed it"
        )


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _token_in(answer: Answer) -> str | None:
    data = _json(answer.body) if answer.status == 200 else None
    if not isinstance(data, dict):
        return None
    for name in ("token", "access_token"):
        # A header can hold it: RFC 6750, section 2.1.
        if isinstance(data.get(name), str) and re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", data[name]):
            return str(data[name])
    return None


def _codes(answer: Answer) -> str:
    """Gives the error codes of an answer. Not its messages: who answers could repeat the request's headers there."""
    data = _json(answer.body)
    listed = data.get("errors") if isinstance(data, dict) else None
    codes = [each.get("code") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    known = [code for code in codes if isinstance(code, str) and re.fullmatch(r"[A-Z_]{1,40}", code)]
    return f" ({', '.join(dict.fromkeys(known))})" if known else ""


def _unavailable(error: HttpFailureError, host: str, where: str) -> RegistryUnavailableError:
    return RegistryUnavailableError(f"{where}: found {error} at {host}, expected an answer: try again later")


def _is_safe(realm: str, api: str) -> bool:
    parts = urlsplit(realm)
    if not parts.hostname or parts.username is not None:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.netloc) and is_loopback(urlsplit(api).netloc)
    )
