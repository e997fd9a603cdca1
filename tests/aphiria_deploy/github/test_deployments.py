"""Deployments on GitHub: one is active at most, and nothing is left of a preview but what a promotion reads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.deployments import (
    Record,
    active,
    begin,
    clean_up,
    environment_of,
    finish,
    read_record,
    was_healthy,
)
from aphiria_deploy.github.engine import DeployReport, Diagnosed
from aphiria_deploy.github.errors import GitHubContentError
from aphiria_deploy.github.models import Deployment, DeploymentStatus
from tests.aphiria_deploy.github.bundles import COMMIT, TREE
from tests.aphiria_deploy.github.stand_in import Asked, Said, StandIn

RECORD = Record(environment="pr-7", commit=COMMIT, tree=TREE, bundle="sha256:b", images={"web": "web@sha256:1"}, run=5)
HEALTHY = DeployReport("pr-7", "deployed", urls={"web": "https://7.example"})
FAILED = DeployReport("pr-7", "failed", diagnosis=Diagnosed(message="the image cannot be pulled"))


def deploy(github: GitHub, report: DeployReport | None, **more: Any) -> Deployment:
    record = msgspec.structs.replace(RECORD, **more)
    deployment = begin(github, record, log_url="https://log.example")
    finish(github, deployment, report, log_url="https://log.example")
    return deployment


@pytest.mark.parametrize(
    ("name", "expected"), [("pr-107", "preview-pr-107"), ("production", "production"), ("pr-x", "pr-x")]
)
def test_environments_have_names_of_their_own_on_github(name: str, expected: str) -> None:
    assert environment_of(name) == expected


def test_a_deploy_begins_and_ends_well(stand_in: StandIn, github: GitHub) -> None:
    deployment = deploy(github, HEALTHY)
    made = stand_in.deployments[deployment.id]

    assert made["environment"] == "preview-pr-7"
    assert made["transient_environment"] is True
    assert [one["state"] for one in stand_in.statuses[deployment.id]] == ["in_progress", "success"]
    assert stand_in.statuses[deployment.id][1]["environment_url"] == "https://7.example"
    assert stand_in.statuses[deployment.id][0]["log_url"] == "https://log.example"


def test_production_is_not_transient(stand_in: StandIn, github: GitHub) -> None:
    deployment = deploy(github, HEALTHY, environment="production")

    assert stand_in.deployments[deployment.id]["transient_environment"] is False


def test_a_new_one_makes_the_old_ones_inactive(stand_in: StandIn, github: GitHub) -> None:
    first, second, third = deploy(github, HEALTHY), deploy(github, FAILED), deploy(github, HEALTHY)

    assert [stand_in.state_of(one.id) for one in (first, second, third)] == ["inactive", "inactive", "success"]


@pytest.mark.parametrize("report", [FAILED, None, DeployReport("pr-7", "planned")])
def test_one_that_fails_leaves_the_one_before_it_active(
    report: DeployReport | None, stand_in: StandIn, github: GitHub
) -> None:
    first = deploy(github, HEALTHY)
    second = deploy(github, report)

    assert stand_in.state_of(first.id) == "success"
    assert stand_in.state_of(second.id) == "failure"
    assert active(github, github.deployments("preview-pr-7")) == first


def test_a_failure_says_why_within_what_github_takes(stand_in: StandIn, github: GitHub) -> None:
    deployment = deploy(github, DeployReport("pr-7", "failed", diagnosis=Diagnosed(message="x" * 500)))
    description = stand_in.statuses[deployment.id][-1]["description"]

    assert len(description) == 140
    assert description.endswith("…")


def test_what_another_run_began_meanwhile_is_left_alone(stand_in: StandIn, github: GitHub) -> None:
    first = begin(github, RECORD, log_url="")
    second = begin(github, RECORD, log_url="")
    finish(github, first, HEALTHY, log_url="")

    assert stand_in.state_of(second.id) == "in_progress"


# The record


def test_what_was_deployed_is_read_back(github: GitHub) -> None:
    deploy(github, HEALTHY)

    assert read_record(github.deployments("preview-pr-7")[0]) == RECORD


def deployment(payload: Any) -> Deployment:
    data = {"id": 1, "sha": COMMIT, "ref": "x", "environment": "preview-pr-7", "created_at": "2026-11-26T12:00:00Z"}
    return msgspec.convert(data | {"payload": payload}, Deployment)


def test_a_payload_as_a_text_is_one_too() -> None:
    assert read_record(deployment(msgspec.json.encode(RECORD).decode())) == RECORD


@pytest.mark.parametrize("payload", [None, "", "x", {}, [], {"format": "other/v1"}, {"format": 7}, "[1]"])
def test_what_somebody_else_deployed_is_no_record(payload: Any) -> None:
    assert read_record(deployment(payload)) is None


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"format": "aphiria-deploy/deployment/v2"}, "use the version of aphiria-deploy that wrote it"),
        ({"format": "aphiria-deploy/deployment/v1"}, "expected what a deploy recorded"),
        ({**msgspec.to_builtins(RECORD), "images": ["x"]}, "expected what a deploy recorded"),
    ],
)
def test_a_record_that_cannot_be_read_is_said(payload: Any, message: str) -> None:
    with pytest.raises(GitHubContentError, match=message):
        read_record(deployment(payload))


@pytest.mark.parametrize(
    ("states", "healthy"),
    [
        ([], False),
        (["in_progress"], False),
        (["in_progress", "success"], True),
        (["in_progress", "success", "inactive"], True),
        (["in_progress", "failure"], False),
        (["in_progress", "failure", "inactive"], False),
        (["in_progress", "success", "failure"], False),
        (["success", "failure", "success"], False),
    ],
)
def test_healthy_is_what_was_so_to_its_end(states: list[str], healthy: bool) -> None:
    data = [{"id": n, "state": state, "created_at": "2026-11-26T12:00:00Z"} for n, state in enumerate(states)]

    assert was_healthy(reversed(msgspec.convert(data, list[DeploymentStatus]))) is healthy


# Cleaning up


def test_nothing_is_left_of_one_that_was_not_merged(stand_in: StandIn, github: GitHub) -> None:
    stand_in.may_administer = True
    deploy(github, HEALTHY)
    deploy(github, FAILED)

    found = clean_up(github, "pr-7", merged_commit=None)

    assert stand_in.deployments == {}
    assert "preview-pr-7" not in stand_in.environments
    assert (found.deleted, found.kept, found.left) == (2, None, "")


def test_of_one_that_was_merged_the_record_stays_inactive(stand_in: StandIn, github: GitHub) -> None:
    stand_in.may_administer = True
    deploy(github, HEALTHY, commit="e" * 40)
    merged = deploy(github, HEALTHY)

    found = clean_up(github, "pr-7", merged_commit=COMMIT)

    assert list(stand_in.deployments) == [merged.id]
    assert stand_in.state_of(merged.id) == "inactive"
    assert found.kept == merged.id
    assert "the record that a promotion reads" in found.left


def test_what_failed_last_leaves_no_record_to_promote(stand_in: StandIn, github: GitHub) -> None:
    stand_in.may_administer = True
    deploy(github, HEALTHY)
    deploy(github, FAILED)

    found = clean_up(github, "pr-7", merged_commit=COMMIT)

    assert not stand_in.deployments
    assert found.kept is None


def test_what_the_token_may_not_delete_is_told(stand_in: StandIn, github: GitHub) -> None:
    deploy(github, HEALTHY)

    found = clean_up(github, "pr-7", merged_commit=None)

    assert "preview-pr-7" in stand_in.environments
    assert found.left.startswith("the environment preview-pr-7 itself, which holds nothing")


def test_the_same_again_finds_nothing(stand_in: StandIn, github: GitHub) -> None:
    stand_in.may_administer = True
    deploy(github, HEALTHY)
    clean_up(github, "pr-7", merged_commit=None)

    found = clean_up(github, "pr-7", merged_commit=None)

    assert (found.deactivated, found.deleted, found.left) == (0, 0, "")


def test_one_that_becomes_active_in_between_is_left_for_the_next_time(stand_in: StandIn, github: GitHub) -> None:
    made = deploy(github, HEALTHY)

    def activate(asked: Asked) -> Said | None:
        if asked.method == "DELETE" and "/deployments/" in asked.path:
            stand_in.statuses[made.id].append({"id": 999, "state": "success", "created_at": stand_in.moment()})
        return None

    stand_in.before.append(activate)

    assert clean_up(github, "pr-7", merged_commit=None).deleted == 0
    assert made.id in stand_in.deployments
