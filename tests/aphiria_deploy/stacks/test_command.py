"""How the wrapper runs Pulumi's command: what it does with one that answers otherwise, or does not end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation
from pulumi.automation.errors import create_command_error

from aphiria_deploy.errors import CancelledError, DeadlineExceededError
from aphiria_deploy.kube import Cancellation, Deadline
from aphiria_deploy.stacks import Diagnostic, Event, Recorder, StackFailedError
from aphiria_deploy.stacks import automation as wrapper
from aphiria_deploy.stacks.automation import Command, Stacks
from tests.aphiria_deploy.stacks import replay
from tests.aphiria_deploy.stacks.tiny import DATA, STACK, Tiny

STUBBORN = """#!{python}
import os, signal, sys, time
if sys.argv[1:] == ["version"]:
    print("v3.259.0")
    sys.exit()
told = []
def take(number, frame):
    told.append(number)
    open({told!r}, "a").write(signal.Signals(number).name + "\\n")
signal.signal(signal.SIGINT, take)
open({pid!r}, "w").write(str(os.getpid()))
while len(told) < {ends}:
    time.sleep(0.02)
sys.exit(1)
"""


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Tiny, list[replay.Call], Path]:
    """A recording that a test may change before it is replayed."""
    program, file = Tiny.set_up(tmp_path / "tiny", "made", None), tmp_path / "changed.jsonl"
    for name, value in {**program.environment, replay.FILE: str(file)}.items():
        monkeypatch.setenv(name, value)
    return program, replay.read(DATA / "replays" / "made.jsonl"), file


def write(calls: list[replay.Call], file: Path) -> None:
    file.write_text("".join(f"{line}\n" for call in calls for line in call.lines()), encoding="utf-8")


def test_a_plan_of_which_nothing_is_told_is_none(recording: tuple[Tiny, list[replay.Call], Path]) -> None:
    program, calls, file = recording
    calls[2].events.clear()
    write(calls, file)
    with pytest.raises(StackFailedError, match=r"pulumi 3\.259\.0 ended well, but its answer cannot be read"):
        Stacks(program.folder, Deadline.after(60, "the test")).preview(STACK, {}, lambda _: None)


def test_an_answer_that_is_no_data_is_told(recording: tuple[Tiny, list[replay.Call], Path]) -> None:
    program, calls, file = recording
    del calls[2]
    calls[3].stdout = "warning: something else\n{}"
    write(calls, file)
    with pytest.raises(StackFailedError, match="its answer cannot be read: JSONDecodeError"):
        Stacks(program.folder, Deadline.after(60, "the test")).up(STACK, {}, lambda _: None)


def test_a_run_of_which_nothing_is_told_is_said_to_be_one(recording: tuple[Tiny, list[replay.Call], Path]) -> None:
    program, calls, file = recording
    del calls[2]
    calls[2].events.clear()
    write(calls, file)
    told: list[Event] = []
    outputs = Stacks(program.folder, Deadline.after(60, "the test")).up(STACK, {}, told.append)
    assert outputs["name"] == "tiny"
    assert told == [Diagnostic("warning", "stack dev: up: pulumi did it, and did not tell all of it")]


def test_an_event_that_cannot_be_read_is_told_without_what_is_in_it() -> None:
    recorder = Recorder()

    def run() -> None:
        with wrapper._unread_events(recorder):
            for _ in range(2):
                warnings.warn("Failed to parse engine event\nEvent: {a secret}\n'new' is not an OpType", stacklevel=1)
            warnings.warn("another one", stacklevel=1)

    with pytest.warns(UserWarning, match="another one"):
        run()
    assert recorder.diagnostics == [
        Diagnostic("warning", "an event of pulumi cannot be read and is not shown: 'new' is not an OpType")
    ]


def test_what_pulumi_writes_into_a_new_stack_s_file_is_there_for_its_first_run(
    recording: tuple[Tiny, list[replay.Call], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, _, _ = recording
    seen: list[str] = []

    def run(_self: Command, args: list[str], *_: Any) -> automation.CommandResult:
        result = automation.CommandResult(stdout="", stderr="no stack named 'dev' found", code=6)
        if args[1] == "init":
            program.write_stack({"encryptionsalt": "v1:salt", "config": {}})
            return result
        if args[0] == "up":
            seen.append(Path(args[args.index("--config-file") + 1]).read_text("utf-8"))
        raise create_command_error(result)

    monkeypatch.setattr(Command, "run", run)
    with pytest.raises(Exception, match="no stack named"):
        Stacks(program.folder, Deadline.after(60, "the test")).up(STACK, {"mode": "plain"}, lambda _: None)
    assert "encryptionsalt: v1:salt" in seen[0]
    assert "tiny:mode: plain" in seen[0]


def stubborn(folder: Path, monkeypatch: pytest.MonkeyPatch, ends: int) -> Mapping[str, Path]:
    """A command that ends when it was told to so often."""
    files = {"told": folder / "told", "pid": folder / "pid"}
    program = folder / "pulumi"
    names = {name: str(file) for name, file in files.items()}
    program.write_text(STUBBORN.format(python=sys.executable, ends=ends, **names), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(wrapper, "_GRACE_SECONDS", (0.5, 0.5))
    return files


def cancel_when_there(file: Path, cancellation: Cancellation) -> threading.Thread:
    def wait() -> None:
        end = time.monotonic() + 20
        while not (file.exists() and file.read_text("utf-8")) and time.monotonic() < end:
            time.sleep(0.02)
        cancellation.cancel("SIGTERM")

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_run_that_goes_on_is_told_once_more_to_write_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, cancellation = stubborn(tmp_path, monkeypatch, ends=2), Cancellation()
    command = Command(Deadline.after(60, "the test", cancellation))
    thread = cancel_when_there(files["pid"], cancellation)
    with pytest.raises(CancelledError, match="SIGTERM") as caught:
        command.run(["up"], str(tmp_path), {})
    thread.join()
    assert "killed" not in str(caught.value)
    assert files["told"].read_text("utf-8").split() == ["SIGINT", "SIGINT"]


def test_one_that_never_ends_is_killed_and_it_is_said_what_mends_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = stubborn(tmp_path, monkeypatch, ends=99)
    command = Command(Deadline.after(3, "the run"))
    with pytest.raises(
        DeadlineExceededError, match=r"the run took longer.*was killed.*`pulumi cancel`.*`pulumi refresh`"
    ):
        command.run(["up"], str(tmp_path), {})
    with pytest.raises(ProcessLookupError):
        os.kill(int(files["pid"].read_text("utf-8")), signal.SIGCONT)
