"""Which jobs run, with which permissions and secrets: both ways through every workflow."""

from __future__ import annotations

from typing import Any

import pytest

from aphiria_deploy.github.recorded import ROOM, ROOM_FILE, ROOM_WORKFLOWS
from aphiria_deploy.preview_outputs import VARIABLES
from tests.workflows.graph import Running, fill, names, walk, workflow

PULL = {"number": 107, "head": {"sha": "c" * 40}}
DEFAULT = {"default_branch": "main"}
READ = {"contents": "read"}
ADMINISTRATORS = {"PULUMI_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN"}
ISSUERS = set(VARIABLES)
"""What previews are deployed with, which leads to no administrator."""
GATE = {"actions": "read", "contents": "read", "deployments": "read", "pull-requests": "read"}
ONE_JOB = "cleanup.yml sweep.yml drift.yml backup-rehearsal.yml build-preview.yml ci.yml".split()


def github(**event: Any) -> dict[str, Any]:
    context = {"repository": "a/b", "sha": "f" * 40, "actor": "ann", "token": "***"}
    return {
        "github": {**context, "event": {"repository": DEFAULT, **event}},
        "vars": {"PULUMI_ORGANIZATION": "aphiria"},
    }


def paths(found: list[Running]) -> list[str]:
    return [one.path for one in found]


def built(event: str = "pull_request", conclusion: str = "success") -> dict[str, Any]:
    return github(workflow_run={"event": event, "conclusion": conclusion, "id": 5})


def preview(failed: frozenset[str] = frozenset(), **gate: str) -> list[Running]:
    return walk("preview.yml", built(), {"preview/gate": gate}, failed)


def production(failed: frozenset[str] = frozenset(), preview: str = "") -> list[Running]:
    outputs = {"production/resolve": {"preview": preview}, "production/push": {"images": "web=w,api=a"}}
    return walk("production.yml", github(), outputs, failed)


# A pull request's own code


@pytest.mark.parametrize("name", ["build-preview.yml", "ci.yml"])
def test_a_pull_requests_code_runs_without_secrets_and_without_a_token_that_writes(name: str) -> None:
    found = walk(name, github(pull_request=PULL), {})

    assert len(found) == 1
    for job in found:
        assert job.permissions == READ
        assert job.environment == ""
        assert job.secrets == set()
        assert "github.token" not in str(job.steps)


def test_a_build_is_of_the_pull_requests_own_commit_and_for_its_own_number() -> None:
    (job,) = walk("build-preview.yml", github(pull_request=PULL), {})

    assert job.inputs["environment"] == "pr-107"
    assert job.inputs["commit"] == "c" * 40
    assert job.inputs["cache"] == "ghcr.io/a/b-cache"


def test_a_build_writes_no_cache() -> None:
    (job,) = walk("build-preview.yml", github(pull_request=PULL), {})

    assert "cache-to" not in str(job.steps)
    assert all(workflow(name)["cache-mode"] == "none" for name in names())


# A preview


def test_a_maintainers_preview_goes_on_without_reviewers() -> None:
    found = preview(environment="preview", number="107")

    assert paths(found) == ["preview/gate", "preview/announce", "preview/push", "preview/deploy/deploy"]
    gate, announce, push, deploy = found
    assert gate.permissions == GATE
    assert announce.permissions == {"contents": "read", "pull-requests": "write"}
    assert push.permissions == {"actions": "read", "contents": "read", "packages": "write", "pull-requests": "read"}
    assert deploy.permissions == {
        "contents": "read",
        "deployments": "write",
        "packages": "read",
        "pull-requests": "write",
    }
    assert [job.environment for job in found] == ["", "", "preview", "preview"]
    assert [job.secrets for job in found] == [set(), set(), set(), ISSUERS]
    assert deploy.concurrency == "deploy-pr-107"
    assert [command for command in deploy.commands if "aphiria-deploy" in command] == [
        ".venv/bin/aphiria-deploy github outputs --file outputs.json",
        ".venv/bin/aphiria-deploy github deploy --approved approved --outputs outputs.json",
        ".venv/bin/aphiria-deploy github room --file room.json --outputs outputs.json",
    ]
    # What is looked at after the deploy is what the next plan counts with.
    assert [step["with"]["name"] for step in deploy.steps if "upload-artifact" in step.get("uses", "")] == [ROOM]


def test_anothers_preview_waits_for_a_reviewer_before_anything_is_pushed() -> None:
    found = preview(environment="preview-reviewed", number="107")

    assert [(job.path, job.environment) for job in found] == [
        ("preview/gate", ""),
        ("preview/announce", ""),
        ("preview/push", "preview-reviewed"),
        ("preview/deploy/deploy", "preview"),
    ]


def test_a_bots_preview_ends_at_the_gate() -> None:
    assert paths(preview(environment="", number="")) == ["preview/gate"]


