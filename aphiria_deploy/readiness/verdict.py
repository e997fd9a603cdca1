"""What is said of an object: whether it is done, and what it waits for."""

from __future__ import annotations

from dataclasses import dataclass

from aphiria_deploy.fields import one_line


@dataclass(frozen=True)
class Readiness:
    """Whether an object has become what was asked for.

    Attributes:
        done: Nothing more is to be waited for: it is ready, or it has failed for good.
        ok: It is ready.
        message: One line: what it waits for, what it is, or why it failed.
    """

    done: bool
    ok: bool
    message: str


def ready(message: str) -> Readiness:
    """It is what was asked for."""
    return Readiness(done=True, ok=True, message=one_line(message))


def waiting(message: str) -> Readiness:
    """It is not there yet, and may still come to be."""
    return Readiness(done=False, ok=False, message=one_line(message))


def failed(message: str) -> Readiness:
    """It will not become ready by waiting."""
    return Readiness(done=True, ok=False, message=one_line(message))


def count(amount: int, noun: str) -> str:
    """A number with its noun: ``1 pod``, ``2 pods``."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"
