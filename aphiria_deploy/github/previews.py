"""A preview's life after its approval: deployed, told of, and removed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from aphiria_deploy import bundle as bundles
from aphiria_deploy import capacity
from aphiria_deploy.bundle import Bundle
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.approval import Approval, require_approved
from aphiria_deploy.github.archives import digests, read_archives
from aphiria_deploy.github.comment import Preview, State, marker, render
from aphiria_deploy.github.comments import upsert
from aphiria_deploy.github.deployments import CleanedUp, begin, clean_up, finish, record_of
from aphiria_deploy.github.engine import DeployReport, DestroyReport
from aphiria_deploy.github.job import Job
from aphiria_deploy.github.models import PullRequest
from aphiria_deploy.github.work import Work
from aphiria_deploy.registry.reference import Reference


def say(work: Work, preview: Preview) -> None:
    """Tells of a preview: in the pull request's comment, and in the job's summary.

    Raises:
        AphiriaDeployError: It could not be told.
    """
    text = render(preview, work.job.secrets)
    work.job.summarize(text)
    upsert(work.github, preview.number, marker(preview.number), text)


def push_approved(work: Work, approval: Approval, archives: Path) -> dict[str, str]:
    """Pushes the images that were approved, if they still are what the pull request holds.

    Args:
        work: What to work with.
        approval: What was approved.
        archives: The folder of the images.

    Returns:
        The digests, by name.

    Raises:
        ApprovalError: They are not what was approved. Nothing was pushed.
        AphiriaDeployError: They could not be pushed.
    """
    images = read_archives(archives)
    require_approved(approval, work.github.pull_request(approval.number), built=digests(images))
    for archive in images.values():
        archive.require_revision(approval.commit)
    for name, archive in images.items():
        work.push(archive, approval.refs[name], work.job.registry_login())
    return digests(images)


def deploy_preview(work: Work, approval: Approval, bundle: Path) -> DeployReport:
    """Deploys what was approved, if it still is what the pull request holds.

    Args:
        work: What to work with.
        approval: What was approved.
        bundle: The bundle.

    Raises:
        ApprovalError: It is not what was approved, or no longer what the pull request holds. Nothing was done.
        AphiriaDeployError: It could not be deployed; the comment and the deployment say so.
    """
    made = bundles.read(bundle)
    require_approved(approval, work.github.pull_request(approval.number), bundle=made)
    require_revision(work, approval.refs, approval.commit)
    preview = _begun(approval, made, work.job)
    say(work, preview)
    record = record_of(made, approval.commit, approval.tree, work.job.run)
    deployment = begin(work.github, record, log_url=work.job.run_url)
    report: DeployReport | None = None
    failure = ""
    try:
        # As it was read, not as it lies there: what was looked at is what is deployed.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "bundle.json")
            copy.write_bytes(bundles.encode(made))
            report = work.engine.deploy(made.environment.name, copy, approval.commit)
    except AphiriaDeployError as error:
        failure = str(error)
        raise
    finally:
        finish(work.github, deployment, report, log_url=work.job.run_url)
        say(work, told(preview, report, failure))
    return report


def told(preview: Preview, report: DeployReport | None, failure: str = "") -> Preview:
    """Gives what the comment says of a deploy that ended.

    Args:
        preview: What it said before.
        report: What the engine said; None where it said nothing.
        failure: Why it said nothing.
    """
    if report is None:
        return replace(preview, state=State.FAILED, note=failure)
    return replace(
        preview,
        state=State.DEPLOYED if report.healthy else State.FAILED,
        urls=report.urls or preview.urls,
        images=report.images or preview.images,
        reserves=report.capacity.text if report.capacity and not report.capacity.unread else preview.reserves,
        phases=tuple(report.phases),
        seconds=report.seconds,
        findings=report.error.message.splitlines() if report.error and not report.diagnosis else (),
        diagnosis=report.diagnosis,
    )


def remove_preview(work: Work, number: int) -> DestroyReport | None:
    """Removes the preview of a pull request that is closed; None if it is open again.

    Args:
        work: What to work with.
        number: The pull request.

    Raises:
        AphiriaDeployError: It could not be removed, or not told of.
    """
    pull = work.github.pull_request(number)
    if pull.is_open:
        return None
    say(work, Preview(number=number, state=State.DESTROYING, run_url=work.job.run_url))
    report: DestroyReport | None = None
    failure = ""
    try:
        report = work.engine.destroy(f"pr-{number}")
    except AphiriaDeployError as error:
        failure = str(error)
        raise
    finally:
        after_removal(work, pull, report, failure)
    return report


def after_removal(work: Work, pull: PullRequest, report: DestroyReport | None, failure: str = "") -> CleanedUp | None:
    """Tells of a preview's removal; of one that is gone nothing is left in the environments list.

    Args:
        work: What to work with.
        pull: The pull request, as it was before.
        report: What the engine said; None where it said nothing.
        failure: Why it said nothing.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    gone = report is not None and report.clean
    cleaned = None
    note = failure
    if gone:
        merged = pull.head.sha if pull.merged_at else None
        cleaned = clean_up(work.github, f"pr-{pull.number}", merged_commit=merged)
        note = f"left in the environments list: {cleaned.left}" if cleaned.left else ""
        if pull.is_open:
            note = "it was removed for its age: push, or run the build again, to have it again"
        elif work.github.pull_request(pull.number).is_open:
            note = "the pull request was opened again while its preview was removed: the build deploys it anew"
    preview = Preview(
        number=pull.number,
        state=State.DESTROYED if gone else State.LEFTOVERS,
        commit=pull.head.sha,
        run_url=work.job.run_url,
        note=note,
        receipt=tuple(report.receipt) if report else (),
        findings=report.error.message.splitlines() if report and report.error else (),
    )
    say(work, preview)
    return cleaned


def require_revision(work: Work, images: Mapping[str, str], commit: str) -> None:
    """Checks that the registry has images, and that they were built from a commit.

    Raises:
        AphiriaDeployError: It has not, or they were not.
    """
    login = work.job.registry_login()
    registries = {Reference.parse(ref, f"images: {name}").registry for name, ref in images.items()}
    content = work.look(images, {registry: login for registry in registries if login})
    for name, one in content.items():
        one.require_revision(commit, f"images: {name}")


def _begun(approval: Approval, made: Bundle, job: Job) -> Preview:
    return Preview(
        number=approval.number,
        state=State.DEPLOYING,
        commit=approval.commit,
        run_url=job.run_url,
        note=approval.reason,
        urls=made.urls,
        images={name: image.ref for name, image in made.images.items()},
        bundle=made.hash,
        reserves=capacity.describe(capacity.Outlook(capacity.reservation(made))),
    )
