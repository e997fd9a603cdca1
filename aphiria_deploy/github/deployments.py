"""Deployments on GitHub: what a pull request's page and the environments list show, and what a promotion reads.

Each deploy is a deployment of the environment ``preview-pr-N`` (transient) or ``production``; its payload is the
record of what ran. Of an environment one deployment is active at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.github.engine import DeployReport
from aphiria_deploy.github.errors import GitHubAccessError, GitHubContentError, GitHubInvalidError, GitHubNotFoundError
from aphiria_deploy.github.models import Deployment, DeploymentStatus

FORMAT: Final = "aphiria-deploy/deployment/v1"
"""The version of the payload. A newer tool reads what an older one wrote; an older one refuses a newer one's."""
PRODUCTION: Final = "production"
INACTIVE: Final = "inactive"


class Record(msgspec.Struct, frozen=True, rename="camel", tag=FORMAT, tag_field="format", kw_only=True):
    """The payload of a deployment: what is deployed.

    Attributes:
        environment: ``pr-N`` or ``production``.
        commit: The commit.
        tree: The hash of what that commit holds: a merge that holds the same is the same site.
        bundle: The bundle's hash.
        images: The images with their digests, by name.
        run: The workflow's run that deployed it, whose artifacts have the approval and the bundle.
    """

    environment: str
    commit: str
    tree: str
    bundle: str
    images: dict[str, str]
    run: int = 0


class Deployments(Protocol):
    """What GitHub has to be able to do."""

    def deployments(self, environment: str) -> list[Deployment]:
        """All deployments of an environment, the newest first."""

    def create_deployment(
        self, environment: str, commit: str, payload: Mapping[str, Any], *, transient: bool, description: str
    ) -> Deployment:
        """Creates one."""

    def statuses(self, deployment: int) -> list[DeploymentStatus]:
        """Its statuses, the newest first."""

    def set_status(
        self, deployment: int, state: str, *, description: str = "", url: str = "", log_url: str = ""
    ) -> DeploymentStatus:
        """Sets its state."""

    def delete_deployment(self, deployment: int) -> bool:
        """Deletes one that is inactive."""

    def delete_environment(self, name: str) -> bool:
        """Deletes an environment."""


def environment_of(name: str) -> str:
    """Gives GitHub's name of an environment: ``preview-pr-107`` for ``pr-107``, its own for another."""
    return f"preview-{name}" if re.fullmatch(r"pr-[1-9][0-9]{0,8}", name) else name


def record_of(bundle: Bundle, commit: str, tree: str, run: int) -> Record:
    """Gives the record of a bundle's deploy."""
    return Record(
        environment=bundle.environment.name,
        commit=commit,
        tree=tree,
        bundle=bundle.hash,
        images={name: image.ref for name, image in bundle.images.items()},
        run=run,
    )


def read_record(deployment: Deployment) -> Record | None:
    """Reads the record of a deployment; None where it is none of ours.

    Raises:
        GitHubContentError: It is ours, and cannot be read, or a newer version of this tool wrote it.
    """
    payload = deployment.payload
    if isinstance(payload, str):
        # GitHub gives a payload back as it was given, but older servers give a text of it.
        try:
            payload = json.loads(payload)
        except ValueError:
            return None
    if not isinstance(payload, dict) or not str(payload.get("format", "")).startswith("aphiria-deploy/deployment/"):
        return None
    where = f"deployment {deployment.id} of {deployment.environment}: payload"
    if payload["format"] != FORMAT:
        raise GitHubContentError(
            f"{where}: format: found {payload['format']!r}, expected {FORMAT!r}: use the version of aphiria-deploy "
            "that wrote it, or a newer one"
        )
    try:
        return msgspec.convert(payload, Record)
    except msgspec.ValidationError as error:
        raise GitHubContentError(f"{where}: {error}; expected what a deploy recorded") from error


