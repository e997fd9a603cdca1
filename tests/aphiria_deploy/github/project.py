"""A project with its repository and its registry, and what its workflows do, by the commands that they call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aphiria_deploy import bundle as bundles
from aphiria_deploy.bundle import Bundle
from aphiria_deploy.cli import stepping
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.engine import (
    DeployReport,
    DestroyReport,
    Diagnosed,
    DriftReport,
    LiveEnvironment,
    Phase,
    ReceiptLine,
)
from aphiria_deploy.github.engine import Engine as EngineProtocol
from aphiria_deploy.room import SeenRoom, encode
from tests.aphiria_deploy.github import bundles as samples
from tests.aphiria_deploy.github.images import build
from tests.aphiria_deploy.github.stand_in import BOT, REPOSITORY, TOKEN, StandIn

NOWHERE = stepping.Cluster(None, "", None)
RECEIPT = [ReceiptLine("Namespace", "preview-pr-107", True), ReceiptLine("database", "aphiria_pr_107", True)]


def sha(character: str) -> str:
    return character * 40


class Site:
    """Aphiria's site, with its images at a registry on this machine."""

    name = "aphiria.com"
    environments: Sequence[str] = ("pr-107", "production")

    def __init__(self, host: str) -> None:
        self._host = host

    def bundle(self, environment: str, images: Mapping[str, str]) -> Bundle:
        elsewhere = {name: ref.replace(self._host, "ghcr.io") for name, ref in images.items()}
        made = samples.Site().bundle(environment, elsewhere)
        data = json.loads(msgspec.json.encode(made).decode().replace("ghcr.io", self._host))
        data.pop("hash")
        return msgspec.convert(data, Bundle)


class Engine:
    """An engine that remembers what it was asked."""

    def __init__(self) -> None:
        self.deployed: list[tuple[str, str, Bundle]] = []
        self.destroyed: list[str] = []
        self.live: dict[str, LiveEnvironment] = {}
        self.failure: Diagnosed | None = None
        self.leftovers = False
        self.drifted: dict[str, list[dict[str, Any]] | None] = {}
        self.meanwhile: list[Any] = []

    def deploy(self, environment: str, bundle: Path, commit: str) -> DeployReport:
        made = bundles.read(bundle)
        self.deployed.append((environment, commit, made))
        for one in self.meanwhile:
            one()
        if self.failure:
            return DeployReport(environment, "failed", diagnosis=self.failure, phases=[Phase("Jobs", 2)])
        self.live[environment] = LiveEnvironment(environment, 3600.0)
        images = {name: image.ref for name, image in made.images.items()}
        return DeployReport(
            environment, "deployed", urls=made.urls, images=images, phases=[Phase("Jobs", 2)], seconds=2
        )

    def destroy(self, environment: str) -> DestroyReport:
        self.destroyed.append(environment)
        for one in self.meanwhile:
            one()
        receipt = [*RECEIPT[:1], ReceiptLine("database", "aphiria_pr_107", not self.leftovers)]
        if not self.leftovers:
            self.live.pop(environment, None)
        return DestroyReport(environment, "failed" if self.leftovers else "destroyed", receipt)

    def environments(self) -> list[LiveEnvironment]:
        return [LiveEnvironment("preview-base", 9e6), *self.live.values()]

    def drift(self, environment: str) -> DriftReport:
        found = self.drifted.get(environment, [])
        if found is None:
            raise AphiriaDeployError(f"{environment}: the cluster does not answer")
        return DriftReport(environment, found)


class Project:
    """A project with its repository, registry and cluster, and what its workflows do."""

    def __init__(
        self,
        github: StandIn,
        host: str,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        engine: EngineProtocol | None = None,
    ) -> None:
        self.github, self.folder, self.monkeypatch = github, folder, monkeypatch
        self.engine = Engine()
        self.site = Site(host)
        self.run = 1000
        monkeypatch.setattr(stepping, "load_site", lambda _: self.site)
        monkeypatch.setattr(stepping.Cluster, "engine", lambda *_: engine or self.engine)
        for name, value in {
            "GITHUB_API_URL": github.api,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_ACTOR": "ann",
            "GITHUB_SERVER_URL": "https://github.com",
        }.items():
            monkeypatch.setenv(name, value)
        github.environments["preview-reviewed"] = {
            "name": "preview-reviewed",
            "protection_rules": [
                {"type": "required_reviewers", "reviewers": [{"type": "User", "reviewer": {"id": 1}}]}
            ],
        }

    def begin_run(self) -> Path:
        """A run of a workflow of the main branch: its number, its folder, its outputs."""
        self.run += 1
        folder = self.folder / str(self.run)
        folder.mkdir()
        self.github.runs[self.run] = {
            "id": self.run,
            "event": "workflow_run",
            "head_sha": "b" * 40,
            "head_branch": "main",
            "path": ".github/workflows/preview.yml",
            "html_url": "https://x",
        }
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
            self.monkeypatch.setenv(name, str(folder / name))
        self.monkeypatch.setenv("GITHUB_RUN_ID", str(self.run))
        self.monkeypatch.chdir(folder)
        return folder

    def outputs(self) -> dict[str, str]:
        text = (self.folder / str(self.run) / "GITHUB_OUTPUT").read_text()
        return dict(re.findall(r"(?ms)^([a-z-]+)<<(?:end-\w+)\n(.*?)\nend-\w+$", text))

    def build(self, commit: str, environment: str = "pr-107") -> Path:
        """build-images.yml, with a stand-in of buildx."""
        folder = self.folder / f"build-{environment}-{commit[0]}-{self.run}"
        for name in ("web", "api"):
            build(folder / "images", name, commit)
        stepping.make_bundle(environment, folder / "images", commit, folder / "bundle.json")
        self.github.trees[commit] = f"{commit[0] * 39}1"
        return folder

    def gate(self, built: Path, build_run: int = 1) -> dict[str, str]:
        """The job gate, and announce."""
        self.begin_run()
        stepping.gate(build_run, built / "bundle.json", built / "images", Path("approved"), "main")
        found = self.outputs()
        if found["number"]:
            stepping.comment(int(found["number"]), Path("approved/comment.md"))
        self.github.leave(
            self.run, "approved", {path.name: path.read_bytes() for path in Path("approved").glob("*.json")}
        )
        return found

    def approve(self, run: int, built: Path) -> bool:
        """The jobs push and deploy of a run, after the approval; whether it is healthy."""
        self.monkeypatch.setenv("GITHUB_RUN_ID", str(run))
        approved = self.folder / str(run) / "approved"
        stepping.push_approved(approved, built / "images")
        return stepping.deploy(approved, NOWHERE)[1]

    def saw(self, seen: SeenRoom) -> None:
        """The job deploy of the last run, when it has looked at the cluster."""
        self.github.leave(self.run, "room", {"room.json": encode(seen)})

    def comment(self) -> str:
        (found,) = [data["body"] for data in self.github.comments_of(107) if data["user"]["login"] == BOT]
        return str(found)

    def states(self, environment: str = "preview-pr-107") -> list[str]:
        return [
            self.github.state_of(number)
            for number, one in self.github.deployments.items()
            if one["environment"] == environment
        ]


def pushed(project: Project, character: str, build_run: int) -> Path:
    """A push, its build, and what is made of it up to the approval."""
    project.github.pulls[107]["head"]["sha"] = sha(character)
    built = project.build(sha(character))
    project.github.build(build_run, 107)
    assert project.gate(built, build_run)["environment"]
    return built
