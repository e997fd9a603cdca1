"""The preflight rules: manifests in, findings out.

Plain Python over plain data: it knows no cluster, no construct and no network, and loads no jsii.

    >>> report = check(manifests, Context(environment="preview", namespace="preview-pr-107"))
    >>> for finding in report.findings: ...
"""

from constructs_lib.checks.engine import SILENCE, check
from constructs_lib.checks.manifests import Source
from constructs_lib.checks.model import (
    ENVIRONMENTS,
    ApiUrl,
    Context,
    Contract,
    CookieDomain,
    EngineSecret,
    EnvironmentVariables,
    Finding,
    Report,
    Severity,
    Silenced,
)
from constructs_lib.checks.registry import Rule
from constructs_lib.checks.rules import all_rules

__all__ = [
    "ENVIRONMENTS",
    "SILENCE",
    "ApiUrl",
    "Context",
    "Contract",
    "CookieDomain",
    "EngineSecret",
    "EnvironmentVariables",
    "Finding",
    "Report",
    "Rule",
    "Severity",
    "Silenced",
    "Source",
    "all_rules",
    "check",
]
