"""``aphiria-deploy pr``, ``local``, ``preview-base``, ``production`` and ``diff``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aphiria_deploy.cli import options as given
from aphiria_deploy.cli.options import (
    ApiImage,
    BundleFile,
    Commit,
    Context,
    EnvironmentName,
    Format,
    Images,
    Kubeconfig,
    Output,
    Outputs,
    PlanOnly,
    SkipCluster,
    SkipDns,
    SkipDnsWait,
    SkipHealthCheck,
    TakeOver,
    Timeout,
    Verbose,
    WaitForLock,
    WebImage,
    Yes,
)

if TYPE_CHECKING:
    from aphiria_deploy.cli.deploying import Options
    from aphiria_deploy.engine.deploying import Report

_DIFFERENT = 3


def pr(
    number: Annotated[str, typer.Argument(metavar="N", help="The number of the pull request.")],
    web_image: WebImage = "",
    api_image: ApiImage = "",
    images: Images = "",
    bundle: BundleFile = None,
    commit: Commit = "",
    plan: PlanOnly = False,
    yes: Yes = False,
    timeout: Timeout = "10m",
    wait_for_lock: WaitForLock = "0s",
    skip_health_check: SkipHealthCheck = False,
    take_over: TakeOver = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Deploy the preview of a pull request."""
    chosen = given.parse_images(images, web_image, api_image)
    options = _options(f"pr-{given.parse_number(number)}", kubeconfig, context, outputs, timeout, wait_for_lock)
    _deploy(
        options,
        output,
        images=chosen,
        bundle_file=bundle,
        commit=given.parse_commit(commit),
        plan_only=plan,
        yes=yes,
        skip_health_check=skip_health_check,
        take_over=take_over,
    )


def local(
    web_image: WebImage = "",
    api_image: ApiImage = "",
    images: Images = "",
    bundle: BundleFile = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    timeout: Timeout = "10m",
    wait_for_lock: WaitForLock = "0s",
    skip_health_check: SkipHealthCheck = False,
    take_over: TakeOver = False,
    skip_cluster: SkipCluster = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Deploy the whole site to a cluster of your own: Minikube, kind, or any context that you name.

    What the cluster lacks (CRDs, controllers) is brought by the stack `local` of the Pulumi program.
    """
    from aphiria_deploy.cli import joining

    chosen = given.parse_images(images, web_image, api_image)
    options = _options("local", kubeconfig, context, None, timeout, wait_for_lock)
    joining.prepare_local(options.where, skip_cluster=skip_cluster or plan)
    _deploy(
        options,
        output,
        images=chosen,
        bundle_file=bundle,
        plan_only=plan,
        yes=yes,
        skip_health_check=skip_health_check,
        take_over=take_over,
    )


def preview_base(
    bundle: BundleFile = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    timeout: Timeout = "15m",
    wait_for_lock: WaitForLock = "0s",
    skip_health_check: SkipHealthCheck = False,
    take_over: TakeOver = False,
    skip_cluster: SkipCluster = False,
    skip_dns: SkipDns = False,
    skip_dns_wait: SkipDnsWait = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Deploy what all previews share: the database server, the Gateway and its certificate.

    Without --kubeconfig, --context or --outputs the stack makes the cluster first, and the names lead to it afterwards.
    """
    options = _options("preview-base", kubeconfig, context, outputs, timeout, wait_for_lock)
    _join(
        options,
        output,
        (skip_cluster, skip_dns, skip_dns_wait),
        bundle_file=bundle,
        plan_only=plan,
        yes=yes,
        skip_health_check=skip_health_check,
        take_over=take_over,
    )


def production(
    web_image: WebImage = "",
    api_image: ApiImage = "",
    images: Images = "",
    bundle: BundleFile = None,
    commit: Commit = "",
    plan: PlanOnly = False,
    yes: Yes = False,
    timeout: Timeout = "15m",
    wait_for_lock: WaitForLock = "0s",
    skip_health_check: SkipHealthCheck = False,
    take_over: TakeOver = False,
    skip_cluster: SkipCluster = False,
    skip_dns: SkipDns = False,
    skip_dns_wait: SkipDnsWait = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Deploy production.

    Without --kubeconfig, --context or --outputs the stack makes the cluster first, and the names lead to it afterwards.
    """
    chosen = given.parse_images(images, web_image, api_image)
    options = _options("production", kubeconfig, context, outputs, timeout, wait_for_lock)
    _join(
        options,
        output,
        (skip_cluster, skip_dns, skip_dns_wait),
        images=chosen,
        bundle_file=bundle,
        commit=given.parse_commit(commit),
        plan_only=plan,
        yes=yes,
        skip_health_check=skip_health_check,
        take_over=take_over,
    )


def diff(
    environment: EnvironmentName,
    web_image: WebImage = "",
    api_image: ApiImage = "",
    images: Images = "",
    bundle: BundleFile = None,
    timeout: Timeout = "5m",
    take_over: TakeOver = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    outputs: Outputs = None,
    output: Output = Format.TEXT,
    verbose: Verbose = False,
) -> None:
    """Show what a deploy would change; exit code 3 if anything. Nothing is written."""
    chosen = given.parse_images(images, web_image, api_image)
    options = _options(given.parse_environment(environment), kubeconfig, context, outputs, timeout, "0s")
    _deploy(options, output, images=chosen, bundle_file=bundle, plan_only=True, take_over=take_over, differs=_DIFFERENT)


def _options(
    environment: str, kubeconfig: Path | None, context: str, outputs: Path | None, timeout: str, wait_for_lock: str
) -> Options:
    from aphiria_deploy.cli.connecting import Where
    from aphiria_deploy.cli.deploying import Options

    return Options(
        environment=environment,
        where=Where(kubeconfig, context, outputs),
        timeout=given.parse_timeout(timeout),
        wait_for_lock=given.parse_duration(wait_for_lock, "--wait-for-lock"),
    )


def _deploy(options: Options, output: Format, *, differs: int = 0, **more: object) -> None:
    import json
    from dataclasses import replace

    from aphiria_deploy.cli import deploying, showing

    report = deploying.run(replace(options, **more))  # type: ignore[arg-type] # fields of Options
    data = showing.deploy_data(report)
    typer.echo(json.dumps(data, indent=2) if output is Format.JSON else showing.deploy_text(report))
    _exit(report, differs)


def _join(options: Options, output: Format, skipped: tuple[bool, bool, bool], **more: object) -> None:
    """Deploys, with the cluster before and the names after it, where the command line names no cluster."""
    import json
    from dataclasses import replace

    from aphiria_deploy.cli import joining
    from aphiria_deploy.joining import How

    if not joining.is_joined(options.where):
        _deploy(options, output, **more)  # type: ignore[arg-type] # fields of Options
        return
    skip_cluster, skip_dns, skip_dns_wait = skipped
    how = How(skip_cluster=skip_cluster, skip_dns=skip_dns, skip_dns_wait=skip_dns_wait)
    joined = joining.run(replace(options, **more), how)  # type: ignore[arg-type] # fields of Options
    typer.echo(json.dumps(joining.data(joined), indent=2) if output is Format.JSON else joining.text(joined))
    if joined.report:
        _exit(joined.report, 0)


def _exit(report: Report, differs: int) -> None:
    if report.result in {"failed", "refused"}:
        raise typer.Exit(report.error.exit_code if report.error else 1)
    if report.result == "planned" and differs and report.plan and report.plan.changes_objects:
        raise typer.Exit(differs)
