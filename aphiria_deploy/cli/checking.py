"""What ``aphiria-deploy check`` does: rules over files and environments, and the report."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aphiria_deploy.cli.options import CheckFormat
from aphiria_deploy.errors import InputError
from aphiria_deploy.preflight import check_bundle
from aphiria_deploy.sarif import sarif
from aphiria_deploy.site import definition, load_site
from constructs_lib import checks
from constructs_lib.checks import load
from constructs_lib.checks.reader import InputError as UnreadableError


def check_targets(targets: list[str], images: dict[str, str]) -> checks.Report:
    """Runs every rule over files, folders and environments; what is there as a file is taken for one.

    Raises:
        InputError: One is neither, or cannot be read.
    """
    paths = [Path(target) for target in targets if _is_there(target)]
    environments = [target for target in targets if not _is_there(target)]
    reports = [check_files(paths)] if paths else []
    reports += check_environments(environments, images) if environments else []
    return checks.Report(
        tuple(finding for one in reports for finding in one.findings),
        tuple(silenced for one in reports for silenced in one.silenced),
    )


def _is_there(target: str) -> bool:
    try:
        return Path(target).exists()
    except OSError as error:
        # A name that is too long for one, or a folder that may not be looked into.
        raise InputError(f"{target}: {error.strerror}; expected a file, a folder or an environment") from error


def check_files(paths: list[Path]) -> checks.Report:
    """Runs every rule over the manifests in files, of which nothing else is known.

    Raises:
        InputError: A file cannot be read, or is not YAML with Kubernetes objects.
    """
    try:
        return load.with_lines(checks.check(load.load(paths)))
    except UnreadableError as error:
        raise InputError(str(error)) from error


def check_environments(names: list[str], images: dict[str, str]) -> list[checks.Report]:
    """Runs every rule over environments of the site that the folder belongs to.

    Raises:
        InputError: There is no such environment, and no such file either.
    """
    site = load_site(Path.cwd())
    reports = []
    for name in names:
        try:
            reports.append(check_bundle(site.bundle(name, images)))
        except ValueError as error:
            report = getattr(error, "report", None)
            if not isinstance(report, checks.Report):
                raise InputError(f"{name}: there is no such file or folder, and {error}") from error
            reports.append(report)
    return reports


def render(report: checks.Report, output: CheckFormat) -> str:
    """Writes a report in a format."""
    match output:
        case CheckFormat.JSON:
            findings = [asdict(finding) for finding in report.findings]
            silenced = [{**asdict(one.finding), "reason": one.reason} for one in report.silenced]
            return json.dumps({"findings": findings, "silenced": silenced}, indent=2)
        case CheckFormat.SARIF:
            return json.dumps(as_sarif(report), indent=2)
        case CheckFormat.TEXT:
            return _text(report)


def as_sarif(report: checks.Report) -> dict[str, Any]:
    """Gives a report as a SARIF log, for the checkout that the folder is in.

    Raises:
        InputError: A finding is in no file, and the folder is no site's.
    """
    found = [*report.findings, *(one.finding for one in report.silenced)]
    folder = Path.cwd()
    return sarif(report, checks.all_rules(), folder, definition(folder) if any(not one.file for one in found) else None)


def _text(report: checks.Report) -> str:
    lines = [_line(finding) for finding in report.findings]
    lines += [f"silenced {one.finding.rule} {_place(one.finding)}: {one.reason}" for one in report.silenced]
    errors = len(report.errors)
    warnings = len(report.findings) - errors
    silenced = f", {len(report.silenced)} silenced" if report.silenced else ""
    lines.append(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}{silenced}")
    return "\n".join(lines)


def _line(finding: checks.Finding) -> str:
    message = finding.message.replace("\n", "\n    ")
    return f"{finding.severity.value} {finding.rule} {_place(finding)}\n    {message}\n    {finding.hint}\n"


def _place(finding: checks.Finding) -> str:
    where = f"{finding.namespace}/" if finding.namespace else ""
    file = f"{finding.file}:{finding.line}: " if finding.file else ""
    return f"{file}{finding.kind} {where}{finding.name}{f' {finding.path}' if finding.path else ''}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
