"""A pull request's life by the commands that the workflows call, with the real engine on a real API server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from aphiria_deploy import bundle as bundles
from aphiria_deploy.cli import inspecting, showing, stepping
from aphiria_deploy.cli.options import Format
from aphiria_deploy.github.engine import (
    DeployReport,
    DestroyReport,
    DriftReport,
    EnvironmentList,
    LiveEnvironment,
)
from aphiria_deploy.github.selection import Limits
from aphiria_deploy.kube import Kind
from tests.aphiria_deploy import registries
from tests.aphiria_deploy.github.project import NOWHERE, Project, pushed, sha
from tests.aphiria_deploy.github.stand_in import StandIn
from tests.e2e.engine import Cluster, soon
from tests.e2e.pod_status import Behaviour

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo (apt-get install skopeo)")
NAMESPACE = "preview-pr-107"
_T = TypeVar("_T")


def read(data: dict[str, Any], kind: type[_T]) -> _T:
    """What a command prints, as it is read."""
    return msgspec.json.decode(json.dumps(data).encode(), type=kind)


class RealEngine:
    """The engine in this process: what it says goes through the JSON of its commands."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def deploy(self, environment: str, bundle: Path, commit: str) -> DeployReport:
        made = bundles.read(bundle)
        assert made.environment.name == environment
        return read(showing.deploy_data(self._cluster.deploy(made, commit=commit)), DeployReport)

    def destroy(self, environment: str) -> DestroyReport:
        return read(showing.destroy_data(self._cluster.destroy(environment)), DestroyReport)

    def environments(self) -> list[LiveEnvironment]:
        found = read(inspecting.environments(self._cluster.client, soon()), EnvironmentList).environments
        # The cluster has previews of other tests too, which no pull request is open for.
        return [one for one in found if one.environment == "pr-107"]

    def drift(self, environment: str) -> DriftReport:
        raise NotImplementedError


@pytest.fixture
def project(site_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    (tmp_path / "registry").mkdir()
    with StandIn().serving() as github, registries.registry(tmp_path / "registry") as registry:
        made = Project(github, registry.host, tmp_path, monkeypatch, RealEngine(site_cluster))
        github.open_pull(107, sha("1"), author="bob", fork="bob/aphiria.com")
        github.may("bob", "read")
        yield made


def namespaces(cluster: Cluster) -> set[str]:
    return {item["metadata"]["name"] for item in cluster.client.list(Kind("v1", "Namespace"), soon()).items}


def deployments(cluster: Cluster) -> dict[str, str]:
    """The images of the preview's Deployments, by their names."""
    found = cluster.client.list(Kind("apps/v1", "Deployment"), soon(), namespace=NAMESPACE).items
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["image"] for one in found}


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

    # Pushed again, and it fails: it is told why, and what ran goes on.
    third = pushed(project, "3", 3)
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
