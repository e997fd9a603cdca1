"""``aphiria-deploy cluster up|preview|outputs|destroy|mark STACK``: the Pulumi program of the site's clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aphiria_deploy.cli import options as given
from aphiria_deploy.cli.options import Context, Format, Kubeconfig, Output, Timeout, Verbose

StackName = Annotated[
    str, typer.Argument(metavar="STACK", help="local, preview-base, production, preview-base-dns or production-dns.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting for this run alone; not for secrets. Repeatable."),
]

cluster = typer.Typer(name="cluster", help="The clusters, their DNS records and Helm releases.", no_args_is_help=True)

_DIFFERENT = 3


@cluster.callback()
def group() -> None:
    """The clusters, their DNS records and Helm releases."""


@cluster.command()
def up(
    stack: StackName,
    settings: Settings = None,
    timeout: Timeout = "60m",
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Make a stack what the program says."""
    from aphiria_deploy.cli import clustering

    digest = clustering.up(stack, given.parse_settings(settings or ()), given.parse_duration(timeout, "--timeout"))
    typer.echo(clustering.render(digest, output))


@cluster.command()
def preview(
    stack: StackName,
    settings: Settings = None,
    timeout: Timeout = "15m",
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Show what `up` would change; exit code 3 if anything."""
    from aphiria_deploy.cli import clustering

    digest = clustering.preview(stack, given.parse_settings(settings or ()), given.parse_duration(timeout, "--timeout"))
    typer.echo(clustering.render(digest, output))
    if digest.changed:
        raise typer.Exit(_DIFFERENT)


@cluster.command()
def outputs(
    stack: StackName,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write them here, secrets too, for --outputs FILE; only you may read it."),
    ] = None,
    for_previews: Annotated[
        Path | None,
        typer.Option(
            metavar="KUBECONFIG",
            help="Only what a preview's deploy needs, with this kubeconfig in place of the administrator's.",
        ),
    ] = None,
    timeout: Timeout = "5m",
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Show a stack's outputs, without the secret ones."""
    from aphiria_deploy.cli import clustering

    shown = clustering.outputs(stack, file, for_previews, given.parse_duration(timeout, "--timeout"))
    typer.echo(clustering.render_outputs(shown, output))


@cluster.command()
def destroy(
    stack: StackName,
    confirm: Annotated[
        str, typer.Option(metavar="STACK", help="The stack's name once more: everything in it is deleted.")
    ] = "",
    timeout: Timeout = "60m",
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Delete everything in a stack, also what is protected. Refused without --confirm STACK."""
    from aphiria_deploy.cli import clustering

    digest = clustering.destroy(stack, confirm, given.parse_duration(timeout, "--timeout"))
    typer.echo(clustering.render(digest, output))


@cluster.command()
def mark(
    stack: StackName,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    site: Annotated[str, typer.Option(metavar="NAME", help="The site; by default that of the stack's file.")] = "",
    timeout: Timeout = "1m",
    verbose: Verbose = False,
) -> None:
    """Say in a cluster that was made without Pulumi which one it is."""
    from aphiria_deploy.cli import clustering
    from aphiria_deploy.cli.connecting import Where

    where = Where(kubeconfig, context, None)
    typer.echo(clustering.mark(stack, site, where, given.parse_duration(timeout, "--timeout")))
