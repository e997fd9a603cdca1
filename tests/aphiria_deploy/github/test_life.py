"""The whole way of a pull request, by the commands that the workflows call: a stateful GitHub, a real registry, and an
engine of the test's own.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy import bundle as bundles
from aphiria_deploy.capacity import room_of
from aphiria_deploy.cli import stepping
from aphiria_deploy.cli.options import Format
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.engine import (
    Diagnosed,
    LiveEnvironment,
)
from aphiria_deploy.github.errors import DoubtError
from aphiria_deploy.github.selection import Limits
from aphiria_deploy.room import SeenRoom
from tests.aphiria_deploy import registries
from tests.aphiria_deploy.github import bundles as samples
from tests.aphiria_deploy.github.images import build
from tests.aphiria_deploy.github.project import NOWHERE, Project, pushed, sha
from tests.aphiria_deploy.github.stand_in import Asked, Said, StandIn
from tests.aphiria_deploy.test_capacity import node

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo (apt-get install skopeo)")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registries.Running]:
    with registries.registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def project(
    stand_in: StandIn, registry: registries.Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Project:
    return Project(stand_in, registry.host, tmp_path, monkeypatch)


def test_from_a_push_to_a_preview_by_way_of_an_approval_and_a_failure(project: Project) -> None:
    github, engine = project.github, project.engine
    github.open_pull(107, sha("1"), author="bob", fork="bob/aphiria.com")
    github.may("bob", "read")

    # Opened: it waits for a reviewer, who sees the plan, the images and the commit.
    first = project.build(sha("1"))
    github.build(1, 107)
    assert project.gate(first)["environment"] == "preview-reviewed"
    waiting = project.run
    assert "waits for approval" in project.comment()
    assert sha("1") in project.comment()
    assert "no recorded bundle is known" in project.comment()
    assert engine.deployed == []

    # Pushed before the approval: what was to be approved is void.
    second = pushed(project, "2", 2)
    newer = project.run
    with pytest.raises(AphiriaDeployError, match=f"commit: found {sha('2')}, expected {sha('1')}, which was approved"):
        project.approve(waiting, first)
    assert engine.deployed == []

    # Approved, but its deploy fails.
    engine.failure = Diagnosed(
        "Deployment", "preview-pr-107/web", "CrashLoopBackOff", "it ends at once", "read its log"
    )
    assert project.approve(newer, second) is False
    assert "could not be deployed" in project.comment()
    assert "what to do: read its log" in project.comment()
    assert project.states() == ["failure"]

    # Fixed.
    engine.failure = None
    third = pushed(project, "3", 3)
    assert project.approve(project.run, third) is True
    assert "✅ The preview of pull request 107 is deployed" in project.comment()
    assert "107.pr.aphiria.com" in project.comment()
    assert project.states() == ["inactive", "success"]
    assert engine.deployed[-1][:2] == ("pr-107", sha("3"))

    # Pushed again: the plan says what changes, compared with what was recorded.
    assert (
        "how many more fit is not known: nobody has looked"
        in (project.folder / str(newer) / "approved/comment.md").read_text()
    )
    project.saw(SeenRoom(room_of([node("a"), node("b")], []), datetime.now(UTC) - timedelta(hours=3)))
    pushed(project, "4", 4)
    assert "1 more of this size fit on the 2 nodes that take pods, as of 20" in project.comment()
    assert "UTC, 3 h before this plan |" in project.comment()
    assert "0 to create" in project.comment()
    assert re.search(r"Plan: 0 to create, [1-9]", project.comment())


def test_from_a_preview_back_to_nothing_and_on_to_production(project: Project) -> None:
    github, engine = project.github, project.engine
    github.open_pull(107, sha("1"), author="bob", fork="bob/aphiria.com")
    github.may("bob", "read")
    fourth = pushed(project, "4", 4)
    project.approve(project.run, fourth)

    # Closed: nothing is left, and the receipt says so.
    github.pulls[107]["state"] = "closed"
    project.begin_run()
    assert stepping.cleanup(107, NOWHERE, "12m") == ("pr-107: destroyed", True)
    assert "is gone" in project.comment()
    assert "Receipt: all of 2 seen to be gone" in project.comment()
    assert project.states() == []

    # Reopened, and merged this time.
    github.pulls[107]["state"] = "open"
    project.gate(fourth, 4)
    project.approve(project.run, fourth)
    github.pulls[107] |= {"state": "closed", "merged_at": "2026-11-26T13:00:00Z", "merge_commit_sha": sha("9")}
    github.trees[sha("9")] = github.trees[sha("4")]
    project.begin_run()
    assert stepping.cleanup(107, NOWHERE, "12m")[1]
    assert project.states() == ["inactive"]
    assert "the record that a promotion reads" in project.comment().replace("\\", "")

    # Promoted: production gets the very digests.
    project.begin_run()
    assert stepping.resolve(sha("9"), "main").startswith("pr-107: ")
    assert project.outputs()["preview"] == "pr-107"
    assert stepping.promote("pr-107", sha("9"), "main", NOWHERE, accept_different_tree=False).startswith(
        "production: dep"
    )
    environment, commit, bundle = engine.deployed[-1]
    previewed = engine.deployed[-2][2]
    assert (environment, commit) == ("production", sha("9"))
    assert bundle.environment.name == "production"
    for name in ("web", "api"):
        assert bundle.images[name].ref == previewed.images[name].ref
    assert project.states("production") == ["success"]


def test_a_maintainer_needs_no_reviewer_and_one_who_pushes_to_their_branch_does(project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "maintain")
    built = project.build(sha("1"))

    github.build(1, 107)
    assert project.gate(built)["environment"] == "preview"
    github.build(1, 107, actor={"login": "bob", "type": "User"})
    assert project.gate(built)["environment"] == "preview-reviewed"
    github.build(1, 107, triggering_actor={"login": "bob", "type": "User"})
    assert project.gate(built)["environment"] == "preview-reviewed"


@pytest.mark.parametrize("role", ["author", "actor", "triggering_actor"])
def test_bots_deploy_nothing_and_say_nothing(role: str, project: Project) -> None:
    github = project.github
    bot = {"login": "dependabot[bot]", "type": "Bot"}
    github.open_pull(107, sha("1"), author="ann")
    if role == "author":
        github.pulls[107]["user"] = bot
    github.may("ann", "admin")
    github.may("dependabot[bot]", "admin")
    github.build(1, 107, **({role: bot} if role != "author" else {}))

    found = project.gate(project.build(sha("1")))

    assert (found["environment"], found["number"]) == ("", "")
    assert github.comments_of(107) == []
    assert not Path("approved/approval.json").exists()
    assert "bots deploy nothing" in Path("GITHUB_STEP_SUMMARY").read_text()


@pytest.mark.parametrize("why", ["closed", "pushed since", "another fork", "fork deleted"])
def test_a_build_of_what_is_no_pull_requests_newest_commit_deploys_nothing(why: str, project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "admin")
    built = project.build(sha("1"))
    github.build(1, 107)
    if why == "closed":
        github.pulls[107]["state"] = "closed"
    elif why == "pushed since":
        github.pulls[107]["head"]["sha"] = sha("2")
    elif why == "another fork":
        github.runs[1]["head_repository"] = {"full_name": "mallory/aphiria.com"}
    else:
        github.runs[1]["head_repository"] = None

    assert project.gate(built)["environment"] == ""


@pytest.mark.parametrize(
    "more",
    [{"event": "push"}, {"path": ".github/workflows/mine.yml"}, {"conclusion": "failure"}, {"event": "workflow_run"}],
)
def test_nothing_else_builds_previews(more: dict[str, Any], project: Project) -> None:
    project.github.open_pull(107, sha("1"))
    built = project.build(sha("1"))
    project.github.build(1, 107, **more)

    with pytest.raises(AphiriaDeployError, match="nothing else builds previews"):
        project.gate(built)


def test_an_environment_that_nobody_reviews_lets_nothing_through(project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="bob")
    built = project.build(sha("1"))
    github.build(1, 107)
    github.environments["preview-reviewed"]["protection_rules"] = []
    assert project.gate(built)["environment"] == ""
    github.environments.clear()
    assert project.gate(built)["environment"] == ""


def test_a_hostile_bundle_is_told_of_and_not_deployed(project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "admin")
    built = project.build(sha("1"))
    hostile = samples.changed(
        bundles.read(built / "bundle.json"), lambda data: data["environment"].update(namespace="default")
    )
    (built / "bundle.json").write_bytes(bundles.encode(hostile))
    github.build(1, 107)

    found = project.gate(built)

    assert (found["environment"], found["number"]) == ("", "107")
    assert "🚫" in project.comment()
    assert '"namespace": "default"' in project.comment()
    assert not Path("approved/approval.json").exists()


def silences(data: dict[str, Any]) -> None:
    """Runs as root, and says that this is no finding."""
    web = samples.manifest(data, "Deployment", "web")
    web["metadata"]["annotations"] = {"deploy.aphiria.com/silence.root-container": "I want it"}
    pod = web["spec"]["template"]["spec"]
    for place in (pod, pod["containers"][0]):
        place["securityContext"]["runAsNonRoot"] = False


def warns(data: dict[str, Any]) -> None:
    """Says no more why this is no finding."""
    del samples.manifest(data, "ConfigMap", "env-vars")["metadata"]["annotations"]


def privileged(data: dict[str, Any]) -> None:
    web = samples.manifest(data, "Deployment", "web")["spec"]["template"]["spec"]
    web["containers"][0]["securityContext"]["privileged"] = True


@pytest.mark.parametrize(
    ("change", "rule", "goes_on"),
    [
        (lambda _: None, "", True),
        (warns, "cookie-domain", True),
        (silences, "root-container", False),
        (privileged, "privileged", False),
    ],
)
def test_what_the_main_branchs_rules_find_is_left_as_sarif_where_it_is_asked_for(
    change: Callable[[dict[str, Any]], None], rule: str, goes_on: bool, project: Project
) -> None:
    project.github.open_pull(107, sha("1"), author="bob", fork="bob/aphiria.com")
    built = project.build(sha("1"))
    (built / "bundle.json").write_bytes(bundles.encode(samples.changed(bundles.read(built / "bundle.json"), change)))
    project.github.build(1, 107)
    (project.folder / "pyproject.toml").write_text('[tool.aphiria-deploy]\nsite = "apps:site"\n')
    file = project.begin_run() / "findings.sarif"
    stepping.gate(1, built / "bundle.json", built / "images", Path("approved"), "main", file)

    found = project.outputs()
    assert bool(found["environment"]) == goes_on
    assert (found["number"], found["commit"]) == ("107", sha("1"))
    (run,) = json.loads(file.read_text())["runs"]
    told = [one for one in run["results"] if "suppressions" not in one]
    assert found["findings"] == str(len(told))
    assert rule in {one["ruleId"] for one in told} | {""}
    assert bool(told) == bool(rule)
    # What the main branch silences stays silenced, and every result is somewhere.
    silenced = [one["ruleId"] for one in run["results"] if "suppressions" in one]
    assert silenced == ([] if change is warns else ["cookie-domain"])
    assert all(one["locations"][0]["physicalLocation"]["region"] == {"startLine": 1} for one in run["results"])


@pytest.mark.parametrize("why", ["not asked", "no objects", "a bot's"])
def test_where_nothing_was_asked_or_looked_at_there_is_no_sarif(why: str, project: Project) -> None:
    pull = project.github.open_pull(107, sha("1"))
    if why == "a bot's":
        pull["user"] = {"login": "renovate[bot]", "type": "Bot"}
    project.github.may("ann", "admin")
    built = project.build(sha("1"))
    if why == "no objects":
        hostile = samples.changed(
            bundles.read(built / "bundle.json"),
            lambda data: samples.manifest(data, "Deployment", "web")["spec"].update(template=[]),
        )
        (built / "bundle.json").write_bytes(bundles.encode(hostile))
    project.github.build(1, 107)
    file = project.begin_run() / "findings.sarif"
    stepping.gate(
        1, built / "bundle.json", built / "images", Path("approved"), "main", None if why == "not asked" else file
    )

    assert not file.exists()
    assert project.outputs()["findings"] == ""


@pytest.mark.parametrize("why", ["no JSON", "another preview", "other images", "another commit", "too large"])
def test_what_cannot_be_looked_at_is_told_of_and_not_deployed(why: str, project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "admin")
    built = project.build(sha("1"), "pr-108" if why == "another preview" else "pr-107")
    if why == "no JSON":
        (built / "bundle.json").write_text("x")
    elif why == "other images":
        build(built / "images", "web", sha("1"), note="another")
    elif why == "another commit":
        build(built / "images", "web", sha("2"))
    elif why == "too large":
        (built / "bundle.json").write_bytes(b" " * (9 * 1024 * 1024))
    github.build(1, 107)

    assert project.gate(built)["environment"] == ""
    assert "what its build left cannot be deployed" in project.comment()


def test_what_is_exchanged_between_approval_and_deploy_is_refused(project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "admin")
    built = project.build(sha("1"))
    github.build(1, 107)
    project.gate(built)
    build(built / "images", "web", sha("1"), note="exchanged")

    with pytest.raises(AphiriaDeployError, match=r"images\.web: found sha256:"):
        project.approve(project.run, built)
    assert project.engine.deployed == []


@pytest.mark.parametrize("why", ["pushed", "closed"])
def test_what_happens_between_pushing_the_images_and_the_deploy_voids_the_approval(why: str, project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "admin")
    built = pushed(project, "1", 1)
    approved = project.folder / str(project.run) / "approved"
    stepping.push_approved(approved, built / "images")
    if why == "pushed":
        github.pulls[107]["head"]["sha"] = sha("2")
    else:
        github.pulls[107]["state"] = "closed"

    with pytest.raises(AphiriaDeployError, match=r"commit: found 2|what is closed has no preview"):
        stepping.deploy(approved, NOWHERE)
    assert project.engine.deployed == []
    assert project.states() == []


def test_what_was_not_pushed_is_not_deployed(project: Project) -> None:
    project.github.open_pull(107, sha("a"), author="ann")
    project.github.may("ann", "admin")
    pushed(project, "a", 1)

    with pytest.raises(AphiriaDeployError, match="expected an image"):
        stepping.deploy(project.folder / str(project.run) / "approved", NOWHERE)
    assert project.engine.deployed == []


def test_a_pull_request_that_is_closed_before_its_deploy_gets_none(project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "admin")
    built = project.build(sha("1"))
    github.build(1, 107)
    project.gate(built)
    github.pulls[107]["state"] = "closed"

    with pytest.raises(AphiriaDeployError, match="what is closed has no preview"):
        project.approve(project.run, built)


def test_an_engine_without_a_report_is_told_of(project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), author="ann")
    github.may("ann", "admin")
    built = project.build(sha("1"))
    github.build(1, 107)
    project.gate(built)

    def crash() -> None:
        raise AphiriaDeployError("aphiria-deploy pr 107: found the exit code 137 and no report")

    project.engine.meanwhile.append(crash)
    with pytest.raises(AphiriaDeployError, match="137"):
        project.approve(project.run, built)

    assert "found the exit code 137" in project.comment()
    assert project.states() == ["failure"]


def test_one_that_is_opened_again_while_it_is_removed_is_told_so(project: Project) -> None:
    github = project.github
    github.open_pull(107, sha("1"), state="closed")
    project.engine.meanwhile.append(lambda: github.pulls[107].update(state="open"))
    project.begin_run()

    stepping.cleanup(107, NOWHERE, "12m")

    assert "was opened again while its preview was removed" in project.comment()


def test_one_that_is_open_keeps_its_preview(project: Project) -> None:
    project.github.open_pull(107, sha("1"))
    project.begin_run()

    assert stepping.cleanup(107, NOWHERE, "12m") == ("pr-107: its pull request is open: nothing was removed", True)
    assert project.engine.destroyed == []


def test_what_is_left_is_told_and_the_deployment_stays(project: Project) -> None:
    project.github.open_pull(107, sha("1"), state="closed")
    project.engine.leftovers = True
    project.begin_run()

    assert stepping.cleanup(107, NOWHERE, "12m")[1] is False
    assert "could not be removed whole" in project.comment()
    assert "**still there**" in project.comment()


# The sweep


def test_the_sweep_removes_what_has_no_open_pull_request(project: Project) -> None:
    github, engine = project.github, project.engine
    github.open_pull(107, sha("1"))
    for number in (108, 109):
        github.open_pull(number, sha("2"), state="closed", fork="bob/aphiria.com")
    engine.live = {f"pr-{number}": LiveEnvironment(f"pr-{number}", 7200) for number in (107, 108, 109)}
    project.begin_run()

    said, failed = stepping.collect(Limits(), NOWHERE, dry=False, output=Format.TEXT)

    assert not failed
    assert engine.destroyed == ["pr-108", "pr-109"]
    assert "pr-107 stays: its pull request is open" in said
    assert "is gone" in github.comments_of(108)[0]["body"]


@pytest.mark.parametrize("reading", [1, 2])
def test_the_sweep_destroys_nothing_on_a_list_that_is_not_whole(reading: int, project: Project) -> None:
    github, engine = project.github, project.engine
    github.open_pull(107, sha("1"))
    github.open_pull(108, sha("2"))
    engine.live = {f"pr-{number}": LiveEnvironment(f"pr-{number}", 7200) for number in (107, 108)}
    seen = [0]

    def lose(asked: Asked) -> Said | None:
        if asked.path.endswith("/pulls"):
            seen[0] += 1
            return Said(200, [github.pulls[107]]) if seen[0] == reading else None
        return None

    github.before.append(lose)
    project.begin_run()

    with pytest.raises(DoubtError, match="two readings that differ in 108"):
        stepping.collect(Limits(), NOWHERE, dry=False, output=Format.TEXT)
    assert engine.destroyed == []


def test_one_that_a_list_misses_twice_is_asked_for_before_it_is_destroyed(project: Project) -> None:
    github, engine = project.github, project.engine
    github.open_pull(107, sha("1"))
    github.open_pull(108, sha("2"))
    engine.live = {f"pr-{number}": LiveEnvironment(f"pr-{number}", 7200) for number in (107, 108)}
    github.before.append(lambda asked: Said(200, [github.pulls[107]]) if asked.path.endswith("/pulls") else None)
    project.begin_run()

    said, failed = stepping.collect(Limits(), NOWHERE, dry=False, output=Format.TEXT)

    assert engine.destroyed == []
    assert "pr-108 stays: its pull request was opened again meanwhile" in said
    assert not failed


def test_one_that_nobody_knows_is_not_destroyed(project: Project) -> None:
    project.github.open_pull(107, sha("1"))
    project.engine.live = {"pr-999": LiveEnvironment("pr-999", 7200)}
    project.begin_run()

    _, failed = stepping.collect(Limits(), NOWHERE, dry=False, output=Format.JSON)

    assert failed
    assert project.engine.destroyed == []


# Production


def test_a_commit_that_merged_nothing_is_built(project: Project) -> None:
    project.begin_run()

    assert stepping.resolve(sha("9"), "main") == "build: it merged no pull request"
    assert project.outputs()["preview"] == ""


def test_what_never_ran_is_built_and_its_reason_told(project: Project) -> None:
    project.github.open_pull(107, sha("1"), state="closed", merged_at="2026-11-26T13:00:00Z", merge_commit_sha=sha("9"))
    project.begin_run()

    assert "found no record of a preview" in stepping.resolve(sha("9"), "main")


def test_production_gets_the_main_branchs_own_images(project: Project) -> None:
    built = project.build(sha("9"), "production")
    project.begin_run()
    listed = stepping.push_own("production", built / "images", sha("9"))
    assert project.outputs()["images"] == listed

    images = dict(item.split("=", 1) for item in listed.split(","))
    assert stepping.release(sha("9"), images, NOWHERE) == "production: deployed"
    assert project.engine.deployed[0][0] == "production"
    assert project.states("production") == ["success"]


def test_images_of_another_commit_are_not_released(project: Project) -> None:
    built = project.build(sha("9"), "production")
    project.begin_run()
    images = dict(item.split("=", 1) for item in stepping.push_own("production", built / "images", sha("9")).split(","))

    with pytest.raises(AphiriaDeployError, match="expected one that was built from 8"):
        stepping.release(sha("8"), images, NOWHERE)
    assert project.engine.deployed == []


def test_a_release_that_fails_fails_the_job(project: Project) -> None:
    built = project.build(sha("9"), "production")
    project.begin_run()
    images = dict(item.split("=", 1) for item in stepping.push_own("production", built / "images", sha("9")).split(","))
    project.engine.failure = Diagnosed(message="it ends at once")

    with pytest.raises(AphiriaDeployError, match="found it not deployed: it ends at once"):
        stepping.release(sha("9"), images, NOWHERE)
    assert project.states("production") == ["failure"]


# Drift


def test_drift_is_one_issue_that_is_opened_kept_and_closed(project: Project) -> None:
    engine, github = project.engine, project.github
    project.begin_run()
    engine.drifted = {"production": [{"kind": "Deployment", "name": "web", "fields": ["spec.replicas"]}]}

    assert stepping.drift(["production"], NOWHERE)[1] == 3
    assert stepping.drift(["production"], NOWHERE)[1] == 3
    (issue,) = github.issues.values()
    assert "spec.replicas" in issue["body"]

    engine.drifted = {"production": None}
    assert stepping.drift(["production"], NOWHERE)[1] == 1
    assert issue["state"] == "open"

    engine.drifted = {}
    assert stepping.drift(["production"], NOWHERE)[1] == 0
    assert issue["state"] == "closed"
    assert stepping.drift(["production"], NOWHERE)[1] == 0
    assert len(github.issues) == 1


def test_what_only_looks_like_the_issue_is_left_alone(project: Project) -> None:
    github = project.github
    github.issues[5] = {
        "number": 5, "state": "open", "title": "x", "html_url": "https://x", "labels": ["drift"],
        "body": "<!-- aphiria-deploy:drift -->", "user": {"login": "mallory", "type": "User"},
    }  # fmt: skip
    project.begin_run()
    stepping.drift(["production"], NOWHERE)

    assert github.issues[5]["state"] == "open"
