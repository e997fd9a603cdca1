"""The story of a deploy: plan, lock, plan again, apply, prune, verify, record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from aphiria_deploy.bundle import Bundle, Manifest, SecretSpec
from aphiria_deploy.engine import marker
from aphiria_deploy.engine.plan import Circumstances, Live, Plan, is_ours, plan, to_be_tried
from aphiria_deploy.engine.refusals import PlanError
from aphiria_deploy.engine.releases import KEPT_JOBS, Release, Result
from aphiria_deploy.engine.state import SECRET, Remembered, State
from aphiria_deploy.engine.survey import Sought, secret_refs, survey, tried
from aphiria_deploy.engine.wanted import needed_identities, wanted
from aphiria_deploy.errors import AphiriaDeployError, CancelledError, Errors
from aphiria_deploy.kube import Cancellation, Client, Deadline, both
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Phases, Progress
from aphiria_deploy.readiness import judge
from aphiria_deploy.secrets import VERSION, MadeSecret, SecretInputs, SecretRef, make_secrets
from aphiria_deploy.settle import hidden_values

if TYPE_CHECKING:
    from aphiria_deploy.capacity import Outlook
    from aphiria_deploy.diagnosis import Diagnosis
    from aphiria_deploy.engine.execute import Executor
    from aphiria_deploy.engine.former_owners import LeftBehind
    from aphiria_deploy.engine.lease import Lease

_RECORD_SECONDS = 15.0
"""How long the end of a deploy may take to be written down, after its own time is over."""


Verify = Callable[[Client, Bundle, Deadline, Progress], None]
"""Asks the running site what it must answer; raises an `AphiriaDeployError` where an answer is wrong."""


class NotApprovedError(AphiriaDeployError):
    """The plan was shown, and not agreed to."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be deployed, and how.

    Attributes:
        bundle: What.
        inputs: What its Secrets are made of; none in a rollback, which keeps those that are there.
        commit: The commit of the site.
        take_over: Whether objects and fields of others are taken over.
        plan_only: Whether to stop when the plan is shown.
        approve: Is shown the plan, and says whether it is carried out.
        verify: What is asked of the running site; none where it is not to be asked.
        rollback_of: The revision that is brought back.
        timeout: Seconds that all of it may take.
        wait_for_lock: Seconds to wait for another run to end.
    """

    bundle: Bundle
    inputs: SecretInputs | None = field(default=None, repr=False)
    commit: str | None = None
    take_over: bool = False
    plan_only: bool = False
    approve: Callable[[Plan], bool] = lambda _: True
    verify: Verify | None = None
    rollback_of: int | None = None
    timeout: float = 600.0
    wait_for_lock: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a deploy.

    Attributes:
        environment: Its name.
        result: ``deployed``, ``unchanged``, ``planned``, ``refused`` or ``failed``.
        revision: The release's number; of a plan, the one that it would have.
        bundle: What was deployed.
        plan: What was done, or would be; none where it could not be planned.
        seconds: How long each phase took.
        total: How long all of it took.
        error: Why it failed.
        outlook: What the preview reserves of its cluster, where its plan was shown.
    """

    environment: str
    result: str
    revision: int | None
    bundle: Bundle = field(repr=False)
    plan: Plan | None = field(repr=False)
    seconds: Mapping[str, float]
    total: float
    error: AphiriaDeployError | None = None
    outlook: Outlook | None = None

    @property
    def diagnosis(self) -> Diagnosis | None:
        """Why an object did not become ready, where that is why it failed."""
        if self.error is None:
            return None
        from aphiria_deploy.engine.waiting import NotReadyError

        return self.error.diagnosis if isinstance(self.error, NotReadyError) else None


def deploy(client: Client, request: Request, progress: Progress, cancellation: Cancellation) -> Report:
    """Deploys a bundle.

    Args:
        client: The cluster.
        request: What, and how.
        progress: Is told what happens.
        cancellation: What stops it.

    Returns:
        The report; also of a deploy that failed after its plan was made.

    Raises:
        InputError: What was given cannot be used. Nothing was changed.
        PlanError: It cannot be done. Nothing was changed.
        UnavailableError: The cluster is not available.
        LockedError: Somebody else works on the environment.
    """
    return _Deploy(client, request, progress, cancellation).run()


@dataclass(frozen=True)
class _Planned:
    plan: Plan
    remembered: Remembered
    secrets: Sequence[MadeSecret] = field(repr=False)
    marker: marker.Marker | None

    @property
    def revision(self) -> int:
        return self.remembered.next_revision


