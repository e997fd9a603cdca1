"""What ``aphiria-deploy synth`` does: bundles and files, and the report."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from aphiria_deploy.bundle import Bundle, encode
from aphiria_deploy.cli.options import Format
from aphiria_deploy.errors import InputError
from aphiria_deploy.files import synthesize
from aphiria_deploy.site import load_site


def synthesize_environments(names: list[str], images: dict[str, str], out: Path, bundle: Path | None) -> list[Bundle]:
    """Writes the files of environments, and the bundle of the one where it is asked for.

    Raises:
        InputError: A name or an image is not one, or a place cannot be written to.
    """
    if bundle and len(names) != 1:
        raise InputError(
            f"--bundle: found {len(names)} environments, expected one, such as: synth pr-107 --bundle FILE"
        )
    if bundle and (bundle.is_dir() or not bundle.parent.is_dir()):
        raise InputError(f"--bundle: found {str(bundle)!r}, expected a file in a folder that exists")
    site = load_site(Path.cwd())
    try:
        bundles = synthesize(site, names, images, out)
        if bundle:
            _replace(bundle, encode(bundles[0]))
    except ValueError as error:
        raise InputError(str(error)) from error
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}; expected a place that can be written to") from error
    return bundles


def render(bundles: list[Bundle], out: Path, output: Format) -> str:
    """Writes the report in a format."""
    return _json(bundles, out) if output is Format.JSON else _text(bundles, out)


def notices(bundles: list[Bundle]) -> list[str]:
    """Says which manifests hold samples in place of images."""
    return [
        f"{made.environment.name}: samples stand for {', '.join(made.sample_images)}: nobody said which images to run "
        "(--images); these manifests can be read, not deployed"
        for made in bundles
        if made.sample_images
    ]


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
