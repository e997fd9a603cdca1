"""``aphiria-deploy secrets apply``: makes the Secrets alone."""

from __future__ import annotations

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
    Timeout,
    Verbose,
)

secrets = typer.Typer(name="secrets", help="The Secrets of an environment.", no_args_is_help=True)


@secrets.callback()
def group() -> None:
    """The Secrets of an environment."""


@secrets.command()
def apply(
    environment: EnvironmentName,
    bundle: BundleFile = None,
    timeout: Timeout = "1m",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Make an environment's Secrets, for those who deploy with kubectl apply. No value is shown."""
    import json

    from aphiria_deploy.cli import deploying
    from aphiria_deploy.cli.connecting import Where

    options = deploying.Options(
        environment=given.parse_environment(environment),
        where=Where(kubeconfig, context, outputs),
        bundle_file=bundle,
        timeout=given.parse_timeout(timeout),
    )
    made = deploying.make_secrets(options)
    if output is Format.JSON:
        rows = [
            {
                "namespace": one.ref.namespace,
                "name": one.ref.name,
                "action": one.action.value,
                "keys": list(one.keys),
                "version": one.version,
            }
            for one in made
        ]
        typer.echo(json.dumps({"environment": options.environment, "secrets": rows}, indent=2))
        return
    for one in made:
        keys = f" ({', '.join(one.keys)})" if one.keys else ""
        typer.echo(f"{one.ref}: {one.action.value}, version {one.version}{keys}")
