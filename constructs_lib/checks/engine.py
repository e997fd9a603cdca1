"""Runs the rules over a set of manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from constructs_lib.checks.manifests import Manifests, Object, Source
from constructs_lib.checks.model import Context, Finding, Report, Silenced
from constructs_lib.checks.registry import RULES, Found, Rule
from constructs_lib.checks.rules import load

SILENCE = "deploy.aphiria.com/silence."
"""The annotation that silences a rule for its object, followed by the rule's name; its value is the reason."""

_NEEDS_REASON = "silence-needs-reason"


def check(objects: Iterable[Mapping[str, Any] | Source], context: Context | None = None) -> Report:
    """Runs every rule over a set of objects.

    Args:
        objects: Manifests as plain data, or with the place that they come from.
        context: What is known beside them.

    Returns:
        Every finding, in the order of the objects; those that an annotation with a reason silences stand apart.
    """
    load()
    sources = [item if isinstance(item, Source) else Source(item) for item in objects]
    manifests = Manifests(sources, context or Context())
    order = {item: number for number, item in enumerate(manifests.objects)}
    found = [(order.get(one.item, len(order)), one, rule) for rule in RULES.values() for one in rule.judge(manifests)]
    found.sort(key=lambda entry: entry[0])
    findings: dict[Finding, None] = {}
    silenced: dict[Silenced, None] = {}
    for _, one, rule in found:
        finding = _finding(one, rule)
        reason = _reason(one.item, rule.name)
        if reason:
            silenced[Silenced(finding, reason)] = None
        else:
            findings[finding] = None
    return Report(tuple(findings), tuple(silenced))


def _finding(one: Found, rule: Rule) -> Finding:
    return Finding(
        rule=rule.name,
        severity=one.severity or rule.severity,
        kind=one.item.kind,
        namespace=one.item.namespace,
        name=one.item.name,
        path=one.path,
        message=one.message,
        hint=one.hint,
        file=one.item.file,
        line=one.item.line,
    )


def _reason(item: Object, rule: str) -> str:
    if rule == _NEEDS_REASON:
        return ""
    reason = item.annotations.get(f"{SILENCE}{rule}")
    return reason.strip() if isinstance(reason, str) else ""
