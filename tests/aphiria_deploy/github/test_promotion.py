"""What goes to production: exactly what ran in a preview, if that is what was merged, by nobody's word alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aphiria_deploy.github.deployments import Record
from aphiria_deploy.github.errors import PromotionError
from aphiria_deploy.github.models import Commit, Deployment, DeploymentStatus, PullRequest
from aphiria_deploy.github.promotion import Known, candidate, promotion
from tests.aphiria_deploy.github.bundles import COMMIT, SAMPLES, TREE, preview
from tests.aphiria_deploy.github.test_approval import APPROVAL, PULL

RECORD = Record(
    environment="pr-107",
    commit=COMMIT,
    tree=TREE,
    bundle=preview().hash,
    images={name: image.ref for name, image in preview().images.items()},
    run=9,
)
MERGED = msgspec.convert(
    {**msgspec.to_builtins(PULL), "state": "closed", "merged_at": "2026-11-26T13:00:00Z", "merge_commit_sha": "f" * 40},
    PullRequest,
)
TARGET = msgspec.convert({"sha": "f" * 40, "tree": {"sha": TREE}}, Commit)


def known(record: Record | None = RECORD, *states: str, sha: str = COMMIT) -> Known:
    data = {"id": 1, "sha": sha, "ref": sha, "environment": "preview-pr-107", "created_at": "2026-11-26T12:00:00Z"}
    payload = msgspec.to_builtins(record) if record else None
    statuses = [
        {"id": n, "state": state, "created_at": "2026-11-26T12:00:00Z"}
        for n, state in enumerate(states or ("in_progress", "success", "inactive"))
    ]
    return Known(
        msgspec.convert(data | {"payload": payload}, Deployment), msgspec.convert(statuses, list[DeploymentStatus])
    )


def test_what_ran_and_was_merged_is_promoted() -> None:
    record = candidate(MERGED, [known()])
    found = promotion(MERGED, record, APPROVAL, TARGET)

    assert found.images == SAMPLES
    assert found.commit == TARGET.sha
    assert found.record == RECORD


@pytest.mark.parametrize(
    ("pull", "deployments", "message"),
    [
        (PULL, [known()], "found it open and not merged"),
        (msgspec.structs.replace(PULL, state="closed"), [known()], "found it closed and not merged"),
        (MERGED, [], "found no record of a preview"),
        (MERGED, [known(None)], "found no record of a preview"),
        (MERGED, [known(msgspec.structs.replace(RECORD, environment="pr-108"))], "found no record of a preview"),
        (MERGED, [known(RECORD, "in_progress")], "not healthy \\(in_progress\\)"),
        (MERGED, [known(RECORD, "in_progress", "failure")], "not healthy"),
        # The newest counts: what was healthy before it is not what was merged.
        (MERGED, [known(RECORD, "failure"), known()], "not healthy"),
        (MERGED, [known(sha="e" * 40)], "found a record of c+ in a deployment of e+"),
        (
            MERGED,
            [known(msgspec.structs.replace(RECORD, commit="e" * 40), sha="e" * 40)],
            "found its last preview at e+, expected one at c+, which was merged",
        ),
    ],
)
def test_what_did_not_run_or_is_not_healthy_is_not_promoted(
    pull: PullRequest, deployments: list[Known], message: str
) -> None:
    with pytest.raises(PromotionError, match=message) as raised:
        candidate(pull, deployments)
    assert raised.value.exit_code == 2


def test_what_others_merged_meanwhile_is_refused_unless_it_is_accepted() -> None:
    other = msgspec.convert({"sha": "f" * 40, "tree": {"sha": "0" * 40}}, Commit)

    with pytest.raises(PromotionError, match=r"found a merged tree 0+, expected d+, which was previewed"):
        promotion(MERGED, RECORD, APPROVAL, other)
    assert promotion(MERGED, RECORD, APPROVAL, other, accept_different_tree=True).images == SAMPLES


FORGED: dict[str, dict[str, Any]] = {
    "another image": {"images": {**RECORD.images, "web": f"ghcr.io/aphiria/aphiria.com-web@sha256:{'e' * 64}"}},
    "an image without a digest": {"images": {**RECORD.images, "web": "ghcr.io/aphiria/aphiria.com-web:latest"}},
    "no image": {"images": {}},
    "another commit": {"commit": "e" * 40},
    "another tree": {"tree": "0" * 40},
    "another bundle": {"bundle": "sha256:0"},
}


@pytest.mark.parametrize("title", FORGED)
@pytest.mark.parametrize("accept", [True, False])
def test_a_record_that_somebody_else_wrote_is_refused(title: str, accept: bool) -> None:
    forged = msgspec.structs.replace(RECORD, **FORGED[title])

    with pytest.raises(PromotionError, match="somebody else wrote it"):
        promotion(MERGED, forged, APPROVAL, TARGET, accept_different_tree=accept)


def test_the_approval_of_another_is_none() -> None:
    with pytest.raises(PromotionError, match="somebody else wrote it"):
        promotion(MERGED, RECORD, msgspec.structs.replace(APPROVAL, number=108), TARGET)
    with pytest.raises(PromotionError, match="found no approval left by run 9"):
        promotion(MERGED, RECORD, None, TARGET)
