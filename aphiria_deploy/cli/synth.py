"""``aphiria-deploy synth``: writes the manifests of environments, and a bundle."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from aphiria_deploy.bundle import Bundle, encode
from aphiria_deploy.errors import InputError
from aphiria_deploy.files import synthesize
from aphiria_deploy.site import load_site


class Format(StrEnum):
    """How a command reports."""

    TEXT = "text"
    JSON = "json"


def synth(
    environments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENV]...", help="local, preview-base, production or pr-N; by default all of the site's."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder that dist/<env>/*.k8s.yaml stands for.")] = Path("dist"),
    bundle: Annotated[Path | None, typer.Option(help="Also write the one environment's bundle to this file.")] = None,
    images: Annotated[str, typer.Option(metavar="NAME=REF,...", help="The images to run: web=REF,api=REF.")] = "",
    output: Annotated[Format, typer.Option(help="How to report.")] = Format.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Write the manifests of environments to <out>/<env>/*.k8s.yaml, without a cluster and without secrets."""
    names = list(dict.fromkeys(environments or ()))
    if bundle and len(names) != 1:
        raise InputError(
            f"--bundle: found {len(names)} environments, expected one, such as: synth pr-107 --bundle FILE"
        )
    if bundle and (bundle.is_dir() or not bundle.parent.is_dir()):
        raise InputError(f"--bundle: found {str(bundle)!r}, expected a file in a folder that exists")
    site = load_site(Path.cwd())
    try:
        bundles = synthesize(site, names, parse_images(images), out)
        if bundle:
            _replace(bundle, encode(bundles[0]))
    except ValueError as error:
        raise InputError(str(error)) from error
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}; expected a place that can be written to") from error
    report = _json if output is Format.JSON else _text
    typer.echo(report(bundles, out))
    for made in bundles:
        if made.sample_images:
            typer.echo(
                f"{made.environment.name}: samples stand for {', '.join(made.sample_images)}: nobody said which images "
                "to run (--images); these manifests can be read, not deployed",
                err=True,
            )


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


def _replace(path: Path, content: bytes) -> None:
    # Beside it first, so that nobody ever reads half of it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _text(bundles: list[Bundle], out: Path) -> str:
    return "\n".join(
        f"{out / bundle.environment.name}: {len(bundle.manifests)} objects in {len(bundle.files)} files, {bundle.hash}"
        for bundle in bundles
    )


def _json(bundles: list[Bundle], out: Path) -> str:
    report = [
        {
            "environment": bundle.environment.name,
            "hash": bundle.hash,
            "objects": len(bundle.manifests),
            "files": [str(out / bundle.environment.name / f"{file.name}.k8s.yaml") for file in bundle.files],
            "sampleImages": bundle.sample_images,
        }
        for bundle in bundles
    ]
    return msgspec.json.encode({"environments": report}).decode()
