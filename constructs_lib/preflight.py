"""The preflight rules in every synthesis: one with errors fails, with all of them, by construct path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsii
from constructs import IValidation

from constructs_lib._k8s import ApiObject, Chart
from constructs_lib.checks import Context, Finding, Report, check


class PreflightError(ValueError):
    """Manifests have errors that would cost somebody a day.

    Attributes:
        report: All that was found.
    """

    def __init__(self, report: Report, lines: Sequence[str]) -> None:
        self.report = report
        super().__init__("\n".join([f"{len(lines)} of the preflight rules' findings are errors:", *lines]))


def add_preflight(chart: Chart, context: Context | None = None) -> None:
    """Lets ``App.synth``, and so ``cdk8s synth``, fail with every error that the rules find in a chart.

    Args:
        chart: The chart.
        context: What is known beside it: the kind of environment and what exists there. Without it, the rules that
            need it say nothing.
    """
    chart.node.add_validation(_Validation(chart, context or Context()))


def require_preflight(chart: Chart, objects: Sequence[Mapping[str, Any]], context: Context) -> Report:
    """Runs the rules over a chart's objects, once they are rendered.

    Returns:
        What was found, where none of it is an error.

    Raises:
        PreflightError: Something is.
    """
    report = check(objects, context)
    if report.errors:
        raise PreflightError(report, by_construct(chart, report))
    return report


def by_construct(chart: Chart, report: Report) -> list[str]:
    """Gives a line for each error, beginning with the path of the construct that its object comes from."""
    paths = {}
    for node in chart.node.find_all():
        if isinstance(node, ApiObject):
            manifest = node.to_json()
            metadata = manifest["metadata"]
            paths[manifest["kind"], metadata.get("namespace", ""), metadata["name"]] = node.node.path
    return [
        f"[{paths.get((finding.kind, finding.namespace, finding.name), chart.node.path)}] {_line(finding)}"
        for finding in report.errors
    ]


def _line(finding: Finding) -> str:
    where = f"{finding.kind} {finding.namespace + '/' if finding.namespace else ''}{finding.name}"
    return f"{finding.rule}: {where} {finding.path}: {finding.message}; {finding.hint}"


@jsii.implements(IValidation)
class _Validation:
    def __init__(self, chart: Chart, context: Context) -> None:
        self._chart = chart
        self._context = context

    def validate(self) -> list[str]:
        objects = [node.to_json() for node in self._chart.node.find_all() if isinstance(node, ApiObject)]
        return by_construct(self._chart, check(objects, self._context))
