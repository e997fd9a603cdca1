"""``aphiria-deploy check``: runs the preflight rules over files and environments."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aphiria_deploy.cli.synth import parse_images
from aphiria_deploy.errors import InputError
from aphiria_deploy.preflight import check_bundle
from aphiria_deploy.sarif import sarif
from aphiria_deploy.site import load_site
from constructs_lib import checks
from constructs_lib.checks import load


class Format(StrEnum):
    """How findings are reported."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def check(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH... or ENV...",
            help="YAML files or folders of them, also of other projects; or environments of the site.",
        ),
    ],
    images: Annotated[str, typer.Option(metavar="NAME=REF,...", help="The images of environments.")] = "",
    output: Annotated[Format, typer.Option(help="How to report: sarif is what GitHub shows in a diff.")] = Format.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Run the preflight rules over Kubernetes manifests: exit code 1 if there is an error among the findings."""
    paths = [Path(target) for target in targets if Path(target).exists()]
    environments = [target for target in targets if not Path(target).exists()]
    reports = [check_files(paths)] if paths else []
    reports += check_environments(environments, parse_images(images)) if environments else []
    report = checks.Report(
        tuple(finding for one in reports for finding in one.findings),
        tuple(silenced for one in reports for silenced in one.silenced),
    )
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
