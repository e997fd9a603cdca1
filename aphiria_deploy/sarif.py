"""Findings as SARIF 2.1.0, which GitHub shows in a pull request's diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from constructs_lib.checks import Finding, Report, Rule, Severity

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}


def sarif(
    report: Report, rules: Mapping[str, Rule], root: PurePath, definition: PurePath | None = None
) -> dict[str, Any]:
    """Gives a report as a SARIF log: one run, the rules that are known, a result for each finding.

    Silenced findings are in it as suppressed results, with their reasons.

    Args:
        report: The findings.
        rules: The rules that ran, by name.
        root: The folder that the files' addresses are relative to: the checkout's.
        definition: The file of what is in no file of its own, such as an environment's objects: GitHub refuses a whole
            log for one result that is nowhere.
    """
    names = list(rules)
    results = [_result(finding, names, root, definition) for finding in report.findings]
    results += [
        _result(one.finding, names, root, definition)
        | {"suppressions": [{"kind": "inSource", "justification": one.reason}]}
        for one in report.silenced
    ]
    driver = {
        "name": "aphiria-deploy",
        "rules": [_rule(rule) for rule in rules.values()],
        **_version(),
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _version() -> dict[str, str]:
    try:
        return {"semanticVersion": version("aphiria-deploy")}
    except PackageNotFoundError:
        return {}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": f"{rule.summary[0].upper()}{rule.summary[1:]}."},
        "fullDescription": {"text": rule.why},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, names: list[str], root: PurePath, definition: PurePath | None) -> dict[str, Any]:
    where = f"{finding.namespace}/" if finding.namespace else ""
    place = f"{finding.kind} {where}{finding.name}"
    text = f"{place}: {f'{finding.path}: ' if finding.path else ''}{finding.message}. {finding.hint}"
    location: dict[str, Any] = {
        "logicalLocations": [
            {"name": finding.name, "kind": "resource", "fullyQualifiedName": f"{place} {finding.path}".strip()}
        ]
    }
    if finding.file:
        location["physicalLocation"] = _physical(PurePath(finding.file), finding.line, root)
    elif definition:
        location["physicalLocation"] = _physical(definition, 1, root)
    return {
        "ruleId": finding.rule,
        "ruleIndex": names.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"object/v1": "/".join((finding.rule, *_identity(finding)))},
    }


def _identity(finding: Finding) -> Iterable[str]:
    return finding.kind, finding.namespace, finding.name, finding.path


def _physical(file: PurePath, line: int | None, root: PurePath) -> dict[str, Any]:
    if file.is_absolute() and file.is_relative_to(root):
        file = file.relative_to(root)
    uri = file.as_uri() if file.is_absolute() else quote(file.as_posix())
    region = {"region": {"startLine": line}} if line else {}
    return {"artifactLocation": {"uri": uri}, **region}
