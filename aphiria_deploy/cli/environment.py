"""The commands that work on what is deployed: they need the cluster alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aphiria_deploy.cli import options as given
from aphiria_deploy.cli.options import (
    BundleFile,
    Context,
    EnvironmentName,
    Format,
    Kubeconfig,
    Output,
    Outputs,
    PlanOnly,
    SkipHealthCheck,
    Timeout,
    Verbose,
    WaitForLock,
    Yes,
)
from aphiria_deploy.errors import CancelledError, InputError

if TYPE_CHECKING:
    from aphiria_deploy.kube import Cancellation, Client, Deadline

_READ_SECONDS = 60.0
_PATIENCE_SECONDS = 10.0
_DIFFERENT = 3
_FOREVER = 7 * 24 * 3600.0


def status(
    environment: EnvironmentName,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Show an environment's health, images, URLs, age and owner; exit code 1 if it is not healthy."""
    from aphiria_deploy.cli import environment_text, inspecting

    name = given.parse_environment(environment)
    with _reading(kubeconfig, context, outputs) as (client, deadline):
        found = inspecting.status(client, name, deadline)
    _print(output, found, environment_text.status)
    if not found["healthy"]:
        raise typer.Exit(1)


def list_environments(
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """List every environment of a cluster."""
    from aphiria_deploy.cli import environment_text, inspecting

    with _reading(kubeconfig, context, outputs) as (client, deadline):
        found = inspecting.environments(client, deadline)
    _print(output, found, environment_text.environments)


def history(
    environment: EnvironmentName,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """List the releases of an environment."""
    from aphiria_deploy.cli import environment_text, inspecting

    name = given.parse_environment(environment)
    with _reading(kubeconfig, context, outputs) as (client, deadline):
        found = {"environment": name, "releases": inspecting.history(client, name, deadline)}
    _print(output, found, environment_text.history)


def graph(
    environment: EnvironmentName,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it; by default to stdout.")] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Draw this bundle, and ask no cluster.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Draw an environment as SVG: hosts, routes, Services, what runs, and how it is."""
    from aphiria_deploy.cli import bundling, inspecting
    from aphiria_deploy.graph import picture

    name = given.parse_environment(environment)
    if bundle:
        drawn = picture(bundling.read_bundle(bundle, name))
    else:
        with _reading(kubeconfig, context, outputs) as (client, deadline):
            found = inspecting.recorded(client, name, deadline)
            drawn = picture(found.bundle, inspecting.states(found))
    if out is None:
        typer.echo(drawn)
        return
    try:
        out.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out: {out}: {error.strerror}; expected a file that can be written") from error


def drift(
    environment: EnvironmentName,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Show where the cluster has departed from the last release; exit code 3 if anywhere. Nothing is written."""
    from aphiria_deploy.cli import environment_text, inspecting

    name = given.parse_environment(environment)
    with _reading(kubeconfig, context, outputs) as (client, deadline):
        found = inspecting.departures(client, name, deadline)
    data = {"environment": name, "drift": [environment_text.departure(one) for one in found]}
    _print(output, data, lambda _: environment_text.drift(name, found))
    if found:
        raise typer.Exit(_DIFFERENT)


def logs(
    environment: EnvironmentName,
    of: Annotated[str, typer.Argument(metavar="[NAME]", help="Only this workload, Job, pod or container.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is still written.")] = False,
    previous: Annotated[bool, typer.Option("--previous", help="Of each container the instance before.")] = False,
    tail: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many of the last lines.")] = 100,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    verbose: Verbose = False,
) -> None:
    """Show the logs of an environment's pods and Jobs."""
    from aphiria_deploy.cli import container_logs, inspecting
    from aphiria_deploy.diagnosis import redact

    name = given.parse_environment(environment)
    with _reading(kubeconfig, context, outputs, seconds=_FOREVER if follow else _READ_SECONDS) as (client, deadline):
        bundle = inspecting.recorded(client, name, deadline).bundle
        sources = container_logs.log_sources(client, bundle, of, deadline)
        how = container_logs.Reading(follow=follow, tail=tail, previous=previous)
        try:
            for line in container_logs.read_logs(client, sources, deadline, how):
                typer.echo(redact(line))
        except CancelledError:
            # That is how one stops to follow.
            if not follow:
                raise


def rollback(
    environment: EnvironmentName,
    to: Annotated[int | None, typer.Option(metavar="N", min=1, help="The revision to go back to.")] = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    timeout: Timeout = "10m",
    wait_for_lock: WaitForLock = "0s",
    skip_health_check: SkipHealthCheck = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Bring back an earlier release as a new revision. No Job runs; the Secrets stay."""
    from aphiria_deploy.cli import showing, writing

    how = writing.How(
        environment=given.parse_environment(environment),
        where=writing.Where(kubeconfig, context, outputs),
        timeout=given.parse_timeout(timeout),
        wait_for_lock=given.parse_duration(wait_for_lock, "--wait-for-lock"),
        yes=yes,
    )
    report = writing.roll_back(how, to=to, plan_only=plan, skip_health_check=skip_health_check)
    _print(output, showing.deploy_data(report), lambda _: showing.deploy_text(report))
    if report.result in {"failed", "refused"}:
        raise typer.Exit(report.error.exit_code if report.error else 1)


def destroy(
    environment: EnvironmentName,
    bundle: BundleFile = None,
    yes: Yes = False,
    timeout: Timeout = "5m",
    wait_for_lock: WaitForLock = "0s",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Remove a preview and prove it: database, role, namespace, records. Nothing else can be destroyed."""
    from aphiria_deploy.cli import showing, writing

    how = writing.How(
        environment=given.parse_environment(environment),
        where=writing.Where(kubeconfig, context, outputs),
        timeout=given.parse_timeout(timeout),
        wait_for_lock=given.parse_duration(wait_for_lock, "--wait-for-lock"),
        yes=yes,
    )
    report = writing.destroy(how, bundle)
    _print(output, showing.destroy_data(report), lambda _: showing.destroy_text(report))
    if report.error:
        raise typer.Exit(report.error.exit_code)


@contextmanager
def _reading(
    kubeconfig: Path | None, context: str, outputs: Path | None, *, seconds: float = _READ_SECONDS
) -> Iterator[tuple[Client, Deadline]]:
    """A cluster that is only read from: where nothing names it, the current context's."""
    from aphiria_deploy.cli.connecting import Stack, Where, connect
    from aphiria_deploy.kube import Cancellation, Client, Deadline, Manners, cancelled_by_signals, load

    where = Where(kubeconfig, context, outputs)
    access = connect(where, Stack(where, None)) if where.is_named or outputs else load()
    cancellation: Cancellation = Cancellation()
    # Whoever looks wants to know soon that nobody answers.
    manners = Manners(patience_seconds=_PATIENCE_SECONDS)
    with cancelled_by_signals(cancellation), Client(access, manners=manners) as client:
        yield client, Deadline.after(seconds, "the command", cancellation)


def _print(output: Format, data: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> None:
    import json

    typer.echo(json.dumps(data, indent=2) if output is Format.JSON else text(data))
