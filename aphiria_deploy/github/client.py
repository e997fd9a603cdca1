"""GitHub, as this project uses it: one method for each thing that is asked or done.

A list is read to its end or not at all. Errors are those of ``aphiria_deploy.github.errors``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from aphiria_deploy.errors import InputError
from aphiria_deploy.github.errors import GitHubAccessError, GitHubInvalidError, GitHubNotFoundError
from aphiria_deploy.github.models import (
    Artifact,
    Artifacts,
    BranchRule,
    Comment,
    Commit,
    Deployment,
    DeploymentStatus,
    Environment,
    Issue,
    Label,
    Numbered,
    Permission,
    PublicKey,
    PullRequest,
    User,
    WorkflowRun,
)
from aphiria_deploy.github.transport import Transport, path_of
from aphiria_deploy.masked import SecretValue

API: Final = "https://api.github.com"
ARTIFACT_BYTES: Final = 64 * 1024 * 1024
DESCRIPTION: Final = 140
"""The most characters that the description of a deployment's status may have."""
ACTIONS_BOT: Final = "github-actions[bot]"
"""Whose comments those of a workflow's own token are."""


class GitHub:
    """A repository on GitHub, for as long as a block lasts.

    Args:
        repository: ``owner/name``.
        token: The token.
        api: The address of the API.
        transport: What sends the requests; GitHub's API, if not given.

    Raises:
        InputError: The repository is not one, or the address would send the token in the clear.
    """

    def __init__(
        self, repository: str, token: SecretValue, *, api: str = API, transport: Transport | None = None
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}", repository):
            raise InputError(f"GITHUB_REPOSITORY: found {repository!r}, expected owner/name")
        self.repository = repository
        self._base = f"/repos/{repository}"
        self._transport = transport or Transport(api, token)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The repository that the variables of a workflow's job name.

        Raises:
            InputError: One is missing or not usable.
        """
        missing = [name for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if not environ.get(name, "").strip()]
        if missing:
            raise InputError(
                f"environment variable {' and '.join(missing)}: found none, expected a value: in a workflow set "
                "GITHUB_TOKEN to ${{ github.token }}; elsewhere export both"
            )
        token = SecretValue(environ["GITHUB_TOKEN"].strip())
        return cls(environ["GITHUB_REPOSITORY"], token, api=environ.get("GITHUB_API_URL") or API)

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._transport.__exit__(kind, error, traceback)

    # Pull requests

    def open_pull_requests(self) -> list[PullRequest]:
        """All open pull requests, the oldest first: a new one then comes last, and pushes none to another page."""
        query = {"state": "open", "sort": "created", "direction": "asc"}
        return self._transport.pages(f"{self._base}/pulls", PullRequest, query)

    def pull_request(self, number: int) -> PullRequest:
        """One pull request."""
        return self._transport.get(f"{self._base}/pulls/{number}", PullRequest)

    def pull_requests_of(self, commit: str) -> list[PullRequest]:
        """The pull requests that a commit belongs to: the merged one, for a commit of the main branch."""
        return self._transport.pages(f"{self._base}/commits{path_of(commit)}/pulls", PullRequest)

    def commit(self, sha: str) -> Commit:
        """One commit, with its tree."""
        return self._transport.get(f"{self._base}/git/commits{path_of(sha)}", Commit)

    def permission_of(self, login: str) -> Permission:
        """What a user may do; nothing, where GitHub does not know them as a collaborator."""
        try:
            return self._transport.get(f"{self._base}/collaborators{path_of(login)}/permission", Permission)
        except GitHubNotFoundError:
            return Permission("none", "none")

    # Comments

    def comments(self, number: int) -> list[Comment]:
        """All comments of a pull request or issue, the oldest first."""
        return self._transport.pages(f"{self._base}/issues/{number}/comments", Comment)

    def create_comment(self, number: int, body: str) -> Comment:
        """Writes a comment."""
        return self._transport.written("POST", f"{self._base}/issues/{number}/comments", Comment, {"body": body})

    def edit_comment(self, comment: int, body: str) -> Comment:
        """Replaces the text of a comment."""
        return self._transport.written("PATCH", f"{self._base}/issues/comments/{comment}", Comment, {"body": body})

    def delete_comment(self, comment: int) -> bool:
        """Deletes a comment; says whether it was there."""
        return self._gone(f"{self._base}/issues/comments/{comment}")

    # Deployments

    def deployments(self, environment: str) -> list[Deployment]:
        """All deployments of an environment, the newest first."""
        return self._transport.pages(f"{self._base}/deployments", Deployment, {"environment": environment})

    def create_deployment(
        self, environment: str, commit: str, payload: Mapping[str, Any], *, transient: bool, description: str
    ) -> Deployment:
        """Creates a deployment. It merges nothing, and waits for no status of the commit."""
        body = {
            "ref": commit,
            "environment": environment,
            "payload": payload,
            "auto_merge": False,
            "required_contexts": [],
            "transient_environment": transient,
            "production_environment": not transient,
            "description": _short(description),
        }
        return self._transport.written("POST", f"{self._base}/deployments", Deployment, body)

    def statuses(self, deployment: int) -> list[DeploymentStatus]:
        """All statuses of a deployment, the newest first."""
        return self._transport.pages(f"{self._base}/deployments/{deployment}/statuses", DeploymentStatus)

    def set_status(
        self, deployment: int, state: str, *, description: str = "", url: str = "", log_url: str = ""
    ) -> DeploymentStatus:
        """Sets a deployment's state. What becomes of the environment's others is the caller's decision."""
        body: dict[str, Any] = {"state": state, "description": _short(description), "auto_inactive": False}
        body |= {name: value for name, value in (("environment_url", url), ("log_url", log_url)) if value}
        return self._transport.written(
            "POST", f"{self._base}/deployments/{deployment}/statuses", DeploymentStatus, body
        )

    def delete_deployment(self, deployment: int) -> bool:
        """Deletes a deployment, which has to be inactive; says whether it was there."""
        return self._gone(f"{self._base}/deployments/{deployment}")

    # Environments

    def environments(self) -> list[Environment]:
        """All environments of the repository."""
        return self._transport.pages(f"{self._base}/environments", Environment, key="environments")

    def environment(self, name: str) -> Environment | None:
        """One environment, if there is one of that name."""
        try:
            return self._transport.get(f"{self._base}/environments{path_of(name)}", Environment)
        except GitHubNotFoundError:
            return None

    def put_environment(
        self, name: str, *, reviewers: Sequence[Mapping[str, Any]], custom_branches: bool, prevent_self_review: bool
    ) -> None:
        """Makes an environment what is said here, creating it where it is not there."""
        body = {
            "reviewers": list(reviewers),
            "prevent_self_review": prevent_self_review,
            "deployment_branch_policy": {
                "protected_branches": not custom_branches,
                "custom_branch_policies": custom_branches,
            },
        }
        self._transport.write("PUT", f"{self._base}/environments{path_of(name)}", body)

    def delete_environment(self, name: str) -> bool:
        """Deletes an environment; says whether it was there. It takes a token that may administer the repository."""
        return self._gone(f"{self._base}/environments{path_of(name)}")

    def branch_rules(self, environment: str) -> list[BranchRule]:
        """The branches that may deploy to an environment."""
        path = f"{self._base}/environments{path_of(environment)}/deployment-branch-policies"
        return self._transport.pages(path, BranchRule, key="branch_policies")

    def add_branch_rule(self, environment: str, branch: str) -> None:
        """Lets a branch deploy to an environment."""
        path = f"{self._base}/environments{path_of(environment)}/deployment-branch-policies"
        self._transport.write("POST", path, {"name": branch, "type": "branch"}, repeatable=True)

    def secret_names(self, environment: str) -> list[str]:
        """The names of an environment's secrets; their values nobody can read."""
        path = f"{self._base}/environments{path_of(environment)}/secrets"
        return [one.name for one in self._transport.pages(path, BranchRule, key="secrets")]

    def secrets_key(self, environment: str) -> PublicKey:
        """The key that the secrets of an environment are encrypted for."""
        return self._transport.get(f"{self._base}/environments{path_of(environment)}/secrets/public-key", PublicKey)

    def put_secret(self, environment: str, name: str, *, key_id: str, encrypted: str) -> None:
        """Sets a secret of an environment to a value that is encrypted for its key."""
        path = f"{self._base}/environments{path_of(environment)}/secrets{path_of(name)}"
        self._transport.write("PUT", path, {"encrypted_value": encrypted, "key_id": key_id})

    # Labels and issues

    def labels(self) -> list[Label]:
        """All labels of the repository."""
        return self._transport.pages(f"{self._base}/labels", Label)

    def create_label(self, name: str, *, color: str, description: str) -> bool:
        """Creates a label; says whether it was not there."""
        try:
            body = {"name": name, "color": color, "description": description}
            # A second one of that name is refused, so asking twice does no harm.
            self._transport.write("POST", f"{self._base}/labels", body, repeatable=True)
        except GitHubInvalidError as error:
            if "already_exists" in error.codes:
                return False
            raise
        return True

    def open_issues(self, label: str) -> list[Issue]:
        """All open issues with a label; pull requests, which GitHub's API also counts as issues, are none."""
        query = {"state": "open", "labels": label, "sort": "created", "direction": "asc"}
        found = self._transport.pages(f"{self._base}/issues", Issue, query)
        return [issue for issue in found if issue.pull_request is None]

    def create_issue(self, title: str, body: str, labels: Sequence[str]) -> Issue:
        """Opens an issue."""
        given = {"title": title, "body": body, "labels": list(labels)}
        return self._transport.written("POST", f"{self._base}/issues", Issue, given)

    def edit_issue(self, number: int, *, body: str | None = None, closed: bool = False) -> Issue:
        """Replaces the text of an issue, or closes it as completed."""
        given: dict[str, Any] = {} if body is None else {"body": body}
        given |= {"state": "closed", "state_reason": "completed"} if closed else {}
        return self._transport.written("PATCH", f"{self._base}/issues/{number}", Issue, given)

    # Runs of workflows

    def workflow_run(self, run: int) -> WorkflowRun:
        """One run."""
        return self._transport.get(f"{self._base}/actions/runs/{run}", WorkflowRun)

    def artifacts(self, run: int) -> list[Artifact]:
        """What a run left."""
        return self._transport.pages(f"{self._base}/actions/runs/{run}/artifacts", Artifact, key="artifacts")

    def newest_artifacts(self, name: str) -> list[Artifact]:
        """The newest artifacts of a name, whichever runs left them: one page of them, the newest first."""
        query = {"name": name, "per_page": "100"}
        found = self._transport.get(f"{self._base}/actions/artifacts", Artifacts, query).artifacts
        return sorted(found, key=lambda one: one.id, reverse=True)

    def artifact(self, artifact: int) -> bytes:
        """The ZIP file of an artifact, of at most ``ARTIFACT_BYTES``."""
        return self._transport.content(f"{self._base}/actions/artifacts/{artifact}/zip", ARTIFACT_BYTES)

    # Accounts

    def user_id(self, login: str) -> int:
        """The number of a user."""
        return self._transport.get(f"/users{path_of(login)}", Numbered).id

    def team_id(self, organization: str, slug: str) -> int:
        """The number of an organization's team."""
        return self._transport.get(f"/orgs{path_of(organization)}/teams{path_of(slug)}", Numbered).id

    def login(self) -> str:
        """The account that the token acts for; a workflow's own token cannot be asked, and is GitHub Actions'."""
        try:
            return self._transport.get("/user", User).login
        except GitHubAccessError as error:
            if error.status != 403:
                raise
            return ACTIONS_BOT

    def _gone(self, path: str) -> bool:
        try:
            self._transport.write("DELETE", path)
        except GitHubNotFoundError:
            return False
        return True


def _short(text: str) -> str:
    return text if len(text) <= DESCRIPTION else f"{text[: DESCRIPTION - 1].rstrip()}…"
