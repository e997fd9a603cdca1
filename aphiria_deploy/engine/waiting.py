"""Waits until objects are ready, by watching them, and stops at the first that is doomed."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.diagnosis import Diagnosis, LogSource, Snapshot, diagnose, overdue, with_logs
from aphiria_deploy.engine.job_logs import JobLogs
from aphiria_deploy.engine.jobs import is_job
from aphiria_deploy.errors import AphiriaDeployError, DeadlineExceededError
from aphiria_deploy.fields import generation, number
from aphiria_deploy.kube import Change, Client, Deadline, Kind, Ref, Watched, Watches, concurrently
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Progress
from aphiria_deploy.readiness import Readiness, has_done_its_work, judge

_POD = Kind("v1", "Pod")
_EVENT = Kind("v1", "Event")
_REPLICA_SET = Kind("apps/v1", "ReplicaSet")
# What is watched beside an object, to see what becomes of it.
_BESIDE: Mapping[str, tuple[Kind, ...]] = {
    "Deployment": (_REPLICA_SET, _POD, _EVENT),
    "StatefulSet": (_POD, _EVENT),
    "DaemonSet": (_POD, _EVENT),
    "ReplicaSet": (_POD, _EVENT),
    "Job": (_POD, _EVENT),
}
_LOOK_AGAIN_SECONDS = 1.0
_LOG_SECONDS = 3.0
_LOG_LINES = 100
# Beside its own deadline a Job gets time to be seen, and its controller to say so.
_JOB_MARGIN_SECONDS = 60.0


class NotReadyError(AphiriaDeployError):
    """An object is doomed, or did not become ready in time.

    Attributes:
        diagnosis: Why, and what to do.
    """

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(f"{diagnosis.kind} {diagnosis.object}: {diagnosis.message}: {diagnosis.hint}")
        self.diagnosis = diagnosis


class Waiter:
    """Waits for the objects of one wave after the other.

    Args:
        client: The cluster.
        progress: Is told what each object waits for.
        deadline: By when everything must be ready.
        secrets: Values that no log or message may show.
    """

    def __init__(self, client: Client, progress: Progress, deadline: Deadline, secrets: Collection[str] = ()) -> None:
        self._client = client
        self._progress = progress
        self._deadline = deadline
        self._secrets = tuple(secrets)

    def until_ready(self, items: Sequence[Manifest], since: datetime | None = None) -> list[Manifest]:
        """Waits until objects are ready, and Jobs have done their work.

        That a Job's pod has ended well is enough: its controller says so up to a second later (`until_complete`).

        Args:
            items: The objects as the server gave them when they were applied or read.
            since: When they were applied, by the cluster's clock; none where they were not.

        Returns:
            The objects as they are now, in the same order.

        Raises:
            NotReadyError: One is doomed, or is not ready by the deadline.
            CancelledError: It was told to stop.
        """
        return self._wait(items, since, by_pods=True)

    def until_complete(self, jobs: Sequence[Manifest]) -> None:
        """Waits until their controller says of Jobs what their pods have shown.

        Args:
            jobs: The Jobs as `until_ready` gave them.

        Raises:
            NotReadyError: One is said to have failed, or nothing is said of it by the deadline.
            CancelledError: It was told to stop.
        """
        # Most are by now: one request each, where a watch takes six. One that is gone was taken away when it was done.
        calls = [partial(self._client.find, Ref.of(job), self._deadline) for job in jobs if not judge(job).ok]
        outcomes = concurrently(calls, self._deadline.cancellation)
        self._wait([job for outcome in outcomes if (job := outcome.get())], None, by_pods=False)

    def _wait(self, items: Sequence[Manifest], since: datetime | None, *, by_pods: bool) -> list[Manifest]:
        return _Wait(
            self._client,
            self._progress,
            self._deadline,
            secrets=self._secrets,
            items=items,
            since=since,
            by_pods=by_pods,
        ).run()


class _Wait:
    def __init__(
        self,
        client: Client,
        progress: Progress,
        deadline: Deadline,
        *,
        secrets: Collection[str],
        items: Sequence[Manifest],
        since: datetime | None,
        by_pods: bool,
    ) -> None:
        self._client = client
        self._progress = progress
        self._deadline = deadline.within(_longest(items), "the wave")
        self._secrets = tuple(secrets)
        self._since = since
        self._by_pods = by_pods
        self._begun = time.monotonic()
        self._items = {ObjectKey.of(item): item for item in items}
        self._pending = {key: item for key, item in self._items.items() if not judge(item).ok}
        self._seen: dict[str, Manifest] = {}
        self._told: dict[ObjectKey, str] = {}

    def run(self) -> list[Manifest]:
        if self._pending:
            with JobLogs(self._client, self._deadline, self._progress, self._secrets) as logs:
                try:
                    self._watch(logs)
                except DeadlineExceededError:
                    raise self._overdue(logs) from None
                # What a Job wrote last is shown too.
                logs.settle(_LOG_SECONDS)
        return list(self._items.values())

    def _watch(self, logs: JobLogs) -> None:
        watched = _watched(self._pending)
        unsynced = set(map(str, watched))
        with Watches(self._client, watched, self._deadline) as watches:
            while self._pending:
                told = watches.next(_LOOK_AGAIN_SECONDS)
                while told:
                    what, (change, item) = told
                    if change is Change.SYNCED:
                        unsynced.discard(str(what))
                    else:
                        self._take(change, item, logs)
                    told = watches.next(0)
                if not unsynced:
                    self._judge(logs)

    def _take(self, change: Change, item: Manifest, logs: JobLogs) -> None:
        uid = item["metadata"]["uid"]
        if change is Change.DELETED:
            self._seen.pop(uid, None)
            if item["kind"] == _POD.name:
                logs.gone(item)
            return
        self._seen[uid] = item
        if item["kind"] == _POD.name and (job := self._job_of(item)):
            logs.follow(item, job)

    def _job_of(self, pod: Manifest) -> str:
        owners = {owner.get("uid") for owner in pod["metadata"].get("ownerReferences") or ()}
        jobs = (item["metadata"]["uid"] for item in self._pending.values() if is_job(item))
        return next((uid for uid in jobs if uid in owners), "")

    def _judge(self, logs: JobLogs) -> None:
        snapshot = Snapshot(self._seen.values())
        now = self._client.now()
        for key, applied in list(self._pending.items()):
            item = self._seen.get(applied["metadata"]["uid"])
            if item is None:
                raise NotReadyError(_deleted(key))
            if generation(item) < generation(applied):
                continue
            self._items[key] = item
            verdict = self._verdict(item, snapshot)
            if verdict.ok:
                del self._pending[key]
                self._progress.state(key, verdict.message, done=True)
                continue
            diagnosis = diagnose(item, snapshot, now, self._since)
            if diagnosis and diagnosis.doomed:
                raise NotReadyError(self._completed(diagnosis, item, logs))
            message = diagnosis.message if diagnosis else verdict.message
            if self._told.get(key) != message:
                self._told[key] = message
                self._progress.state(key, message, done=False)

    def _verdict(self, item: Manifest, snapshot: Snapshot) -> Readiness:
        verdict = judge(item)
        if self._by_pods and not verdict.done and is_job(item) and has_done_its_work(item, snapshot.owned(item, "Pod")):
            return Readiness(done=True, ok=True, message="completed")
        return verdict

    def _overdue(self, logs: JobLogs) -> NotReadyError:
        applied = next(iter(self._pending.values()))
        item = self._seen.get(applied["metadata"]["uid"], applied)
        waited = timedelta(seconds=round(time.monotonic() - self._begun))
        found = overdue(item, Snapshot(self._seen.values()), self._client.now(), waited)
        return NotReadyError(self._completed(found, item, logs))

    def _completed(self, diagnosis: Diagnosis, item: Manifest, logs: JobLogs) -> Diagnosis:
        logs.settle(_LOG_SECONDS)
        # A Job that ran out of time has no pods any more; what they wrote was kept.
        wanted = diagnosis.logs_wanted or logs.of(item["metadata"]["uid"])
        tails = {source: logs.tail(source) or self._log(source) for source in wanted}
        return with_logs(replace(diagnosis, logs_wanted=wanted), tails, self._secrets)

    def _log(self, source: LogSource) -> str:
        # On a deadline and a cancellation of its own: the diagnosis is wanted after the deploy's time is over.
        deadline = Deadline.after(_LOG_SECONDS, "reading a log")
        try:
            lines = self._client.logs(
                source.pod,
                source.namespace,
                deadline,
                container=source.container,
                previous=source.previous,
                tail=_LOG_LINES,
            )
            return "\n".join(lines)
        except AphiriaDeployError:
            # The container may be gone, or never have started: there is no log then, and the diagnosis stands.
            return ""


def _watched(pending: Mapping[ObjectKey, Manifest]) -> list[Watched]:
    wanted: dict[tuple[Kind, str], None] = {}
    for key, item in pending.items():
        for kind in (Kind.of(item), *_BESIDE.get(key.group_kind.kind, (_EVENT,))):
            place = key.namespace or ("default" if kind == _EVENT else "")
            wanted[kind, place] = None
    return [Watched(kind, namespace or None) for kind, namespace in wanted]


def _longest(items: Sequence[Manifest]) -> float:
    """How long a wave may take: Jobs have a deadline of their own, everything else the deploy's."""
    limits = [
        number((item.get("spec") or {}).get("activeDeadlineSeconds")) + _JOB_MARGIN_SECONDS
        if is_job(item) and (item.get("spec") or {}).get("activeDeadlineSeconds")
        else float("inf")
        for item in items
    ]
    return max(limits, default=float("inf"))


def _deleted(key: ObjectKey) -> Diagnosis:
    return Diagnosis(
        kind=key.group_kind.kind,
        object=f"{key.namespace}/{key.name}" if key.namespace else key.name,
        reason="Deleted",
        message="somebody deleted it while it was waited for",
        hint="see who else works on this environment, and deploy again",
        doomed=True,
    )
