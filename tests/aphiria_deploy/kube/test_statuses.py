from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy import errors
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
from aphiria_deploy.kube.statuses import BY_REASON, error_of, kind_of, retry_after_seconds

# apimachinery, pkg/apis/meta/v1/types.go, StatusReason*.
_REASONS = """Unauthorized Forbidden NotFound AlreadyExists Conflict Gone Invalid ServerTimeout StoreReadError Timeout
TooManyRequests BadRequest MethodNotAllowed NotAcceptable RequestEntityTooLarge UnsupportedMediaType InternalError
Expired ServiceUnavailable""".split()


def _body(code: int, reason: str = "", message: str = "it says so", **details: Any) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    if reason:
        status["reason"] = reason
    return json.dumps(status | ({"details": details} if details else {})).encode()


def _error(code: int, reason: str = "", message: str = "it says so", **details: Any) -> AphiriaDeployError:
    return error_of(code, {}, _body(code, reason, message, **details), "apply Deployment preview-pr-1/web")


def test_every_reason_of_the_api_server_has_a_counterpart() -> None:
    assert set(BY_REASON) == set(_REASONS)


@pytest.mark.parametrize("status", [status for status in HTTPStatus if status >= 300], ids=str)
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b"\xff", _body(0), _body(0, "SomethingNew")])
def test_every_http_status_has_a_counterpart_whatever_the_body(status: HTTPStatus, body: bytes) -> None:
    error = error_of(status, {"content-type": "text/html"}, body, "get Pod a/b")
    assert type(error) in vars(errors).values()
    assert str(error).startswith("get Pod a/b: ")
    assert str(int(status)) in str(error)
    if isinstance(error, ApiError):
        assert error.status == status


@given(st.integers(300, 999), st.text(max_size=20), st.text(max_size=50))
def test_every_number_and_reason_has_a_counterpart(status: int, reason: str, message: str) -> None:
    assert issubclass(kind_of(status, reason), AphiriaDeployError)
    assert isinstance(_error(status, reason, message), AphiriaDeployError)


@given(st.integers(300, 599), st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_a_status_of_any_shape_is_an_error_and_no_crash(code: int, odd: Any) -> None:
    document = {"kind": "Status", "reason": odd, "message": odd, "details": {"causes": [{"field": odd}]}}
    assert isinstance(error_of(code, {}, json.dumps(document).encode(), "x"), AphiriaDeployError)
    assert isinstance(error_of(code, {}, json.dumps({"kind": "Status", "details": odd}).encode(), "x"), Exception)


@pytest.mark.parametrize(
    ("code", "reason", "kind", "exit_code"),
    [
        (401, "Unauthorized", CredentialError, 5),
        (403, "Forbidden", ForbiddenError, 1),
        (404, "NotFound", NotFoundError, 1),
        (409, "AlreadyExists", AlreadyExistsError, 1),
        (409, "Conflict", ConflictError, 1),
        (410, "Expired", GoneError, 1),
        (410, "Gone", GoneError, 1),
        (422, "Invalid", InvalidError, 1),
        (400, "BadRequest", BadRequestError, 1),
        (413, "RequestEntityTooLarge", BadRequestError, 1),
        (429, "TooManyRequests", ClusterUnavailableError, 5),
        (500, "InternalError", ServerError, 1),
        (500, "", ServerError, 1),
        (503, "ServiceUnavailable", ClusterUnavailableError, 5),
        (504, "Timeout", ClusterUnavailableError, 5),
        (418, "NewerThanUs", BadRequestError, 1),
        (599, "NewerThanUs", ServerError, 1),
    ],
)
def test_the_reason_says_what_it_is(code: int, reason: str, kind: type[AphiriaDeployError], exit_code: int) -> None:
    error = _error(code, reason)
    assert type(error) is kind
    assert error.exit_code == exit_code
    assert "apply Deployment preview-pr-1/web" in str(error)
    assert "it says so" in str(error)


def test_a_field_conflict_names_fields_and_managers() -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl" using apps/v1',
            "field": ".spec.replicas",
        },
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-client-side-apply" with subresource "scale" using apps/v1 at 2026-01-01',
            "field": '.spec.template.spec.containers[name="web"].image',
        },
        {"reason": "FieldManagerConflict", "message": 'conflict with "a \\"quoted\\" one"', "field": ".data.x"},
    ]
    error = _error(409, "Conflict", "Apply failed with 3 conflicts", causes=causes)
    assert isinstance(error, ConflictError)
    assert error.conflicts == (
        FieldConflict(".spec.replicas", "kubectl"),
        FieldConflict('.spec.template.spec.containers[name="web"].image', "kubectl-client-side-apply"),
        FieldConflict(".data.x", 'a "quoted" one'),
    )
    assert not error.transient


