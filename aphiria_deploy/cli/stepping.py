"""What the steps of workflows do: the job's variables in, outputs and summaries out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from aphiria_deploy import bundle as bundles
from aphiria_deploy import capacity
from aphiria_deploy.bundle import Site
from aphiria_deploy.cli import issuing
from aphiria_deploy.cli import room as rooms
from aphiria_deploy.cli.checking import as_sarif
from aphiria_deploy.cli.connecting import Stack, Where, connect
from aphiria_deploy.cli.options import Format, parse_duration, parse_number
from aphiria_deploy.errors import InputError
from aphiria_deploy.github import collecting, drifting, previews, releasing, settings
from aphiria_deploy.github.approval import Approval
from aphiria_deploy.github.archives import read_archives
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.comment import document, marker, render
from aphiria_deploy.github.comments import upsert
from aphiria_deploy.github.engine import CommandEngine
from aphiria_deploy.github.errors import PromotionError
from aphiria_deploy.github.gate import gate as look
from aphiria_deploy.github.gate import reference_of
from aphiria_deploy.github.job import SUMMARY_BYTES, Job
from aphiria_deploy.github.recorded import APPROVAL, BUNDLE, decode_approval, encode_approval
from aphiria_deploy.github.selection import Limits, describe
from aphiria_deploy.github.work import Work
from aphiria_deploy.kube import Cancellation, Client, Deadline, cancelled_by_signals
from aphiria_deploy.room import SeenRoom, encode
from aphiria_deploy.site import load_site

COMMENT = "comment.md"
_LOOK_SECONDS = 30.0


@dataclass(frozen=True)
class Cluster:
    """Which cluster the engine works on, as the command line says."""

    kubeconfig: Path | None
    context: str
    outputs: Path | None

    @property
    def where(self) -> Where:
        """The same, for what works on it in this process."""
        return Where(self.kubeconfig, self.context, self.outputs)

    def engine(self, wait_for_lock: str = "") -> CommandEngine:
        """The engine, for that cluster."""
        options: list[str] = []
        for name, value in (
            ("--kubeconfig", self.kubeconfig),
            ("--context", self.context),
            ("--outputs", self.outputs),
        ):
            options += [name, str(value)] if value else []
        return CommandEngine(options, wait_for_lock=wait_for_lock)


def make_bundle(environment: str, archives: Path, commit: str | None, out: Path) -> str:
    """Makes the bundle of an environment for images in files.

    Raises:
        AphiriaDeployError: An image is not one of the site's, or not of the commit; or the site cannot make it.
    """
    site = _site()
    if commit:
        for archive in read_archives(archives).values():
            archive.require_revision(commit)
    images = releasing.image_refs(site, environment, archives)
    bundle = reference_of(site, environment, images)
    _write(out, bundles.encode(bundle))
    # One output an image beside the list, so that a workflow can name the one that it means.
    Job(os.environ).give({"bundle": bundle.hash, "images": _listed(images), **images})
    return f"{environment}: {bundle.hash}\n" + "\n".join(f"  {name}: {ref}" for name, ref in images.items())


def gate(run: int, bundle: Path, archives: Path, out: Path, branch: str, sarif: Path | None = None) -> str:
    """Looks at what a build left; what is approved, and what the comment says, goes to a folder.

    Raises:
        AphiriaDeployError: It cannot be looked at.
    """
    job = Job(os.environ)
    with GitHub.of(os.environ) as github:
        gated = look(github, _site(), run, bundle, archives, branch=branch, run_url=job.run_url)
    out.mkdir(parents=True, exist_ok=True)
    outputs = {"environment": gated.decision.gate.value if gated.approval else "", "number": "", "commit": ""}
    if gated.preview:
        outputs |= {"number": str(gated.preview.number), "commit": gated.preview.commit}
        _write(out / COMMENT, render(gated.preview, job.secrets).encode())
        job.summarize(document(gated.preview, job.secrets).render(limit=SUMMARY_BYTES))
    else:
        job.summarize(f"No preview: {gated.decision.reason}.")
    if gated.approval and gated.bundle:
        _write(out / APPROVAL, encode_approval(gated.approval))
        _write(out / BUNDLE, bundles.encode(gated.bundle))
    outputs["findings"] = ""
    if sarif and gated.preview and gated.report:
        sarif.parent.mkdir(parents=True, exist_ok=True)
        _write(sarif, json.dumps(as_sarif(gated.report), indent=1).encode())
        outputs["findings"] = str(len(gated.report.findings))
    job.give(outputs)
    return f"{outputs['environment'] or 'no deploy'}: {gated.decision.reason}"


def comment(number: int, file: Path) -> str:
    """Makes the comment of a pull request say what a file says.

    Raises:
        AphiriaDeployError: The file is no comment of this pull request, or GitHub does not take it.
    """
    text = _read(file).decode(errors="replace")
    if not text.startswith(marker(number)):
        raise InputError(f"{file}: found another beginning, expected {marker(number)}: it is no comment of {number}")
    with GitHub.of(os.environ) as github:
        return upsert(github, number, marker(number), text).html_url


def push_approved(approved: Path, archives: Path) -> str:
    """Pushes the images that were approved.

    Raises:
        AphiriaDeployError: It is refused, or they cannot be pushed.
    """
    with GitHub.of(os.environ) as github:
        work = Work(github, CommandEngine(), Job(os.environ))
        pushed = previews.push_approved(work, _approval(approved), archives)
    return _listed(pushed)


def push_own(environment: str, archives: Path, commit: str) -> str:
    """Pushes images of the main branch; the output ``images`` has their references.

    Raises:
        AphiriaDeployError: They are not of the commit, or cannot be pushed.
    """
    job = Job(os.environ)
    with GitHub.of(os.environ) as github:
        work = Work(github, CommandEngine(), job)
        refs = releasing.push_own(work, _site(), environment, archives, commit)
    job.give({"images": _listed(refs)})
    return _listed(refs)


def deploy(approved: Path, cluster: Cluster) -> tuple[str, bool]:
    """Deploys what was approved; says whether it is healthy.

    Raises:
        AphiriaDeployError: It is refused, or cannot be deployed.
    """
    with GitHub.of(os.environ) as github:
        work = Work(github, cluster.engine(), Job(os.environ))
        report = previews.deploy_preview(work, _approval(approved), approved / BUNDLE)
    return f"{report.environment}: {report.result if report.healthy else report.reason}", report.healthy


def cleanup(number: int, cluster: Cluster, wait_for_lock: str) -> tuple[str, bool]:
    """Removes the preview of a closed pull request; says whether nothing is left.

    Raises:
        AphiriaDeployError: It cannot be removed.
    """
    with GitHub.of(os.environ) as github:
        work = Work(github, cluster.engine(wait_for_lock), Job(os.environ))
        report = previews.remove_preview(work, number)
    if report is None:
        return f"pr-{number}: its pull request is open: nothing was removed", True
    return f"pr-{number}: {report.result}", report.clean


def room(file: Path, cluster: Cluster) -> str:
    """Writes down what a cluster has for more previews; where that cannot be read, says why and writes nothing.

    Raises:
        AphiriaDeployError: No cluster is named, or it cannot be reached; or the file cannot be written.
    """
    where, cancellation = cluster.where, Cancellation()
    with cancelled_by_signals(cancellation), Client(connect(where, Stack(where, None))) as client:
        deadline = Deadline.after(_LOOK_SECONDS, "looking at the cluster", cancellation)
        client.probe(deadline)
        seen = rooms.read(client, deadline)
        now = client.now()
    if isinstance(seen, str):
        return f"what the cluster has for more previews is not known: {seen}"
    found = capacity.room_of(*seen)
    _write(file, encode(SeenRoom(found, now)))
    return f"{file}: {len(found.cluster().nodes)} nodes that take pods"


def resolve(commit: str, branch: str) -> str:
    """Says whether there is something to promote: the outputs ``preview`` and ``reason``.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    with GitHub.of(os.environ) as github:
        preview, reason = "", "it merged no pull request"
        number = releasing.merged_by(github, commit, branch)
        if number is not None:
            try:
                releasing.find_promotion(github, number, commit, branch=branch)
                preview, reason = f"pr-{number}", "what ran in its preview is what was merged"
            except PromotionError as error:
                reason = str(error)
    Job(os.environ).give({"preview": preview, "reason": reason})
    return f"{preview or 'build'}: {reason}"


