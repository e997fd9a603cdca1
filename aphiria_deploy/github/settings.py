"""``github setup``: what a repository needs for its previews, what of it is there, and what a person must do."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aphiria_deploy.errors import InputError
from aphiria_deploy.github.approval import Gate
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.deployments import PRODUCTION
from aphiria_deploy.github.drifting import LABEL
from aphiria_deploy.github.models import Environment, Reviewer
from aphiria_deploy.github.selection import KEEP
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.preview_outputs import RENEW, VARIABLES

SECRETS: Final = ("DIGITALOCEAN_TOKEN", "PULUMI_ACCESS_TOKEN")
"""What the jobs that work on production are given, each from this command's environment variable of that name."""
LABELS: Final[Mapping[str, tuple[str, str]]] = {
    KEEP: ("0e8a16", "Keep the preview of this pull request, however old it gets"),
    LABEL: ("d93f0b", "What is in a cluster departed from its last release"),
}

_ENVIRONMENTS: Final = (Gate.OPEN.value, Gate.REVIEWED.value, PRODUCTION)
# The one with reviewers has none: what waits there pushes images, and no more.
_WITH_SECRETS: Final[Mapping[str, tuple[str, ...]]] = {Gate.OPEN.value: VARIABLES, PRODUCTION: SECRETS}
_NOTHING: Final[Mapping[str, SecretValue]] = {}


@dataclass(frozen=True)
class Wanted:
    """An environment as it has to be.

    Attributes:
        name: Its name.
        reviewers: Who has to approve, as GitHub's API takes them.
        branch: The one branch that may deploy to it.
        exists: Whether it is there.
        lacks: What of it is missing; empty where it is as it has to be.
        add_branch: Whether the branch's rule has to be added.
        others: Other branches that may deploy to it.
    """

    name: str
    reviewers: tuple[Mapping[str, Any], ...]
    branch: str
    exists: bool
    lacks: tuple[str, ...]
    add_branch: bool
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is missing.

    Attributes:
        environments: All of them, with what each lacks.
        labels: The labels to create.
        secrets: The secrets to set, by environment and name.
        by_hand: What a person must do.
        values: Their values, by name; those of previews are made when they are set.
    """

    environments: tuple[Wanted, ...]
    labels: tuple[str, ...]
    secrets: tuple[tuple[str, str], ...]
    by_hand: tuple[str, ...]
    values: Mapping[str, SecretValue] = field(default_factory=dict, repr=False)

    @property
    def issues(self) -> bool:
        """Whether what previews are deployed with is to be made."""
        return any(name in VARIABLES for _, name in self.secrets)

    @property
    def steps(self) -> list[str]:
        """What ``--yes`` does, line by line."""
        lines = [f"environment {one.name}: {', '.join(one.lacks)}" for one in self.environments if one.lacks]
        lines += [f"label {name}: create it" for name in self.labels]
        return [*lines, *(f"secret {name} of {environment}: set it" for environment, name in self.secrets)]


def plan(
    github: GitHub,
    reviewers: Sequence[str],
    branch: str,
    environ: Mapping[str, str] = os.environ,
    *,
    issues: bool = False,
) -> Plan:
    """Compares a repository with what it needs. It changes nothing.

    Args:
        github: GitHub.
        reviewers: Who may approve: ``user`` or ``@team``.
        branch: The main branch.
        environ: This command's environment variables, of which the secret's value is taken where it is there.
        issues: Whether what previews are deployed with is to be made, also where it is there.

    Raises:
        AphiriaDeployError: One of GitHub's; or a reviewer is none.
    """
    chosen = [_reviewer(github, name) for name in reviewers]
    environments = tuple(_wanted(github, name, chosen, branch) for name in _ENVIRONMENTS)
    known = {label.name.casefold() for label in github.labels()}
    values = {name: SecretValue(environ[name].strip()) for name in SECRETS if environ.get(name, "").strip()}
    there = {
        one.name: github.secret_names(one.name) for one in environments if one.exists and one.name in _WITH_SECRETS
    }
    previews = tuple((Gate.OPEN.value, name) for name in VARIABLES if issues)
    secrets = (*previews, *((PRODUCTION, name) for name in values if name not in there.get(PRODUCTION, ())))
    reviewed = next(one for one in environments if one.name == Gate.REVIEWED.value)
    return Plan(
        environments,
        tuple(name for name in LABELS if name.casefold() not in known),
        secrets,
        (
            *_by_hand(github.repository, branch, has_reviewers=bool(reviewed.reviewers)),
            *_previews_by_hand(there.get(Gate.OPEN.value, ()), issues=issues),
            *_odd_branches(environments),
        ),
        values,
    )


def apply(github: GitHub, planned: Plan, previews: Mapping[str, SecretValue] = _NOTHING) -> list[str]:
    """Makes what is missing; the same again does nothing.

    Args:
        github: GitHub.
        planned: What is missing.
        previews: What previews are deployed with, where the plan sets it.

    Returns:
        What was done.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    for one in planned.environments:
        if one.lacks:
            github.put_environment(
                one.name,
                reviewers=one.reviewers,
                custom_branches=True,
                prevent_self_review=one.name == Gate.REVIEWED.value,
            )
            if one.add_branch:
                github.add_branch_rule(one.name, one.branch)
    for name in planned.labels:
        color, description = LABELS[name]
        github.create_label(name, color=color, description=description)
    for environment, name in planned.secrets:
        key = github.secrets_key(environment)
        encrypted = sealed({**planned.values, **previews}[name], key.key)
        github.put_secret(environment, name, key_id=key.key_id, encrypted=encrypted)
    return planned.steps


