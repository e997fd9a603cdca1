"""The entry point of the command, where every expected error ends."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from aphiria_deploy.cli.check import check
from aphiria_deploy.cli.synth import synth
from aphiria_deploy.errors import AphiriaDeployError

app = typer.Typer(
    name="aphiria-deploy",
    help="Previews of pull requests on Kubernetes, and production by the same road.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(check)
app.command()(synth)


def run() -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    try:
        app()
    except AphiriaDeployError as error:
        if "--verbose" in sys.argv:
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    sys.exit(0)
