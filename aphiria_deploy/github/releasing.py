"""Production: by promotion of what ran in a preview, or with the main branch's own images."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from aphiria_deploy import bundle as bundles
from aphiria_deploy.bundle import Bundle, Site
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.approval import built_images
from aphiria_deploy.github.archives import read_archives
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.deployments import PRODUCTION, begin, environment_of, finish, record_of
from aphiria_deploy.github.engine import DeployReport
from aphiria_deploy.github.errors import ApprovalError, PromotionError
from aphiria_deploy.github.gate import reference_of
from aphiria_deploy.github.previews import require_revision
from aphiria_deploy.github.promotion import Known, Promotion, candidate, promotion
from aphiria_deploy.github.recorded import approved_by
from aphiria_deploy.github.work import Work


def find_promotion(
    github: GitHub, number: int, commit: str, *, branch: str, accept_different_tree: bool = False
) -> Promotion:
    """Finds what of a pull request's preview goes to production.

    Args:
        github: GitHub.
        number: The pull request.
        commit: The commit of the main branch to deploy.
        branch: The main branch.
        accept_different_tree: Whether the commit may hold something else than what was previewed.

    Raises:
        PromotionError: Nothing of it.
        AphiriaDeployError: One of GitHub's.
    """
    pull = github.pull_request(number)
    known = [Known(one, github.statuses(one.id)) for one in github.deployments(environment_of(f"pr-{number}"))]
    record = candidate(pull, known)
    approved = approved_by(github, record, branch)
    approval = approved.approval if approved else None
    return promotion(pull, record, approval, github.commit(commit), accept_different_tree=accept_different_tree)


def merged_by(github: GitHub, commit: str, branch: str) -> int | None:
    """Gives the pull request whose merge a commit of the main branch is; None where it is none's, or several'."""
    found = [
        pull.number
        for pull in github.pull_requests_of(commit)
        if pull.merged_at is not None and pull.base.ref == branch and pull.merge_commit_sha == commit
    ]
    return found[0] if len(found) == 1 else None


def promote(work: Work, site: Site, found: Promotion) -> DeployReport:
    """Deploys production with exactly the images that ran in a preview.

    Args:
        work: What to work with.
        site: The main branch's site.
        found: What to promote.

    Raises:
        AphiriaDeployError: It could not be deployed.
    """
    bundle = reference_of(site, PRODUCTION, found.images)
    _require_same_images(bundle, found.images)
    require_revision(work, found.images, found.record.commit)
    return _release(work, bundle, found.commit)


def push_own(work: Work, site: Site, environment: str, archives: Path, commit: str) -> dict[str, str]:
    """Pushes images that the main branch's own build left.

    Args:
        work: What to work with.
        site: The main branch's site.
        environment: The environment that they are for.
        archives: The folder of the images.
        commit: The commit that they were built from.

    Returns:
        Their references, by name.

    Raises:
        AphiriaDeployError: They are not of the commit, or could not be pushed.
    """
    images = read_archives(archives)
    refs = image_refs(site, environment, archives)
    for archive in images.values():
        archive.require_revision(commit)
    for name, archive in images.items():
        work.push(archive, refs[name], work.job.registry_login())
    return refs


def release(work: Work, site: Site, images: Mapping[str, str], commit: str) -> DeployReport:
    """Deploys production with the main branch's own images.

    Args:
        work: What to work with.
        site: The main branch's site.
        images: Their references, by name.
        commit: The commit that they were built from.

    Raises:
        AphiriaDeployError: It could not be deployed.
    """
    bundle = reference_of(site, PRODUCTION, images)
    _require_same_images(bundle, images)
    require_revision(work, images, commit)
    return _release(work, bundle, commit)


def image_refs(site: Site, environment: str, archives: Path) -> dict[str, str]:
    """Gives the references that images in files get at the site's registry.

    Args:
        site: The site.
        environment: The environment that they are for.
        archives: The folder of the images.

    Raises:
        AphiriaDeployError: An image is none of the site's, one is missing, or cannot be read.
    """
    samples = reference_of(site, environment, {})
    wanted, found = set(built_images(samples)), read_archives(archives)
    if wanted != found.keys():
        raise ApprovalError(
            f"{archives}: found the images {', '.join(sorted(found))}, expected {', '.join(sorted(wanted))}"
        )
    repository = {name: samples.images[name].ref.partition("@")[0] for name in wanted}
    return {name: f"{repository[name]}@{archive.digest}" for name, archive in found.items()}


def _require_same_images(bundle: Bundle, images: Mapping[str, str]) -> None:
    for name, ref in images.items():
        found = bundle.images[name].ref if name in bundle.images else None
        if found != ref:
            raise PromotionError(f"images.{name}: found {found} in production's bundle, expected {ref}")


def _release(work: Work, bundle: Bundle, commit: str) -> DeployReport:
    record = record_of(bundle, commit, work.github.commit(commit).tree.sha, work.job.run)
    deployment = begin(work.github, record, log_url=work.job.run_url)
    report: DeployReport | None = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bundle.json")
            path.write_bytes(bundles.encode(bundle))
            report = work.engine.deploy(PRODUCTION, path, commit)
    finally:
        finish(work.github, deployment, report, log_url=work.job.run_url)
    if not report.healthy:
        raise AphiriaDeployError(f"{PRODUCTION}: found it not deployed: {report.reason}; expected it to run and answer")
    return report
