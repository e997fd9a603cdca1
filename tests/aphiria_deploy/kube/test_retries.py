from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.errors import (
    AlreadyExistsError,
    AphiriaDeployError,
    BadRequestError,
    CancelledError,
    ClusterUnavailableError,
    ConflictError,
    CredentialError,
    DeadlineExceededError,
    FieldConflict,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ServerError,
    UnknownKindError,
)
from aphiria_deploy.kube.retries import LONGEST_SECONDS, Repeat, pause, worth_another_try


@pytest.mark.parametrize(
    ("attempt", "chance", "retry_after", "seconds"),
    [
        (0, 1.0, None, 0.5),
        (1, 1.0, None, 1.0),
        (2, 1.0, None, 2.0),
        (3, 1.0, None, 4.0),
        (4, 1.0, None, 5.0),
        (5, 1.0, None, 5.0),
        (10_000, 1.0, None, 5.0),
        (0, 0.0, None, 0.0),
        (0, 0.5, None, 0.25),
        (4, 0.5, None, 2.5),
        (0, 0.0, 7.0, 7.0),
        (0, 1.0, 7.0, 7.5),
        (9, 1.0, 120.0, 125.0),
        (0, 1.0, 0.0, 0.5),
    ],
)
def test_pauses_double_from_half_a_second_to_five_with_full_jitter(
    attempt: int, chance: float, retry_after: float | None, seconds: float
) -> None:
    assert pause(attempt, chance, retry_after) == seconds


@given(st.integers(0, 1000), st.floats(0, 1), st.none() | st.floats(0, 1e5))
def test_a_server_is_never_asked_again_before_it_said_nor_much_later(
    attempt: int, chance: float, retry_after: float | None
) -> None:
    least = retry_after or 0.0
    assert least <= pause(attempt, chance, retry_after) <= least + LONGEST_SECONDS


_NEVER: list[AphiriaDeployError] = [
    AlreadyExistsError("x", status=409),
    BadRequestError("x", status=400),
    CancelledError("x"),
    ClusterUnavailableError("untrusted", transient=False),
    ConflictError("x", conflicts=[FieldConflict(".spec.replicas", "other")]),
    ConflictError("a precondition"),
    CredentialError("x"),
    DeadlineExceededError("x"),
    ForbiddenError("x", status=403),
    GoneError("x", status=410),
    InvalidError("x", status=422),
    NotFoundError("x", status=404),
    UnknownKindError("x"),
]


@pytest.mark.parametrize("error", _NEVER, ids=lambda error: f"{type(error).__name__}: {error}")
@pytest.mark.parametrize("repeat", Repeat)
def test_what_will_not_be_different_is_not_tried_again(error: AphiriaDeployError, repeat: Repeat) -> None:
    assert not worth_another_try(error, repeat)


@pytest.mark.parametrize(
    ("error", "when_safe", "when_unsafe"),
    [
        (ClusterUnavailableError("refused, reset before, 429, 503"), True, True),
        (ClusterUnavailableError("cut after it was sent", may_have_acted=True), True, False),
        (ServerError("etcdserver: leader changed"), True, False),
        (ServerError("failed calling webhook", may_have_acted=False), True, True),
        (ConflictError("a quota's count", transient=True, quota=True), True, True),
        (ConflictError("the object has been modified", transient=True), True, False),
    ],
    ids=str,
)
def test_a_write_is_repeated_only_where_it_cannot_have_happened(
    error: AphiriaDeployError, when_safe: bool, when_unsafe: bool
) -> None:
    assert worth_another_try(error, Repeat.SAFE) == when_safe
    assert worth_another_try(error, Repeat.UNSAFE) == when_unsafe
