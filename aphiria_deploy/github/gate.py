"""Before an approval: what a pull request's job left is looked at, and what would be approved is written down.

It runs the main branch's code, behind no environment and without any power to write. What it reads is hostile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aphiria_deploy import bundle as bundles
from aphiria_deploy import capacity
from aphiria_deploy.bundle import Bundle, Site
from aphiria_deploy.capacity import Outlook
from aphiria_deploy.errors import AphiriaDeployError, InputError
from aphiria_deploy.github.approval import (
    Approval,
    Decision,
    Gate,
    Person,
    built_images,
    gate_for,
    require_images,
)
from aphiria_deploy.github.archives import digests, read_archives
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.comment import Preview, State
from aphiria_deploy.github.deployments import active, environment_of, read_record
from aphiria_deploy.github.difference import difference
from aphiria_deploy.github.errors import ApprovalError
from aphiria_deploy.github.models import PullRequest, WorkflowRun
from aphiria_deploy.github.policy import judge
from aphiria_deploy.github.production import departures
from aphiria_deploy.github.recorded import MEMBER_BYTES, approved_by, seen_room
from constructs_lib.checks import Report

BUILD: Final = ".github/workflows/build-preview.yml"
"""The workflow whose runs build previews."""


@dataclass(frozen=True)
class Gated:
    """What came of looking.

    Attributes:
        decision: The environment that the deploy waits in, and why.
        preview: What the comment says; none where nothing is to be said.
        approval: What is approved by letting the deploy go on; none where there is to be none.
        bundle: The bundle, as it was looked at.
        report: What the preflight rules found in it; none where they were not run.
    """

    decision: Decision
    preview: Preview | None
    approval: Approval | None = None
    bundle: Bundle | None = None
    report: Report | None = None


def gate(github: GitHub, site: Site, run: int, bundle: Path, archives: Path, *, branch: str, run_url: str) -> Gated:
    """Looks at what a run of a pull request's build left.

    Args:
        github: GitHub.
        site: The main branch's site: what it makes is what a preview may be.
        run: The run's number.
        bundle: The bundle that it left.
        archives: The folder of the images that it left.
        branch: The main branch.
        run_url: The page of the run that deploys.

    Raises:
        AphiriaDeployError: It cannot be looked at. What is wrong with what the run left is told in the result.
    """
    build = github.workflow_run(run)
    _require_build(build)
    pull = pull_request_of(github.open_pull_requests(), build)
    if pull is None:
        reason = "its commit is no open pull request's newest: closed, or pushed to since"
        return Gated(Decision(Gate.CLOSED, reason), None)
    decision = _guarded(github, gate_for(_people(github, pull, build)))
    if decision.gate is Gate.CLOSED:
        return Gated(decision, None)
    try:
        made, built, reference = _looked_at(site, pull, bundle, archives)
    except AphiriaDeployError as error:
        refused = Decision(Gate.CLOSED, "what its build left cannot be deployed")
        return Gated(refused, _refused(pull, run_url, refused.reason, str(error).splitlines()))
    judged = judge(made, reference)
    if judged.violations:
        refused = Decision(Gate.CLOSED, "its bundle holds what a preview may not hold")
        findings = [str(one) for one in judged.violations]
        return Gated(refused, _refused(pull, run_url, refused.reason, findings), report=judged.report)
    approval = Approval(
        number=pull.number,
        commit=pull.head.sha,
        tree=github.commit(pull.head.sha).tree.sha,
        bundle=made.hash,
        images=built,
        refs=_own_images(made, reference),
        gate=decision.gate,
        reason=decision.reason,
        run=run,
    )
    preview = Preview(
        number=pull.number,
        commit=pull.head.sha,
        run_url=run_url,
        state=State.WAITING if decision.gate is Gate.REVIEWED else State.DEPLOYING,
        note=decision.reason,
        urls=made.urls,
        images={name: image.ref for name, image in made.images.items()},
        bundle=made.hash,
        plan=difference(recorded_bundle(github, f"pr-{pull.number}", branch), made),
        reserves=capacity.describe(outlook_of(github, made, branch)),
        departures=departures(made, site.bundle("production", _own_images(made, reference))),
    )
    return Gated(decision, preview, approval, made, judged.report)


def pull_request_of(opened: Sequence[PullRequest], build: WorkflowRun) -> PullRequest | None:
    """Gives the open pull request whose newest commit a run was for.

    What the run's artifacts say of it counts for nothing; GitHub's own list of a run's pull requests is empty for
    forks.
    """
    if build.head_repository is None:
        return None
    for pull in opened:
        place = pull.head.repo.full_name.casefold() if pull.head.repo else None
        if (pull.head.sha, pull.head.ref, place) == (
            build.head_sha,
            build.head_branch,
            build.head_repository.full_name.casefold(),
        ):
            return pull
    return None


def recorded_bundle(github: GitHub, environment: str, branch: str) -> Bundle | None:
    """Gives the bundle that is recorded as deployed; none where there is none, or its artifacts have expired.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    deployment = active(github, github.deployments(environment_of(environment)))
    record = read_record(deployment) if deployment else None
    approved = approved_by(github, record, branch) if record else None
    return approved.bundle if approved else None


