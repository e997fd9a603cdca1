"""A pull request's life by the commands that the workflows call, with the real engine on a real API server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from aphiria_deploy import bundle as bundles
from aphiria_deploy.capacity import outlook, room_of
from aphiria_deploy.cli import environment_text, inspecting, showing, stepping
from aphiria_deploy.cli import room as rooms
from aphiria_deploy.cli.options import Format
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.engine import (
    DeployReport,
    DestroyReport,
    DriftReport,
    EnvironmentList,
    LiveEnvironment,
)
from aphiria_deploy.github.selection import Limits
from aphiria_deploy.kube import Kind
from aphiria_deploy.room import SeenRoom
from tests.aphiria_deploy import registries
from tests.aphiria_deploy.github.project import NOWHERE, Project, pushed, sha
from tests.aphiria_deploy.github.stand_in import StandIn
from tests.e2e.engine import Cluster, soon
from tests.e2e.pod_status import Behaviour

pytestmark = [
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo (apt-get install skopeo)"),
    pytest.mark.xdist_group("site-cluster"),
]
NAMESPACE, PRODUCTION = "preview-pr-107", "default"
MERGE, LATER = sha("9"), sha("a")
_T = TypeVar("_T")


def read(data: dict[str, Any], kind: type[_T]) -> _T:
    """What a command prints, as it is read."""
    return msgspec.json.decode(json.dumps(data).encode(), type=kind)


class RealEngine:
    """The engine in this process: what it says goes through the JSON of its commands."""

    def __init__(self, previews: Cluster, production: Cluster) -> None:
        self._previews, self._production = previews, production

    def deploy(self, environment: str, bundle: Path, commit: str) -> DeployReport:
        made = bundles.read(bundle)
        assert made.environment.name == environment
        cluster = self._production if environment == "production" else self._previews
        return read(showing.deploy_data(cluster.deploy(made, commit=commit)), DeployReport)

    def destroy(self, environment: str) -> DestroyReport:
        return read(showing.destroy_data(self._previews.destroy(environment)), DestroyReport)

    def environments(self) -> list[LiveEnvironment]:
        found = read(inspecting.environments(self._previews.client, soon()), EnvironmentList).environments
        # The cluster has previews of other tests too, which no pull request is open for.
        return [one for one in found if one.environment == "pr-107"]

    def drift(self, environment: str) -> DriftReport:
        cluster = self._production if environment == "production" else self._previews
        found = inspecting.departures(cluster.client, environment, soon())
        departures = [environment_text.departure(one) for one in found]
        return read({"environment": environment, "drift": departures}, DriftReport)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[registries.Running]:
    (tmp_path / "registry").mkdir()
    with registries.registry(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def project(
    site_cluster: Cluster,
    production_cluster: Cluster,
    registry: registries.Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Project]:
    with StandIn().serving() as github:
        engine = RealEngine(site_cluster, production_cluster)
        made = Project(github, registry.host, tmp_path, monkeypatch, engine)
        github.open_pull(107, sha("1"), author="bob", fork="bob/aphiria.com")
        github.may("bob", "read")
        yield made


def namespaces(cluster: Cluster) -> set[str]:
    return {item["metadata"]["name"] for item in cluster.client.list(Kind("v1", "Namespace"), soon()).items}


def read_room(cluster: Cluster) -> SeenRoom:
    """What `github room` writes down."""
    seen = rooms.read(cluster.client, soon())
    assert not isinstance(seen, str), seen
    return SeenRoom(room_of(*seen), cluster.client.now())


def deployments(cluster: Cluster) -> dict[str, str]:
    """The images of the preview's Deployments, by their names."""
    found = cluster.client.list(Kind("apps/v1", "Deployment"), soon(), namespace=NAMESPACE).items
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["image"] for one in found}