def test_a_refused_preview_is_told_of_and_no_more() -> None:
    assert paths(preview(environment="", number="107")) == ["preview/gate", "preview/announce"]


GATED = {
    "a maintainer's": {"environment": "preview", "number": "107", "commit": "c" * 40, "findings": "0"},
    "a fork's": {"environment": "preview-reviewed", "number": "107", "commit": "c" * 40, "findings": "2"},
    "refused for a finding": {"environment": "", "number": "107", "commit": "c" * 40, "findings": "1"},
    "refused for what is no object": {"environment": "", "number": "107", "commit": "c" * 40, "findings": ""},
    "a bot's": {"environment": "", "number": "", "commit": "", "findings": ""},
}


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("which", GATED)
def test_what_the_rules_find_is_shown_in_the_diff_where_it_is_asked_for(which: str, asked: bool) -> None:
    gate = GATED[which]
    context = built() | {"vars": {"ANNOTATIONS": "true"} if asked else {}}
    found = walk("preview.yml", context, {"preview/gate": gate})

    annotating = [job for job in found if "security-events" in job.permissions]
    assert [job.path for job in annotating] == (["preview/annotate"] if asked and gate["findings"] else [])
    for job in annotating:
        assert job.permissions == {"actions": "read", "contents": "read", "security-events": "write"}
        assert (job.environment, job.secrets, job.commands) == ("", set(), [])
        upload = job.steps[-1]["with"]
        filled = {key: fill(value, {"needs": {"gate": {"outputs": gate}}}) for key, value in upload.items()}
        assert (filled["ref"], filled["sha"]) == ("refs/pull/107/head", "c" * 40)
    # The gate, which reads what is hostile, may write nothing either way.
    assert found[0].permissions == GATE
    left = [step["with"]["name"] for step in found[0].steps if "upload-artifact" in step.get("uses", "")]
    assert left == (["approved", "findings"] if asked else ["approved"])
    (command,) = [step for step in found[0].steps if step.get("id") == "gate"]
    assert fill(command["env"]["SARIF"], {"inputs": found[0].inputs}) == ("findings.sarif" if asked else "")
    assert [job.path for job in found if job not in annotating] == paths(preview(frozenset(), **gate))


def test_annotations_that_fail_stop_nothing() -> None:
    context = built() | {"vars": {"ANNOTATIONS": "true"}}
    gate = {"preview/gate": GATED["a maintainer's"]}

    assert "preview/deploy/deploy" in paths(walk("preview.yml", context, gate, frozenset({"preview/annotate"})))


def test_no_other_job_may_write_findings() -> None:
    for name in names():
        for key, job in workflow(name)["jobs"].items():
            wanted = job.get("permissions", {}).get("security-events")
            assert wanted == (
                "write" if (name, key) in {("preview.yml", "preview"), ("run-preview.yml", "annotate")} else None
            )


@pytest.mark.parametrize(
    ("event", "conclusion"), [("pull_request", "failure"), ("pull_request", "cancelled"), ("push", "success")]
)
def test_what_was_not_built_for_a_pull_request_is_no_preview(event: str, conclusion: str) -> None:
    assert walk("preview.yml", built(event, conclusion), {}) == []


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        ("preview/gate", ["preview/gate"]),
        ("preview/announce", ["preview/gate", "preview/announce", "preview/push", "preview/deploy/deploy"]),
        # Also: nobody approves, or somebody rejects.
        ("preview/push", ["preview/gate", "preview/announce", "preview/push"]),
    ],
)
def test_what_fails_stops_what_builds_on_it_alone(failed: str, expected: list[str]) -> None:
    assert paths(preview(frozenset({failed}), environment="preview", number="107")) == expected


@pytest.mark.parametrize("organization", ["aphiria", ""])
def test_a_previews_jobs_ask_pulumi_for_nothing(organization: str) -> None:
    variables = {"PULUMI_ORGANIZATION": organization}
    gate = {"preview/gate": {"environment": "preview", "number": "107"}}
    found = [
        *walk("preview.yml", built() | {"vars": variables}, gate),
        *walk("cleanup.yml", github(pull_request=PULL) | {"vars": variables}, {}),
        *walk("sweep.yml", github() | {"vars": variables}, {}),
    ]

    assert {job.path.rpartition("/")[2] for job in found if job.secrets} == {"deploy", "cleanup", "sweep"}
    for job in found:
        assert job.secrets in (set(), ISSUERS), job.path
        assert "id-token" not in job.permissions, job.path
        assert not any("pulumi" in str(step).casefold() for step in job.steps), job.path


def test_what_previews_are_deployed_with_is_given_to_the_step_that_writes_it_down_alone() -> None:
    for name in ("cleanup.yml", "sweep.yml"):
        (job,) = walk(name, github(pull_request=PULL), {})
        assert [step["run"] for step in job.steps if "secrets." in str(step)] == [
            ".venv/bin/aphiria-deploy github outputs --file outputs.json"
        ]


