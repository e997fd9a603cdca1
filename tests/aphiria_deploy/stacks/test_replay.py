"""What stands in for Pulumi's command: its recordings are as the real one tells, what is unknown it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.kube import Deadline
from aphiria_deploy.stacks import StackFailedError
from aphiria_deploy.stacks.automation import Stacks
from aphiria_deploy.stacks.runs import Runner
from tests.aphiria_deploy.stacks import replay, shapes
from tests.aphiria_deploy.stacks.command_line import UnknownWordError, parse
from tests.aphiria_deploy.stacks.tiny import DATA, STACK, Tiny

RECORDINGS = sorted((DATA / "replays").glob("*.jsonl"))
EVENT = {"sequence": 0, "timestamp": 0, "diagnosticEvent": {"message": "m", "color": "never", "severity": "info"}}


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_recordings_have_the_shapes_of_the_engine_s_events(file: Path) -> None:
    calls = replay.read(file)
    assert calls
    assert [fault for call in calls for fault in shapes.faults_of_run(call.events)] == []


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_a_recording_is_read_as_it_was_written(file: Path) -> None:
    assert [line for call in replay.read(file) for line in call.lines()] == file.read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"progressEvents": {}}, "/progressEvents: no field of EngineEvent"),
        ({"diagnosticEvent": {"message": "m", "color": "never"}}, "/diagnosticEvent/severity: missing"),
        ({"diagnosticEvent": {**EVENT["diagnosticEvent"], "hue": 1}}, "/diagnosticEvent/hue: no field"),  # type: ignore[dict-item]
        ({"sequence": "0"}, "/sequence: expected int, found '0'"),
        ({"cancelEvent": {}}, "expected one event, found ['cancelEvent', 'diagnosticEvent']"),
        (
            {"summaryEvent": {"resourceChanges": {}, "result": "so-so"}},
            "/summaryEvent/result: expected one of succeeded, failed, canceled, found 'so-so'",
        ),
    ],
)
def test_an_event_of_another_shape_is_found(change: dict[str, Any], fault: str) -> None:
    assert shapes.faults(EVENT) == []
    assert any(fault in found for found in shapes.faults({**EVENT, **change}))


def test_an_order_that_no_run_has_is_found() -> None:
    first, last = {"sequence": 1, "timestamp": 0, "preludeEvent": {"config": {}}}, {"timestamp": 0, "cancelEvent": {}}
    assert shapes.faults_of_run([first, {**last, "sequence": 2}]) == []
    assert len(shapes.faults_of_run([first, {**last, "sequence": 1}])) == 1
    assert len(shapes.faults_of_run([first])) == 1
    assert len(shapes.faults_of_run([{**last, "sequence": 2}])) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["up", "--no-such-flag"],
        ["up", "--yes=perhaps"],
        ["up", "--event-log", "tcp://127.0.0.1:1"],
        ["stack", "output", "--json", "--config-file", "f"],
        ["stack", "select", "--stack"],
        ["stack", "output", "one", "two"],
        ["apply"],
    ],
)
def test_what_the_command_does_not_know_is_refused(words: list[str]) -> None:
    with pytest.raises(UnknownWordError):
        parse(words, debugging=False)


def test_a_command_line_is_read_as_the_command_does() -> None:
    line = parse(["--non-interactive", "up", "--yes", "--event-log", "a", "--run-program=false"], debugging=True)
    assert (line.command, line.words) == ("up", ())
    assert line.options == {"non-interactive": "true", "yes": "true", "event-log": "a", "run-program": "false"}


def test_another_command_line_than_the_recorded_one_fails(tmp_path: Path) -> None:
    program = Tiny.set_up(tmp_path / "tiny", "made", None)
    done = subprocess.run(
        [sys.executable, "-m", replay.__name__, "stack", "init", "dev"],
        env={**os.environ, **program.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 70
    assert "expected {'command': 'stack select'" in done.stderr


@pytest.mark.parametrize("scenario", ["made", "failing"])
def test_what_the_real_command_does_can_be_recorded(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the replayed command in the place of the real one: what is recorded is what is replayed."""
    inner = Tiny.set_up(tmp_path / "inner", scenario, None)
    monkeypatch.setenv("PULUMI_RECORD", str(tmp_path))
    outer = Tiny.set_up(tmp_path / "outer", scenario, tmp_path / "inner" / "bin" / "pulumi")
    script = tmp_path / "inner" / "bin" / "pulumi"
    script.write_text(
        script.read_text("utf-8").replace(
            "exec env ", f'exec env {replay.FILE}="{DATA / "replays" / scenario}.jsonl" ', 1
        ),
        encoding="utf-8",
    )
    for name, value in {**outer.environment, replay.PLACE: inner.environment[replay.PLACE]}.items():
        monkeypatch.setenv(name, value)
    deadline = Deadline.after(120, "the test")
    runner = Runner(Stacks(outer.folder, deadline), deadline, lambda _: None, pauses=())
    if scenario == "made":
        runner.preview(STACK)
        runner.up(STACK)
        runner.up(STACK)
    else:
        with pytest.raises(StackFailedError, match="the program says no"):
            runner.up(STACK, {"mode": "failing"})
    recorded = [json.loads(line) for line in (tmp_path / f"{scenario}.jsonl").read_text("utf-8").splitlines()]
    replayed = [json.loads(line) for line in (DATA / "replays" / f"{scenario}.jsonl").read_text("utf-8").splitlines()]
    assert recorded == replayed


REGISTER = """
import json, runpy, sys
import pulumi
class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        seen.append([args.typ, args.name, args.inputs])
        return f"{args.name}-id", {**args.inputs, "output": args.inputs.get("input")}
    def call(self, args):
        raise AssertionError(args.token)
seen = []
pulumi.runtime.set_mocks(Mocks(), project="tiny", stack="dev", preview=False)
pulumi.runtime.set_all_config({"tiny:mode": sys.argv[2]})
pulumi.runtime.test(lambda: runpy.run_path(sys.argv[1]) and None)()
print(json.dumps(seen))
"""


@pytest.mark.parametrize(("scenario", "mode"), [("made", "plain"), ("changed", "changed"), ("protected", "protected")])
def test_the_recordings_are_of_the_program_that_there_is(scenario: str, mode: str) -> None:
    words = [sys.executable, "-c", REGISTER, str(DATA / "program" / "__main__.py"), mode]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    registered = {(type_, name): inputs for type_, name, inputs in json.loads(done.stdout)}
    last = [call for call in replay.read(DATA / "replays" / f"{scenario}.jsonl") if call.line["command"] == "up"][-1]
    told: dict[tuple[str, str], Any] = {}
    for event in last.events:
        new = event.get("resOutputsEvent", {}).get("metadata", {}).get("new")
        if new and not new["type"].startswith("pulumi:p"):
            told[new["type"], new["urn"].rpartition("::")[2]] = new["inputs"]
    assert told == registered
