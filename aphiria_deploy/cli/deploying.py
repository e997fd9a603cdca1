"""What ``pr``, ``local``, ``preview-base``, ``production`` and ``diff`` do."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.cli import bundling, showing
from aphiria_deploy.cli.acting import acting_for, require_cluster
from aphiria_deploy.cli.connecting import Stack, Where, connect
from aphiria_deploy.cli.foresight import Foresight
from aphiria_deploy.cli.terminal import Shown, is_watched, progress
from aphiria_deploy.engine.deploying import Report, Request, Verify, deploy
from aphiria_deploy.engine.plan import Plan
from aphiria_deploy.errors import Errors, InputError
from aphiria_deploy.kube import Access, Cancellation, Client, Deadline, both, cancelled_by_signals
from aphiria_deploy.progress import Progress
from aphiria_deploy.registry import Login, inspect
from aphiria_deploy.secrets import SecretInputs
from aphiria_deploy.settle import needed_outputs, settle_inputs

if TYPE_CHECKING:
    from aphiria_deploy.engine.applying_secrets import Made

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
class _Taken:
    """A bundle, and the stack that it lives on."""

    bundle: Bundle
    stack: Stack

    @property
    def outputs(self) -> Mapping[str, Any] | None:
        """The stack's outputs, where the bundle needs them: asking a stack takes seconds."""
        return self.stack.outputs if needed_outputs(self.bundle.secrets) else None

    def logins(self) -> Mapping[str, Login]:
        """The logins that the stack gives to registries."""
        return bundling.logins_of(self.outputs, self.bundle)


@dataclass(frozen=True)
class _Settled:
    taken: _Taken
    inputs: SecretInputs = field(repr=False)
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
    bundle = settled.taken.bundle
    if bundle.sample_images:
        shown.note(f"samples stand for {', '.join(bundle.sample_images)}: nobody said which images to run")
    with settled.client as client:
        deadline = Deadline.after(options.timeout, f"the deploy of {options.environment}", cancellation)
        foresight = Foresight(client, options.environment, deadline)
        request = Request(
            bundle=bundle,
            inputs=settled.inputs,
            commit=options.commit,
            take_over=options.take_over,
            plan_only=options.plan_only,
            approve=_approval(options, shown, foresight, deadline),
            verify=_verify(options, settled.taken),
            timeout=options.timeout,
            wait_for_lock=options.wait_for_lock,
        )
        require_cluster(client, bundle, deadline)
        with acting_for(client, options.environment, deadline, shown, makes_namespace=not options.plan_only) as own:
            report = deploy(own, request, shown, cancellation)
        # One that only plans shows it in its report.
        seen = foresight.of(report.plan) if report.plan and report.result == "planned" else foresight.found
        return replace(report, outlook=seen)


def make_secrets(options: Options) -> list[Made]:
    """Makes an environment's Secrets alone.

    Raises:
        AphiriaDeployError: It could not be done.
    """
    from aphiria_deploy.engine.applying_secrets import apply_secrets

    cancellation = Cancellation()
    with cancelled_by_signals(cancellation):
        settled = _settle(replace(options, plan_only=True))
        with settled.client as client:
            deadline = Deadline.after(options.timeout, f"the Secrets of {options.environment}", cancellation)
            return apply_secrets(client, settled.taken.bundle, settled.inputs, deadline, cancellation)


def _settle(options: Options, warn: Callable[[str, str], None] | None = None) -> _Settled:
    """Takes the bundle and finds the cluster, which is probed meanwhile where the command line names it.

    Whatever is missing or wrong is told together.
    """
    is_named = options.where.is_named
    taking, probing = both(
        lambda: _bundle(options), lambda: _probed(connect(options.where, None), warn) if is_named else None
    )
    errors = Errors()
    with errors.collected():
        client = probing.get()
    with errors.collected():
        taken = taking.get()
        with errors.collected():
            bundling.require_deployable(
                taken.bundle, options.commit, options.images, taken.logins, samples=options.plan_only
            )
        with errors.collected():
            secrets, label = taken.bundle.secrets, taken.stack.label
            inputs = settle_inputs(secrets, taken.outputs, os.environ, where=label).secrets
        if not is_named:
            with errors.collected():
                local = taken.bundle.environment.stack is None
                client = _probed(connect(options.where, taken.stack, local=local), warn)
    errors.raise_all()
    assert client is not None  # noqa: S101 - else there was an error
    return _Settled(taken, inputs, client)


def _probed(access: Access, warn: Callable[[str, str], None] | None) -> Client:
    """Sees that the cluster answers and takes the credential, before anything else is asked of it."""
    client = Client(access, warn=warn)
    try:
        client.probe(Deadline.after(_PROBE_SECONDS, f"the first answer of {access.url}"))
    except BaseException:
        client.close()
        raise
    return client


def _bundle(options: Options) -> _Taken:
    environment = options.environment
    if options.bundle_file:
        if options.images:
            raise InputError("--bundle: found images beside it, expected none: a bundle says which images it runs")
        return _taken(options, bundling.read_bundle(options.bundle_file, environment))
    if not bundling.needs_registry(environment, options.images):
        return _taken(options, bundling.make_bundle(environment, options.images))
    # With samples, to see which images there are, and which stack it lives on, and so which login the registry wants.
    sample = _taken(options, bundling.make_bundle(environment, {}))
    pinned = bundling.pinned_images(environment, options.images, sample.bundle.images, sample.logins)
    return replace(sample, bundle=bundling.make_bundle(environment, pinned))


def _taken(options: Options, bundle: Bundle) -> _Taken:
    return _Taken(bundle, Stack(options.where, bundle.environment.stack, options.known))


def _verify(options: Options, taken: _Taken) -> Verify:
    def digests(references: Sequence[str]) -> Mapping[str, Collection[str]]:
        found = inspect({ref: ref for ref in references}, taken.logins())
        return {name: content.digests for name, content in found.items()}

    def verify(client: Client, bundle: Bundle, deadline: Deadline, shown: Progress) -> None:
        # Here, because a deploy that changes nothing asks nobody.
        from aphiria_deploy.engine.verifying import verifier

        ask = verifier(digests, ask_the_site=not options.skip_health_check, ports=options.ports)
        ask(client, bundle, deadline, shown)

    return verify


def _approval(options: Options, shown: Shown, foresight: Foresight, deadline: Deadline) -> Callable[[Plan], bool]:
    """Shows the plan; asks on a terminal, unless it is agreed to already."""

    def approve(plan: Plan) -> bool:
        shown.note(showing.plan_text(plan, options.environment, foresight.of(plan)))
        if options.yes:
            return True
        if is_watched():
            # Who was told to stop meanwhile asks nobody.
            deadline.check("an answer")
            return shown.ask(f"Deploy {options.environment}?")
        if options.environment in {"production", "preview-base"}:
            raise InputError(f"{options.environment}: found nobody to ask, expected --yes: others depend on it")
        return True

    return approve