def running(cluster: Cluster, namespace: str) -> dict[str, list[set[str]]]:
    """What each pod of web and of api runs of the site's own images, by what its node says."""
    found: dict[str, list[set[str]]] = {"api": [], "web": []}
    for pod in cluster.listed("v1", "Pod", namespace, "app in (api,web)"):
        if pod["metadata"].get("deletionTimestamp"):
            continue
        statuses = [
            one for kind in ("initContainerStatuses", "containerStatuses") for one in pod["status"].get(kind, ())
        ]
        found[pod["metadata"]["labels"]["app"]].append(
            {one["imageID"] for one in statuses if "/aphiria/" in one["imageID"]}
        )
    return found


def merge(project: Project, character: str) -> None:
    """Merges what was pushed last; the merge holds what a commit does."""
    merged = {"state": "closed", "merged_at": "2026-11-26T13:00:00Z", "merge_commit_sha": MERGE}
    project.github.pulls[107] |= merged
    project.github.trees[MERGE] = project.github.trees[sha(character)]


def cleanup(project: Project) -> None:
    project.begin_run()
    assert stepping.cleanup(107, NOWHERE, "1m") == ("pr-107: destroyed", True)


def promote(project: Project, commit: str = MERGE, *, accept_different_tree: bool = False) -> str:
    project.begin_run()
    return stepping.promote("pr-107", commit, "main", NOWHERE, accept_different_tree=accept_different_tree)


@contextmanager
def untouched(project: Project, cluster: Cluster, *, begun: int = 0) -> Iterator[None]:
    """In the block production stays as it is in a cluster, and so many of its deploys are begun."""

    def seen() -> tuple[object, ...]:
        return cluster.remembered("production"), cluster.leftovers("production"), running(cluster, PRODUCTION)

    before, deploys = seen(), project.states("production")
    yield
    assert seen() == before
    assert project.states("production") == [*deploys, *["failure"] * begun]


def test_from_a_push_to_a_preview_and_back_to_nothing(project: Project, site_cluster: Cluster) -> None:
    github = project.github

    # Opened, and pushed to before it is approved: nothing of either is in the cluster.
    pushed(project, "1", 1)
    second = pushed(project, "2", 2)
    assert NAMESPACE not in namespaces(site_cluster)

    # Approved.
    assert project.approve(project.run, second) is True
    assert "✅ The preview of pull request 107 is deployed" in project.comment()
    assert "gantt" in project.comment()
    running = deployments(site_cluster)

    # Pushed again, and it fails: it is told why, and what ran goes on. Who plans it sees the cluster as it was seen.
    saw = read_room(site_cluster)
    project.saw(saw)
    third = pushed(project, "3", 3)
    live = outlook(bundles.read(third / "bundle.json").manifests, saw.room)
    assert (live.fits, live.nodes) == (True, 1)
    told = f"; {live.more} more of this size fit on the 1 node that takes pods, as of {saw.seen:%Y-%m-%d %H:%M} UTC, "
    assert told in project.comment().replace("\\", "")
    image = bundles.read(third / "bundle.json").images["web"].ref
    with site_cluster.behaving(NAMESPACE, image, web=Behaviour.CRASH_LOOP):
        assert project.approve(project.run, third) is False
    assert "❌" in project.comment()
    assert "what to do:" in project.comment()
    assert project.states() == ["success", "failure"]

    # Fixed.
    fourth = pushed(project, "4", 4)
    assert project.approve(project.run, fourth) is True
    assert deployments(site_cluster)["web"] != running["web"]

    # Closed: nothing is left of it, and the receipt says so.
    github.pulls[107]["state"] = "closed"
    project.begin_run()
    assert stepping.cleanup(107, NOWHERE, "1m") == ("pr-107: destroyed", True)
    assert NAMESPACE not in namespaces(site_cluster)
    assert "seen to be gone" in project.comment()
    assert "aphiria_pr_107" in project.comment()
    assert project.states() == []

    # Reopened, deployed anew, closed by night: the sweep finds it.
    github.pulls[107]["state"] = "open"
    assert project.gate(fourth, 4)["environment"]
    assert project.approve(project.run, fourth) is True
    github.pulls[107]["state"] = "closed"
    github.open_pull(108, sha("8"))
    project.begin_run()
    said, failed = stepping.collect(Limits(), NOWHERE, dry=False, output=Format.TEXT)
    assert not failed
    assert said.startswith("pr-107 destroyed: its pull request is closed")
    assert NAMESPACE not in namespaces(site_cluster)


