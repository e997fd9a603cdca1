"""The wrapper of the Automation API, with the real program, and a stand-in for the program `pulumi`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.errors import AphiriaDeployError, CancelledError, DeadlineExceededError, InputError
from aphiria_deploy.kube import Cancellation, Deadline
from aphiria_deploy.stacks import (
    Diagnostic,
    Event,
    NoPulumiError,
    NotLoggedInError,
    StackFailedError,
    StackLockedError,
    StackSettingsError,
    Step,
    UnknownStackError,
)
from aphiria_deploy.stacks.automation import Stacks
from aphiria_deploy.stacks.errors import failure
from aphiria_deploy.stacks.runs import PAUSES, Runner, masked
from tests.aphiria_deploy.stacks.stand_in import ROOT, Pulumi
from tests.cluster.stacks import ADDRESS, KUBECONFIG, SECRETS

FOLDER = ROOT / "cluster"
LOCKED = "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or …"
UNAVAILABLE = {"diagnostic": "GET https://api.example/v2/kubernetes: 503 Service Unavailable"}


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    stand_in = Pulumi.install(tmp_path / "pulumi")
    for name, value in stand_in.environment.items():
        monkeypatch.setenv(name, value)
    return stand_in


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def runner(pulumi: Pulumi, told: list[Event]) -> Runner:
    return make_runner(told)


def make_runner(
    told: list[Event], deadline: Deadline | None = None, pauses: tuple[float, ...] = (0.01, 0.02)
) -> Runner:
    deadline = deadline or Deadline.after(120, "the test")
    return Runner(Stacks(FOLDER, deadline), deadline, told.append, pauses=pauses)


def test_a_stack_is_made_and_the_second_run_changes_nothing(runner: Runner, told: list[Event]) -> None:
    first = runner.up("production")
    assert first.changes == {"create": 6, "same": 2}
    assert {(step.type.rpartition(":")[2], step.name) for step in first.steps} == {
        ("KubernetesCluster", "cluster"),
        ("ConfigFile", "nginx-gateway-fabric-crds"),
        ("Release", "cert-manager"),
        ("Release", "nginx-gateway-fabric"),
        ("Namespace", "state-namespace"),
        ("ConfigMap", "marker"),
    }
    assert {step.state for step in first.steps} == {"done"}
    assert [str(event) for event in told if isinstance(event, Step) and event.name == "marker"] == [
        "create ConfigMap marker: begun",
        "create ConfigMap marker: done",
    ]
    second = runner.up("production")
    assert not second.changed
    assert second.changes == {"same": 8}


def test_a_preview_tells_what_would_be_and_makes_nothing(runner: Runner, pulumi: Pulumi) -> None:
    digest = runner.preview("preview-base")
    assert digest.changes["create"] == 6
    assert {step.state for step in digest.steps} == {"planned"}
    assert pulumi.state("preview-base")["resources"] == {}


def test_what_changed_is_told_by_its_inputs(runner: Runner) -> None:
    runner.up("production-dns", {"address": ADDRESS})
    digest = runner.up("production-dns", {"address": "198.51.100.9"})
    assert [(step.op, step.name, step.fields) for step in digest.steps] == [
        ("update", "@", ("value",)),
        ("update", "www", ("value",)),
        ("update", "api", ("value",)),
    ]
    assert json.loads(json.dumps(digest.as_json()))["changes"] == {"update": 3}


def test_what_a_run_sets_is_not_written_into_the_checkout(runner: Runner) -> None:
    before = {path: path.read_bytes() for path in FOLDER.glob("Pulumi.*")}
    runner.up("production-dns", {"address": ADDRESS})
    assert {path: path.read_bytes() for path in FOLDER.glob("Pulumi.*")} == before


def test_no_run_without_an_address_plans_the_records_away(runner: Runner, pulumi: Pulumi) -> None:
    runner.up("production-dns", {"address": ADDRESS})
    before = pulumi.state("production-dns")
    with pytest.raises(StackSettingsError, match="address: found none"):
        runner.up("production-dns")
    with pytest.raises(StackSettingsError, match="address: found none"):
        runner.preview("production-dns")
    assert pulumi.state("production-dns") == before


def test_the_outputs_are_those_of_the_stack_and_asked_for_once(pulumi: Pulumi, told: list[Event]) -> None:
    made = make_runner(told).up("production")
    assert made.changed
    later = make_runner(told)
    before = len(pulumi.commands())
    assert later.outputs("production")["kubeconfig"] == KUBECONFIG
    assert later.outputs("production")["postgresqlPort"] == 5432
    asked = [" ".join(command) for command in pulumi.commands()[before:]]
    assert len([command for command in asked if "stack output" in command]) == 2


def test_after_an_up_its_outputs_are_known(runner: Runner, pulumi: Pulumi) -> None:
    runner.up("production")
    before = len(pulumi.commands())
    assert runner.outputs("production")["clusterName"] == "aphiria-com-cluster"
    assert len(pulumi.commands()) == before


def test_outputs_are_shown_without_the_secret_ones(runner: Runner) -> None:
    runner.up("production")
    shown = masked(Stacks(FOLDER, Deadline.after(60, "the test")).outputs("production"))
    assert {name for name, value in shown.items() if value == "[secret]"} == {*SECRETS, "kubeconfig"}
    assert shown["clusterName"] == "aphiria-com-cluster"


def test_secrets_are_in_nothing_that_is_told(runner: Runner, pulumi: Pulumi, told: list[Event]) -> None:
    digest = runner.up("production")
    text = " ".join([*map(repr, told), json.dumps(digest.as_json()), json.dumps(pulumi.commands())])
    assert not [value for value in [*SECRETS.values(), KUBECONFIG] if value in text]


def test_a_token_in_what_a_provider_says_is_masked(
    runner: Runner, pulumi: Pulumi, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "a-token-of-no-known-form")
    runner = make_runner(told)
    pulumi.fail({"diagnostic": "POST /v2/kubernetes with a-token-of-no-known-form: 422", "stderr": "no"})
    with pytest.raises(StackFailedError) as caught:
        runner.up("production")
    assert "a-token-of-no-known-form" not in f"{caught.value}{told}"
    assert "***" in str(caught.value)


def test_without_the_program_pulumi_it_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPulumiError, match=r"the program pulumi: found none on PATH.*--outputs FILE") as caught:
        Stacks(FOLDER, Deadline.after(5, "the test"))
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("script", ["exit 3", "echo two", "echo v3.205.0", "echo v4.0.0"])
def test_a_program_pulumi_that_is_none_is_refused(script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPulumiError, match=r"expected one of version 3\.206\.0 or newer"):
        Stacks(FOLDER, Deadline.after(5, "the test"))


def test_a_program_of_no_version_is_refused_also_where_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK", "true")
    test_a_program_pulumi_that_is_none_is_refused("echo two", monkeypatch, tmp_path)


def test_without_the_packages_it_says_which_extra_has_them() -> None:
    code = (
        "import sys; sys.modules['pulumi'] = None\n"
        "from aphiria_deploy.errors import UnavailableError\n"
        "try:\n    import aphiria_deploy.stacks.automation\n"
        "except UnavailableError as error:\n    print(error, error.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'aphiria-deploy[cluster]' 5" in done.stdout


@pytest.mark.parametrize(
    ("failed", "error", "hint"),
    [
        (
            {
                "on": "stack select",
                "stderr": "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
            },
            NotLoggedInError,
            "pulumi login",
        ),
        (
            {"on": "stack select", "stderr": "error: Unauthorized: No credentials provided or are invalid."},
            NotLoggedInError,
            "pulumi login",
        ),
        ({"stderr": "error: incorrect passphrase"}, NotLoggedInError, "PULUMI_CONFIG_PASSPHRASE"),
        ({"diagnostic": "Unable to authenticate you"}, NotLoggedInError, "DIGITALOCEAN_TOKEN"),
        ({"stderr": LOCKED}, StackLockedError, "pulumi cancel --stack production"),
        (
            {"stderr": "error: [409] Conflict: Another update is currently in progress."},
            StackLockedError,
            "pulumi cancel --stack production",
        ),
    ],
)
def test_what_stands_in_the_way_is_told_with_what_to_do(
    failed: dict[str, Any],
    error: type[AphiriaDeployError],
    hint: str,
    runner: Runner,
    pulumi: Pulumi,
) -> None:
    pulumi.fail(failed, failed)
    with pytest.raises(error, match=hint) as caught:
        runner.up("production")
    assert caught.value.exit_code == 5
    with pytest.raises(error):
        # It is not worth another try, so that the second failure is still there.
        runner.up("production")


def test_what_passes_is_tried_three_times(runner: Runner, pulumi: Pulumi, told: list[Event]) -> None:
    pulumi.fail(UNAVAILABLE, UNAVAILABLE)
    digest = runner.up("production")
    assert digest.attempts == 3
    warnings = [
        event.message.split(",")[0] for event in told if isinstance(event, Diagnostic) and event.severity == "warning"
    ]
    assert warnings == ["attempt 1 failed", "attempt 2 failed"]


def test_the_fourth_try_is_not_made(runner: Runner, pulumi: Pulumi) -> None:
    pulumi.fail(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
    with pytest.raises(StackFailedError, match="503"):
        runner.up("production")
    runner.up("production")


def test_the_pauses_are_a_minute_and_two() -> None:
    assert PAUSES == (60.0, 120.0)


def test_no_pause_outlasts_the_deadline(pulumi: Pulumi, told: list[Event]) -> None:
    pulumi.fail(UNAVAILABLE)
    since = time.monotonic()
    with pytest.raises(StackFailedError, match="503"):
        make_runner(told, Deadline.after(30, "the test"), PAUSES).up("production")
    assert time.monotonic() - since < 30


@pytest.mark.parametrize(
    "said",
    [
        "422 Unprocessable Entity: validation error: invalid size",
        'resource "urn:…" cannot be deleted\nbecause it is protected.',
        "chart requires kubeVersion: >= 1.31.0-0 which is incompatible with Kubernetes v1.30.2",
    ],
)
def test_what_stays_wrong_is_not_tried_again(said: str, runner: Runner, pulumi: Pulumi, told: list[Event]) -> None:
    pulumi.fail({"diagnostic": said})
    with pytest.raises(StackFailedError):
        runner.up("production")
    assert not [event for event in told if isinstance(event, Diagnostic) and "attempt" in event.message]


def test_missing_gateway_crds_are_told_as_what_they_are() -> None:
    error = failure("production", "up", "resource 'gateways.gateway.networking.k8s.io' does not exist")
    assert isinstance(error, StackFailedError)
    assert "from Kubernetes 1.33 on, if they are VPC-native" in str(error)
    assert error.transient, "a cluster that was just made gets them a little later"


@pytest.mark.parametrize(
    ("said", "error", "hint"),
    [
        ("error: unknown flag: --run-program", NoPulumiError, "bring it to that of its packages"),
        ("error: failed to decrypt encrypted configuration value 'a:b': no", StackSettingsError, "pulumi config set"),
        (
            'error: The \'virtualenv\' option in Pulumi.yaml is set to "../.venv", but "x" doesn\'t exist',
            NoPulumiError,
            "make env",
        ),
        ("error: this command requires logging in; try running `pulumi login` first", NotLoggedInError, "pulumi login"),
        ("error: no Pulumi.yaml project file found (searching upwards from x)", UnknownStackError, "pyproject.toml"),
    ],
)
def test_each_refusal_of_the_command_has_an_answer(said: str, error: type[AphiriaDeployError], hint: str) -> None:
    found = failure("production", "up", said)
    assert type(found) is error
    assert hint in str(found)


@pytest.mark.parametrize("said", ["port 1502 is in use", "found 4500", "digest sha256:1d429f", "needs 15000m"])
def test_a_number_in_a_text_is_no_status(said: str) -> None:
    found = failure("production", "up", said)
    assert isinstance(found, StackFailedError)
    assert not found.transient


def test_a_stack_that_was_never_made_has_no_outputs(runner: Runner) -> None:
    with pytest.raises(UnknownStackError, match="aphiria-deploy cluster up production"):
        runner.outputs("production")


def test_a_stack_without_a_file_is_refused_before_anything_is_asked(runner: Runner, pulumi: Pulumi) -> None:
    with pytest.raises(
        InputError, match="there are: local, preview-base, preview-base-dns, production, production-dns"
    ):
        runner.up("prodution")
    assert pulumi.commands() == []


def test_a_folder_without_a_program_is_refused(tmp_path: Path, pulumi: Pulumi) -> None:
    with pytest.raises(InputError, match=r"Pulumi\.yaml: found no project"):
        Stacks(tmp_path, Deadline.after(5, "the test"))


def test_what_is_protected_goes_only_when_it_is_unprotected(runner: Runner, pulumi: Pulumi) -> None:
    runner.up("production")
    stacks = Stacks(FOLDER, Deadline.after(60, "the test"))
    with pytest.raises(StackFailedError, match="protected"):
        stacks.destroy("production", {}, lambda _: None, run_program=False)
    assert pulumi.state("production")["resources"]
    digest = runner.destroy("production", run_program=True)
    assert digest.changes["delete"] == 8
    assert pulumi.state("production")["resources"] == {}
    assert "--run-program=true" in next(command for command in reversed(pulumi.commands()) if "destroy" in command)


@pytest.fixture
def stopping(pulumi: Pulumi) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Does something as soon as a run hangs."""
    threads: list[threading.Thread] = []

    def when_it_hangs(act: Callable[[], None]) -> None:
        def wait() -> None:
            end = time.monotonic() + 20
            while not (pulumi.folder / "hangs").exists() and time.monotonic() < end:
                time.sleep(0.02)
            act()

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield when_it_hangs
    for thread in threads:
        thread.join(30)


def test_a_run_that_is_told_to_stop_ends_what_it_began(
    pulumi: Pulumi, told: list[Event], stopping: Callable[[Callable[[], None]], None]
) -> None:
    cancellation = Cancellation()
    runner = make_runner(told, Deadline.after(60, "the test", cancellation))
    pulumi.fail({"hang": True})
    stopping(lambda: cancellation.cancel("SIGTERM"))
    since = time.monotonic()
    with pytest.raises(CancelledError, match="SIGTERM"):
        runner.up("production")
    assert time.monotonic() - since < 30
    assert (pulumi.folder / "interrupted").exists(), "it was asked, not killed"


def test_a_run_that_takes_too_long_is_stopped(pulumi: Pulumi, told: list[Event]) -> None:
    pulumi.fail({"hang": True})
    runner = make_runner(told, Deadline.after(6, "the run"))
    with pytest.raises(DeadlineExceededError, match="the run took longer than the 6 s"):
        runner.up("production")
    assert (pulumi.folder / "interrupted").exists()
