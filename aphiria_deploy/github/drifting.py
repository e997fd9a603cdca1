"""``github drift``: one issue for what departed from the last release, opened, kept up to date, and closed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.engine import DriftReport, Engine
from aphiria_deploy.github.job import Job
from aphiria_deploy.github.markdown import Document, block, escaped, link
from aphiria_deploy.github.models import Issue

LABEL: Final = "drift"
MARKER: Final = "<!-- aphiria-deploy:drift -->"


@dataclass(frozen=True)
class Drift:
    """What was found.

    Attributes:
        reports: What the engine said, by environment.
        errors: Why it said nothing, by environment: an error is no drift, and none is not known there.
    """

    reports: Mapping[str, DriftReport] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def drifted(self) -> bool:
        """Whether something departed from its release."""
        return any(report.drift for report in self.reports.values())


def look_for_drift(engine: Engine, environments: Sequence[str]) -> Drift:
    """Asks for the drift of environments; it changes nothing, and one that fails does not stop the others."""
    reports: dict[str, DriftReport] = {}
    errors: dict[str, str] = {}
    for environment in environments:
        try:
            reports[environment] = engine.drift(environment)
        except AphiriaDeployError as error:
            errors[environment] = str(error)
    return Drift(reports, errors)


def tell(github: GitHub, drift: Drift, job: Job) -> Issue | None:
    """Opens the issue where there is drift, and closes it where there is none; errors leave it as it is.

    Returns:
        The issue that is open now, or was closed.

    Raises:
        AphiriaDeployError: One of GitHub's.
    """
    author = github.login()
    ours = [
        issue
        for issue in github.open_issues(LABEL)
        if issue.user and issue.user.login.casefold() == author.casefold() and (issue.body or "").startswith(MARKER)
    ]
    text = render(drift, job)
    job.summarize(text)
    if drift.drifted:
        if not ours:
            return github.create_issue("The cluster departed from its last release", text, [LABEL])
        kept, *others = ours
        for other in others:
            github.edit_issue(other.number, closed=True)
        return kept if kept.body == text else github.edit_issue(kept.number, body=text)
    if drift.errors:
        return ours[0] if ours else None
    closed = [github.edit_issue(issue.number, body=text, closed=True) for issue in ours]
    return closed[0] if closed else None


def render(drift: Drift, job: Job) -> str:
    """Writes the issue."""
    head = []
    sections = []
    for environment, report in drift.reports.items():
        head.append(f"- {escaped(environment)}: {len(report.drift) or 'no'} objects departed")
        if report.drift:
            lines = [json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in report.drift]
            sections.append(block(environment, lines, "json", is_open=True))
    for environment, error in drift.errors.items():
        head.append(f"- {escaped(environment)}: not known")
        sections.append(block(f"{environment}: error", error.splitlines()))
    what = "Deploy again to set it back, or change the site to have it as it is now."
    document = Document(MARKER, (*head, "", what), tuple(sections), job.secrets)
    return document.render(link("the run has all of it", job.run_url) if job.run_url else "")
