"""What holds for every workflow: pinned actions, timeouts, one command a step, and what linters find."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from aphiria_deploy.cli.main import app
from aphiria_deploy.github.gate import BUILD
from aphiria_deploy.github.recorded import WORKFLOWS as LEAVING
from tests.workflows.graph import LOCAL, ROOT, WORKFLOWS, names, workflow

BIN = Path(sys.executable).parent
REUSABLE = [name for name in names() if "workflow_call" in (workflow(name)["on"] or {})]
CALLERS = [name for name in names() if name not in REUSABLE]


def steps() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in names():
        for key, job in workflow(name)["jobs"].items():
            for step in job.get("steps", ()):
                yield name, key, step


def test_actionlint_finds_nothing() -> None:
    command = [str(BIN / "actionlint"), "-shellcheck=", "-pyflakes="]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, "")


def test_zizmor_finds_nothing_at_its_strictest() -> None:
    options = ("--offline", "--persona=auditor", "--strict-collection", "--no-progress")
    command = [str(BIN / "zizmor"), *options, str(WORKFLOWS)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout
    assert "No findings to report" in ended.stdout + ended.stderr


def test_every_suppression_has_its_reason() -> None:
    found = []
    for name in names():
        for line in (WORKFLOWS / name).read_text().splitlines():
            if match := re.search(r"# zizmor: ignore\[([a-z-]+)\] ?(.*)", line):
                found.append((name, match[1]))
                assert len(match[2]) >= len("as above"), line

    assert sorted(found) == [
        ("cleanup.yml", "dangerous-triggers"),
        ("deploy.yml", "excessive-permissions"),
        ("deploy.yml", "excessive-permissions"),
        ("preview.yml", "dangerous-triggers"),
    ]


def test_actions_are_pinned_by_commit_and_the_same_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for name in names():
        for line in (WORKFLOWS / name).read_text().splitlines():
            match = re.match(r"\s*(?:- )?uses: (\S+)(.*)", line)
            if match and not match[1].startswith(LOCAL):
                assert re.fullmatch(r"[\w-]+/[\w-]+(/[\w-]+)?@[0-9a-f]{40}", match[1]), f"{name}: {line}"
                assert re.fullmatch(r" # v[0-9]+\.[0-9]+\.[0-9]+", match[2]), f"{name}: {line}"
                pins.setdefault(match[1].partition("@")[0], set()).add(match[1] + match[2])

    assert len(pins) >= 6
    assert all(len(versions) == 1 for versions in pins.values()), pins


@pytest.mark.parametrize("name", names())
def test_every_job_ends_in_time_and_says_what_its_token_may_do(name: str) -> None:
    data = workflow(name)
    for key, job in data["jobs"].items():
        if "uses" in job:
            assert job["permissions"], key
            continue
        assert 1 <= job["timeout-minutes"] <= 90, key
        assert job["runs-on"] == "ubuntu-24.04", key
        # What `deploy` may do is for its caller to say.
        assert (name == "deploy.yml") == ("permissions" not in job), key
        if "environment" in job and name != "run-preview.yml":
            assert job["concurrency"]["cancel-in-progress"] is False, key
    assert data.get("permissions") == ({} if name != "deploy.yml" else None)


@pytest.mark.parametrize("name", CALLERS)
def test_a_caller_is_thin(name: str) -> None:
    lines = [line for line in (WORKFLOWS / name).read_text().splitlines() if line.strip() and "#" not in line[:1]]

    assert len(lines) <= 25
    assert all("uses" in job for job in workflow(name)["jobs"].values())


def test_every_reusable_workflow_is_called() -> None:
    called = {
        job["uses"].removeprefix(LOCAL) for name in names() for job in workflow(name)["jobs"].values() if "uses" in job
    }

    assert called == set(REUSABLE)


def test_a_checkout_keeps_no_credentials() -> None:
    for name, key, step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, f"{name}: {key}"


@pytest.mark.parametrize("name", ["run-preview.yml", "run-cleanup.yml", "run-sweep.yml", "run-drift.yml"])
def test_what_is_trusted_runs_the_main_branchs_code(name: str) -> None:
    for file, key, step in steps():
        if file == name and step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"].get("ref") in {None, "${{ github.event.repository.default_branch }}"}, key


def test_nothing_of_an_event_is_pasted_into_a_command() -> None:
    for name, key, step in steps():
        assert "${{" not in step.get("run", ""), f"{name}: {key}"


def test_every_step_is_one_command_that_exists() -> None:
    for name, key, step in steps():
        if "run" not in step:
            continue
        line = step["run"]
        assert not re.search(r"[\n;|&<>`]|\$\(", line.strip()), f"{name}: {key}: {line}"
        words = shlex.split(line)
        if words == ["make", "env"]:
            assert re.search(r"(?m)^env:", (ROOT / "Makefile").read_text())
        elif words == [".ci/run"]:
            assert (ROOT / ".ci/run").is_file()
        else:
            assert words[0] == ".venv/bin/aphiria-deploy", f"{name}: {key}: {line}"
            _require_command(words[1:], f"{name}: {key}: {line}")


def _require_command(words: list[str], where: str) -> None:
    """Checks a command line against the command itself."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, where
        command, rest = command.commands[rest[0]], rest[1:]
    options = {name: one for one in command.params for name in one.opts if name.startswith("--")}
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    positional = 0
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            positional += 1
            continue
        assert word in options, where
        option = options[word]
        if not getattr(option, "is_flag", False):
            assert rest, where
            rest.pop(0)
    required = sum(one.required for one in arguments)
    assert required <= positional, where
    assert positional <= len(arguments) or any(one.nargs == -1 for one in arguments), where
    missing = [name for name, one in options.items() if one.required and name not in words]
    assert missing == [], where


def test_the_gate_believes_the_workflows_that_are_there() -> None:
    build, leaving = Path(BUILD).name, Path(LEAVING).name

    assert "pull_request" in workflow(build)["on"]
    assert workflow(leaving)["on"]["workflow_run"]["workflows"] == [workflow(build)["name"]]
    assert f".github/workflows/{build}" == BUILD
    assert f".github/workflows/{leaving}" == LEAVING
