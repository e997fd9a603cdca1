"""``aphiria-deploy db``: backups of an environment's database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from aphiria_deploy.cli import options as given
from aphiria_deploy.cli.options import (
    Context,
    EnvironmentName,
    Format,
    Kubeconfig,
    Output,
    Outputs,
    Timeout,
    Verbose,
    WaitForLock,
    Yes,
)

db = typer.Typer(name="db", help="Backups of an environment's database.", no_args_is_help=True)


@db.callback()
def group() -> None:
    """Backups of an environment's database."""


@db.command()
def backup(
    environment: EnvironmentName,
    timeout: Timeout = "1h",
    wait_for_lock: WaitForLock = "0s",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Take a backup now, as the schedule does."""
    from aphiria_deploy.cli import backing_up

    how = _how(environment, timeout, wait_for_lock, kubeconfig, context, outputs)
    name = backing_up.take(how)
    _print(output, {"environment": how.environment, "backup": name}, lambda data: data["backup"])


@db.command("list")
def list_backups(
    environment: EnvironmentName,
    timeout: Timeout = "5m",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """List the backups, and the databases that restores kept."""
    from aphiria_deploy.cli import backing_up

    how = _how(environment, timeout, "0s", kubeconfig, context, outputs)
    listing = backing_up.list_all(how)
    _print(output, backing_up.listing_data(how, listing), lambda _: backing_up.listing_text(how, listing))


@db.command()
def restore(
    environment: EnvironmentName,
    name: Annotated[str, typer.Argument(metavar="BACKUP", help="Its name, as the list has it.")],
    yes: Yes = False,
    timeout: Timeout = "1h",
    wait_for_lock: WaitForLock = "0s",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Restore a backup beside the database, verify it, and swap the two; what was there is kept."""
    from aphiria_deploy.cli import backing_up

    how = _how(environment, timeout, wait_for_lock, kubeconfig, context, outputs, yes=yes)
    restored = backing_up.restore(how, name)
    _print(output, backing_up.restored_data(how, restored), lambda _: backing_up.restored_text(how, restored))
    if restored.error:
        raise typer.Exit(restored.error.exit_code)


@db.command()
def rehearse(
    environment: EnvironmentName,
    max_age: Annotated[
        str, typer.Option(metavar="DURATION", help="How old the newest complete backup may be.")
    ] = "36h",
    timeout: Timeout = "1h",
    wait_for_lock: WaitForLock = "0s",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Restore the newest backup beside the database, verify it, and drop it again; the database is not touched."""
    from aphiria_deploy.cli import backing_up

    how = _how(environment, timeout, wait_for_lock, kubeconfig, context, outputs)
    rehearsed = backing_up.rehearse(how, given.parse_duration(max_age, "--max-age"))
    _print(output, backing_up.rehearsed_data(how, rehearsed), lambda _: backing_up.rehearsed_text(how, rehearsed))


@db.command()
def discard(
    environment: EnvironmentName,
    database: Annotated[str, typer.Argument(metavar="DATABASE", help="Its name, as the list has it.")],
    yes: Yes = False,
    timeout: Timeout = "5m",
    wait_for_lock: WaitForLock = "0s",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Drop a database that a restore kept. It cannot be brought back."""
    from aphiria_deploy.cli import backing_up

    how = _how(environment, timeout, wait_for_lock, kubeconfig, context, outputs, yes=yes)
    backing_up.discard(how, database)
    _print(output, {"environment": how.environment, "discarded": database}, lambda _: f"{database}: gone")


def _how(
    environment: str,
    timeout: str,
    wait_for_lock: str,
    kubeconfig: Path | None,
    context: str,
    outputs: Path | None,
    *,
    yes: bool = False,
) -> Any:
    from aphiria_deploy.cli import writing

    return writing.How(
        environment=given.parse_environment(environment),
        where=writing.Where(kubeconfig, context, outputs),
        timeout=given.parse_timeout(timeout),
        wait_for_lock=given.parse_duration(wait_for_lock, "--wait-for-lock"),
        yes=yes,
    )


def _print(output: Format, data: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> None:
    import json

    typer.echo(json.dumps(data, indent=2) if output is Format.JSON else text(data))