@pytest.mark.parametrize(
    ("message", "kind", "transient", "quota"),
    [
        ("the object has been modified; please apply your changes to the latest version", "deployments", True, False),
        ("the object has been modified; please apply your changes to the latest version", "resourcequotas", True, True),
        ("Precondition failed: UID in precondition: a, UID in object meta: b", "pods", False, False),
    ],
)
def test_a_conflict_that_another_writer_caused_is_told_from_one_that_stays(
    message: str, kind: str, transient: bool, quota: bool
) -> None:
    error = _error(409, "Conflict", f"Operation cannot be fulfilled: {message}", name="x", kind=kind)
    assert isinstance(error, ConflictError)
    assert (error.transient, error.quota, error.conflicts) == (transient, quota, ())


@pytest.mark.parametrize(
    ("code", "reason", "message", "field"),
    [
        (
            500,
            "",
            "failed to create typed patch object (a/x; apps/v1, Kind=Deployment): .spec.replica: field not declared in "
            "schema",
            ".spec.replica",
        ),
        (
            500,
            "",
            "failed to create typed patch object (a/x; apps/v1, Kind=Deployment): .spec.replicas: expected numeric "
            "(int or float), got string",
            ".spec.replicas",
        ),
        (
            400,
            "BadRequest",
            'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field '
            '"spec.replica"',
            ".spec.replica",
        ),
        (400, "BadRequest", 'strict decoding error: duplicate field "spec.replicas"', ".spec.replicas"),
    ],
)
def test_strict_validation_names_the_field_in_either_wording(code: int, reason: str, message: str, field: str) -> None:
    error = _error(code, reason, message)
    assert isinstance(error, BadRequestError)
    assert [cause.field for cause in error.causes] == [field]


def test_a_manifest_that_cannot_be_read_is_not_a_failure_of_the_server() -> None:
    message = "failed to convert new object (a/x; /v1, Kind=Secret) to proper version: illegal base64 data"
    assert isinstance(_error(500, "", message), BadRequestError)


def test_a_plain_500_is_a_failure_of_the_server() -> None:
    error = _error(500, "", "etcdserver: leader changed")
    assert isinstance(error, ServerError)
    assert error.may_have_acted


def test_a_webhook_fails_before_anything_is_written() -> None:
    error = _error(500, "InternalError", 'Internal error occurred: failed calling webhook "x": context deadline')
    assert isinstance(error, ServerError)
    assert not error.may_have_acted


def test_immutable_fields_are_named() -> None:
    causes = [
        {"reason": "FieldValueInvalid", "message": "Invalid value: {}: field is immutable", "field": "spec.selector"},
        {"reason": "FieldValueInvalid", "message": "must be greater than or equal to 0", "field": "spec.replicas"},
    ]
    error = _error(422, "Invalid", causes=causes)
    assert isinstance(error, InvalidError)
    assert error.immutable_fields == ["spec.selector"]
    assert error.causes[1] == Cause("spec.replicas", "FieldValueInvalid", "must be greater than or equal to 0")


def test_a_path_that_is_not_served_is_an_unknown_kind() -> None:
    assert isinstance(error_of(404, {"content-type": "text/plain"}, b"404 page not found\n", "get X"), UnknownKindError)


@pytest.mark.parametrize("status", [301, 302, 400, 403, 404, 405])
def test_an_answer_that_is_not_of_an_api_server_is_said_to_be_none(status: int) -> None:
    page = b"<html>Sign in to continue</html>"
    error = error_of(status, {"content-type": "text/html; charset=utf-8"}, page, "probe x")
    assert isinstance(error, ClusterUnavailableError)
    assert not error.transient
    assert "text/html" in str(error)
    assert "Sign in" not in str(error)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_load_balancer_before_the_server_may_be_asked_again(status: int) -> None:
    error = error_of(status, {"content-type": "text/html", "retry-after": "3"}, b"<html>", "get x")
    assert isinstance(error, ClusterUnavailableError)
    assert error.transient
    assert error.retry_after == 3
    assert error.may_have_acted == (status in {502, 504})


_NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        (" 120 ", 120),
        ("99999999999999999999", 86400),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
        ("Wednesday, 21-Oct-15 07:28:10 GMT", 10),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_seconds(header, _NOW) == seconds


@given(st.text())
def test_retry_after_may_be_anything(header: str) -> None:
    seconds = retry_after_seconds(header)
    assert seconds is None or 0 <= seconds <= 86400


def test_the_seconds_of_a_status_count_where_there_is_no_header() -> None:
    error = error_of(500, {}, _body(500, "ServerTimeout", retryAfterSeconds=2), "x")
    assert isinstance(error, ServerError)
    assert error.retry_after == 2


def test_no_message_repeats_a_secret() -> None:
    causes = [{"field": ".data.a", "reason": "x", "message": 'got {Value:"hunter2"}'}]
    body = _body(500, "", 'failed to create typed patch object: .data.a: got "hunter2"', causes=causes)
    error = error_of(500, {}, body, "apply Secret a/b", secrets={"hunter2", "hunter"})
    assert isinstance(error, ApiError)
    assert "hunter" not in str(error)
    assert "hunter" not in repr(error.causes)
