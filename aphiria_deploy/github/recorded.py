"""What runs of the main branch's workflows left, as artifacts: what was deployed, and what the cluster had for more."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from aphiria_deploy import bundle as bundles
from aphiria_deploy.bundle import Bundle
from aphiria_deploy.github.approval import Approval
from aphiria_deploy.github.deployments import Record
from aphiria_deploy.github.errors import ApprovalError, GitHubContentError, GitHubNotFoundError
from aphiria_deploy.github.models import Artifact, WorkflowRun
from aphiria_deploy.room import SeenRoom
from aphiria_deploy.room import decode as decode_room

ARTIFACT: Final = "approved"
"""The artifact's name; it has the two files below."""
APPROVAL: Final = "approval.json"
BUNDLE: Final = "bundle.json"
WORKFLOWS: Final = ".github/workflows/preview.yml"
"""The workflow whose runs leave it."""
ROOM: Final = "room"
"""The artifact with what the previews' cluster had for more, when a job that may see it did; it has this file."""
ROOM_FILE: Final = "room.json"
ROOM_WORKFLOWS: Final = (WORKFLOWS, ".github/workflows/sweep.yml")
"""The workflows whose runs leave that."""
MEMBER_BYTES: Final = 8 * 1024 * 1024


_EVENTS: Final = frozenset({"workflow_run", "workflow_dispatch", "schedule"})
"""What starts these workflows: all of them run what the main branch has."""
_LOOKED_AT: Final = 5


class Runs(Protocol):
    """What GitHub has to be able to do."""

    def workflow_run(self, run: int) -> WorkflowRun:
        """One run."""

    def artifacts(self, run: int) -> list[Artifact]:
        """What it left."""

    def newest_artifacts(self, name: str) -> list[Artifact]:
        """The newest of a name, whichever runs left them."""

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
        if not _is_ours(run, branch, (WORKFLOWS,)):
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


def seen_room(github: Runs, branch: str) -> SeenRoom | None:
    """Reads what the previews' cluster had for more when it was seen last; None where nobody has written it down.

    Args:
        github: GitHub.
        branch: The main branch: a run of another is nobody's word.

    Raises:
        AphiriaDeployError: What is there cannot be read; or one of GitHub's.
    """
    candidates = [one for one in github.newest_artifacts(ROOM) if _may_be_ours(one, branch)]
    for one in candidates[:_LOOKED_AT]:
        run = github.workflow_run(one.workflow_run.id) if one.workflow_run and one.workflow_run.id else None
        if run and _is_ours(run, branch, ROOM_WORKFLOWS):
            where = f"artifact {ROOM} of run {run.id}: {ROOM_FILE}"
            return decode_room(_member(github.artifact(one.id), ROOM_FILE, where), where)
    return None


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


def _is_ours(run: WorkflowRun, branch: str, workflows: Collection[str]) -> bool:
    # GitHub adds @ and the ref to the path of a workflow that another repository owns.
    return run.event in _EVENTS and run.head_branch == branch and run.path.partition("@")[0] in workflows


def _may_be_ours(artifact: Artifact, branch: str) -> bool:
    """Whether it is worth asking which run left it: a pull request's own runs may leave as many as they like."""
    run = artifact.workflow_run
    return (
        not artifact.expired
        and run is not None
        and run.head_branch == branch
        and run.repository_id == run.head_repository_id
    )


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
