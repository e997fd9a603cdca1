"""Does what a plan says: the one module that writes an environment's objects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.adoption import adopt
from aphiria_deploy.engine.deleting import delete
from aphiria_deploy.engine.jobs import done_once, is_job, with_identities
from aphiria_deploy.engine.lease import Lease
from aphiria_deploy.engine.plan import Action, Plan, PlannedWave, Step
from aphiria_deploy.engine.waiting import Waiter
from aphiria_deploy.engine.waves import for_deletion
from aphiria_deploy.errors import CancelledError
from aphiria_deploy.kube import Client, Deadline, concurrently
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Phases, Progress
from aphiria_deploy.readiness import judge

_DID = {Action.CREATE: "created", Action.UPDATE: "updated", Action.REPLACE: "created anew"}


class Executor:
    """Carries out a plan under a lease.

    Args:
        client: The cluster.
        lease: What says that nobody else does: it is looked at before each write.
        progress: Is told what is done.
        deadline: By when all of it must be done.
        secrets: Values that no log or message may show.

    Attributes:
        jobs_done: What is to be recorded of the Jobs of class ``once`` that have done their work.
    """

    def __init__(
        self, client: Client, lease: Lease, progress: Progress, deadline: Deadline, secrets: Collection[str]
    ) -> None:
        self._client = client
        self._lease = lease
        self._progress = progress
        self._deadline = deadline
        self._waiter = Waiter(client, progress, deadline, secrets)
        self._uids: dict[ObjectKey, str] = {}
        self._jobs: list[Manifest] = []
        self._ran: list[Manifest] = []
        self.jobs_done: set[str] = set()

    def apply(self, plan: Plan, phases: Phases) -> None:
        """Applies a plan's objects, wave after wave, each waited for.

        Raises:
            NotReadyError: One does not become ready.
            LeaseLostError: The lease was lost.
            ApiError: The server refuses one.
        """
        self._uids = dict(plan.uids)
        self._jobs = [step.manifest for step in plan.steps if is_job(step.manifest)]
        for planned in plan.waves:
            wave = PlannedWave(planned.name, tuple(map(self._identified, planned.steps)))
            if _is_at_rest(wave):
                self.jobs_done |= {step.done_once for step in wave.steps if step.done_once}
                continue
            with phases.phase(wave.name):
                self._apply(wave)

    def complete(self) -> None:
        """Waits until their controller says of the Jobs that they are complete.

        Raises:
            NotReadyError: It says something else of one.
        """
        self._waiter.until_complete(self._ran)

    def prune(self, plan: Plan) -> None:
        """Deletes what is no longer wanted, the last applied first, and waits until it is gone."""
        for group in for_deletion(plan.prune.delete):
            self._lease.check()
            delete(self._client, group, self._progress, self._deadline)

    def _identified(self, step: Step) -> Step:
        """A Job with the UIDs of what it works on, which may have been made by a wave before it."""
        if not is_job(step.manifest):
            return step
        done = done_once(step.manifest, self._jobs, self._uids) if step.done_once else ""
        return replace(step, manifest=with_identities(step.manifest, self._uids), done_once=done)

    def _apply(self, wave: PlannedWave) -> None:
        replaced = [step.live for step in wave.steps if step.action is Action.REPLACE and step.live]
        if replaced:
            self._lease.check()
            delete(self._client, replaced, self._progress, self._deadline)
        since = self._client.now()
        calls: list[Callable[[], Manifest | None]] = [partial(self._one, step) for step in wave.steps]
        outcomes = concurrently(calls, self._deadline.cancellation, workers=self._client.width, all_of_them=False)
        # What failed, and not what was not begun because of it.
        errors = [outcome.error for outcome in outcomes if outcome.error]
        for error in sorted(errors, key=lambda error: isinstance(error, CancelledError)):
            raise error
        applied = [outcome.get() for outcome in outcomes]
        self._uids |= {
            step.key: item["metadata"]["uid"]
            for step, item in zip(wave.steps, applied, strict=True)
            if item and step.key in self._uids
        }
        awaited = [item for step, item in zip(wave.steps, applied, strict=True) if step.awaited and item]
        self._ran += filter(is_job, self._waiter.until_ready(awaited, since))
        self.jobs_done |= {step.done_once for step in wave.steps if step.done_once}

    def _one(self, step: Step) -> Manifest | None:
        if step.action is Action.NOTHING:
            return step.live
        self._lease.check()
        if step.adopts and step.live:
            adopt(self._client, step.live, self._deadline)
        item = self._client.apply(step.manifest, self._deadline, force=step.force)
        self._progress.did(step.key, _DID[step.action])
        return item


def _is_at_rest(wave: PlannedWave) -> bool:
    """Whether nothing of a wave is written, and nothing of it is to be waited for."""
    return all(
        step.action is Action.NOTHING and (not step.awaited or (step.live is not None and judge(step.live).ok))
        for step in wave.steps
    )
