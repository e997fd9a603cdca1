"""Options that commands share, and how they are read."""

from __future__ import annotations

from enum import StrEnum
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
Output = Annotated[Format, typer.Option(help="How to report.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]


def parse_images(text: str) -> dict[str, str]:
    """Reads ``web=REF,api=REF``.

    Raises:
        InputError: It is not of that form, or one name stands twice.
    """
    images: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        name, equals, ref = item.partition("=")
        if not (name and equals and ref):
            raise InputError(f"--images: found {item!r}, expected NAME=REF, such as web=ghcr.io/example/web@sha256:…")
        if name in images:
            raise InputError(f"--images: found {name!r} twice, expected each image once")
        images[name] = ref
    return images
