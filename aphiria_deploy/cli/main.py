"""The entry point of the command, where every expected error ends."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from aphiria_deploy.cli.check import check
from aphiria_deploy.cli.cluster import cluster
from aphiria_deploy.cli.deploy import diff, local, pr, preview_base, production
from aphiria_deploy.cli.environment import destroy, drift, history, list_environments, logs, rollback, status
from aphiria_deploy.cli.github import app as github
from aphiria_deploy.cli.github import gc, promote
from aphiria_deploy.cli.secrets import secrets
from aphiria_deploy.cli.synth import synth
from aphiria_deploy.errors import AphiriaDeployError

app = typer.Typer(
    name="aphiria-deploy",
    help="Previews of pull requests on Kubernetes, and production by the same road.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    pr,
    local,
    preview_base,
    production,
    diff,
    drift,
    status,
    history,
    logs,
    rollback,
    destroy,
    check,
    synth,
):
    app.command()(command)
app.command("list")(list_environments)
app.add_typer(secrets)
app.add_typer(cluster)
app.command()(gc)
app.command()(promote)
app.add_typer(github)


def run() -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    try:
        sys.exit(app(standalone_mode=False))
    except AphiriaDeployError as error:
        if "--verbose" in sys.argv:
            traceback.print_exc()
        _report(error, str(error), error.exit_code)
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except typer.TyperException as error:
        # Of an option that nobody knows, or a value that is none.
        _report(error, error.format_message(), error.exit_code)
        error.show()  # type: ignore[attr-defined] # each that is raised has it
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.stderr.write("error: stopped\n")
        sys.exit(1)


def _report(error: Exception, message: str, exit_code: int) -> None:
    """Says as data too, where that was asked for, what went wrong before there was anything to report of."""
    if _wants_json(sys.argv):
        import json

        said = {"kind": type(error).__name__, "message": message, "exitCode": exit_code}
        sys.stdout.write(json.dumps({"result": "failed", "error": said}, indent=2) + "\n")


def _wants_json(arguments: list[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return "--output=json" in arguments or ("--output", "json") in pairs
