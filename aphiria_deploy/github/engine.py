"""The deploy engine, as it is seen from here: commands that answer in JSON.

The engine runs as a process of its own, so that one preview that crashes or hangs takes no other along. What it says
on stdout is the contract of ``--output json``; what it says on stderr is for people, and goes where ours goes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from aphiria_deploy.errors import AphiriaDeployError, InputError, UnavailableError

_COMMAND: Final = (sys.executable, "-c", "from aphiria_deploy.cli.main import run; run()")
_T = TypeVar("_T")


class _Reported(msgspec.Struct, frozen=True):
    """A part of a report; what a newer engine adds to it is not read."""


class Phase(_Reported, frozen=True):
    """A part of a deploy and how long it took."""

    name: str
    seconds: float


class LogTail(_Reported, frozen=True):
    """The last lines of a container's log."""

    pod: str = ""
    container: str = ""
    lines: list[str] = []


class Diagnosed(_Reported, frozen=True):
    """Why a deploy failed: the cause in one line, what to do, the last events and lines of logs."""

    kind: str = ""
    object: str = ""
    reason: str = ""
    message: str = ""
    hint: str = ""
    events: list[str] = []
    logs: list[LogTail] = []


class Problem(_Reported, frozen=True, rename="camel"):
    """An error that a command ended with.

    Attributes:
        message: What it is about, what was found and expected, what to do.
        exit_code: The command's exit code.
    """

    message: str
    exit_code: int = 1


class Capacity(_Reported, frozen=True):
    """What an environment reserves of its cluster.

    Attributes:
        text: In one line, with how many more of its size fit.
        unread: Why that is not known; none where it is. It names the cluster: nobody else is told.
    """

    text: str
    unread: str | None = None


class DeployReport(_Reported, frozen=True):
    """What a deploy says: ``deployed``, ``unchanged``, ``planned`` or ``failed``."""

    environment: str
    result: str
    error: Problem | None = None
    revision: int | None = None
    urls: dict[str, str] = {}
    images: dict[str, str] = {}
    phases: list[Phase] = []
    seconds: float = 0.0
    diagnosis: Diagnosed | None = None
    capacity: Capacity | None = None

    @property
    def healthy(self) -> bool:
        """Whether what was asked for runs, and answers."""
        return self.result in {"deployed", "unchanged"}

    @property
    def reason(self) -> str:
        """Why it is not healthy, in a line."""
        if self.diagnosis and self.diagnosis.message:
            return self.diagnosis.message
        return self.error.message if self.error else self.result


class ReceiptLine(_Reported, frozen=True):
    """One thing that had to go, and whether it was seen to be gone."""

    kind: str
    name: str
    gone: bool


class DestroyReport(_Reported, frozen=True):
    """What a destroy says: ``destroyed``, ``absent`` or ``failed``, with the receipt."""

    environment: str
    result: str
    receipt: list[ReceiptLine] = []
    error: Problem | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing is left."""
        return self.result in {"destroyed", "absent"} and all(line.gone for line in self.receipt)


class LiveEnvironment(_Reported, frozen=True, rename="camel"):
    """An environment that a cluster remembers.

    Attributes:
        environment: Its name.
        age_seconds: How long ago its last release was begun; none where that is not known.
    """

    environment: str
    age_seconds: float | None = None

    def deployed(self, now: datetime) -> datetime | None:
        """When its last release was begun."""
        return now - timedelta(seconds=self.age_seconds) if self.age_seconds is not None else None


class EnvironmentList(_Reported, frozen=True):
    """What ``list`` says."""

    environments: list[LiveEnvironment]


class DriftReport(_Reported, frozen=True):
    """What ``drift`` says; an object that drifted, and in which fields."""

    environment: str
    drift: list[dict[str, Any]] = []


class Engine(Protocol):
    """What a pull request's life needs of the deploy engine."""

    def deploy(self, environment: str, bundle: Path, commit: str) -> DeployReport:
        """Deploys a bundle; a deploy that failed is a report too.

        Raises:
            AphiriaDeployError: There is no report.
        """

    def destroy(self, environment: str) -> DestroyReport:
        """Removes a preview and proves it; a destroy that failed is a report too.

        Raises:
            AphiriaDeployError: There is no report.
        """

    def environments(self) -> list[LiveEnvironment]:
        """The environments that the previews' cluster remembers.

        Raises:
            AphiriaDeployError: They cannot be told.
        """

    def drift(self, environment: str) -> DriftReport:
        """What departed from the last release. It changes nothing.

        Raises:
            AphiriaDeployError: It cannot be told.
        """


class CommandEngine:
    """The engine of this installation, by its command.

    Args:
        options: Options of every command: ``--kubeconfig``, ``--outputs``.
        command: What runs ``aphiria-deploy``.
        timeout: Seconds after which a command that does not end by itself is ended.
        wait_for_lock: How long a destroy waits for a deploy that still runs: ``10m``.
    """

    def __init__(
        self,
        options: Sequence[str] = (),
        *,
        command: Sequence[str] = _COMMAND,
        timeout: float = 1800.0,
        wait_for_lock: str = "",
    ) -> None:
        self._wait_for_lock = wait_for_lock
        self._options = tuple(options)
        self._command = tuple(command)
        self._timeout = timeout

    def deploy(self, environment: str, bundle: Path, commit: str) -> DeployReport:
        """Deploys a bundle."""
        target = ("pr", environment.removeprefix("pr-")) if environment.startswith("pr-") else (environment,)
        return self._ask((*target, "--bundle", str(bundle), "--commit", commit, "--yes"), DeployReport)

    def destroy(self, environment: str) -> DestroyReport:
        """Removes a preview."""
        waiting = ("--wait-for-lock", self._wait_for_lock) if self._wait_for_lock else ()
        return self._ask(("destroy", environment, "--yes", *waiting), DestroyReport)

    def environments(self) -> list[LiveEnvironment]:
        """The environments that the cluster remembers."""
        return self._ask(("list",), EnvironmentList).environments

    def drift(self, environment: str) -> DriftReport:
        """What departed from the last release."""
        return self._ask(("drift", environment), DriftReport)

    def _ask(self, arguments: Sequence[str], kind: type[_T]) -> _T:
        command = " ".join(("aphiria-deploy", *arguments))
        try:
            ended = subprocess.run(  # noqa: S603 - our own command, no shell
                (*self._command, *arguments, *self._options, "--output", "json"),
                stdout=subprocess.PIPE,
                check=False,
                timeout=self._timeout,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"{command}: found no end after {self._timeout:g} s, expected one: it was ended"
            ) from None
        except OSError as error:
            raise EngineError(f"{command}: {error.strerror}; expected a command that runs") from error
        return _read(ended.stdout, ended.returncode, kind, command)


class EngineError(AphiriaDeployError):
    """The deploy engine ended without its report."""


class _Head(_Reported, frozen=True):
    """What every report has; one without an environment is of a command that could not be begun."""

    result: str = ""
    environment: str | None = None
    error: Problem | None = None


def _read(document: bytes, code: int, kind: type[_T], command: str) -> _T:
    try:
        head = msgspec.json.decode(document, type=_Head)
        if head.error and head.environment is None:
            raise _ended(code, f"{command}: {head.error.message}")
        return msgspec.json.decode(document, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        found = f"found the exit code {code} and no report"
        raise _ended(
            code or 1, f"{command}: {found}, expected one in JSON; what it said stands above: {error}"
        ) from error


def _ended(code: int, message: str) -> AphiriaDeployError:
    if code == InputError.exit_code:
        return InputError(message)
    return UnavailableError(message) if code == UnavailableError.exit_code else EngineError(message)
