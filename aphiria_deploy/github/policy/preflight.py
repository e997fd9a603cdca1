"""The preflight rules over a bundle that may silence them."""

from __future__ import annotations

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.github.policy.violation import Violation
from aphiria_deploy.preflight import check_bundle
from constructs_lib.checks import Finding, Report


def preflight_violations(bundle: Bundle, reference: Bundle) -> list[Violation]:
    """Gives the rules' errors; a finding counts as silenced only where the main branch silences it too."""
    allowed = {_key(one.finding) for one in check_bundle(reference).silenced}
    report = check_bundle(bundle)
    silenced = [
        Violation(_where(one.finding), f"the rule {one.finding.rule} silenced", "it silenced by the main branch alone")
        for one in report.silenced
        if _key(one.finding) not in allowed
    ]
    errors = [Violation(_where(one), one.message, f"no finding of {one.rule}: {one.hint}") for one in report.errors]
    return [*errors, *silenced]


def preflight_report(bundle: Bundle, reference: Bundle) -> Report:
    """Gives what the rules find; what the bundle silences and the main branch does not is a finding."""
    allowed = {_key(one.finding) for one in check_bundle(reference).silenced}
    report = check_bundle(bundle)
    silenced = tuple(one for one in report.silenced if _key(one.finding) in allowed)
    voided = tuple(one.finding for one in report.silenced if one not in silenced)
    return Report((*report.findings, *voided), silenced)


def _key(finding: Finding) -> tuple[str, ...]:
    return finding.rule, finding.kind, finding.namespace, finding.name


def _where(finding: Finding) -> str:
    place = f"{finding.namespace}/" if finding.namespace else ""
    return f"{finding.kind} {place}{finding.name}{f' {finding.path}' if finding.path else ''}"