def promote(preview: str, commit: str | None, branch: str, cluster: Cluster, *, accept_different_tree: bool) -> str:
    """Deploys production with what ran in a preview.

    Raises:
        AphiriaDeployError: It is refused, or cannot be deployed.
    """
    before, _, digits = preview.partition("pr-")
    if before or not digits:
        raise InputError(f"{preview!r}: found no preview, expected pr-N")
    number = parse_number(digits)
    with GitHub.of(os.environ) as github:
        target = commit or github.pull_request(number).merge_commit_sha
        if not target:
            raise InputError(f"pull request {number}: found no merge, expected one: merge it first, or give --commit")
        found = releasing.find_promotion(
            github, number, target, branch=branch, accept_different_tree=accept_different_tree
        )
        report = releasing.promote(Work(github, cluster.engine(), Job(os.environ)), _site(), found)
    return f"production: {report.result} with what ran in {preview}"


def release(commit: str, images: dict[str, str], cluster: Cluster) -> str:
    """Deploys production with the main branch's own images.

    Raises:
        AphiriaDeployError: It cannot be deployed.
    """
    with GitHub.of(os.environ) as github:
        work = Work(github, cluster.engine(), Job(os.environ))
        report = releasing.release(work, _site(), images, commit)
    return f"production: {report.result}"