# Production


def test_what_ran_in_a_preview_is_promoted_and_nothing_is_built() -> None:
    found = production(preview="pr-107")

    assert paths(found) == ["production/resolve", "production/promote/deploy", "production/cache"]
    promote = found[1]
    assert promote.environment == "production"
    assert promote.concurrency == "deploy-production"
    assert promote.permissions["pull-requests"] == "read"
    assert "packages" in promote.permissions
    assert any(" promote " in command for command in promote.commands)
    assert not any(" release " in command or " github deploy" in command for command in promote.commands)


def test_what_ran_in_no_preview_is_built_and_a_skipped_job_skips_nothing_else() -> None:
    found = production()

    assert paths(found) == [
        "production/resolve",
        "production/build/build",
        "production/push",
        "production/release/deploy",
        "production/cache",
    ]
    build, push, release = found[1:4]
    assert build.permissions == READ
    assert push.permissions == {"contents": "read", "packages": "write"}
    assert release.environment == "production"
    assert release.inputs["images"] == "web=w,api=a"
    assert "pull-requests" not in release.permissions
    assert [job.environment for job in (build, push)] == ["", ""]


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        ("production/resolve", ["production/resolve", "production/cache"]),
        ("production/build/build", ["production/resolve", "production/build/build", "production/cache"]),
        (
            "production/push",
            ["production/resolve", "production/build/build", "production/push", "production/cache"],
        ),
    ],
)
def test_what_fails_on_the_way_to_production_deploys_nothing(failed: str, expected: list[str]) -> None:
    assert paths(production(frozenset({failed}))) == expected


def test_the_cache_has_no_say_in_production() -> None:
    assert "production/release/deploy" in paths(production(frozenset({"production/cache"})))


def test_without_oidc_productions_own_secret_serves() -> None:
    context = github() | {"vars": {}}
    (_, promote, _) = walk("production.yml", context, {"production/resolve": {"preview": "pr-107"}})

    assert not any("pulumi/auth-actions" in step.get("uses", "") for step in promote.steps)
    assert promote.secrets == ADMINISTRATORS


# The rest


@pytest.mark.parametrize(
    ("name", "environment", "command"),
    [
        ("cleanup.yml", "preview", "github cleanup"),
        ("sweep.yml", "preview", "gc --max"),
        ("drift.yml", "production", "github drift production"),
        ("backup-rehearsal.yml", "production", "db rehearse production"),
    ],
)
def test_what_runs_beside_has_one_job(name: str, environment: str, command: str) -> None:
    (job,) = walk(name, github(pull_request=PULL), {})

    assert job.environment == environment
    assert any(command in one for one in job.commands)
    assert job.permissions["contents"] == "read"
    assert job.permissions.get("packages") is None


def test_the_room_is_left_by_the_workflows_that_are_believed() -> None:
    leaving = set()
    for name in names():
        for job in workflow(name)["jobs"].values():
            for step in job.get("steps", ()):
                if "upload-artifact" in step.get("uses", "") and step["with"]["name"] == ROOM:
                    assert step["with"] | {"path": ROOM_FILE, "overwrite": True, "retention-days": 7} == step["with"]
                    leaving.add(name)

    assert leaving == {"deploy.yml", "run-sweep.yml"}
    for path in ROOM_WORKFLOWS:
        assert path.rpartition("/")[2] in names()
    assert [one.path for one in walk("sweep.yml", github(), {}) if "room.json" in str(one.steps)] == ["sweep/sweep"]


def test_a_clean_up_is_in_no_line_with_deploys() -> None:
    (job,) = walk("cleanup.yml", github(pull_request=PULL), {})

    assert job.concurrency == "cleanup-pr-107"
    assert job.inputs == {"number": 107}


def test_drift_may_write_issues_alone() -> None:
    (job,) = walk("drift.yml", github(), {})

    assert job.permissions == {"contents": "read", "id-token": "write", "issues": "write"}


def test_secrets_are_where_an_environment_is() -> None:
    everything = [
        *preview(environment="preview-reviewed", number="107"),
        *production(),
        *production(preview="pr-107"),
        *(
            job
            for name in ("cleanup.yml", "sweep.yml", "drift.yml", "backup-rehearsal.yml", "build-preview.yml", "ci.yml")
            for job in walk(name, github(pull_request=PULL), {})
        ),
    ]

    for job in everything:
        assert bool(job.secrets) <= (job.environment in {"preview", "production"}), job.path
        assert job.secrets in (set(), ISSUERS, ADMINISTRATORS), job.path
        assert job.secrets != ISSUERS or job.environment == "preview", job.path
        assert job.secrets != ADMINISTRATORS or job.environment == "production", job.path
        assert ("id-token" in job.permissions) == (job.secrets == ADMINISTRATORS), job.path
        assert ("packages", "write") not in job.permissions.items() or not job.secrets, job.path
