"""Options that commands share, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aphiria_deploy.errors import InputError


class Format(StrEnum):
    """How a command reports."""

    TEXT = "text"
    JSON = "json"


class CheckFormat(StrEnum):
    """How findings are reported."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


Images = Annotated[str, typer.Option(metavar="NAME=REF,...", help="The images of the site: web=REF,api=REF.")]
WebImage = Annotated[str, typer.Option(metavar="REF", help="The image of the front end.")]
ApiImage = Annotated[str, typer.Option(metavar="REF", help="The image of the API.")]
Output = Annotated[Format, typer.Option(help="How to report.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]
Kubeconfig = Annotated[Path | None, typer.Option(metavar="FILE", help="The cluster's kubeconfig.")]
Context = Annotated[str, typer.Option(metavar="NAME", help="The context in the kubeconfig.")]
Outputs = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The stack's outputs: pulumi stack output --json --show-secrets."),
]
BundleFile = Annotated[
    Path | None, typer.Option("--bundle", metavar="FILE", help="Deploy this bundle, and synthesize nothing.")
]
Commit = Annotated[str, typer.Option(metavar="SHA", help="The commit that the images must be of; it is recorded.")]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Show what would be done, and stop.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Timeout = Annotated[str, typer.Option(metavar="DURATION", help="How long all of it may take: 90s, 10m, 1h30m.")]
WaitForLock = Annotated[str, typer.Option(metavar="DURATION", help="How long to wait for another run to end.")]
SkipHealthCheck = Annotated[bool, typer.Option("--skip-health-check", help="Do not ask the site's URLs.")]
TakeOver = Annotated[bool, typer.Option("--take-over", help="Take over objects and fields that others own.")]
SkipCluster = Annotated[bool, typer.Option("--skip-cluster", help="Leave the cluster's stack as it is.")]
SkipDns = Annotated[bool, typer.Option("--skip-dns", help="Leave the DNS records as they are.")]
SkipDnsWait = Annotated[bool, typer.Option("--skip-dns-wait", help="Do not wait until the names lead to the Gateway.")]
EnvironmentName = Annotated[str, typer.Argument(metavar="ENV", help="local, preview-base, production or pr-N.")]

_DURATION = re.compile(r"(?:(?P<h>[0-9]{1,4})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,8}(?:\.[0-9]{1,3})?)s)?")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_ENVIRONMENT = re.compile(rf"local|preview-base|production|pr-{_NUMBER.pattern}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def parse_images(text: str, web: str = "", api: str = "") -> dict[str, str]:
    """Reads ``web=REF,api=REF``, and the options that name these two.

    Raises:
        InputError: It is not of that form, or one name stands twice.
    """
    images: dict[str, str] = {}
    named = [f"web={web}"] if web else []
    named += [f"api={api}"] if api else []
    for item in [*filter(None, text.split(",")), *named]:
        name, equals, ref = item.partition("=")
        if not (name and equals and ref):
            raise InputError(f"--images: found {item!r}, expected NAME=REF, such as web=ghcr.io/example/web@sha256:…")
        if name in images:
            raise InputError(f"--images: found {name!r} twice, expected each image once")
        images[name] = ref
    return images


def parse_settings(items: Iterable[str]) -> dict[str, str]:
    """Reads ``KEY=VALUE`` of ``--set``.

    Raises:
        InputError: One is not of that form.
    """
    settings: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not (key.isidentifier() and equals):
            raise InputError(f"--set: found {item!r}, expected KEY=VALUE, such as upgradeKubernetes=true")
        settings[key] = value
    return settings


def parse_duration(text: str, option: str) -> float:
    """Reads ``90s``, ``10m`` or ``1h30m``, and gives seconds.

    Raises:
        InputError: It is not of that form.
    """
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise InputError(f"{option}: found {text!r}, expected a duration, such as 90s, 10m or 1h30m")
    parts = match.groupdict(default="0")
    return int(parts["h"]) * 3600 + int(parts["m"]) * 60 + float(parts["s"])


def parse_timeout(text: str) -> float:
    """Reads ``--timeout``, and gives seconds.

    Raises:
        InputError: It is no duration, or none in which anything could be done.
    """
    seconds = parse_duration(text, "--timeout")
    if not seconds:
        raise InputError(f"--timeout: found {text!r}, expected a duration in which it can be done, such as 10m")
    return seconds


def parse_environment(text: str) -> str:
    """Checks the name of an environment.

    Raises:
        InputError: It is none.
    """
    if not _ENVIRONMENT.fullmatch(text):
        raise InputError(f"{text!r}: found no environment, expected local, preview-base, production or pr-N")
    return text


def parse_number(text: str) -> int:
    """Reads the number of a pull request.

    Raises:
        InputError: It is none.
    """
    if not _NUMBER.fullmatch(text):
        raise InputError(f"{text!r}: found no number of a pull request, expected one from 1 to 999999999, such as 107")
    return int(text)


def parse_commit(text: str) -> str | None:
    """Checks a commit; nothing where none is given.

    Raises:
        InputError: It is not one.
    """
    if text and not _COMMIT.fullmatch(text):
        raise InputError(f"--commit: found {text!r}, expected a commit with all of its 40 hex digits")
    return text or None
