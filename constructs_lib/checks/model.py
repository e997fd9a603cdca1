"""What goes into a check and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is: an error fails the check, a warning is said."""

    ERROR = "error"
    WARNING = "warning"


LOCAL = "local"
PREVIEW_BASE = "preview-base"
PREVIEW = "preview"
PRODUCTION = "production"
ENVIRONMENTS = (LOCAL, PREVIEW_BASE, PREVIEW, PRODUCTION)
"""The kinds of environment: some rules judge them differently."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong with an object.

    Attributes:
        rule: The rule that found it.
        severity: How bad it is.
        kind: Of the object.
        namespace: Of the object; empty where it has none.
        name: Of the object.
        path: The field, for example ``spec.template.spec.containers[0].image``; empty for the object as a whole.
        message: What was found, with the actual values, and what was expected.
        hint: What to do.
        file: The YAML file that the object comes from, if it comes from one.
        line: The line in that file, counted from 1.
    """

    rule: str
    severity: Severity
    kind: str
    namespace: str
    name: str
    path: str
    message: str
    hint: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Silenced:
    """A finding that an annotation of its object silences, with the reason that it gives."""

    finding: Finding
    reason: str


@dataclass(frozen=True)
class Report:
    """What a check found: everything at once, in the order of the objects."""

    findings: tuple[Finding, ...] = ()
    silenced: tuple[Silenced, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that fail the check."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


@dataclass(frozen=True)
class EngineSecret:
    """A Secret that is not in the manifests because the deploy engine makes it.

    Attributes:
        namespace: Where it is.
        name: Its name.
        keys: The keys that it has.
        type: Its Kubernetes type.
    """

    namespace: str
    name: str
    keys: frozenset[str]
    type: str = "Opaque"


@dataclass(frozen=True)
class EnvironmentVariables:
    """A ConfigMap's promise to the site's code: keys that must be there."""

    config_map: str
    required: tuple[str, ...]


@dataclass(frozen=True)
class CookieDomain:
    """A cookie domain that the site is told to use, and the hosts that set cookies for it."""

    domain: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class ApiUrl:
    """Where the front end is told that the API is, and the route that answers there."""

    config_map: str
    key: str
    url: str
    route: str


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What the site's code relies on and the manifests must keep.

    Attributes:
        environment_variables: The keys that its ConfigMaps must have.
        api_url: What the front end is told of the API.
        cookie_domains: The cookie domains, with the hosts that set them.
        production_cookie_domain: A preview's cookie domain below it is a warning.
        private_registries: Registries whose images need a pull secret.
        previews: How many previews share what the base brings.
    """

    environment_variables: tuple[EnvironmentVariables, ...] = ()
    api_url: ApiUrl | None = None
    cookie_domains: tuple[CookieDomain, ...] = ()
    production_cookie_domain: str | None = None
    private_registries: tuple[str, ...] = ()
    previews: int = 1


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known beside the manifests. Without it (for foreign YAML) the rules that need it say nothing.

    Attributes:
        environment: The kind of environment, one of :data:`ENVIRONMENTS`; None where it is not known. Where it is
            known, everything that exists is in the manifests, the base or the Secrets: what a reference does not find
            there is missing.
        namespace: The namespace of its workloads, and of objects that name none.
        base: Declared objects that exist beside the set, as manifests that hold only what references need.
        secrets: The Secrets that the engine makes.
        contract: What the site's code relies on.
    """

    environment: str | None = None
    namespace: str = ""
    base: Sequence[Mapping[str, Any]] = ()
    secrets: tuple[EngineSecret, ...] = ()
    contract: Contract = Contract()

    def __post_init__(self) -> None:
        """Refuses an environment that is not one."""
        if self.environment is not None and self.environment not in ENVIRONMENTS:
            raise ValueError(f"environment: found {self.environment!r}, expected one of {', '.join(ENVIRONMENTS)}")

    @property
    def closed(self) -> bool:
        """True where everything that exists is known, so that what is not found is missing."""
        return self.environment is not None
