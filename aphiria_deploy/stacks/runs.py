"""Runs of stacks, tried again where that is worth it, each with its digest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from aphiria_deploy.errors import InputError
from aphiria_deploy.kube.deadline import Deadline
from aphiria_deploy.stacks.errors import StackFailedError
from aphiria_deploy.stacks.events import Diagnostic, Digest, Event, Recorder

PAUSES: Final = (60.0, 120.0)
"""Seconds before the second and the third attempt."""

# Not in the command's output, unless a file is asked for; Pulumi writes it in their place too.
HIDDEN: Final = "[secret]"


class Runs(Protocol):
    """What runs stacks: `aphiria_deploy.stacks.automation.Stacks`."""

    def up(self, stack: str, settings: Mapping[str, str], tell: Callable[[Event], None]) -> dict[str, Any]:
        """Makes a stack what its program says, and gives its outputs."""

    def preview(self, stack: str, settings: Mapping[str, str], tell: Callable[[Event], None]) -> None:
        """Tells what `up` would do."""

    def outputs(self, stack: str) -> dict[str, tuple[Any, bool]]:
        """Gives a stack's outputs, each with whether it is secret."""

    def unprotect(self, stack: str) -> None:
        """Takes the protection off everything in a stack."""

    def destroy(
        self, stack: str, settings: Mapping[str, str], tell: Callable[[Event], None], *, run_program: bool
    ) -> None:
        """Deletes everything in a stack."""


class Runner:
    """Runs stacks, and asks each one for its outputs at most once.

    Args:
        runs: What runs them.
        deadline: By when all must be done.
        tell: Is told what happens, as it happens.
        pauses: Seconds before each further attempt.
    """

    def __init__(
        self, runs: Runs, deadline: Deadline, tell: Callable[[Event], None], *, pauses: Sequence[float] = PAUSES
    ) -> None:
        self._runs = runs
        self._deadline = deadline
        self._tell = tell
        self._pauses = tuple(pauses)
        self._outputs: dict[str, dict[str, Any]] = {}

    def up(self, stack: str, settings: Mapping[str, str] | None = None) -> Digest:
        """Makes a stack what its program says.

        Args:
            stack: The stack.
            settings: What is set for this run alone.

        Raises:
            AphiriaDeployError: It failed, also the last time.
        """

        def run(tell: Callable[[Event], None]) -> None:
            self._outputs[stack] = self._runs.up(stack, settings or {}, tell)

        return self._tried(stack, "up", run)

    def preview(self, stack: str, settings: Mapping[str, str] | None = None) -> Digest:
        """Tells what `up` would do.

        Raises:
            AphiriaDeployError: It failed, also the last time.
        """
        return self._tried(stack, "preview", lambda tell: self._runs.preview(stack, settings or {}, tell))

    def destroy(self, stack: str, settings: Mapping[str, str] | None = None, *, run_program: bool) -> Digest:
        """Deletes everything in a stack, also what is protected.

        Args:
            stack: The stack.
            settings: What is set for this run alone.
            run_program: Whether the program is run first, so that it makes credentials that live.

        Raises:
            AphiriaDeployError: It failed, also the last time.
        """
        self._outputs.pop(stack, None)
        self._runs.unprotect(stack)
        return self._tried(
            stack,
            "destroy",
            lambda tell: self._runs.destroy(stack, settings or {}, tell, run_program=run_program),
        )

    def outputs(self, stack: str) -> dict[str, Any]:
        """Gives a stack's outputs: as `up` gave them in this run, else it is asked, once.

        Raises:
            AphiriaDeployError: They cannot be read.
            InputError: There are none: the stack was never made.
        """
        if stack not in self._outputs:
            self._outputs[stack] = {name: value for name, (value, _) in self._runs.outputs(stack).items()}
        if not self._outputs[stack]:
            raise InputError(
                f"stack {stack}: outputs: found none, expected those of a stack that is there: make it with "
                f"`aphiria-deploy cluster up {stack}`"
            )
        return self._outputs[stack]

    def _tried(self, stack: str, action: str, run: Callable[[Callable[[Event], None]], None]) -> Digest:
        since = time.monotonic()
        for attempt, pause in enumerate([*self._pauses, None], start=1):
            recorder = Recorder(self._tell)
            try:
                run(recorder)
            except StackFailedError as error:
                if pause is None or not error.transient or pause >= self._deadline.remaining:
                    raise
                self._tell(
                    Diagnostic("warning", f"attempt {attempt} failed, the next one is in {pause:.0f} s: {error}")
                )
                self._deadline.sleep(pause, f"the next attempt at {action} of the stack {stack}")
            else:
                return recorder.digest(stack, action, time.monotonic() - since, attempt)
        raise AssertionError("the last attempt returns or raises")


def masked(outputs: Mapping[str, tuple[Any, bool]]) -> dict[str, Any]:
    """Gives outputs as they may be shown."""
    return {name: HIDDEN if secret else value for name, (value, secret) in outputs.items()}
