"""What an answer that is no success means: from the API server's ``Status`` to the tree of our errors."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Collection, Mapping

import msgspec

from aphiria_deploy.errors import (
    AlreadyExistsError,
    AphiriaDeployError,
    ApiError,
    BadRequestError,
    Cause,
    ClusterUnavailableError,
    ConflictError,
    CredentialError,
    FieldConflict,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ServerError,
    UnknownKindError,
)
from aphiria_deploy.kube.masking import masked

BY_REASON: Mapping[str, type[AphiriaDeployError]] = {
    "Unauthorized": CredentialError,
    "Forbidden": ForbiddenError,
    "NotFound": NotFoundError,
    "AlreadyExists": AlreadyExistsError,
    "Conflict": ConflictError,
    "Gone": GoneError,
    "Expired": GoneError,
    "Invalid": InvalidError,
    "ServerTimeout": ServerError,
    "StoreReadError": ServerError,
    "Timeout": ClusterUnavailableError,
    "TooManyRequests": ClusterUnavailableError,
    "BadRequest": BadRequestError,
    "MethodNotAllowed": BadRequestError,
    "NotAcceptable": BadRequestError,
    "RequestEntityTooLarge": BadRequestError,
    "UnsupportedMediaType": BadRequestError,
    "InternalError": ServerError,
    "ServiceUnavailable": ClusterUnavailableError,
}
"""What each reason of ``metav1.StatusReason`` means here (apimachinery, ``pkg/apis/meta/v1/types.go``)."""

BY_STATUS: Mapping[int, type[AphiriaDeployError]] = {
    401: CredentialError,
    403: ForbiddenError,
    404: NotFoundError,
    407: CredentialError,
    408: ClusterUnavailableError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: ClusterUnavailableError,
    500: ServerError,
    502: ClusterUnavailableError,
    503: ClusterUnavailableError,
    504: ClusterUnavailableError,
}
"""What an HTTP status means where no reason says more; of others, see `kind_of`."""

_NEXT: Mapping[type[AphiriaDeployError], str] = {
    CredentialError: "the cluster does not take the credential: fetch a new kubeconfig, or log in again",
    ForbiddenError: "see what the account may do, and what admission, policies and quotas allow",
    NotFoundError: "see that it was made, in this cluster and namespace",
    AlreadyExistsError: "read what is there, and change that instead",
    BadRequestError: "correct what the message names",
    InvalidError: "correct the fields",
    GoneError: "list it anew",
    ServerError: "see the API server's log, and what it asks: webhooks and aggregated APIs",
    ClusterUnavailableError: "try again when the API server is well",
}

# What a manifest that does not fit its schema gives at a server-side apply: 500, and no reason.
_TYPED = re.compile(r"^failed to (?:create typed patch|convert new) object ")
_UNDECLARED = re.compile(r"(?:^|[\s:])(\.[^\s:]+): (field not declared in schema|expected [^;]*)")
_UNKNOWN = re.compile(r'(unknown|duplicate) field "([^"]+)"')
_CONFLICT = re.compile(r'conflicts? with "((?:[^"\\]|\\.)*)"')
_TRANSIENT_CONFLICT = re.compile(r"object has been modified|please apply your changes to the latest version")
_BEFORE_IT_WAS_DONE = re.compile(r"failed calling webhook|failed to call webhook|conversion webhook for")
# Of a group that there is not, and of a version that a group does not have.
_NO_SUCH_PATH = ("404 page not found", "the server could not find the requested resource")
_FAR = 86400.0


class _CauseOf(msgspec.Struct):
    field: str = ""
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct, rename="camel"):
    kind: str = ""
    causes: list[_CauseOf] = []
    retry_after_seconds: int = 0


class _Status(msgspec.Struct):
    """``metav1.Status``, as far as it is read here."""

    kind: str
    reason: str = ""
    message: str = ""
    details: _Details | None = None


def kind_of(status: int, reason: str) -> type[AphiriaDeployError]:
    """Which of our errors an answer is.

    Args:
        status: The HTTP status, 300 or greater.
        reason: The reason of its ``Status``; may be empty or new.
    """
    if known := BY_REASON.get(reason) or BY_STATUS.get(status):
        return known
    if status >= 500:
        return ServerError
    return BadRequestError if status >= 400 else ClusterUnavailableError


def error_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    what: str,
    *,
    secrets: Collection[str] = (),
    now: float | None = None,
) -> AphiriaDeployError:
    """The error that an answer is.

    Args:
        status: The HTTP status, 300 or greater.
        headers: The headers, by lower-case name.
        body: The body: a ``Status``, or something else where nothing of Kubernetes answered.
        what: What was asked for, for the message: ``apply Deployment preview-pr-1/web``.
        secrets: Values that the message must not repeat.
        now: Seconds since the epoch.
    """
    document = _status(body)
    if status == 404 and (document.message if document else body.decode(errors="replace").strip()) in _NO_SUCH_PATH:
        return UnknownKindError(
            f"{what}: the API server serves no such path; expected a kind and version that it knows: see that the CRD "
            "is installed and Established"
        )
    if document is None:
        return _foreign(status, headers, body, what, now)
    return _of_status(status, document, _retry_after(headers, document, now), what, secrets)


def _of_status(
    status: int, document: _Status, retry_after: float | None, what: str, secrets: Collection[str]
) -> AphiriaDeployError:
    """The error that a ``Status`` of the API server's is."""
    reason, message = document.reason, masked(document.message, secrets)
    details = document.details or _Details()
    causes = _causes(details, message, secrets)
    kind = kind_of(status, reason)
    if status == 500 and _TYPED.match(message):
        kind = BadRequestError
    text = f"{what}: the API server answered {status}{f' {reason}' if reason else ''}: {message or 'nothing more'}"
    if kind is ConflictError:
        conflicts = field_conflicts(causes)
        transient = not conflicts and bool(_TRANSIENT_CONFLICT.search(message))
        text += f"; {_after_conflict(conflicts)}"
        return ConflictError(
            text,
            status=status,
            causes=causes,
            retry_after=retry_after,
            conflicts=conflicts,
            transient=transient,
            quota=details.kind == "resourcequotas",
        )
    text += f"; {_NEXT[kind]}"
    if kind is CredentialError:
        return CredentialError(text)
    if kind is ClusterUnavailableError:
        may_have_acted = status not in {429, 503}
        return ClusterUnavailableError(text, may_have_acted=may_have_acted, retry_after=retry_after)
    if kind is ServerError:
        may_have_acted = not _BEFORE_IT_WAS_DONE.search(message)
        return ServerError(
            text, status=status, reason=reason, causes=causes, retry_after=retry_after, may_have_acted=may_have_acted
        )
    assert issubclass(kind, ApiError)  # noqa: S101 - the others are done
    return kind(text, status=status, reason=reason, causes=causes, retry_after=retry_after)