def test_from_a_merge_to_production_with_what_ran_in_the_preview(
    project: Project,
    registry: registries.Running,
    site_cluster: Cluster,
    production_cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = pushed(project, "1", 1)
    assert project.approve(project.run, first) is True

    # What is still open is not promoted.
    with (
        untouched(project, production_cluster),
        pytest.raises(AphiriaDeployError, match="found it open and not merged"),
    ):
        promote(project)
    previewed = running(site_cluster, NAMESPACE)
    ((web,),), ((api,),) = previewed["web"], previewed["api"]
    built = bundles.read(first / "bundle.json").images
    assert (web, api) == (built["web"].ref, built["api"].ref)

    # Merged: its preview goes, and the record of what ran in it stays.
    merge(project, "1")
    cleanup(project)
    assert NAMESPACE not in namespaces(site_cluster)
    assert project.states() == ["inactive"]

    # With the credential of another cluster nothing is done.
    with monkeypatch.context() as patched, untouched(project, site_cluster, begun=1):
        patched.setattr(stepping.Cluster, "engine", lambda *_: RealEngine(site_cluster, site_cluster))
        with pytest.raises(AphiriaDeployError, match="preview-base"):
            promote(project)

    # Promoted: production runs the very digests, in all of its pods.
    project.begin_run()
    assert stepping.resolve(MERGE, "main").startswith("pr-107: ")
    assert promote(project) == "production: deployed with what ran in pr-107"
    assert running(production_cluster, PRODUCTION) == {"web": [{web}] * 2, "api": [{api}] * 2}
    release = production_cluster.remembered("production").current
    assert release
    assert (release.revision, release.commit) == (1, MERGE)
    assert project.states("production") == ["inactive", "success"]

    # Others merged meanwhile: the main branch's own images are deployed.
    later = project.build(LATER, "production")
    project.begin_run()
    assert stepping.resolve(LATER, "main") == "build: it merged no pull request"
    own = stepping.push_own("production", later / "images", LATER)
    refs = dict(item.split("=", 1) for item in own.split(","))
    assert stepping.release(LATER, refs, NOWHERE) == "production: deployed"
    assert running(production_cluster, PRODUCTION)["web"] == [{refs["web"]}] * 2

    # What ran in the preview is not what the main branch holds now: it goes back there only if that is accepted.
    with untouched(project, production_cluster), pytest.raises(AphiriaDeployError, match=r"found a merged tree a+1"):
        promote(project, LATER)
    assert promote(project, LATER, accept_different_tree=True) == "production: deployed with what ran in pr-107"
    assert running(production_cluster, PRODUCTION) == {"web": [{web}] * 2, "api": [{api}] * 2}
    assert promote(project, LATER, accept_different_tree=True) == "production: unchanged with what ran in pr-107"

    # What the registry has no more is not promoted.
    repository, _, digest = web.partition("@")
    registry.delete(repository.partition("/")[2], "manifests", digest)
    with untouched(project, production_cluster), pytest.raises(AphiriaDeployError, match=digest):
        promote(project)


def test_what_was_not_healthy_is_not_promoted(
    project: Project, site_cluster: Cluster, production_cluster: Cluster
) -> None:
    first = pushed(project, "1", 1)
    with site_cluster.behaving(NAMESPACE, web=Behaviour.CRASH_LOOP):
        assert project.approve(project.run, first) is False
    merge(project, "1")

    # While its preview is there.
    with untouched(project, production_cluster), pytest.raises(AphiriaDeployError, match="last preview not healthy"):
        promote(project)
    assert stepping.resolve(MERGE, "main").startswith("build: pull request 107: ")

    # When it is gone, with its record.
    cleanup(project)
    with untouched(project, production_cluster), pytest.raises(AphiriaDeployError, match="no record of a preview"):
        promote(project)
