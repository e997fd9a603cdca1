"""What of a preview may go to production. Pure.

What ran is read from the payload of the preview's deployment on GitHub, which outlives the preview. Production gets
those digests, if the commit to deploy holds exactly what was previewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aphiria_deploy.github.approval import Approval
from aphiria_deploy.github.deployments import Record, read_record, was_healthy
from aphiria_deploy.github.errors import PromotionError
from aphiria_deploy.github.models import Commit, Deployment, DeploymentStatus, PullRequest

_INSTEAD: Final = "build and deploy the main branch's own images instead"


@dataclass(frozen=True)
class Promotion:
    """What goes to production.

    Attributes:
        number: The pull request.
        record: What ran in its preview.
        commit: The commit of the main branch that it becomes.
        images: The site's images by name, with their digests.
    """

    number: int
    record: Record
    commit: str
    images: dict[str, str]


@dataclass(frozen=True)
class Known:
    """A deployment with its statuses."""

    deployment: Deployment
    statuses: Sequence[DeploymentStatus]


def candidate(pull: PullRequest, known: Sequence[Known]) -> Record:
    """Gives the record of what last ran in a pull request's preview, if it was merged and that was healthy.

    Args:
        pull: The pull request.
        known: The deployments of its preview, the newest first.

    Raises:
        PromotionError: It was not merged, never ran, is not healthy, or another commit was merged.
        GitHubContentError: A record cannot be read.
    """
    where = f"pull request {pull.number}"
    if pull.merged_at is None:
        raise PromotionError(f"{where}: found it {pull.state} and not merged, expected a merged one: merge it first")
    record = _newest(pull, known, where)
    if record.commit != pull.head.sha:
        raise PromotionError(
            f"{where}: found its last preview at {record.commit}, expected one at {pull.head.sha}, which was merged: "
            f"{_INSTEAD}"
        )
    return record


def promotion(
    pull: PullRequest,
    record: Record,
    approval: Approval | None,
    target: Commit,
    *,
    accept_different_tree: bool = False,
) -> Promotion:
    """Decides what of a pull request's preview goes to production.

    Whoever may write to the repository can write a deployment, so its payload alone is nobody's word: it has to agree
    with what the run that deployed it left.

    Args:
        pull: The pull request.
        record: What last ran in its preview.
        approval: What was approved, by the artifacts of the main branch's own run; none where that has none any more.
        target: The commit of the main branch that is to be deployed.
        accept_different_tree: Whether the commit may hold something else than what was previewed.

    Raises:
        PromotionError: It is not what was approved, or not what the commit holds.
    """
    where = f"pull request {pull.number}"
    if approval is None:
        raise PromotionError(
            f"{where}: found no approval left by run {record.run}, expected the one that its preview was deployed by: "
            f"{_INSTEAD}"
        )
    digests = {name: ref.rpartition("@")[2] for name, ref in record.images.items() if name in approval.images}
    agreed = (record.commit, record.tree, record.bundle, digests)
    if approval.number != pull.number or agreed != (approval.commit, approval.tree, approval.bundle, approval.images):
        raise PromotionError(
            f"{where}: found a record that is not what was approved, expected the same commit, images and bundle: "
            f"somebody else wrote it; {_INSTEAD}"
        )
    if record.tree != target.tree.sha and not accept_different_tree:
        raise PromotionError(
            f"{where}: found a merged tree {target.tree.sha}, expected {record.tree}, which was previewed: others "
            f"merged meanwhile; {_INSTEAD}, or give --accept-different-tree"
        )
    return Promotion(pull.number, record, target.sha, {name: record.images[name] for name in sorted(approval.images)})


def _newest(pull: PullRequest, known: Sequence[Known], where: str) -> Record:
    records = [(read_record(one.deployment), one) for one in known]
    ours = [(record, one) for record, one in records if record and record.environment == f"pr-{pull.number}"]
    if not ours:
        raise PromotionError(f"{where}: found no record of a preview, expected one: it never ran; {_INSTEAD}")
    record, one = ours[0]
    if record.commit != one.deployment.sha:
        raise PromotionError(
            f"{where}: found a record of {record.commit} in a deployment of {one.deployment.sha}, expected one commit: "
            f"somebody else wrote it; {_INSTEAD}"
        )
    if not was_healthy(one.statuses):
        states = ", ".join(status.state for status in one.statuses) or "none"
        raise PromotionError(f"{where}: found its last preview not healthy ({states}), expected success: {_INSTEAD}")
    return record
