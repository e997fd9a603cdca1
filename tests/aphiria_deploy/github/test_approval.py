"""Who may have what deployed, and that nothing else is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.approval import (
    Approval,
    Gate,
    Person,
    built_images,
    gate_for,
    require_approved,
    require_images,
)
from aphiria_deploy.github.errors import ApprovalError
from aphiria_deploy.github.models import Head, Permission, PullRequest, User
from aphiria_deploy.github.recorded import decode_approval, encode_approval
from tests.aphiria_deploy.github.bundles import COMMIT, SAMPLES, TREE, changed, preview, production

DIGESTS = {name: ref.partition("@")[2] for name, ref in SAMPLES.items()}
APPROVAL = Approval(
    number=107,
    commit=COMMIT,
    tree=TREE,
    bundle=preview().hash,
    images=DIGESTS,
    refs=dict(SAMPLES),
    gate=Gate.REVIEWED,
    reason="the author bob has the role read",
    run=5,
)
PULL = msgspec.convert(
    {
        "number": 107,
        "state": "open",
        "title": "x",
        "head": {"sha": COMMIT, "ref": "x"},
        "base": {"sha": "b" * 40, "ref": "main"},
        "created_at": "2026-11-26T12:00:00Z",
        "updated_at": "2026-11-26T12:00:00Z",
        "html_url": "https://x",
    },
    PullRequest,
)


def person(role: str, login: str = "ann", kind: str = "User", permission: str = "") -> Person:
    legacy = permission or {"maintain": "write", "triage": "read"}.get(role, role)
    return Person("author", User(login, kind), Permission(legacy, role))


ADMIN, MAINTAINER = person("admin"), person("maintain", "max")
WRITER, READER, STRANGER = person("write", "wes"), person("read", "rea"), person("none", "sam")
DEPENDABOT = person("admin", "dependabot[bot]", "Bot")


@pytest.mark.parametrize(
    ("people", "gate"),
    [
        ([ADMIN], Gate.OPEN),
        ([MAINTAINER], Gate.OPEN),
        ([ADMIN, MAINTAINER, ADMIN], Gate.OPEN),
        ([WRITER], Gate.REVIEWED),
        ([READER], Gate.REVIEWED),
        ([STRANGER], Gate.REVIEWED),
        ([person("triage")], Gate.REVIEWED),
        # A role of the organization's own, made of the one that may write.
        ([person("release-manager", permission="write")], Gate.REVIEWED),
        ([person("owner", permission="admin")], Gate.OPEN),
        ([person("", permission="admin")], Gate.OPEN),
        ([person("", permission="write")], Gate.REVIEWED),
        # An admin's pull request that somebody else pushed to, or whose build somebody else ran again.
        ([ADMIN, WRITER], Gate.REVIEWED),
        ([WRITER, ADMIN], Gate.REVIEWED),
        ([ADMIN, ADMIN, STRANGER], Gate.REVIEWED),
        # Bots deploy nothing, whatever they may do, and whoever else is with them.
        ([DEPENDABOT], Gate.CLOSED),
        ([ADMIN, DEPENDABOT], Gate.CLOSED),
        ([DEPENDABOT, ADMIN], Gate.CLOSED),
        ([person("admin", "renovate[bot]")], Gate.CLOSED),
        ([person("admin", "app", "Bot")], Gate.CLOSED),
        ([person("admin", "org", "Organization")], Gate.CLOSED),
        ([person("admin", "old", "Mannequin")], Gate.CLOSED),
        ([Person("author", None, Permission("admin", "admin"))], Gate.CLOSED),
    ],
)
def test_the_environment_is_that_of_who_may_do_the_least(people: list[Person], gate: Gate) -> None:
    decision = gate_for(people)

    assert decision.gate is gate
    assert decision.reason


def test_nobody_deploys_nothing() -> None:
    with pytest.raises(ValueError, match="somebody's doing"):
        gate_for([])


def test_what_was_approved_is_let_through() -> None:
    require_approved(APPROVAL, PULL, bundle=preview())
    require_approved(APPROVAL, PULL, built=DIGESTS)


@pytest.mark.parametrize(
    ("pull", "message"),
    [
        ({"state": "closed"}, "found it closed, expected 107, open"),
        ({"number": 108}, "expected 107, open"),
        ({"head": Head("e" * 40, "x")}, f"commit: found {'e' * 40}, expected {COMMIT}"),
    ],
)
def test_what_the_pull_request_no_longer_holds_is_refused(pull: dict[str, Any], message: str) -> None:
    now = msgspec.structs.replace(PULL, **pull)
    for given in ({"bundle": preview()}, {"built": DIGESTS}):
        with pytest.raises(AphiriaDeployError, match=message) as raised:
            require_approved(APPROVAL, now, **given)
        assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "change",
    [
        {"bundle": f"sha256:{'0' * 64}"},
        {"number": 108},
        {"commit": "e" * 40},
        {"refs": {**SAMPLES, "web": SAMPLES["api"]}},
        {"gate": Gate.CLOSED},
    ],
)
def test_another_approval_is_none_for_this_bundle(change: dict[str, Any]) -> None:
    with pytest.raises(AphiriaDeployError):
        require_approved(msgspec.structs.replace(APPROVAL, **change), PULL, bundle=preview())


@pytest.mark.parametrize(
    "built",
    [
        {},
        {"web": DIGESTS["web"]},
        {**DIGESTS, "web": DIGESTS["api"]},
        {**DIGESTS, "extra": DIGESTS["api"]},
    ],
)
def test_other_images_than_the_approved_are_not_pushed(built: dict[str, str]) -> None:
    with pytest.raises(AphiriaDeployError, match="have that approved"):
        require_approved(APPROVAL, PULL, built=built)


def test_a_bundle_that_was_changed_after_the_approval_is_refused() -> None:
    other = changed(preview(), lambda data: data["urls"].update(web="https://elsewhere.example"))

    with pytest.raises(ApprovalError, match="bundle: found sha256:"):
        require_approved(APPROVAL, PULL, bundle=other)


def test_the_sites_own_images_are_those_of_its_private_registry() -> None:
    assert built_images(preview()) == ["api", "web"]
    assert built_images(production()) == ["api", "web"]


@pytest.mark.parametrize(
    ("built", "message"),
    [
        ({"web": DIGESTS["web"]}, "images.api: found none that was built"),
        ({**DIGESTS, "api": f"sha256:{'0' * 64}"}, "images.api: found sha256:a.* in the bundle, expected sha256:0"),
        (
            {**DIGESTS, "nginx": f"sha256:{'0' * 64}"},
            "images.nginx: found an image that was built, expected one of",
        ),
    ],
)
def test_a_bundle_runs_what_was_built_with_it(built: dict[str, str], message: str) -> None:
    require_images(preview(), DIGESTS, ["api", "web"])
    with pytest.raises(ApprovalError, match=message):
        require_images(preview(), built, ["api", "web"])


def test_an_approval_is_read_back() -> None:
    assert decode_approval(encode_approval(APPROVAL), "x") == APPROVAL


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b"\xff", encode_approval(APPROVAL).replace(b"v1", b"v2")])
def test_what_is_no_approval_is_said(document: bytes) -> None:
    with pytest.raises(ApprovalError, match="expected what `aphiria-deploy github gate` wrote"):
        decode_approval(document, "approval.json")
