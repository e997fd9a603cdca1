"""An example of each rule, before and after: for the page in the documentation, and asserted by tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from constructs_lib.checks.engine import check
from constructs_lib.checks.load import load_text
from constructs_lib.checks.model import (
    ApiUrl,
    Context,
    Contract,
    CookieDomain,
    EngineSecret,
    EnvironmentVariables,
    Finding,
)

_FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """Manifests that a rule finds something in, and the same ones mended.

    Attributes:
        before: YAML, with one finding or more of the rule.
        context: What is known beside it.
        after: YAML, without.
        context_after: What is known beside that.
    """

    before: str
    context: Context
    after: str
    context_after: Context

    def findings(self, *, mended: bool) -> tuple[Finding, ...]:
        """Checks one of the two."""
        text, context = (self.after, self.context_after) if mended else (self.before, self.context)
        return check(load_text(text, "example.yaml"), context).findings


def example(rule: str) -> Example:
    """Gives the example of a rule."""
    data = yaml.safe_load((_FOLDER / f"{rule}.yaml").read_text())
    context = data.get("context", {})
    mended = data.get("context_after", context)
    return Example(data["before"], context_of(context), data["after"], context_of(mended))


def context_of(data: Mapping[str, Any]) -> Context:
    """Makes a context of plain data, as examples and test cases write it."""
    contract = data.get("contract", {})
    api_url = contract.get("api_url")
    return Context(
        environment=data.get("environment"),
        namespace=data.get("namespace", ""),
        base=tuple(data.get("base", ())),
        secrets=tuple(
            EngineSecret(one["namespace"], one["name"], frozenset(one["keys"]), one.get("type", "Opaque"))
            for one in data.get("secrets", ())
        ),
        contract=Contract(
            environment_variables=tuple(
                EnvironmentVariables(one["config_map"], tuple(one["required"]))
                for one in contract.get("environment_variables", ())
            ),
            api_url=ApiUrl(**api_url) if api_url else None,
            cookie_domains=tuple(
                CookieDomain(one["domain"], tuple(one["hosts"])) for one in contract.get("cookie_domains", ())
            ),
            production_cookie_domain=contract.get("production_cookie_domain"),
            private_registries=tuple(contract.get("private_registries", ())),
            previews=contract.get("previews", 1),
        ),
    )
