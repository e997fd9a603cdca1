"""``aphiria-deploy check``: runs the preflight rules over files and environments."""

from __future__ import annotations

from typing import Annotated

import typer

from aphiria_deploy.cli.options import CheckFormat, Images, Verbose, parse_images


def check(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH... or ENV...",
            help="YAML files or folders of them, also of other projects; or environments of the site.",
        ),
    ],
    images: Images = "",
    output: Annotated[
        CheckFormat, typer.Option(help="How to report: sarif is what GitHub shows in a diff.")
    ] = CheckFormat.TEXT,
    verbose: Verbose = False,
) -> None:
    """Run the preflight rules over Kubernetes manifests: exit code 1 if there is an error among the findings."""
    from aphiria_deploy.cli import checking

    report = checking.check_targets(targets, parse_images(images))
    typer.echo(checking.render(report, output))
    if report.errors:
        raise typer.Exit(1)
