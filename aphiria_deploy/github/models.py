"""What is read of GitHub's answers: the fields that are used, by GitHub's own names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class _Read(msgspec.Struct, frozen=True):
    """A part of an answer; what else is in it is not read."""


class User(_Read, frozen=True):
    """An account.

    Attributes:
        login: Its name.
        type: ``User``, ``Bot``, ``Organization``, ….
    """

    login: str
    type: str = "User"


class RepositoryName(_Read, frozen=True):
    """A repository, as ``owner/name``."""

    full_name: str


class Head(_Read, frozen=True):
    """One end of a pull request.

    Attributes:
        sha: Its commit.
        ref: Its branch.
        repo: Its repository; none when a fork was deleted.
    """

    sha: str
    ref: str
    repo: RepositoryName | None = None


class Label(_Read, frozen=True):
    """A label."""

    name: str
    color: str = ""
    description: str | None = None


class PullRequest(_Read, frozen=True):
    """A pull request.

    Attributes:
        number: Its number.
        state: ``open`` or ``closed``.
        title: Its title.
        head: What is to be merged.
        base: What it is to be merged into.
        user: Its author; none when the account was deleted.
        labels: Its labels.
        created_at: When it was opened.
        updated_at: When anything about it last changed.
        merged_at: When it was merged.
        merge_commit_sha: The commit that merging made, or would make.
        html_url: Its page.
    """

    number: int
    state: str
    title: str
    head: Head
    base: Head
    created_at: datetime
    updated_at: datetime
    html_url: str
    user: User | None = None
    labels: list[Label] = []
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self.state == "open"

    def has_label(self, name: str) -> bool:
        """Whether it has a label; GitHub's labels are the same in any case."""
        return any(label.name.casefold() == name.casefold() for label in self.labels)


class Comment(_Read, frozen=True):
    """A comment of a pull request or issue."""

    id: int
    html_url: str
    created_at: datetime
    body: str = ""
    user: User | None = None


class Deployment(_Read, frozen=True):
    """A deployment, as GitHub keeps it: the payload is the caller's own."""

    id: int
    sha: str
    ref: str
    environment: str
    created_at: datetime
    payload: Any = None
    creator: User | None = None


class DeploymentStatus(_Read, frozen=True):
    """What became of a deployment, at a time."""

    id: int
    state: str
    created_at: datetime
    environment_url: str = ""
    log_url: str = ""
    description: str = ""


class Reviewer(_Read, frozen=True):
    """Who may approve: a user or a team."""

    type: str = ""
    reviewer: dict[str, Any] | None = None


class ProtectionRule(_Read, frozen=True):
    """A rule of an environment: ``required_reviewers``, ``branch_policy``, ``wait_timer``, …."""

    type: str
    reviewers: list[Reviewer] = []
    prevent_self_review: bool = False


class BranchPolicy(_Read, frozen=True):
    """Which branches may deploy."""

    protected_branches: bool
    custom_branch_policies: bool


class Environment(_Read, frozen=True):
    """A deployment environment of the repository."""

    name: str
    protection_rules: list[ProtectionRule] = []
    deployment_branch_policy: BranchPolicy | None = None

    @property
    def reviewers(self) -> list[Reviewer]:
        """Who must approve; empty where nobody has to."""
        return [one for rule in self.protection_rules if rule.type == "required_reviewers" for one in rule.reviewers]


class Permission(_Read, frozen=True):
    """What a user may do with the repository.

    Attributes:
        permission: ``admin``, ``write``, ``read`` or ``none``: maintainers count as ``write``.
        role_name: ``admin``, ``maintain``, ``write``, ``triage``, ``read`` or a role of the organization's own.
    """

    permission: str
    role_name: str = ""


class Issue(_Read, frozen=True):
    """An issue; for GitHub's API a pull request is one too."""

    number: int
    state: str
    title: str
    html_url: str
    body: str | None = None
    user: User | None = None
    pull_request: dict[str, Any] | None = None


class _Tree(_Read, frozen=True):
    sha: str


class Commit(_Read, frozen=True):
    """A commit.

    Attributes:
        sha: Its hash.
        tree: The hash of what it holds.
        parents: The commits before it.
    """

    sha: str
    tree: _Tree
    parents: list[_Tree] = []


class WorkflowRun(_Read, frozen=True):
    """A run of a workflow.

    Attributes:
        id: Its number.
        event: What started it.
        head_sha: The commit that it ran for.
        head_branch: Its branch.
        path: The workflow's file.
        conclusion: How it ended.
        head_repository: The repository of that commit; none when a fork was deleted.
        actor: Who started it: who pushed.
        triggering_actor: Who started this attempt.
    """

    id: int
    event: str
    head_sha: str
    html_url: str
    path: str = ""
    head_branch: str | None = None
    conclusion: str | None = None
    head_repository: RepositoryName | None = None
    actor: User | None = None
    triggering_actor: User | None = None


class LeavingRun(_Read, frozen=True):
    """The run that left an artifact, as the artifact names it.

    Attributes:
        id: Its number.
        head_branch: Its branch.
        repository_id: The repository.
        head_repository_id: The one that its commit is of: a fork's, for the run of a fork's pull request.
    """

    id: int | None = None
    head_branch: str | None = None
    repository_id: int | None = None
    head_repository_id: int | None = None


class Artifact(_Read, frozen=True):
    """A file that a workflow run left."""

    id: int
    name: str
    size_in_bytes: int
    expired: bool
    workflow_run: LeavingRun | None = None


class Artifacts(_Read, frozen=True):
    """A page of what runs left."""

    artifacts: list[Artifact]


class PublicKey(_Read, frozen=True):
    """The key that a secret is encrypted for, in base64."""

    key_id: str
    key: str


class BranchRule(_Read, frozen=True):
    """A branch that may deploy to an environment, as a pattern."""

    name: str


class Numbered(_Read, frozen=True):
    """An account or a team, by its number."""

    id: int
