"""Runs stacks by Pulumi's Automation API: the one module that imports Pulumi."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from aphiria_deploy.diagnosis.redaction import redact
from aphiria_deploy.errors import CancelledError, DeadlineExceededError
from aphiria_deploy.kube.deadline import Deadline
from aphiria_deploy.stacks import configuration, events
from aphiria_deploy.stacks.errors import NoPulumiError, StackFailedError, failure
from aphiria_deploy.stacks.events import Diagnostic, Event, Recorder

try:
    from pulumi import automation
    from pulumi.automation.errors import create_command_error
    from semver import VersionInfo
except ImportError as _missing:
    raise NoPulumiError(
        f"Pulumi's packages: {_missing}; expected them beside aphiria-deploy: pip install 'aphiria-deploy[cluster]'"
    ) from _missing

_SECRET_VARIABLES: Final = (
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_CONFIG_PASSPHRASE",
    "DIGITALOCEAN_TOKEN",
    "DIGITALOCEAN_ACCESS_TOKEN",
)
_QUIET: Final[Mapping[str, Any]] = {"suppress_outputs": True, "suppress_progress": True, "color": "never"}
_OLDEST: Final = VersionInfo(3, 206, 0)
"""The oldest version of the program that hands its events over as they happen, and not in a file."""
_GRACE_SECONDS: Final = (60.0, 30.0)
"""How long a run that is told to stop may take: first to end what it has begun, then to write down that it did not."""
_LOOK_SECONDS: Final = 0.2
"""How soon it is seen that a run is to stop."""
_KILLED: Final = (
    "pulumi did not end when it was asked to, and was killed: the stack may be locked, which `pulumi cancel` in the "
    "program's folder mends, and not know all that was done, which `pulumi refresh` mends"
)
_TELLING: Final = frozenset({"up", "preview", "destroy"})
"""What gives events."""
_UNREAD: Final = "Failed to parse engine event"
"""How the SDK warns of an event that it cannot read; what follows is the event."""


T = TypeVar("T")


class Command(automation.PulumiCommand):
    """The program `pulumi`: every command line of the Automation API goes through here.

    Unlike the one of the SDK it can be told to stop: Pulumi is asked to end what it has begun and to write it down.

    Args:
        deadline: By when it must be done.

    Raises:
        NoPulumiError: It is not there, or too old.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        try:
            super().__init__(version=_OLDEST)
        except FileNotFoundError:
            raise NoPulumiError(
                f"the program pulumi: found none on PATH, expected version {_OLDEST} or newer "
                "(https://www.pulumi.com/docs/install/); commands that are given the stack's outputs with --outputs "
                "FILE do without it"
            ) from None
        except (automation.InvalidVersionError, subprocess.CalledProcessError, OSError) as error:
            raise NoPulumiError(
                f"the program pulumi: {error}; expected one of version {_OLDEST} or newer that runs"
            ) from error
        if self.version is None:
            # Nobody compares versions where PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK is set.
            raise NoPulumiError(
                f"the program pulumi: it says no version; expected one of version {_OLDEST} or newer that runs"
            )

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> automation.CommandResult:
        """Runs a command line.

        Raises:
            CommandError: It failed.
            CancelledError: It was told to stop, and has.
            DeadlineExceededError: It took too long.
        """
        self._deadline.check("pulumi")
        environment = {
            **os.environ,
            **additional_env,
            "PULUMI_AUTOMATION_API": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        # A session of its own: else a terminal's Ctrl-C reaches it beside us, and a second one makes it give up.
        with subprocess.Popen(  # noqa: S603 - no shell, and words of our own
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            readers = [
                _Reader(process.stdout, on_output),
                _Reader(process.stderr, on_error),
            ]
            ended = self._wait(process)
            output, error = (reader.text() for reader in readers)
        result = automation.CommandResult(stdout=output, stderr=error, code=process.returncode)
        try:
            self._deadline.check("pulumi")
        except (CancelledError, DeadlineExceededError) as error:
            raise (error if ended else type(error)(f"{error}; {_KILLED}")) from None
        if process.returncode:
            raise create_command_error(result)
        return result

    def _wait(self, process: subprocess.Popen[str]) -> bool:
        """Waits until the process ends; where it is to stop, it is asked to, and then has a while.

        Returns:
            Whether it ended by itself.
        """
        stopping = threading.Event()
        with self._deadline.cancellation.waking(stopping.set):
            while process.poll() is None and not stopping.is_set() and not self._deadline.over:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_SECONDS)
        # The first signal has it end what it began; at a second one it gives that up, but still writes its state and
        # frees the stack, which no killed one does.
        for seconds in _GRACE_SECONDS:
            if process.poll() is not None:
                return True
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
        if process.poll() is not None:
            return True
        # With what it has started: providers, the program.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


class _Reader:
    """Reads a stream to its end, line by line, beside the other one."""

    def __init__(self, stream: IO[str] | None, tell: Callable[[str], Any] | None) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream, tell), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str] | None, tell: Callable[[str], Any] | None) -> None:
        for line in stream or ():
            self._lines.append(line.rstrip())
            if tell:
                tell(self._lines[-1])

    def text(self) -> str:
        self._thread.join()
        return "\n".join(self._lines)