def drift(environments: list[str], cluster: Cluster) -> tuple[str, int]:
    """Looks for drift and tells of it; the exit code is 3 for drift, 1 where it is not known.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    found = drifting.look_for_drift(cluster.engine(), environments)
    with GitHub.of(os.environ) as github:
        issue = drifting.tell(github, found, Job(os.environ))
    lines = [f"{name}: {len(report.drift)} departed" for name, report in found.reports.items()]
    lines += [f"{name}: not known: {error}" for name, error in found.errors.items()]
    lines += [f"{issue.html_url}: {issue.state}"] if issue else []
    return "\n".join(lines), 1 if found.errors else 3 if found.drifted else 0


def limits(most: int, grace: str, max_age: str, max_inactive: str, keep: str) -> Limits:
    """Reads the limits of ``gc``.

    Raises:
        InputError: One is no duration.
    """

    def duration(text: str, option: str) -> timedelta:
        return timedelta(seconds=parse_duration(text, option))

    return Limits(
        max_age=duration(max_age, "--max-age") if max_age else None,
        max_inactive=duration(max_inactive, "--max-inactive") if max_inactive else None,
        grace=duration(grace, "--grace"),
        keep=keep,
        most=most,
    )


def collect(limits: Limits, cluster: Cluster, *, dry: bool, output: Format) -> tuple[str, bool]:
    """Destroys the previews that are to go; says whether one could not be.

    Raises:
        AphiriaDeployError: What is open is in doubt, or cannot be read: nothing was destroyed.
    """
    job = Job(os.environ)
    with GitHub.of(os.environ) as github:
        work = Work(github, cluster.engine("12m"), job)
        collected = collecting.collect_garbage(work, limits, datetime.now(UTC), dry=dry)
    lines = describe(collected)
    job.summarize("\n".join(["```text", *lines, "```"]))
    if output is Format.TEXT:
        return "\n".join(lines), collected.failed
    return msgspec.json.encode(collected).decode(), collected.failed


def setup(
    reviewers: list[str], branch: str, seconds: float | None, cluster: Cluster, *, yes: bool, output: Format
) -> str:
    """Shows what the repository lacks, and makes what can be made.

    Args:
        reviewers: Who may approve.
        branch: The main branch.
        seconds: How long a new token of the account that deploys previews is to last; None where none is to be made.
        cluster: The previews' cluster, which only such a token is asked of.
        yes: Whether what can be made is made.
        output: How to report.

    Raises:
        AphiriaDeployError: One of GitHub's; or there is no such token.
    """
    with GitHub.of(os.environ) as github:
        plan = settings.plan(github, reviewers, branch, issues=seconds is not None)
        # Before anything is changed: it may not be had.
        previews = issuing.issued(cluster.where, seconds) if yes and seconds is not None else {}
        done = settings.apply(github, plan, previews) if yes else []
    return settings.as_json(plan, done) if output is Format.JSON else settings.as_text(plan, done)


def _approval(folder: Path) -> Approval:
    return decode_approval(_read(folder / APPROVAL), str(folder / APPROVAL))


def _listed(images: Mapping[str, str]) -> str:
    return ",".join(f"{name}={ref}" for name, ref in images.items())


def _site() -> Site:
    return load_site(Path.cwd())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a file that can be read") from error


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a place that can be written to") from error
