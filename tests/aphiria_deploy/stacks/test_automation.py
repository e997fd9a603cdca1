"""The wrapper of the Automation API with Pulumi's own command, where there is one, and with what it is known to say.

Both go through the same tests: with the real command its state is in a folder, else its command line is replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aphiria_deploy.errors import CancelledError, InputError
from aphiria_deploy.kube import Cancellation, Deadline
from aphiria_deploy.stacks import (
    Diagnostic,
    Event,
    NotLoggedInError,
    StackFailedError,
    StackLockedError,
    Step,
    UnknownStackError,
)
from aphiria_deploy.stacks.automation import Stacks
from aphiria_deploy.stacks.runs import Runner, masked
from tests.aphiria_deploy.stacks import tiny
from tests.aphiria_deploy.stacks.tiny import STACK, Tiny

Start = Callable[[str], Tiny]


@pytest.fixture(params=["real", "replayed"])
def start(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Sets the small program up for a scenario."""
    command = tiny.real()
    if request.param == "real" and command is None:
        pytest.skip("no pulumi to test with: none on PATH; PULUMI=FILE names another. Its command line is replayed")

    def set_up(scenario: str) -> Tiny:
        found = Tiny.set_up(tmp_path / "tiny", scenario, command if request.param == "real" else None)
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE"):
            monkeypatch.delenv(name, raising=False)
        return found

    return set_up


def stacks(program: Tiny, cancellation: Cancellation | None = None) -> Stacks:
    return Stacks(program.folder, Deadline.after(300, "the test", cancellation))


def make_runner(
    program: Tiny, tell: Callable[[Event], None] = lambda _: None, cancellation: Cancellation | None = None
) -> Runner:
    deadline = Deadline.after(300, "the test", cancellation)
    return Runner(Stacks(program.folder, deadline), deadline, tell, pauses=())


def test_a_stack_is_planned_made_and_then_unchanged(start: Start) -> None:
    told: list[Event] = []
    runner = make_runner(start("made"), told.append)
    planned = runner.preview(STACK)
    assert planned.changes == {"create": 5}
    assert {step.state for step in planned.steps} == {"planned"}
    made = runner.up(STACK)
    assert made.changes == {"create": 5}
    assert {(step.type, step.name, step.state) for step in made.steps} == {
        ("tiny:index:Part", "first", "done"),
        ("pulumi:index:Stash", "first-value", "done"),
        ("tiny:index:Part", "second", "done"),
        ("pulumi:index:Stash", "second-value", "done"),
        ("pulumi:index:Stash", "note", "done"),
    }
    assert [event.state for event in told if isinstance(event, Step) and event.name == "first-value"] == [
        "planned",
        "begun",
        "done",
    ]
    assert runner.outputs(STACK)["token"] == "token-of-tiny"
    again = runner.up(STACK)
    assert not again.changed
    assert again.changes == {"same": 5}
    assert "of-tiny" not in f"{told}{made.as_json()}"


def test_outputs_are_typed_and_secret_also_in_part(start: Start) -> None:
    program = start("outputs")
    make_runner(program).up(STACK)
    found = stacks(program).outputs(STACK)
    assert found == {
        "count": (2, False),
        "name": ("tiny", False),
        "value": ("one", False),
        "token": ("token-of-tiny", True),
        "login": ({"user": "tiny", "password": "password-of-tiny"}, True),
    }
    assert "of-tiny" not in str(masked(found))


def test_what_is_replaced_changed_and_deleted_is_planned_and_done(start: Start) -> None:
    runner = make_runner(start("changed"))
    runner.up(STACK)
    for digest, state in (
        (runner.preview(STACK, {"mode": "changed"}), "planned"),
        (runner.up(STACK, {"mode": "changed"}), "done"),
    ):
        assert digest.changes == {"replace": 1, "update": 1, "delete": 2, "same": 1}
        assert {(step.op, step.name, step.fields, step.state) for step in digest.steps} == {
            ("replace", "first-value", ("input",), state),
            ("update", "note", ("input",), state),
            ("delete", "second", (), state),
            ("delete", "second-value", (), state),
        }
    assert runner.outputs(STACK)["value"] == "two"


