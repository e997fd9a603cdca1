"""``aphiria-deploy synth``: writes the manifests of environments, and a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aphiria_deploy.cli.options import Format, Images, Output, Verbose, parse_images


def synth(
    environments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENV]...", help="local, preview-base, production or pr-N; by default all of the site's."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder that dist/<env>/*.k8s.yaml stands for.")] = Path("dist"),
    bundle: Annotated[Path | None, typer.Option(help="Also write the one environment's bundle to this file.")] = None,
    images: Images = "",
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Write the manifests of environments to <out>/<env>/*.k8s.yaml, without a cluster and without secrets."""
    from aphiria_deploy.cli import synthesizing

    names = list(dict.fromkeys(environments or ()))
    bundles = synthesizing.synthesize_environments(names, parse_images(images), out, bundle)
    typer.echo(synthesizing.render(bundles, out, output))
    for notice in synthesizing.notices(bundles):
        typer.echo(notice, err=True)