def sealed(value: SecretValue, public_key: str) -> str:
    """Encrypts a value for a key of GitHub's, as its API takes it.

    https://docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api
    """
    from nacl.public import PublicKey, SealedBox  # noqa: PLC0415 - only setting up needs it

    box = SealedBox(PublicKey(base64.b64decode(public_key)))
    return base64.b64encode(box.encrypt(value.reveal().encode())).decode()


def as_text(planned: Plan, done: Sequence[str]) -> str:
    """Writes the plan for people."""
    steps = planned.steps
    head = "done:" if done else "to do, with --yes:" if steps else "nothing is missing of what this command can make"
    lines = [head, *(f"  {step}" for step in steps), "", "by hand, or already done so:"]
    return "\n".join([*lines, *(f"  {number}. {text}" for number, text in enumerate(planned.by_hand, 1))])


def as_json(planned: Plan, done: Sequence[str]) -> str:
    """Writes the plan for programs."""
    return json.dumps({"missing": planned.steps, "done": list(done), "byHand": list(planned.by_hand)}, indent=2)


def _wanted(github: GitHub, name: str, chosen: Sequence[Mapping[str, Any]], branch: str) -> Wanted:
    found = github.environment(name)
    lacks: list[str] = [] if found else ["create it"]
    # Who approves already goes on to: nobody is taken away here, but from the one that has to be without.
    kept = [given for one in found.reviewers if (given := _given(one))] if found else []
    reviewers: list[Mapping[str, Any]] = []
    if name == Gate.OPEN.value:
        lacks += ["remove its reviewers"] if kept else []
    else:
        added = [one for one in chosen if one not in kept] if name == Gate.REVIEWED.value else []
        reviewers = [*kept, *added]
        lacks += ["add its reviewers"] if added else []
    if name == Gate.REVIEWED.value and found and not _prevents_self_review(found):
        lacks.append("let nobody approve their own run")
    rules = [rule.name for rule in github.branch_rules(name)] if found and _has_rules(found) else []
    add_branch = branch not in rules
    if add_branch or not (found and _has_rules(found)):
        lacks.append(f"let {branch} alone deploy to it")
    others = tuple(rule for rule in rules if rule != branch)
    return Wanted(name, tuple(reviewers), branch, found is not None, tuple(lacks), add_branch, others)


def _previews_by_hand(there: Collection[str], *, issues: bool) -> list[str]:
    missing = [name for name in VARIABLES if name not in there]
    left = [name for name in SECRETS if name in there]
    place = Gate.OPEN.value
    lines = []
    if missing and not issues:
        lines.append(
            f"{place}: found no {', '.join(missing)}: where an administrator reaches the previews' cluster, run "
            f"`{RENEW}`"
        )
    if left:
        # Not here: who set them may have meant them for something else.
        lines.append(
            f"{place}: {', '.join(left)}: no job reads it there, and it leads to an administrator: "
            + "; ".join(f"gh secret delete {name} --env {place}" for name in left)
        )
    return lines


def _odd_branches(environments: Sequence[Wanted]) -> list[str]:
    return [
        f"{one.name}: {', '.join(one.others)} may deploy to it too: remove the rule, unless that is meant"
        for one in environments
        if one.others
    ]


def _has_rules(environment: Environment) -> bool:
    policy = environment.deployment_branch_policy
    return policy is not None and policy.custom_branch_policies


def _prevents_self_review(environment: Environment) -> bool:
    return any(rule.prevent_self_review for rule in environment.protection_rules if rule.type == "required_reviewers")


def _given(reviewer: Reviewer) -> dict[str, Any] | None:
    number = (reviewer.reviewer or {}).get("id")
    return {"type": reviewer.type, "id": number} if isinstance(number, int) else None


def _reviewer(github: GitHub, name: str) -> Mapping[str, Any]:
    if not name.strip("@"):
        raise InputError(f"--reviewer: found {name!r}, expected a user, or @team")
    if name.startswith("@"):
        owner = github.repository.partition("/")[0]
        return {"type": "Team", "id": github.team_id(owner, name[1:].rpartition("/")[2])}
    return {"type": "User", "id": github.user_id(name)}


def _by_hand(repository: str, branch: str, *, has_reviewers: bool) -> list[str]:
    settings = f"https://github.com/{repository}/settings"
    missing = (
        []
        if has_reviewers
        else [
            "name who approves previews of others: run this again with --reviewer NAME or --reviewer @TEAM; without "
            "reviewers their previews are refused"
        ]
    )
    return [
        *missing,
        f"{settings}/branches: protect {branch}, with a required review, so that nobody alone changes what deploys",
        f"{settings}/actions: approval for workflows of all external contributors; read-only token by default; no "
        "workflow may approve pull requests",
        f"Pulumi: register GitHub as an OIDC issuer for this repository's environment {PRODUCTION} alone, and set the "
        "repository's variable PULUMI_ORGANIZATION; without, export PULUMI_ACCESS_TOKEN and run this again",
        "DigitalOcean has no OIDC: export DIGITALOCEAN_TOKEN and run this again; what is exported becomes a secret of "
        f"the environment {PRODUCTION}",
        "ghcr.io: give this repository the role Write at the packages of its images, and the clusters' pull token Read",
        "docs/SECRETS.md says of every credential that remains who holds it, and how it is rotated",
    ]