class _Deploy:
    def __init__(self, client: Client, request: Request, progress: Progress, cancellation: Cancellation) -> None:
        self._client = client
        self._request = request
        self._progress = progress
        self._phases = Phases(progress)
        self._cancellation = Cancellation(cancellation)
        self._bundle = request.bundle
        self._environment = request.bundle.environment
        self._state = State(client)
        self._deadline = Deadline.after(request.timeout, f"the deploy of {self._environment.name}", self._cancellation)

    def run(self) -> Report:
        with self._phases.phase("plan"):
            planned = self._plan()
        if self._request.plan_only:
            return self._report("planned", planned, revision=planned.revision)
        if self._is_unchanged(planned):
            return self._unchanged(planned)
        if not self._request.approve(planned.plan):
            return self._report("refused", planned, revision=None)
        return self._under_lease(planned)

    def _under_lease(self, planned: _Planned) -> Report:
        from aphiria_deploy.engine.execute import Executor
        from aphiria_deploy.engine.lease import Holder, held

        for made in planned.marker.manifests() if planned.marker else ():
            self._client.apply(made, self._deadline)
        holder = Holder("rollback" if self._request.rollback_of else "deploy")
        with held(
            self._client,
            self._environment.name,
            holder,
            self._deadline,
            self._cancellation,
            wait_seconds=self._request.wait_for_lock,
        ) as lease:
            with self._phases.phase("plan"):
                again = self._plan()
            if self._is_unchanged(again):
                # Another run, which was waited for, has done it.
                return self._unchanged(again)
            if again.plan.fingerprint() != planned.plan.fingerprint() and not self._request.approve(again.plan):
                return self._report("refused", again, revision=None)
            executor = Executor(self._client, lease, self._progress, self._deadline, self._hidden(again))
            return self._carry_out(again, executor, lease)

    def _plan(self) -> _Planned:
        bundle, name = self._bundle, self._environment.name
        marked, recorded = both(
            lambda: marker.find(self._client, self._deadline),
            lambda: self._state.of(name, self._deadline),
            self._deadline.cancellation,
        )
        found, uid = marked.get()
        access = self._client.access
        to_write = marker.require(
            found, uid, site=bundle.site, stack=self._environment.stack, where=f"{access.where} ({access.url})"
        )
        known = recorded.get()
        releases = known.bundles_since_current()
        former = [release.bundle for release in releases]
        parent = known.as_parent()
        specs = [*bundle.secrets, *(spec for other in former for spec in other.secrets)]
        sought = Sought(
            manifests=bundle.manifests,
            secrets=list(dict.fromkeys(secret_refs(specs))),
            identities=needed_identities(bundle.manifests),
            parent=parent,
            former=former,
        )
        live = survey(self._client, sought, self._deadline)
        existing = [item for key, item in live.objects.items() if key.group_kind.kind == SECRET.name]
        secrets = self._secrets(existing, known)
        want = wanted(bundle, secrets, parent.id, live.uids)
        circumstances = Circumstances(
            environment=name,
            site=bundle.site,
            set_id=parent.id,
            take_over=self._request.take_over,
            jobs_run=self._request.rollback_of is None,
            jobs_recorded=frozenset(job for release in releases for job in release.jobs),
        )
        if self._request.take_over or any(map(_took_over_in_vain, releases)):
            live = replace(live, beside=self._former_owners_have(want.manifests, live))
        asked = to_be_tried(want, live, circumstances)
        outcomes = tried(self._client, asked, live, self._deadline, take_over=self._request.take_over)
        return _Planned(plan(want, live, outcomes, parent, circumstances), known, secrets, to_write)

    def _former_owners_have(self, wanted_items: Sequence[Manifest], live: Live) -> LeftBehind:
        """What those have that something is taken over from, none of whom may still apply it."""
        from aphiria_deploy.engine.left_behind import left_behind
        from aphiria_deploy.engine.rivals import require_stopped

        keys = set(map(ObjectKey.of, wanted_items))
        strangers = [item for key, item in live.objects.items() if key in keys and not is_ours(item)]
        require_stopped(self._client, strangers, self._deadline)
        return left_behind(self._client, wanted_items, live.objects, self._deadline)

    def _secrets(self, existing: Sequence[Mapping[str, Any]], known: Remembered) -> list[MadeSecret]:
        specs = self._bundle.secrets
        if self._request.inputs is None:
            return kept_secrets(specs, existing)
        return make_secrets(specs, self._request.inputs, existing, recorded=known.secret_versions)

    def _hidden(self, planned: _Planned) -> list[str]:
        return hidden_values(self._bundle.secrets, planned.secrets)

    def _is_unchanged(self, planned: _Planned) -> bool:
        newest = planned.remembered.newest
        return (
            not planned.plan.changes_objects
            and not planned.plan.changes_state
            and newest is not None
            and newest.result is Result.DEPLOYED
            and newest.bundle.hash == self._bundle.hash
            and self._request.rollback_of is None
        )

    def _unchanged(self, planned: _Planned) -> Report:
        """Nothing is to be written; whether what is there works is seen all the same."""
        live = [step.live for step in planned.plan.steps if step.live and step.awaited]
        newest = planned.remembered.newest
        revision = newest.revision if newest else None
        if all(judge(item).ok for item in live):
            return self._report("unchanged", planned, revision=revision)
        from aphiria_deploy.engine.waiting import NotReadyError, Waiter

        try:
            Waiter(self._client, self._progress, self._deadline, self._hidden(planned)).until_ready(live)
        except (NotReadyError, CancelledError) as error:
            return self._report("failed", planned, revision=revision, error=error)
        return self._report("unchanged", planned, revision=revision)

    def _carry_out(self, planned: _Planned, executor: Executor, lease: Lease) -> Report:
        release = self._release(planned)
        self._state.record(release, self._deadline)
        error: AphiriaDeployError | None = None
        try:
            self._state.set_parent(planned.plan.parent.widened(planned.plan.target), release, self._deadline)
            self._do(planned, executor)
        except AphiriaDeployError as raised:
            error = raised
        except KeyboardInterrupt:
            error = CancelledError("stopped: SIGINT")
        # Somebody else may be writing where it is lost: not even the record is ours any more then.
        lease.check()
        try:
            self._record_end(planned, release, executor, error)
        except AphiriaDeployError as raised:
            # It was not written down how it ended, which is told, and is in nobody's way; why it failed is told first.
            self._progress.note(f"the record of revision {release.revision} stays pending: {raised}")
            error = error or raised
        return self._report("failed" if error else "deployed", planned, revision=release.revision, error=error)

    def _do(self, planned: _Planned, executor: Executor) -> None:
        executor.apply(planned.plan, self._phases)
        if planned.plan.prune.delete:
            with self._phases.phase("prune"):
                executor.prune(planned.plan)
        if self._request.verify:
            with self._phases.phase("verify"):
                self._request.verify(self._client, self._bundle, self._deadline, self._progress)
        executor.complete()

    def _release(self, planned: _Planned) -> Release:
        from importlib.metadata import version

        from aphiria_deploy.engine.lease import author

        recorded = [job for release in planned.remembered.bundles_since_current() for job in release.jobs]
        return Release(
            revision=planned.revision,
            result=Result.PENDING,
            bundle=self._bundle,
            started=self._client.now(),
            author=author(),
            tool=version("aphiria-deploy"),
            commit=self._request.commit,
            rollback_of=self._request.rollback_of,
            took_over=self._request.take_over,
            secrets={f"{made.ref.namespace}/{made.ref.name}": made.version for made in planned.secrets},
            jobs=list(dict.fromkeys(recorded)),
        )

    def _record_end(
        self, planned: _Planned, release: Release, executor: Executor, error: AphiriaDeployError | None
    ) -> None:
        """Writes down how it ended, also when the deploy's own time is over or it was told to stop."""
        deadline = Deadline.after(_RECORD_SECONDS, "writing down how the deploy ended")
        ended = msgspec.structs.replace(
            release,
            result=Result.FAILED if error else Result.DEPLOYED,
            jobs=list(dict.fromkeys([*release.jobs, *sorted(executor.jobs_done)]))[-KEPT_JOBS:],
            finished=release.started + timedelta(seconds=self._phases.total),
            message=str(error) if error else None,
        )
        target = planned.plan.parent.widened(planned.plan.target) if error else planned.plan.target
        with self._phases.phase("record"):
            self._state.record(ended, deadline)
            self._state.set_parent(target, ended, deadline, finished=ended.finished)
            self._state.prune(self._state.of(self._environment.name, deadline), deadline)

    def _report(
        self, result: str, planned: _Planned, *, revision: int | None, error: AphiriaDeployError | None = None
    ) -> Report:
        return Report(
            environment=self._environment.name,
            result=result,
            revision=revision,
            bundle=self._bundle,
            plan=planned.plan,
            seconds=dict(self._phases.seconds),
            total=self._phases.total,
            error=error,
        )


