"""What ``preview-base``, ``production`` and ``local`` do beside deploying: the cluster before, its names after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aphiria_deploy import joining, prerequisites
from aphiria_deploy.cli import bundling, deploying, showing
from aphiria_deploy.cli.connecting import Where, connect
from aphiria_deploy.cli.terminal import Shown, is_watched, progress
from aphiria_deploy.cluster_access import access_of
from aphiria_deploy.engine.deploying import NotApprovedError, Report
from aphiria_deploy.errors import InputError
from aphiria_deploy.gateway_address import wait_for_address
from aphiria_deploy.joining import How, Joined, Parts
from aphiria_deploy.kube import Access, Cancellation, Client, Deadline, cancelled_by_signals
from aphiria_deploy.resolving import authoritative
from aphiria_deploy.site import cluster_folder
from aphiria_deploy.stacks import NoPulumiError
from aphiria_deploy.stacks import showing as stack_showing

if TYPE_CHECKING:
    from aphiria_deploy.stacks.runs import Runner

_WHOLE_SECONDS = 2 * 3600.0
"""How long a join may take at most, waiting for everything included."""
_STACK_SECONDS = 3600.0
_CHECK_SECONDS = 30.0
_LOCAL = "local"


def is_joined(where: Where) -> bool:
    """Whether a command works on the cluster that its stack makes, and not on one that the command line names."""
    return not where.is_named and where.outputs_file is None


def run(options: deploying.Options, how: How) -> Joined:
    """Makes the cluster of an environment, deploys on it, and points its names at it; or shows what that would do.

    Raises:
        AphiriaDeployError: A step failed. The same command goes on from there.
    """
    stack = options.environment
    _refuse_bad_input(options)
    with _working(stack, _WHOLE_SECONDS) as (runner, deadline, shown):

        def deploy(outputs: Mapping[str, Any]) -> Report:
            return deploying.run_within(replace(options, known=outputs), shown, deadline.cancellation)

        def address(outputs: Mapping[str, Any], until: Deadline) -> str:
            with Client(access_of(outputs, f"stack {stack}")) as client:
                name, namespace = outputs["gatewayName"], outputs["gatewayNamespace"]
                return wait_for_address(client, name, namespace, until, shown.note)

        parts = Parts(
            runner=runner,
            approve=lambda name: _approved(runner, name, options, shown),
            deploy=deploy,
            address=address,
            lookup=authoritative,
        )
        if options.plan_only:
            return joining.preview(stack, parts, shown)
        return joining.join(stack, parts, how, deadline, shown)


def prepare_local(where: Where, *, skip_cluster: bool) -> None:
    """Sees that a local cluster has what the site needs, and brings it by the stack ``local`` where it has not.

    Raises:
        MissingPrerequisitesError: It has not, and there is no Pulumi, or it is not to be used.
        AphiriaDeployError: The stack failed.
    """
    access = connect(where, None, local=True)
    with Client(access) as client:
        deadline = Deadline.after(_CHECK_SECONDS, f"looking at {access.where}")
        client.probe(deadline)
        lacking = prerequisites.missing(client, deadline)
    if not lacking:
        return
    if skip_cluster:
        prerequisites.require(lacking, access.where, "--skip-cluster was given")
    try:
        with _working(_LOCAL, _STACK_SECONDS) as (runner, _, shown):
            for each in lacking:
                shown.note(f"{access.where}: lacks {each.what}: the stack {_LOCAL} brings it")
            runner.up(_LOCAL, _local_settings(where, access))
    except NoPulumiError as error:
        prerequisites.require(lacking, access.where, str(error))


def text(joined: Joined) -> str:
    """What became of a join."""
    lines = [stack_showing.text(digest) for digest in joined.digests]
    if joined.report:
        lines.append(showing.deploy_text(joined.report))
    if joined.address:
        lines.append(f"{', '.join(joined.names)}: {joined.address}")
    return "\n".join(lines)


def data(joined: Joined) -> dict[str, Any]:
    """What became of a join, as data: that of the deploy, and the cluster beside it."""
    report = showing.deploy_data(joined.report) if joined.report else {"environment": joined.stack, "result": "planned"}
    return {
        **report,
        "stacks": [digest.as_json() for digest in joined.digests],
        "address": joined.address or None,
        "names": list(joined.names),
    }


@contextmanager
def _working(stack: str, seconds: float) -> Iterator[tuple[Runner, Deadline, Shown]]:
    from aphiria_deploy.stacks.automation import Stacks
    from aphiria_deploy.stacks.runs import Runner

    folder = cluster_folder(Path.cwd())
    cancellation = Cancellation()
    with cancelled_by_signals(cancellation), progress() as shown:
        deadline = Deadline.after(seconds, f"the whole of {stack}", cancellation)
        yield Runner(Stacks(folder, deadline), deadline, stack_showing.showing(shown)), deadline, shown


def _refuse_bad_input(options: deploying.Options) -> None:
    """Refuses what can be told before a cluster is made for it."""
    if options.bundle_file:
        bundling.read_bundle(options.bundle_file, options.environment)
    else:
        bundling.needs_registry(options.environment, options.images)


def _approved(runner: Runner, stack: str, options: deploying.Options, shown: Shown) -> bool:
    """Shows what would change in the cluster's stack, and asks, unless it is agreed to already."""
    if options.yes:
        return True
    if not is_watched():
        raise InputError(f"{stack}: found nobody to ask, expected --yes: others depend on it")
    digest = runner.preview(stack)
    shown.note(stack_showing.text(digest))
    if digest.changed and not shown.ask(f"Change the stack {stack}?"):
        raise NotApprovedError(f"stack {stack}: the changes were not agreed to; nothing was changed")
    return True


def _local_settings(where: Where, access: Access) -> dict[str, str]:
    """Which cluster the stack works on: the very one that was looked at."""
    context = where.context or access.context
    kubeconfig = {"kubeconfig": str(where.kubeconfig.resolve())} if where.kubeconfig else {}
    return {"context": context, **kubeconfig}
