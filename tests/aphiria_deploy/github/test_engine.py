"""The engine's commands, and what is made of their answers."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.errors import AphiriaDeployError, InputError, UnavailableError
from aphiria_deploy.github.engine import CommandEngine, EngineError, LiveEnvironment

PROGRAM = """
import json, sys, time
script = json.load(open(sys.argv[1]))
open(script["log"], "a").write(json.dumps(sys.argv[2:]) + "\\n")
time.sleep(script.get("sleep", 0))
sys.stdout.write(script["says"])
sys.exit(script.get("code", 0))
"""


class Command:
    """A command that says what a test has it say."""

    def __init__(self, folder: Path) -> None:
        self.script, self.log = folder / "script.json", folder / "log"
        (folder / "program.py").write_text(PROGRAM)
        self.command = [sys.executable, str(folder / "program.py"), str(self.script)]

    def says(self, document: object, code: int = 0, **more: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        self.script.write_text(json.dumps({"says": text, "code": code, "log": str(self.log), **more}))

    @property
    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_a_preview_is_deployed_by_its_number(command: Command) -> None:
    command.says({"environment": "pr-7", "result": "deployed", "phases": [{"name": "Jobs", "seconds": 1.5}], "new": 1})
    engine = CommandEngine(["--kubeconfig", "k"], command=command.command)

    report = engine.deploy("pr-7", Path("b.json"), "c" * 40)

    assert report.healthy
    assert report.phases[0].seconds == 1.5
    assert command.asked == [
        ["pr", "7", "--bundle", "b.json", "--commit", "c" * 40, "--yes", "--kubeconfig", "k", "--output", "json"]
    ]


def test_production_by_its_name_and_a_destroy_waits_for_a_deploy(command: Command) -> None:
    engine = CommandEngine(command=command.command, wait_for_lock="12m")
    command.says({"environment": "production", "result": "unchanged"})
    engine.deploy("production", Path("b.json"), "c" * 40)
    command.says({"environment": "pr-7", "result": "absent", "receipt": []})

    assert engine.destroy("pr-7").clean
    assert [asked[0] for asked in command.asked] == ["production", "destroy"]
    assert command.asked[1][1:5] == ["pr-7", "--yes", "--wait-for-lock", "12m"]


@pytest.mark.parametrize("code", [1, 2, 4, 5])
def test_a_failure_with_its_report_is_a_report(code: int, command: Command) -> None:
    error = {"kind": "X", "message": "it is locked", "exitCode": code}
    command.says({"environment": "pr-7", "result": "failed", "error": error}, code)

    report = CommandEngine(command=command.command).deploy("pr-7", Path("b"), "c" * 40)

    assert not report.healthy
    assert report.reason == "it is locked"


@pytest.mark.parametrize(("code", "kind"), [(2, InputError), (5, UnavailableError), (1, EngineError), (4, EngineError)])
def test_what_could_not_be_begun_is_an_error_of_the_same_code(
    code: int, kind: type[AphiriaDeployError], command: Command
) -> None:
    command.says({"result": "failed", "error": {"kind": "X", "message": "no such cluster", "exitCode": code}}, code)

    with pytest.raises(kind, match="aphiria-deploy list: no such cluster"):
        CommandEngine(command=command.command).environments()


@pytest.mark.parametrize("said", ["", "oops", "[]", '{"environment": 7}', '{"environment": "pr-7"}'])
@pytest.mark.parametrize("code", [0, 1, 137])
def test_no_report_is_an_error(said: str, code: int, command: Command) -> None:
    command.says(said, code)

    with pytest.raises(EngineError, match=f"found the exit code {code} and no report"):
        CommandEngine(command=command.command).destroy("pr-7")


def test_a_command_that_hangs_is_ended(command: Command) -> None:
    command.says({}, sleep=60)

    with pytest.raises(EngineError, match=r"found no end after 0\.5 s"):
        CommandEngine(command=command.command, timeout=0.5).environments()


def test_a_command_that_is_not_there_is_said() -> None:
    with pytest.raises(EngineError, match="expected a command that runs"):
        CommandEngine(command=["/nowhere/aphiria-deploy"]).environments()


def test_drift_is_no_failure(command: Command) -> None:
    command.says({"environment": "production", "drift": [{"kind": "Deployment", "name": "web"}]}, 3)

    assert len(CommandEngine(command=command.command).drift("production").drift) == 1


def test_the_age_of_what_is_there_tells_when_it_was_deployed(command: Command) -> None:
    command.says({"stack": None, "environments": [{"environment": "pr-7", "ageSeconds": 60}, {"environment": "pr-8"}]})
    now = datetime(2026, 11, 26, tzinfo=UTC)

    first, second = CommandEngine(command=command.command).environments()

    assert first == LiveEnvironment("pr-7", 60)
    assert (first.deployed(now), second.deployed(now)) == (now - timedelta(minutes=1), None)


def test_the_engine_of_this_installation_answers_in_the_form_that_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"destroy production --yes: production: found no preview"):
        CommandEngine().destroy("production")
    with pytest.raises(InputError, match="kubeconfig"):
        CommandEngine(["--kubeconfig", str(tmp_path / "none")]).environments()