def _took_over_in_vain(release: Release) -> bool:
    """Whether a take-over failed or died: all may be ours since, and Helm still have its record of it."""
    return release.took_over and release.result is not Result.DEPLOYED


def kept_secrets(specs: Sequence[SecretSpec], existing: Collection[Mapping[str, Any]]) -> list[MadeSecret]:
    """Gives the Secrets of a bundle as they are in the cluster: a rollback makes none.

    Raises:
        PlanError: One is not there.
        CombinedError: Several are not.
    """
    live = {SecretRef(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in existing}
    errors, kept = Errors(), []
    for spec in specs:
        ref = SecretRef(spec.namespace, spec.name)
        with errors.collected():
            if ref not in live:
                raise PlanError(
                    f"{ref}: found none, expected the one that the release used: a rollback makes no Secret; deploy "
                    "instead"
                )
            item = live[ref]
            metadata = {
                key: {name: value for name, value in (item["metadata"].get(key) or {}).items() if name in names}
                for key, names in (("annotations", {VERSION}), ("labels", set(spec.labels)))
            }
            manifest = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": ref.namespace, "name": ref.name, **metadata},
                "type": item.get("type", spec.type),
                "data": item.get("data") or {},
            }
            kept.append(MadeSecret(ref, int(metadata["annotations"].get(VERSION, "0") or 0), (), manifest))
    errors.raise_all()
    return kept
