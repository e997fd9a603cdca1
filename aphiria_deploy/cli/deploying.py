"""What ``pr``, ``local``, ``preview-base``, ``production`` and ``diff`` do."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.cli import bundling, showing
from aphiria_deploy.cli.connecting import Stack, Where, connect
from aphiria_deploy.cli.terminal import Shown, is_watched, progress
from aphiria_deploy.deploying import Report, Request, Verify, deploy
from aphiria_deploy.errors import Errors, InputError
from aphiria_deploy.kube import Cancellation, Client, Deadline, both, cancelled_by_signals
from aphiria_deploy.plan import Plan
from aphiria_deploy.progress import Progress
from aphiria_deploy.registry import Login, inspect
from aphiria_deploy.secrets import SecretInputs
from aphiria_deploy.settle import needed_outputs, settle_inputs

if TYPE_CHECKING:
    from aphiria_deploy.applying_secrets import Made

_PROBE_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a deploying command was given.

    Attributes:
        environment: Which environment.
        where: The cluster.
        images: References, by name.
        bundle_file: A bundle that was made before.
        commit: The commit that the images must be of.
        plan_only: Whether to stop when the plan is shown.
        yes: Whether nobody is asked.
        timeout: Seconds that all of it may take.
        wait_for_lock: Seconds to wait for another run.
        skip_health_check: Whether the site's URLs are not asked.
        take_over: Whether objects and fields of others are taken over.
        ports: The ports at the Gateway's address, by the URLs', where they differ.
        known: The outputs of the environment's stack, where this run has them already.
    """

    environment: str
    where: Where
    images: Mapping[str, str] = field(default_factory=dict)
    bundle_file: Path | None = None
    commit: str | None = None
    plan_only: bool = False
    yes: bool = False
    timeout: float = 600.0
    wait_for_lock: float = 0.0
    skip_health_check: bool = False
    take_over: bool = False
    ports: Mapping[int, int] | None = None
    known: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Settled:
    bundle: Bundle
    stack: Stack
    logins: Mapping[str, Login]
    client: Client


def run(options: Options) -> Report:
    """Deploys an environment, or shows what that would do.

    Raises:
        AphiriaDeployError: It could not be begun. Nothing was changed.
    """
    cancellation = Cancellation()
    with cancelled_by_signals(cancellation), progress() as shown:
        return run_within(options, shown, cancellation)


def run_within(options: Options, shown: Shown, cancellation: Cancellation) -> Report:
    """Deploys an environment as a part of something else.

    Args:
        options: What is deployed, and how.
        shown: Is told what happens.
        cancellation: What stops it.

    Raises:
        AphiriaDeployError: It could not be begun. Nothing was changed.
    """
    settled = _settle(options, lambda text, what: shown.note(f"{what}: the server warns: {text}"))
    with settled.client as client:
        inputs = _inputs(settled)
        request = Request(
            bundle=settled.bundle,
            inputs=inputs,
            commit=options.commit,
            take_over=options.take_over,
            plan_only=options.plan_only,
            approve=_approval(options, shown),
            verify=_verify(options, settled.logins),
            timeout=options.timeout,
            wait_for_lock=options.wait_for_lock,
        )
        return deploy(client, request, shown, cancellation)


def make_secrets(options: Options) -> list[Made]:
    """Makes an environment's Secrets alone.

    Raises:
        AphiriaDeployError: It could not be done.
    """
    from aphiria_deploy.applying_secrets import apply_secrets

    cancellation = Cancellation()
    with cancelled_by_signals(cancellation):
        settled = _settle(replace(options, plan_only=True))
        with settled.client as client:
            inputs = _inputs(settled)
            deadline = Deadline.after(options.timeout, f"the Secrets of {options.environment}", cancellation)
            return apply_secrets(client, settled.bundle, inputs, deadline, cancellation)


def _inputs(settled: _Settled) -> SecretInputs:
    outputs = settled.stack.outputs if needed_outputs(settled.bundle.secrets) else None
    return settle_inputs(settled.bundle.secrets, outputs, os.environ, where=settled.stack.label).secrets


def _settle(options: Options, warn: Callable[[str, str], None] | None = None) -> _Settled:
    """Takes the bundle and finds the cluster, which is probed meanwhile where the command line names it."""
    named = Client(connect(options.where, None), warn=warn) if options.where.is_named else None
    taken, probed = both(lambda: _bundle(options), lambda: _probe(named) if named else None)
    errors = Errors()
    with errors.collected():
        taken.get()
    with errors.collected():
        probed.get()
    errors.raise_all()
    bundle, stack, logins = taken.get()
    if not options.plan_only:
        bundling.require_deployable(bundle, options.commit, logins)
    if named:
        return _Settled(bundle, stack, logins, named)
    client = Client(connect(options.where, stack, local=bundle.environment.stack is None), warn=warn)
    _probe(client)
    return _Settled(bundle, stack, logins, client)


def _probe(client: Client) -> None:
    """Sees that the cluster answers and takes the credential, before anything else is asked of it."""
    client.probe(Deadline.after(_PROBE_SECONDS, f"the first answer of {client.access.url}"))


def _bundle(options: Options) -> tuple[Bundle, Stack, Mapping[str, Login]]:
    """The bundle, its stack, and the logins that the stack gives to registries."""
    environment = options.environment
    if options.bundle_file:
        if options.images:
            raise InputError("--bundle: found images beside it, expected none: a bundle says which images it runs")
        bundle = bundling.read_bundle(options.bundle_file, environment)
        stack = Stack(options.where, bundle.environment.stack, options.known)
        return bundle, stack, _logins(options, stack, bundle)
    if not bundling.needs_registry(environment, options.images):
        bundle = bundling.make_bundle(environment, options.images)
        stack = Stack(options.where, bundle.environment.stack, options.known)
        return bundle, stack, _logins(options, stack, bundle)
    # With samples, to see which stack it lives on, and so which login the registry wants.
    sample = bundling.make_bundle(environment, {})
    stack = Stack(options.where, sample.environment.stack, options.known)
    logins = bundling.logins_of(stack.outputs, sample)
    pinned = bundling.pinned_images(environment, options.images, logins)
    return bundling.make_bundle(environment, pinned), stack, logins


def _logins(options: Options, stack: Stack, bundle: Bundle) -> Mapping[str, Login]:
    """Only where they may be needed: asking a stack takes seconds."""
    if options.where.outputs_file or options.commit:
        return bundling.logins_of(stack.outputs, bundle)
    return {}


def _verify(options: Options, logins: Mapping[str, Login]) -> Verify:
    def digests(references: Sequence[str]) -> Mapping[str, Collection[str]]:
        return {name: content.digests for name, content in inspect({ref: ref for ref in references}, logins).items()}

    def verify(client: Client, bundle: Bundle, deadline: Deadline, shown: Progress) -> None:
        from aphiria_deploy.verifying import verifier

        verifier(digests, ask_the_site=not options.skip_health_check, ports=options.ports)(
            client, bundle, deadline, shown
        )

    return verify


def _approval(options: Options, shown: Shown) -> Callable[[Plan], bool]:
    """Shows the plan; asks on a terminal, unless it is agreed to already."""

    def approve(plan: Plan) -> bool:
        shown.note(showing.plan_text(plan, options.environment))
        if options.yes:
            return True
        if is_watched():
            return shown.ask(f"Deploy {options.environment}?")
        if options.environment in {"production", "preview-base"}:
            raise InputError(f"{options.environment}: found nobody to ask, expected --yes: others depend on it")
        return True

    return approve
