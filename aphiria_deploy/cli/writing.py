"""What ``rollback`` and ``destroy`` do: they change a cluster, and need nothing but it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aphiria_deploy import access
from aphiria_deploy.bundle import Manifest
from aphiria_deploy.cli import bundling, showing
from aphiria_deploy.cli.acting import acting_for
from aphiria_deploy.cli.connecting import Stack, Where, connect
from aphiria_deploy.cli.foresight import Foresight
from aphiria_deploy.cli.terminal import Shown, is_watched, progress
from aphiria_deploy.engine import deploying, destroying
from aphiria_deploy.engine.plan import Plan
from aphiria_deploy.engine.rolling_back import roll_back as go_back
from aphiria_deploy.engine.state import State
from aphiria_deploy.engine.verifying import verifier
from aphiria_deploy.errors import InputError
from aphiria_deploy.kube import Cancellation, Client, Deadline, cancelled_by_signals
from aphiria_deploy.registry import inspect

_READ_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class How:
    """What both were given.

    Attributes:
        environment: Which environment.
        where: The cluster, which must be named.
        timeout: Seconds that all of it may take.
        wait_for_lock: Seconds to wait for another run.
        yes: Whether nobody is asked.
    """

    environment: str
    where: Where
    timeout: float
    wait_for_lock: float
    yes: bool


def roll_back(how: How, *, to: int | None, plan_only: bool, skip_health_check: bool) -> deploying.Report:
    """Brings an earlier release back.

    Raises:
        AphiriaDeployError: It could not be begun. Nothing was changed.
    """
    with _working(how) as (given, shown, cancellation), _acting(how, given, shown, cancellation) as client:
        deadline = Deadline.after(how.timeout, f"the rollback of {how.environment}", cancellation)
        foresight = Foresight(given, how.environment, deadline)

        def approve(plan: Plan) -> bool:
            shown.note(showing.plan_text(plan, how.environment, foresight.of(plan)))
            return _agreed(how, shown, f"Roll {how.environment} back?")

        known = State(client).of(how.environment, Deadline.after(_READ_SECONDS, "reading the releases", cancellation))
        if known.newest is None:
            raise InputError(
                f"{how.environment}: found no release in {client.access.where}, expected one to go back to"
            )
        request = deploying.Request(
            bundle=known.newest.bundle,
            plan_only=plan_only,
            approve=approve,
            verify=verifier(_digests, ask_the_site=not skip_health_check),
            timeout=how.timeout,
            wait_for_lock=how.wait_for_lock,
        )
        report = go_back(client, how.environment, shown, cancellation, to=to, how=request)
        # One that only plans shows it in its report.
        seen = foresight.of(report.plan) if report.plan and report.result == "planned" else foresight.found
        return replace(report, outlook=seen)


def destroy(how: How, bundle_file: Path | None) -> destroying.Report:
    """Removes a preview.

    Raises:
        AphiriaDeployError: It could not be begun. Nothing was changed.
    """
    if not how.environment.startswith("pr-"):
        # Before anything is asked of anybody.
        raise InputError(f"{how.environment}: found no preview, expected pr-N: nothing else is ever destroyed")
    bundle = bundling.read_unchecked(bundle_file, how.environment) if bundle_file else None
    with _working(how) as (client, shown, cancellation):
        if not _agreed(how, shown, f"Destroy {how.environment} in {client.access.where}?"):
            raise deploying.NotApprovedError(
                f"{how.environment}: the destruction was not agreed to; nothing was changed"
            )
        request = destroying.Request(
            environment=how.environment,
            bundle=bundle,
            jobs=_drop_jobs(client, how, cancellation),
            timeout=how.timeout,
            wait_for_lock=how.wait_for_lock,
        )
        with _acting(how, client, shown, cancellation) as own:
            report = destroying.destroy(own, request, shown, cancellation)
        if report.error is None:
            # With the preview goes what worked on it.
            access.revoke(client, how.environment, Deadline.after(_READ_SECONDS, "removing the account", cancellation))
        return report


def _drop_jobs(client: Client, how: How, cancellation: Cancellation) -> list[Manifest] | None:
    """The Jobs of today, where the cluster says them; what is no preview, the destruction itself refuses."""
    if not how.environment.startswith("pr-"):
        return None
    deadline = Deadline.after(_READ_SECONDS, "reading how a database is dropped", cancellation)
    return access.destruction_jobs(client, how.environment, deadline)


@contextmanager
def _working(how: How) -> Iterator[tuple[Client, Shown, Cancellation]]:
    found = connect(how.where, Stack(how.where, None), local=how.environment == "local")
    cancellation = Cancellation()
    with cancelled_by_signals(cancellation), progress() as shown, Client(found) as client:
        yield client, shown, cancellation


def _acting(how: How, client: Client, shown: Shown, cancellation: Cancellation) -> AbstractContextManager[Client]:
    deadline = Deadline.after(how.timeout, f"the work on {how.environment}", cancellation)
    return acting_for(client, how.environment, deadline, shown)


def _agreed(how: How, shown: Shown, question: str) -> bool:
    """Asks on a terminal; elsewhere what was named was meant."""
    return how.yes or not is_watched() or shown.ask(question)


def _digests(references: Sequence[str]) -> Mapping[str, Collection[str]]:
    return {name: content.digests for name, content in inspect({ref: ref for ref in references}, {}).items()}


__all__ = ["How", "Where", "destroy", "roll_back"]
