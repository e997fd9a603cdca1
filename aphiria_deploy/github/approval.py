"""Who may have a preview deployed, and what exactly was approved. Pure.

Nothing here approves anything: a deploy's job runs behind one of two environments of GitHub's, and GitHub asks the
reviewers of the one that has some. An approval is for one commit, its images and its bundle; what is newer needs
another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.errors import Errors
from aphiria_deploy.github.errors import ApprovalError
from aphiria_deploy.github.models import Permission, PullRequest, User

FORMAT: Final = "aphiria-deploy/approval/v1"

_TRUSTED: Final = frozenset({"admin", "maintain"})


class Gate(StrEnum):
    """The environment of GitHub's that a deploy's job runs in; the value is its name."""

    OPEN = "preview"
    """No reviewers: for those who could approve anyway."""
    REVIEWED = "preview-reviewed"
    """With reviewers."""
    CLOSED = ""
    """None: no deploy."""


@dataclass(frozen=True)
class Person:
    """Somebody whose doing a deploy is.

    Attributes:
        role: What they did: ``author``, ``pusher``.
        user: Their account; none when it was deleted.
        permission: What they may do with the repository.
    """

    role: str
    user: User | None
    permission: Permission


@dataclass(frozen=True)
class Decision:
    """Which environment, and why.

    Attributes:
        gate: The environment.
        reason: A sentence for the comment.
    """

    gate: Gate
    reason: str


def is_bot(user: User | None) -> bool:
    """Whether nobody stands behind an account: an app, a ghost, or anything else that is no user."""
    return user is None or user.type != "User" or user.login.endswith("[bot]")


def gate_for(people: Sequence[Person]) -> Decision:
    """Decides which environment a deploy's job runs in: the one of whoever may do the least.

    The author alone does not say it: others push to their branch, and re-run their workflows.

    Args:
        people: Everybody whose doing it is.

    Raises:
        ValueError: There is nobody.
    """
    if not people:
        raise ValueError("a deploy is somebody's doing")
    for person in people:
        if is_bot(person.user):
            name = person.user.login if person.user else "a deleted account"
            return Decision(Gate.CLOSED, f"the {person.role} is {name}: bots deploy nothing")
    for person in people:
        if not _is_trusted(person.permission) and person.user:
            role = person.permission.role_name or person.permission.permission
            return Decision(
                Gate.REVIEWED,
                f"the {person.role} {person.user.login} has the role {role}: a reviewer of the environment "
                f"{Gate.REVIEWED.value} approves this commit in the workflow's run",
            )
    names = ", ".join(dict.fromkeys(person.user.login for person in people if person.user))
    return Decision(Gate.OPEN, f"{names} may approve themselves")


def _is_trusted(permission: Permission) -> bool:
    # A role of the organization's own has another name, and is not trusted for what it is made of.
    return permission.permission == "admin" or permission.role_name in _TRUSTED


class Approval(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag=FORMAT,
    tag_field="format",
    forbid_unknown_fields=True,
):
    """What is approved. It is written before the approval, and compared again after it.

    Attributes:
        number: The pull request.
        commit: Its commit.
        tree: The hash of what that commit holds.
        bundle: The bundle's hash.
        images: The digests of the images that were built, by name.
        refs: The references that these get at the registry.
        gate: The environment.
        reason: Why that one.
        run: The run of the pull request's workflow, which built them.
    """

    number: int
    commit: str
    tree: str
    bundle: str
    images: dict[str, str]
    refs: dict[str, str]
    gate: Gate
    reason: str
    run: int


def built_images(reference: Bundle) -> list[str]:
    """The names of the images that are the site's own, by its private registries: these are built, never pulled.

    Args:
        reference: The main branch's bundle: what the pull request's own says counts for nothing here.
    """
    registries = tuple(f"{registry}/" for registry in reference.contract.private_registries)
    return sorted(name for name, image in reference.images.items() if image.ref.startswith(registries))


def require_images(bundle: Bundle, built: Mapping[str, str], names: Sequence[str]) -> None:
    """Checks that a bundle runs exactly the images that were built with it.

    Args:
        bundle: The bundle.
        built: The digests of the images that were built, by name.
        names: The names of those that have to be.

    Raises:
        ApprovalError: It runs another, or one was not built.
        CombinedError: Several of these.
    """
    errors = Errors()
    for name in sorted({*names, *built}):
        where = f"images.{name}"
        found = bundle.images[name].ref.rpartition("@")[2] if name in bundle.images else None
        if name not in names:
            errors.add(ApprovalError(f"{where}: found an image that was built, expected one of {', '.join(names)}"))
        elif name not in built:
            errors.add(ApprovalError(f"{where}: found none that was built, expected it among the run's artifacts"))
        elif found != built[name]:
            errors.add(
                ApprovalError(
                    f"{where}: found {found} in the bundle, expected {built[name]}, which was built with it: "
                    "run the build again"
                )
            )
    errors.raise_all()


def require_approved(
    approval: Approval,
    pull: PullRequest,
    *,
    bundle: Bundle | None = None,
    built: Mapping[str, str] | None = None,
) -> None:
    """Checks that what is to be deployed is what was approved, and is still what the pull request holds.

    Args:
        approval: What was approved.
        pull: The pull request, as it is now.
        bundle: The bundle, to deploy one.
        built: The digests of the images, to push some, by name.

    Raises:
        ApprovalError: It is not.
        CombinedError: It is not, in several respects.
    """
    if approval.gate is Gate.CLOSED:
        raise ApprovalError(f"pull request {approval.number}: found no environment to deploy in: {approval.reason}")
    errors = Errors()
    again = "push again, or run the build again, and have that approved"

    def compare(what: str, found: object, wanted: object) -> None:
        if found != wanted:
            errors.add(ApprovalError(f"{what}: found {found}, expected {wanted}, which was approved: {again}"))

    if pull.number != approval.number or not pull.is_open:
        errors.add(
            ApprovalError(
                f"pull request {pull.number}: found it {pull.state}, expected {approval.number}, open: what is closed "
                "has no preview"
            )
        )
    compare("commit", pull.head.sha, approval.commit)
    if bundle is not None:
        compare("environment", bundle.environment.name, f"pr-{approval.number}")
        compare("bundle", bundle.hash, approval.bundle)
        refs = {name: image.ref for name, image in bundle.images.items() if name in approval.refs}
        compare("images", refs, approval.refs)
    for name in sorted({*built, *approval.images}) if built is not None else ():
        compare(f"images.{name}", (built or {}).get(name, "none"), approval.images.get(name, "none"))
    errors.raise_all()
