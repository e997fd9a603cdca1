"""Several calls at once, on a few threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aphiria_deploy.errors import AphiriaDeployError, CancelledError
from aphiria_deploy.kube.deadline import Cancellation

WORKERS = 8
"""How many requests are made at a time."""

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of a call: a value, or an error.

    Attributes:
        value: What it returned.
        error: What it raised.
    """

    value: T | None = None
    error: AphiriaDeployError | None = None

    def get(self) -> T:
        """The value.

        Raises:
            AphiriaDeployError: The call raised it.
        """
        if self.error:
            raise self.error
        return self.value  # type: ignore[return-value] # without an error there is one


def concurrently(
    calls: Sequence[Callable[[], T]],
    cancellation: Cancellation | None = None,
    *,
    workers: int = WORKERS,
    all_of_them: bool = True,
) -> list[Outcome[T]]:
    """Makes calls, several at a time, and gives what came of each, in their order.

    Args:
        calls: The calls; what they wait for is to stop by the same cancellation.
        cancellation: When it is told to stop, no further call begins.
        workers: How many at a time.
        all_of_them: Whether the others are made when one has failed; what has begun is finished either way.

    Raises:
        Exception: What a call raised that is no `AphiriaDeployError`: a bug.
    """
    stop = Cancellation(cancellation)

    def one(call: Callable[[], T]) -> Outcome[T]:
        if stop.cancelled:
            return Outcome(error=CancelledError(f"not begun: {stop.reason}"))
        try:
            return Outcome(call())
        except AphiriaDeployError as error:
            if not all_of_them:
                stop.cancel("another one failed")
            return Outcome(error=error)

    if len(calls) <= 1 or workers <= 1:
        try:
            return [one(call) for call in calls]
        finally:
            stop.close()
    with ThreadPoolExecutor(min(workers, len(calls))) as pool:
        try:
            futures: list[Future[Outcome[T]]] = [pool.submit(one, call) for call in calls]
            return [future.result() for future in futures]
        except BaseException:
            stop.cancel("it was interrupted")
            raise
        finally:
            stop.close()


def both(
    one: Callable[[], A], other: Callable[[], B], cancellation: Cancellation | None = None
) -> tuple[Outcome[A], Outcome[B]]:
    """Makes two calls of different types at the same time, and gives what came of each."""
    calls: list[Callable[[], Any]] = [one, other]
    first, second = concurrently(calls, cancellation)
    return first, second
