"""Which previews are to go: pure, and refusing to decide on anything that is in doubt.

What is open is known from a list that was read to its end, twice, the same both times. What is selected by it is asked
for once more, one by one, before it is destroyed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from aphiria_deploy.errors import AphiriaDeployError, Errors
from aphiria_deploy.github.engine import DestroyReport, LiveEnvironment
from aphiria_deploy.github.errors import DoubtError
from aphiria_deploy.github.models import PullRequest

KEEP: Final = "keep"
"""The label of a pull request whose preview does not go for its age."""
MOST: Final = 5
"""How many previews one run destroys at most, unless it is told otherwise."""

_PREVIEW: Final = re.compile(r"pr-([1-9][0-9]{0,8})")


class Why(StrEnum):
    """Why a preview goes, or stays."""

    CLOSED = "its pull request is closed"
    OLD = "it is older than is allowed"
    INACTIVE = "nothing happened in its pull request for longer than is allowed"
    OPEN = "its pull request is open"
    KEPT = "it is too old, but its pull request has the label to keep it"
    YOUNG = "its pull request is closed, but it was deployed too short a time ago"
    CAPPED = "it is to go, but this run destroys no more"
    REOPENED = "its pull request was opened again meanwhile"
    UNKNOWN = "its pull request could not be asked for"


@dataclass(frozen=True)
class Limits:
    """What makes a preview go beside a closed pull request.

    Attributes:
        max_age: How old it may get, counted from its last deploy; none: any age.
        max_inactive: How long nothing may happen in its pull request; none: any time.
        grace: How long a deploy is left alone after it, whatever became of the pull request.
        keep: The label of a pull request whose preview does not go for its age.
        most: How many go at most in one run; those that have waited longest go first.
    """

    max_age: timedelta | None = None
    max_inactive: timedelta | None = None
    grace: timedelta = timedelta(0)
    keep: str = KEEP
    most: int = MOST


@dataclass(frozen=True)
class Choice:
    """What is to become of a preview.

    Attributes:
        environment: ``pr-N``.
        number: N.
        goes: Whether it goes.
        why: Why, or why not.
    """

    environment: str
    number: int
    goes: bool
    why: Why


def agreed(first: Sequence[PullRequest], second: Sequence[PullRequest], previews: int) -> dict[int, PullRequest]:
    """Gives the open pull requests by their numbers, if two readings agree.

    Args:
        first: The one.
        second: The other, read after it.
        previews: How many previews there are: where there are some, an empty list is not believed.

    Raises:
        DoubtError: They do not agree, one names a pull request twice or one that is not open, or they are empty.
    """
    for title, reading in (("first", first), ("second", second)):
        numbers = [pull.number for pull in reading]
        if len(set(numbers)) != len(numbers):
            raise DoubtError(
                f"open pull requests: found one twice in the {title} reading, expected each once: {_AGAIN}"
            )
        if closed := [pull.number for pull in reading if not pull.is_open]:
            raise DoubtError(
                f"open pull requests: found {closed[0]}, which is not open, in the {title} reading: {_AGAIN}"
            )
    here, there = ({pull.number: pull for pull in reading} for reading in (first, second))
    if here.keys() != there.keys():
        odd = ", ".join(map(str, sorted(here.keys() ^ there.keys())))
        raise DoubtError(
            f"open pull requests: found two readings that differ in {odd}, expected the same twice: {_AGAIN}"
        )
    if previews and not there:
        raise DoubtError(
            f"open pull requests: found none, with {previews} previews in the cluster: an empty list is not believed; "
            "destroy the previews by their names, or open a pull request"
        )
    return there


def select(
    live: Iterable[LiveEnvironment], opened: dict[int, PullRequest], limits: Limits, now: datetime
) -> list[Choice]:
    """Chooses the previews that go.

    Args:
        live: The environments that the cluster remembers; what is no preview is left out.
        opened: The open pull requests, by number.
        limits: The limits.
        now: The time.
    """
    found: list[tuple[datetime, Choice]] = []
    for one in live:
        match = _PREVIEW.fullmatch(one.environment)
        if match is None:
            continue
        number = int(match[1])
        goes, why = _judged(one, opened.get(number), limits, now)
        found.append(
            (
                one.deployed(now) or datetime.min.replace(tzinfo=now.tzinfo),
                Choice(one.environment, number, goes, why),
            )
        )
    chosen, left = [], limits.most
    for _, choice in sorted(found, key=lambda entry: (entry[0], entry[1].number)):
        if choice.goes and left == 0:
            chosen.append(Choice(choice.environment, choice.number, goes=False, why=Why.CAPPED))
            continue
        left -= choice.goes
        chosen.append(choice)
    return chosen


def _judged(one: LiveEnvironment, pull: PullRequest | None, limits: Limits, now: datetime) -> tuple[bool, Why]:
    since = one.deployed(now)
    if pull is None:
        young = since is not None and now - since < limits.grace
        return (False, Why.YOUNG) if young else (True, Why.CLOSED)
    old = limits.max_age is not None and since is not None and now - since > limits.max_age
    inactive = limits.max_inactive is not None and now - pull.updated_at > limits.max_inactive
    if not old and not inactive:
        return False, Why.OPEN
    if pull.has_label(limits.keep):
        return False, Why.KEPT
    return True, Why.OLD if old else Why.INACTIVE


@dataclass(frozen=True)
class Collected:
    """What a run did.

    Attributes:
        choices: What was to become of each preview.
        reports: What the engine said, of those that it was asked to destroy.
        errors: What went wrong, by preview; the others were destroyed all the same.
        dry: Whether it was only looked at.
    """

    choices: tuple[Choice, ...]
    reports: dict[str, DestroyReport] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    dry: bool = False

    @property
    def failed(self) -> bool:
        """Whether one of them is still there that should not be."""
        return bool(self.errors) or not all(report.clean for report in self.reports.values())


def collect(
    choices: Sequence[Choice],
    *,
    still_goes: Callable[[Choice], bool],
    destroy: Callable[[str], DestroyReport],
    after: Callable[[Choice, DestroyReport], None],
    dry: bool = False,
) -> Collected:
    """Destroys what was chosen, one after the other; one that fails does not stop the others.

    Args:
        choices: What was chosen.
        still_goes: Asks for the pull request itself, right before: whether it still is as the choice says.
        destroy: Destroys an environment.
        after: What else is told of it: a comment, deployments.
        dry: Only say what would be done.
    """
    final: list[Choice] = []
    reports: dict[str, DestroyReport] = {}
    errors: dict[str, str] = {}
    for choice in choices:
        if dry or not choice.goes:
            final.append(choice)
            continue
        try:
            if not still_goes(choice):
                final.append(Choice(choice.environment, choice.number, goes=False, why=Why.REOPENED))
                continue
        except AphiriaDeployError as error:
            errors[choice.environment] = str(error)
            final.append(Choice(choice.environment, choice.number, goes=False, why=Why.UNKNOWN))
            continue
        final.append(choice)
        problems = Errors()
        with problems.collected():
            reports[choice.environment] = destroy(choice.environment)
            after(choice, reports[choice.environment])
        try:
            problems.raise_all()
        except AphiriaDeployError as error:
            errors[choice.environment] = str(error)
    return Collected(tuple(final), reports, errors, dry)


def describe(collected: Collected) -> list[str]:
    """The report: a line a preview."""
    lines = []
    for choice in collected.choices:
        report = collected.reports.get(choice.environment)
        if choice.environment in collected.errors:
            verb = "failed"
        elif report is not None:
            verb = report.result
        else:
            verb = ("would go" if collected.dry else "goes") if choice.goes else "stays"
        lines.append(f"{choice.environment} {verb}: {choice.why.value}")
        if report is not None:
            lines += [f"  still there: {line.kind} {line.name}" for line in report.receipt if not line.gone]
        if choice.environment in collected.errors:
            lines.append(f"  {collected.errors[choice.environment]}")
    return lines or ["no previews"]


_AGAIN: Final = "nothing was destroyed; try again"