class _Workspace(automation.LocalWorkspace):
    """The program's folder, as the SDK knows it; outputs are secret also where only a part of one is."""

    def stack_outputs(self, stack_name: str) -> automation.OutputMap:
        arguments = ["stack", "output", "--json", "--stack", stack_name]
        masked, plain = (
            json.loads(self.pulumi_command.run([*arguments, *more], self.work_dir, {}).stdout)
            for more in ([], ["--show-secrets"])
        )
        return {name: automation.OutputValue(value, secret=masked.get(name) != value) for name, value in plain.items()}


class Stacks:
    """The stacks of a program.

    Args:
        folder: The program's folder.
        deadline: By when all must be done.
    """

    def __init__(self, folder: Path, deadline: Deadline) -> None:
        self._folder = folder
        configuration.project(folder)
        self._command = Command(deadline)
        self._secrets = [os.environ[name] for name in _SECRET_VARIABLES if os.environ.get(name)]
        self._opened: dict[str, automation.Stack] = {}

    def up(self, stack: str, settings: Mapping[str, str], tell: Callable[[Event], None]) -> dict[str, Any]:
        """Makes a stack what its program says, and gives its outputs.

        Args:
            stack: The stack; it is made if there is none.
            settings: What is set for this run.
            tell: Is told what happens.

        Raises:
            AphiriaDeployError: It failed.
        """
        # Without refreshing: that would ask with the credentials of the last run, which may have died since.
        result = self._run(
            stack,
            "up",
            tell,
            lambda opened, file, take: opened.up(on_event=take, config_file=file, show_secrets=False, **_QUIET),
            settings,
            create=True,
        )
        return {name: output.value for name, output in result.outputs.items()}

    def preview(self, stack: str, settings: Mapping[str, str], tell: Callable[[Event], None]) -> None:
        """Tells what `up` would do.

        Raises:
            AphiriaDeployError: It failed.
        """
        self._run(
            stack,
            "preview",
            tell,
            lambda opened, file, take: opened.preview(on_event=take, config_file=file, **_QUIET),
            settings,
            create=True,
        )

    def outputs(self, stack: str) -> dict[str, tuple[Any, bool]]:
        """Gives a stack's outputs as they are, each with whether it is secret.

        Raises:
            AphiriaDeployError: They cannot be read.
        """
        found = self._run(stack, "outputs", lambda _: None, lambda opened, _, __: opened.outputs())
        return {name: (output.value, output.secret) for name, output in found.items()}

    def unprotect(self, stack: str) -> None:
        """Takes the protection off everything in a stack.

        Raises:
            AphiriaDeployError: It failed.
        """
        arguments = ["state", "unprotect", "--all", "--yes", "--stack", stack]

        def run(*_: Any) -> None:
            try:
                self._command.run(arguments, str(self._folder), {})
            except automation.CommandError as error:
                # A stack that was made, and never anything in it.
                if "no resources found to unprotect" not in str(error):
                    raise

        self._run(stack, "unprotect", lambda _: None, run)

    def destroy(
        self, stack: str, settings: Mapping[str, str], tell: Callable[[Event], None], *, run_program: bool
    ) -> None:
        """Deletes everything in a stack.

        Args:
            stack: The stack.
            settings: What is set for this run.
            tell: Is told what happens.
            run_program: Whether the program is run first, so that it makes credentials that live.

        Raises:
            AphiriaDeployError: It failed.
        """
        self._run(
            stack,
            "destroy",
            tell,
            lambda opened, file, take: opened.destroy(
                on_event=take, config_file=file, show_secrets=False, run_program=run_program, **_QUIET
            ),
            settings,
        )

    def _run(
        self,
        stack: str,
        action: str,
        tell: Callable[[Event], None],
        run: Callable[[automation.Stack, str | None, Callable[[Any], None]], T],
        settings: Mapping[str, str] | None = None,
        *,
        create: bool = False,
    ) -> T:
        configuration.read(self._folder, stack)
        recorder = Recorder(tell)
        told = threading.Event()

        def take(event: Any) -> None:
            for each in events.read(event, self._clean):
                recorder(each)
            if event.cancel_event:
                # The last one, whatever came of the run.
                told.set()

        try:
            # First of all: for a stack that is made now Pulumi writes the salt of its secrets into its file.
            opened = self._open(stack, create=create)
            merged = (
                configuration.with_settings(self._folder, stack, settings) if settings else contextlib.nullcontext()
            )
            with merged as file, _unread_events(recorder):
                result = run(opened, str(file) if file else None, take)
        except automation.CommandError as error:
            # What providers say comes as events, what the program itself says on its standard error.
            said = "\n".join([*recorder.errors(), self._clean(_said(error))])
            raise failure(stack, action, said) from None
        except (AssertionError, KeyError, RuntimeError, ValueError) as error:
            # The SDK's own way to say that what the program answered is not what it expects.
            found = self._clean(f"{type(error).__name__}: {error}")
            raise StackFailedError(
                f"stack {stack}: {action}: pulumi {self._command.version} ended well, but its answer cannot be read: "
                f"{found}; expected one of about the version of its packages ({version('pulumi')})"
            ) from error
        if action in _TELLING and not told.is_set():
            recorder(Diagnostic("warning", f"stack {stack}: {action}: pulumi did it, and did not tell all of it"))
        return result

    def _open(self, stack: str, *, create: bool) -> automation.Stack:
        if stack not in self._opened:
            workspace = _Workspace(work_dir=str(self._folder), pulumi_command=self._command)
            open_ = automation.Stack.create_or_select if create else automation.Stack.select
            self._opened[stack] = open_(stack, workspace)
        return self._opened[stack]

    def _clean(self, text: str) -> str:
        return redact(text, self._secrets)


def _said(error: automation.CommandError) -> str:
    """What the program itself said; its display, which is on the other stream, was told as events."""
    _, found, said = str(error).partition(" stderr: ")
    return said if found else str(error)


@contextmanager
def _unread_events(recorder: Recorder) -> Iterator[None]:
    """Tells of events that the SDK could not read, which it warns of with all that is in them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            found = [str(warning.message) for warning in caught]
            for text in dict.fromkeys(text.rpartition("\n")[2] for text in found if text.startswith(_UNREAD)):
                recorder(Diagnostic("warning", f"an event of pulumi cannot be read and is not shown: {text}"))
    for warning in caught:
        if not str(warning.message).startswith(_UNREAD):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