def outlook_of(github: GitHub, made: Bundle, branch: str, now: datetime | None = None) -> Outlook:
    """Gives what a preview reserves of its cluster, as the cluster was seen last: nobody can see it from here.

    Args:
        github: GitHub.
        made: The preview's bundle.
        branch: The main branch.
        now: The time.
    """
    wanted = capacity.reservation(made)
    try:
        seen = seen_room(github, branch)
    except AphiriaDeployError as error:
        # A preview does not fail for what is only told.
        return Outlook(wanted, unread=str(error).splitlines()[0])
    if seen is None:
        return Outlook(
            wanted, unread="nobody has looked at the cluster in the last days: the next deploy or sweep does"
        )
    return seen.outlook(made.manifests, now or datetime.now(UTC))


def reference_of(site: Site, environment: str, images: Mapping[str, str]) -> Bundle:
    """Gives what the main branch's site makes of an environment.

    Raises:
        InputError: The main branch's site does not know it, or such images.
    """
    try:
        return site.bundle(environment, images)
    except ValueError as error:
        raise InputError(f"{environment}: {error}") from error


def _require_build(build: WorkflowRun) -> None:
    wanted = ("pull_request", BUILD, "success")
    found = (build.event, build.path.partition("@")[0], build.conclusion)
    if found != wanted:
        raise ApprovalError(
            f"run {build.id}: found {' of '.join(map(str, found))}, expected {' of '.join(wanted)}: nothing else "
            "builds previews"
        )


def _guarded(github: GitHub, decision: Decision) -> Decision:
    """An environment that nobody reviews is no place to wait for a review."""
    if decision.gate is Gate.REVIEWED:
        environment = github.environment(Gate.REVIEWED.value)
        if environment is None or not environment.reviewers:
            return Decision(
                Gate.CLOSED,
                f"{decision.reason}; but that environment has no reviewers: run `aphiria-deploy github setup`",
            )
    return decision


def _people(github: GitHub, pull: PullRequest, build: WorkflowRun) -> list[Person]:
    roles = {"author": pull.user, "one who pushed": build.actor, "one who ran the build": build.triggering_actor}
    return [Person(role, user, github.permission_of(user.login if user else "ghost")) for role, user in roles.items()]


def _looked_at(site: Site, pull: PullRequest, bundle: Path, archives: Path) -> tuple[Bundle, dict[str, str], Bundle]:
    if bundle.is_file() and bundle.stat().st_size > MEMBER_BYTES:
        raise InputError(f"{bundle.name}: found more than {MEMBER_BYTES} bytes, expected a bundle")
    made = bundles.read(bundle)
    environment = f"pr-{pull.number}"
    if made.environment.name != environment:
        raise ApprovalError(f"bundle: found one of {made.environment.name}, expected one of {environment}")
    found = read_archives(archives)
    for archive in found.values():
        archive.require_revision(pull.head.sha)
    built = digests(found)
    # Without its images first: which of them are the site's own is for the main branch to say.
    names = built_images(reference_of(site, environment, {}))
    require_images(made, built, names)
    return made, built, reference_of(site, environment, {name: made.images[name].ref for name in names})


def _own_images(made: Bundle, reference: Bundle) -> dict[str, str]:
    return {name: made.images[name].ref for name in built_images(reference)}


def _refused(pull: PullRequest, run_url: str, reason: str, findings: Sequence[str]) -> Preview:
    return Preview(
        number=pull.number,
        commit=pull.head.sha,
        run_url=run_url,
        state=State.REFUSED,
        note=reason,
        findings=tuple(findings),
    )
