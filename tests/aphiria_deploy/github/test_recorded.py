"""What a run of the main branch left, and what is nobody's word."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

from aphiria_deploy import bundle as bundles
from aphiria_deploy.capacity import room_of
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.errors import GitHubContentError
from aphiria_deploy.github.recorded import APPROVAL, BUNDLE, MEMBER_BYTES, approved_by, encode_approval, seen_room
from aphiria_deploy.room import SeenRoom, encode
from tests.aphiria_deploy.github.bundles import preview
from tests.aphiria_deploy.github.stand_in import Asked, Said, StandIn
from tests.aphiria_deploy.github.test_approval import APPROVAL as APPROVED
from tests.aphiria_deploy.github.test_promotion import RECORD
from tests.aphiria_deploy.test_capacity import node

RUN = {
    "id": 9,
    "event": "workflow_run",
    "head_branch": "main",
    "path": ".github/workflows/preview.yml",
    "head_sha": "b" * 40,
    "html_url": "https://x",
}
FILES = {APPROVAL: encode_approval(APPROVED), BUNDLE: bundles.encode(preview())}


def left(stand_in: StandIn, files: dict[str, bytes] | None = None, **more: Any) -> None:
    stand_in.runs[9] = RUN | more
    stand_in.leave(9, "approved", FILES if files is None else files)


def test_what_a_run_left_is_read(stand_in: StandIn, github: GitHub) -> None:
    left(stand_in)
    found = approved_by(github, RECORD, "main")

    assert found is not None
    assert found.approval == APPROVED
    assert found.bundle == preview()


@pytest.mark.parametrize(
    "more",
    [
        {"head_branch": "mine"},
        {"head_branch": None},
        {"path": ".github/workflows/mine.yml"},
        {"path": ".github/workflows/mine.yml@.github/workflows/preview.yml"},
        {"event": "pull_request"},
        {"event": "push"},
    ],
)
def test_another_run_is_nobodys_word(more: dict[str, Any], stand_in: StandIn, github: GitHub) -> None:
    left(stand_in, **more)

    assert approved_by(github, RECORD, "main") is None


def test_a_run_that_is_gone_or_left_nothing_says_nothing(stand_in: StandIn, github: GitHub) -> None:
    assert approved_by(github, RECORD, "main") is None
    stand_in.runs[9] = RUN
    assert approved_by(github, RECORD, "main") is None
    stand_in.leave(9, "other", FILES)
    assert approved_by(github, RECORD, "main") is None


def test_an_artifact_that_has_expired_says_nothing(stand_in: StandIn, github: GitHub) -> None:
    left(stand_in)

    def expire(asked: Asked) -> Said | None:
        if asked.path.endswith("/artifacts"):
            one = {"id": 1, "name": "approved", "size_in_bytes": 1, "expired": True}
            return Said(200, {"total_count": 1, "artifacts": [one]})
        return None

    stand_in.before.append(expire)

    assert approved_by(github, RECORD, "main") is None


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "expected it in the ZIP file"),
        ({APPROVAL: FILES[APPROVAL]}, "expected it in the ZIP file"),
        ({**FILES, APPROVAL: b"{}"}, "expected what `aphiria-deploy github gate` wrote"),
        (
            {**FILES, BUNDLE: FILES[BUNDLE].replace(b"preview-pr-107", b"preview-pr-108")},
            "was changed after it was made",
        ),
        ({**FILES, BUNDLE: b" " * (MEMBER_BYTES + 1)}, "expected at most"),
    ],
)
def test_what_is_not_what_a_run_leaves_is_said(
    files: dict[str, bytes], message: str, stand_in: StandIn, github: GitHub
) -> None:
    left(stand_in, files)

    with pytest.raises(AphiriaDeployError, match=message):
        approved_by(github, RECORD, "main")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip"])
def test_what_is_no_archive_is_said(content: bytes, stand_in: StandIn, github: GitHub) -> None:
    stand_in.runs[9] = RUN
    stand_in.artifacts[1] = (9, "approved", content)

    with pytest.raises(GitHubContentError, match="expected it in the ZIP file"):
        approved_by(github, RECORD, "main")


def test_a_file_that_says_less_than_it_holds_is_not_believed(stand_in: StandIn, github: GitHub) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(APPROVAL, b" " * (MEMBER_BYTES * 2))
    data = content.getvalue().replace((MEMBER_BYTES * 2).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    stand_in.runs[9] = RUN
    stand_in.artifacts[1] = (9, "approved", data)

    with pytest.raises(AphiriaDeployError):
        approved_by(github, RECORD, "main")


# The room of the previews' cluster

SEEN = SeenRoom(room_of([node("a")], []), datetime(2026, 11, 26, tzinfo=UTC))
SWEEP = {"event": "schedule", "path": ".github/workflows/sweep.yml"}


def saw(stand_in: StandIn, run: int, seen: SeenRoom = SEEN, **more: Any) -> None:
    stand_in.runs[run] = RUN | {"id": run} | more
    stand_in.leave(run, "room", {"room.json": encode(seen)})


@pytest.mark.parametrize("more", [{}, SWEEP, SWEEP | {"event": "workflow_dispatch"}])
def test_what_the_main_branchs_workflows_saw_is_read(more: dict[str, Any], stand_in: StandIn, github: GitHub) -> None:
    saw(stand_in, 9, **more)

    assert seen_room(github, "main") == SEEN


@pytest.mark.parametrize(
    "more",
    [
        {"head_branch": "mine"},
        {"path": ".github/workflows/build-preview.yml"},
        {"path": ".github/workflows/cleanup.yml", "event": "pull_request_target"},
        # A pull request may change the file, and be of a branch of this name.
        {"event": "pull_request"},
        {"event": "pull_request", "head_repository": {"full_name": "bob/aphiria.com"}},
        {"event": "push"},
    ],
)
def test_what_others_say_of_the_room_is_nobodys_word(more: dict[str, Any], stand_in: StandIn, github: GitHub) -> None:
    saw(stand_in, 9, **more)
    assert seen_room(github, "main") is None

    # Nor does it hide what is true.
    saw(stand_in, 8)
    saw(stand_in, 10, SeenRoom(room_of([], []), SEEN.seen), **more)
    assert seen_room(github, "main") == SEEN


def test_the_newest_counts(stand_in: StandIn, github: GitHub) -> None:
    newer = SeenRoom(room_of([], []), SEEN.seen)
    saw(stand_in, 9)
    saw(stand_in, 10, newer, **SWEEP)

    assert seen_room(github, "main") == newer


def test_a_flood_of_forks_artifacts_costs_one_request(stand_in: StandIn, github: GitHub) -> None:
    for run in range(20, 60):
        saw(stand_in, run, event="pull_request", head_repository={"full_name": "bob/aphiria.com"})

    assert seen_room(github, "main") is None
    assert [asked.path.rpartition("/")[2] for asked in stand_in.requests] == ["artifacts"]


def test_nobody_has_looked(stand_in: StandIn, github: GitHub) -> None:
    assert seen_room(github, "main") is None


@pytest.mark.parametrize("files", [{}, {"room.json": b"{}"}])
def test_a_room_that_cannot_be_read_is_said(files: dict[str, bytes], stand_in: StandIn, github: GitHub) -> None:
    stand_in.runs[9] = RUN
    stand_in.leave(9, "room", files)

    with pytest.raises(AphiriaDeployError, match=r"artifact room of run 9: room\.json: "):
        seen_room(github, "main")
