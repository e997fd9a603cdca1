"""``aphiria-deploy check``: runs the preflight rules over files."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aphiria_deploy.errors import InputError
from aphiria_deploy.sarif import sarif
from constructs_lib import checks
from constructs_lib.checks import load


class Format(StrEnum):
    """How findings are reported."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def check(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="YAML files, or folders of them; also YAML of other projects."),
    ],
    output: Annotated[Format, typer.Option(help="How to report: sarif is what GitHub shows in a diff.")] = Format.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Run the preflight rules over Kubernetes manifests: exit code 1 if there is an error among the findings."""
    report = check_files(paths)
    typer.echo(render(report, output))
    if report.errors:
        raise typer.Exit(1)


def check_files(paths: list[Path]) -> checks.Report:
    """Runs every rule over the manifests in files, of which nothing else is known.

    Raises:
        InputError: A file cannot be read, or is not YAML with Kubernetes objects.
    """
    try:
        return load.with_lines(checks.check(load.load(paths)))
    except load.InputError as error:
        raise InputError(str(error)) from error


def render(report: checks.Report, output: Format) -> str:
    """Writes a report in a format."""
    match output:
        case Format.JSON:
            findings = [asdict(finding) for finding in report.findings]
            silenced = [{**asdict(one.finding), "reason": one.reason} for one in report.silenced]
            return json.dumps({"findings": findings, "silenced": silenced}, indent=2)
        case Format.SARIF:
            return json.dumps(sarif(report, checks.all_rules(), Path.cwd()), indent=2)
        case Format.TEXT:
            return _text(report)


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