def begin(github: Deployments, record: Record, *, log_url: str) -> Deployment:
    """Says that a deploy runs.

    Args:
        github: GitHub.
        record: What is deployed.
        log_url: The page of the workflow's run.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    name = environment_of(record.environment)
    deployment = github.create_deployment(
        name,
        record.commit,
        msgspec.to_builtins(record),
        transient=name != PRODUCTION,
        description=f"{record.environment} at {record.commit[:12]}",
    )
    github.set_status(deployment.id, "in_progress", description="is being deployed", log_url=log_url)
    return deployment


def finish(github: Deployments, deployment: Deployment, report: DeployReport | None, *, log_url: str) -> None:
    """Says how a deploy ended; where it is healthy, the environment's others are no longer active.

    A failed one leaves the one before it active: its pods keep serving.

    Args:
        github: GitHub.
        deployment: The deployment.
        report: What the engine said; None where it said nothing.
        log_url: The page of the workflow's run.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    if report is None or not report.healthy:
        reason = report.reason if report else "the deploy ended without a report"
        github.set_status(deployment.id, "failure", description=reason, log_url=log_url)
        return
    url = report.urls.get("web", "")
    github.set_status(deployment.id, "success", description="is deployed and healthy", url=url, log_url=log_url)
    for other in github.deployments(deployment.environment):
        # What was begun after this one is another run's.
        if other.id < deployment.id:
            deactivate(github, other)


def deactivate(github: Deployments, deployment: Deployment) -> bool:
    """Makes a deployment inactive where it is not; says whether it was active."""
    if state_of(github, deployment) == INACTIVE:
        return False
    try:
        github.set_status(deployment.id, INACTIVE, description="is no longer what runs")
    except GitHubNotFoundError:
        return False
    return True


def state_of(github: Deployments, deployment: Deployment) -> str:
    """Gives the state of a deployment: that of its newest status; ``pending`` before there is one."""
    statuses = github.statuses(deployment.id)
    newest = max(statuses, key=lambda one: (one.created_at, one.id), default=None)
    return newest.state if newest else "pending"


@dataclass(frozen=True)
class CleanedUp:
    """What became of an environment's deployments.

    Attributes:
        deactivated: How many were active.
        deleted: How many were deleted.
        kept: The one that is kept as the record of what was merged; none where nothing was.
        left: Why something is left in the environments list; empty where nothing is.
    """

    deactivated: int
    deleted: int
    kept: int | None
    left: str


def clean_up(github: Deployments, name: str, *, merged_commit: str | None) -> CleanedUp:
    """Leaves nothing of a preview in the environments list, or says why not.

    All its deployments become inactive and are deleted, but the newest, if that was healthy and of the commit that was
    merged: a promotion reads it, and decides the same before and after.

    Args:
        github: GitHub.
        name: ``pr-N``.
        merged_commit: The head of the pull request, if it was merged.

    Raises:
        AphiriaDeployError: One of GitHub's, other than that the token may not delete an environment.
    """
    environment = environment_of(name)
    found = github.deployments(environment)
    newest = next(iter(found), None)
    is_record = newest is not None and merged_commit is not None and newest.sha == merged_commit
    kept = newest if newest and is_record and was_healthy(github.statuses(newest.id)) else None
    deactivated = deleted = 0
    for one in found:
        deactivated += deactivate(github, one)
        if one is not kept:
            deleted += _deleted(github, one)
    left = [f"deployment {kept.id}, inactive: the record that a promotion reads"] if kept else []
    try:
        github.delete_environment(environment)
    except GitHubAccessError as error:
        if error.status != 403:
            raise
        left.append(
            f"the environment {environment} itself, which holds nothing: deleting it takes a token that may administer "
            "the repository"
        )
    return CleanedUp(deactivated, deleted, kept.id if kept else None, "; ".join(left))


def was_healthy(statuses: Iterable[DeploymentStatus]) -> bool:
    """Whether a deployment was healthy to its end: whatever came after its success was that it is inactive."""
    states = [one.state for one in sorted(statuses, key=lambda one: (one.created_at, one.id))]
    if "success" not in states:
        return False
    return all(state == INACTIVE for state in states[states.index("success") + 1 :])


def active(github: Deployments, deployments: Sequence[Deployment]) -> Deployment | None:
    """The newest that ended well and is still active."""
    return next((one for one in deployments if state_of(github, one) == "success"), None)


def _deleted(github: Deployments, deployment: Deployment) -> bool:
    try:
        return github.delete_deployment(deployment.id)
    except GitHubInvalidError:
        # Somebody made it active again in between; the next clean-up finds it.
        return False