def field_conflicts(causes: Collection[Cause]) -> list[FieldConflict]:
    """The fields of a server-side apply that other managers own, from the causes of a ``Status``."""
    found = []
    for cause in causes:
        if cause.reason == "FieldManagerConflict":
            match = _CONFLICT.search(cause.message)
            manager = match[1].replace('\\"', '"').replace("\\\\", "\\") if match else cause.message
            found.append(FieldConflict(cause.field, manager))
    return found


def retry_after_seconds(value: str, now: float | None = None) -> float | None:
    """The seconds that a ``Retry-After`` header asks for: a number of them, or until an HTTP date.

    Args:
        value: The header.
        now: Seconds since the epoch.

    Returns:
        Never negative; nothing where the header is neither.
    """
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), _FAR)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, moment - (time.time() if now is None else now)), _FAR)


def _status(body: bytes) -> _Status | None:
    try:
        document = msgspec.json.decode(body, type=_Status)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return document if document.kind == "Status" else None


def _foreign(status: int, headers: Mapping[str, str], body: bytes, what: str, now: float | None) -> AphiriaDeployError:
    """An answer without a ``Status``: of the API server's outer parts, or of something before it."""
    retry_after = _retry_after(headers, None, now)
    text = body.decode(errors="replace").strip()
    kind = headers.get("content-type", "").partition(";")[0] or "no content type"
    # The first line alone, and only of plain text: others' pages are long.
    said = f": {text.splitlines()[0][:200]}" if kind == "text/plain" and text else ""
    message = f"{what}: the answer was {status} ({kind}){said}; expected the API server's: "
    meaning = kind_of(status, "")
    if meaning is CredentialError:
        return CredentialError(f"{message}{_NEXT[CredentialError]}")
    if meaning is ServerError or status in {408, 429}:
        return ClusterUnavailableError(
            f"{message}{_NEXT[ClusterUnavailableError]}", may_have_acted=status != 429, retry_after=retry_after
        )
    if meaning is ClusterUnavailableError and status >= 500:
        return ClusterUnavailableError(
            f"{message}{_NEXT[ClusterUnavailableError]}", may_have_acted=status != 503, retry_after=retry_after
        )
    return ClusterUnavailableError(
        f"{message}is this its address, and does a proxy stand before it?", may_have_acted=False, transient=False
    )


def _causes(details: _Details, message: str, secrets: Collection[str]) -> list[Cause]:
    causes = [Cause(cause.field, cause.reason, masked(cause.message, secrets)) for cause in details.causes]
    if not causes and _TYPED.match(message):
        causes = [Cause(field, "FieldValueInvalid", text) for field, text in _UNDECLARED.findall(message)]
    if not causes:
        causes = [Cause(f".{field}", "FieldValueInvalid", f"{how} field") for how, field in _UNKNOWN.findall(message)]
    return causes


def _retry_after(headers: Mapping[str, str], document: _Status | None, now: float | None) -> float | None:
    if header := headers.get("retry-after"):
        return retry_after_seconds(header, now)
    seconds = document.details.retry_after_seconds if document and document.details else 0
    return min(float(seconds), _FAR) if seconds > 0 else None


def _after_conflict(conflicts: list[FieldConflict]) -> str:
    if conflicts:
        return "another manager owns these fields: have it give them up, or take them over"
    return "what is there has changed: read it again"