def test_what_a_program_that_fails_says_is_kept(start: Start) -> None:
    told: list[Event] = []
    runner = make_runner(start("failing"), told.append)
    with pytest.raises(StackFailedError, match="ValueError: the program says no") as caught:
        runner.up(STACK, {"mode": "failing"})
    assert not caught.value.transient
    said = [event for event in told if isinstance(event, Diagnostic) and event.severity == "error"]
    assert any("the program says no" in each.message for each in said)
    assert not any("<{" in each.message for each in said)


def test_a_locked_stack_is_told_with_who_holds_it(start: Start) -> None:
    program = start("locked")
    runner = make_runner(program)
    runner.up(STACK)
    program.lock()
    with pytest.raises(StackLockedError, match=r"ann@elsewhere.*\n.*pulumi cancel --stack dev") as caught:
        runner.up(STACK)
    assert caught.value.exit_code == 5
    assert "after" not in str(caught.value)


def test_a_stack_that_was_never_made_is_not_known(start: Start) -> None:
    with pytest.raises(UnknownStackError, match="aphiria-deploy cluster up dev"):
        make_runner(start("missing")).outputs(STACK)


def test_what_is_protected_is_deleted_only_when_it_is_unprotected(start: Start) -> None:
    program = start("protected")
    runner = make_runner(program)
    runner.up(STACK, {"mode": "protected"})
    with pytest.raises(StackFailedError, match=r"because it is protected"):
        stacks(program).destroy(STACK, {}, lambda _: None, run_program=False)
    digest = runner.destroy(STACK, run_program=False)
    assert digest.changes == {"delete": 5}
    with pytest.raises(InputError, match="found none"):
        runner.outputs(STACK)


def test_a_stack_with_nothing_in_it_can_be_destroyed(start: Start) -> None:
    runner = make_runner(start("empty"))
    runner.preview(STACK)
    assert not runner.destroy(STACK, run_program=False).changed


def test_a_run_that_is_stopped_leaves_the_stack_free(start: Start) -> None:
    program = start("stopped")
    cancellation = Cancellation()

    def stop_when_the_program_waits(event: Event) -> None:
        # It comes while the run goes on, which else would not end for ten minutes.
        if isinstance(event, Step) and (event.name, event.state) == ("note", "done"):
            cancellation.cancel("SIGTERM")

    with pytest.raises(CancelledError, match="SIGTERM") as caught:
        make_runner(program, stop_when_the_program_waits, cancellation).up(STACK, {"mode": "waiting"})
    assert "killed" not in str(caught.value)
    assert program.locks() == []
    assert make_runner(program).up(STACK).changes["same"] >= 3


def test_without_a_login_it_says_how(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start("logged-out")
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    with pytest.raises(NotLoggedInError, match="pulumi login") as caught:
        make_runner(program).up(STACK)
    assert caught.value.exit_code == 5


def test_without_a_passphrase_it_says_which(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start("passphrase")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    with pytest.raises(NotLoggedInError, match=r"set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE"):
        make_runner(program).up(STACK)


def test_a_wrong_passphrase_is_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start("wrong-passphrase")
    make_runner(program).up(STACK)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    with pytest.raises(NotLoggedInError, match="incorrect passphrase"):
        make_runner(program).up(STACK)


def test_an_esc_environment_needs_pulumi_s_own_service(start: Start) -> None:
    program = start("environments")
    program.write_stack({"environment": ["tiny/Production"], "config": {}})
    with pytest.raises(NotLoggedInError, match=r"ESC environments are at Pulumi's own service"):
        make_runner(program).up(STACK)


def test_a_state_that_is_not_there_is_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start("no-state")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{program.state}/nowhere/at/all")
    with pytest.raises(NotLoggedInError, match=r"PULUMI_BACKEND_URL, or `pulumi login URL`"):
        make_runner(program).up(STACK)
