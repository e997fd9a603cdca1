"""What runs of the main branch's workflow left: the approval and the bundle of a deploy, as an artifact."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from aphiria_deploy import bundle as bundles
from aphiria_deploy.bundle import Bundle
from aphiria_deploy.github.approval import Approval
from aphiria_deploy.github.deployments import Record
from aphiria_deploy.github.errors import ApprovalError, GitHubContentError, GitHubNotFoundError
from aphiria_deploy.github.models import Artifact, WorkflowRun

ARTIFACT: Final = "approved"
"""The artifact's name; it has the two files below."""
APPROVAL: Final = "approval.json"
BUNDLE: Final = "bundle.json"
WORKFLOWS: Final = ".github/workflows/preview.yml"
"""The workflow whose runs leave it."""
MEMBER_BYTES: Final = 8 * 1024 * 1024


class Runs(Protocol):
    """What GitHub has to be able to do."""

    def workflow_run(self, run: int) -> WorkflowRun:
        """One run."""

    def artifacts(self, run: int) -> list[Artifact]:
        """What it left."""

    def artifact(self, artifact: int) -> bytes:
        """The ZIP file of one."""


@dataclass(frozen=True)
class Approved:
    """What a run deployed."""

    approval: Approval
    bundle: Bundle


def approved_by(github: Runs, record: Record, branch: str) -> Approved | None:
    """Reads what the run of a record left; None where it is no longer there.

    Args:
        github: GitHub.
        record: The record of a deploy.
        branch: The main branch: a run of another is nobody's word.

    Raises:
        GitHubContentError: What is there cannot be read.
        AphiriaDeployError: Another of GitHub's.
    """
    if not record.run:
        return None
    try:
        run = github.workflow_run(record.run)
        if run.event not in {"workflow_run", "workflow_dispatch"} or run.head_branch != branch or not _is_ours(run):
            return None
        found = [one for one in github.artifacts(record.run) if one.name == ARTIFACT and not one.expired]
        if not found:
            return None
        document = github.artifact(found[-1].id)
    except GitHubNotFoundError:
        return None
    where = f"artifact {ARTIFACT} of run {record.run}"
    return Approved(
        decode_approval(_member(document, APPROVAL, where), f"{where}: {APPROVAL}"),
        bundles.decode(_member(document, BUNDLE, where), f"{where}: {BUNDLE}"),
    )


def decode_approval(document: bytes, where: str) -> Approval:
    """Reads an approval.

    Raises:
        ApprovalError: It is none.
    """
    try:
        return msgspec.json.decode(document, type=Approval)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ApprovalError(f"{where}: {error}; expected what `aphiria-deploy github gate` wrote") from error


def encode_approval(approval: Approval) -> bytes:
    """Gives an approval as JSON: the same one always as the same bytes."""
    return msgspec.json.format(msgspec.json.encode(approval, order="sorted"), indent=1) + b"\n"


def _is_ours(run: WorkflowRun) -> bool:
    # GitHub adds @ and the ref to the path of a workflow that another repository owns.
    return run.path.partition("@")[0] == WORKFLOWS


def _member(document: bytes, name: str, where: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(document)) as archive:
            info = archive.getinfo(name)
            if info.file_size > MEMBER_BYTES:
                raise GitHubContentError(
                    f"{where}: {name}: found {info.file_size} bytes, expected at most {MEMBER_BYTES}"
                )
            with archive.open(info) as file:
                return file.read(MEMBER_BYTES)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise GitHubContentError(f"{where}: {name}: {error}; expected it in the ZIP file") from error
