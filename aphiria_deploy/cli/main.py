"""The entry point of the command, where every expected error ends."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

import typer

from aphiria_deploy.cli.lazy import group_of
from aphiria_deploy.errors import AphiriaDeployError

_COMMANDS = {
    "pr": "deploy:pr",
    "local": "deploy:local",
    "preview-base": "deploy:preview_base",
    "production": "deploy:production",
    "diff": "deploy:diff",
    "drift": "environment:drift",
    "status": "environment:status",
    "history": "environment:history",
    "logs": "environment:logs",
    "graph": "environment:graph",
    "rollback": "environment:rollback",
    "destroy": "environment:destroy",
    "check": "check:check",
    "synth": "synth:synth",
    "list": "environment:list_environments",
    "gc": "github:gc",
    "promote": "github:promote",
    "db": "db:db",
    "secrets": "secrets:secrets",
    "cluster": "cluster:cluster",
    "github": "github:app",
}
"""The commands, in the order of ``--help``, and where each is in this package."""

app = typer.Typer(
    name="aphiria-deploy",
    cls=group_of({name: f"aphiria_deploy.cli.{place}" for name, place in _COMMANDS.items()}),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def command() -> None:
    """Previews of pull requests on Kubernetes, and production by the same road."""


def run() -> NoReturn:
    """Runs the command and ends the process with its exit code."""
    try:
        sys.exit(app(standalone_mode=False))
    except AphiriaDeployError as error:
        if "--verbose" in sys.argv:
            import traceback

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
    finally:
        # To look through all that was loaded for garbage, when the process ends, takes a tenth of the time of a deploy
        # that changes nothing.
        gc.freeze()


def _report(error: Exception, message: str, exit_code: int) -> None:
    """Says as data too, where that was asked for, what went wrong before there was anything to report of."""
    if _wants_json(sys.argv):
        import json

        said = {"kind": type(error).__name__, "message": message, "exitCode": exit_code}
        sys.stdout.write(json.dumps({"result": "failed", "error": said}, indent=2) + "\n")


def _wants_json(arguments: list[str]) -> bool:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    return "--output=json" in arguments or ("--output", "json") in pairs
