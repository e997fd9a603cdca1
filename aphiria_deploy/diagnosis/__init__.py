"""Why an object is not ready, and whether waiting for it is in vain.

Everything is decided from what the watches already have. Times are the cluster's (an answer's ``Date`` header says
the present one), since it is its timestamps that they are compared with. The texts and the patience are data: see
``causes`` and ``logs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from aphiria_deploy.diagnosis.causes import CAUSES, HINTS, Cause, Source
from aphiria_deploy.diagnosis.redaction import redact
from aphiria_deploy.diagnosis.report import Diagnosis, LogTail, with_logs
from aphiria_deploy.diagnosis.signals import (
    LogSource,
    Signal,
    of_conditions,
    of_events,
    of_pod,
    refusals,
)
from aphiria_deploy.diagnosis.snapshot import Occurrence, Snapshot
from aphiria_deploy.fields import (
    Object,
    at,
    conditions,
    generation,
    group_kind,
    mapping,
    mappings,
    metadata,
    name,
    namespace,
    number,
    one_line,
    text,
)
from aphiria_deploy.readiness import Readiness, judge

__all__ = [
    "Diagnosis",
    "LogSource",
    "LogTail",
    "Occurrence",
    "Snapshot",
    "diagnose",
    "overdue",
    "redact",
    "with_logs",
]

_CONTROLLERS = frozenset({"DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"})
_ENDED = frozenset({"Failed", "Succeeded"})
_WEIGHTS = {source: weight for weight, source in enumerate(Source)}
_EVENTS = 6


@dataclass(frozen=True)
class _Finding:
    """A signal with its cause."""

    signal: Signal
    cause: Cause
    facts: Mapping[str, str]
    doomed: bool

    @property
    def message(self) -> str:
        return one_line(self.cause.says.format_map(self.facts))

    @property
    def hint(self) -> str:
        return one_line(self.cause.hint.format_map(self.facts))


@dataclass(frozen=True)
class _Clock:
    """The present, and when it began that counts."""

    now: datetime
    since: datetime | None

    def ripe(self, signal: Signal, cause: Cause) -> bool:
        """Whether a cause has lasted for as long as it takes, and was seen in this attempt."""
        if cause.dooms is None or not signal.decisive:
            return False
        if self.since and signal.seen and signal.seen < self.since.replace(microsecond=0):
            return False
        if not cause.dooms:
            return True
        return signal.since is not None and self.now - signal.since >= cause.dooms


@dataclass(frozen=True)
class _Scene:
    """An object that is not ready, and what belongs to it."""

    item: Object
    verdict: Readiness
    snapshot: Snapshot
    pods: list[Object]
    newest: Object | None = None

    @property
    def events(self) -> tuple[Occurrence, ...]:
        """The last events: warnings, where there are any."""
        events = self.snapshot.events(self.item, *([self.newest] if self.newest else []), *self.pods)
        return tuple(([entry for entry in events if entry.type == "Warning"] or events)[-_EVENTS:])


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def diagnose(item: Object, snapshot: Snapshot, now: datetime, since: datetime | None = None) -> Diagnosis | None:
    """Says what is wrong with an object that is not ready, and whether it is doomed.

    Of a workload only the pods of its newest revision count, and they doom it only when all of them are doomed. A
    Job counts its failed attempts itself: that a container of it ended dooms nothing before it is called Failed.

    Args:
        item: The object, as it was applied and as the watch has it.
        snapshot: What belongs to it: ReplicaSets, pods and events, and the other pods of its namespace.
        now: The present, by the cluster's clock.
        since: When this deploy applied the object, by the cluster's clock (the time in its ``managedFields``). What
            was last seen before belongs to an attempt before this one: it is named, and dooms nothing.

    Returns:
        None while nothing is known to be wrong, and when the object is ready or is being deleted.
    """
    verdict = judge(item)
    if verdict.ok or text(metadata(item).get("deletionTimestamp")):
        return None
    clock = _Clock(now, since)
    if group_kind(item)[1] in _CONTROLLERS:
        return _of_controller(item, verdict, snapshot, clock)
    if group_kind(item) == ("", "Pod"):
        findings = list(_findings(of_pod(item, snapshot, ends_decide=True), clock))
        scene = _Scene(item, verdict, snapshot, [item])
        return _report(scene, findings, any(finding.doomed for finding in findings))
    findings = list(_findings(chain(of_conditions(item), of_events(item, snapshot)), clock))
    return _report(_Scene(item, verdict, snapshot, []), findings, any(finding.doomed for finding in findings))


def overdue(item: Object, snapshot: Snapshot, now: datetime, waited: timedelta) -> Diagnosis:
    """The diagnosis of an object that did not become ready in the time that it was given."""
    verdict = judge(item)
    found = diagnose(item, snapshot, now)
    limit = f"not ready within {waited.total_seconds():g} s"
    if found:
        return replace(found, message=one_line(f"{limit}: {found.message}"), doomed=True)
    newest, pods = _revision(item, snapshot)
    scene = _Scene(item, verdict, snapshot, pods, newest)
    return Diagnosis(
        kind=group_kind(item)[1],
        object=_called(item),
        reason="Timeout",
        message=one_line(f"{limit}: {verdict.message}"),
        hint=HINTS["ProgressDeadlineExceeded" if pods else ""],
        doomed=True,
        events=scene.events,
        logs_wanted=_logs_of_the_unready(pods),
    )


def _of_controller(item: Object, verdict: Readiness, snapshot: Snapshot, clock: _Clock) -> Diagnosis | None:
    newest, pods = _revision(item, snapshot)
    is_job = group_kind(item) == ("batch", "Job")
    # A Deployment repeats what its ReplicaSets say, of old ones too.
    creator = newest if group_kind(item)[1] == "Deployment" else item
    refused = list(_findings(refusals(creator, snapshot), clock)) if creator else []
    by_pod = [list(_findings(of_pod(pod, snapshot, ends_decide=not is_job), clock)) for pod in pods]
    living = [
        found
        for pod, found in zip(pods, by_pod, strict=True)
        if text(at(pod, "status", "phase")) not in _ENDED and not metadata(pod).get("deletionTimestamp")
    ]
    pods_doomed = bool(living) and all(any(finding.doomed for finding in found) for found in living)
    refusal_dooms = any(finding.doomed for finding in refused) and not (
        _exceeds_quota(refused) and _room_is_coming(item, newest, living, snapshot)
    )
    scene = _Scene(item, verdict, snapshot, pods, newest)
    return _report(scene, [*refused, *chain.from_iterable(by_pod)], doomed=pods_doomed or refusal_dooms)


def _report(scene: _Scene, findings: list[_Finding], doomed: bool) -> Diagnosis | None:
    """Puts together what is told: the weightiest finding, or the verdict where that alone is known."""
    item = scene.item
    failure = _failure(item, scene.verdict)
    if not findings and not failure:
        return None
    doomed = doomed or failure is not None
    chosen = min(findings, key=lambda entry: (not entry.doomed, _WEIGHTS[entry.signal.source]), default=None)
    reason = failure or (chosen.signal.shown or chosen.signal.reason if chosen else "") or "Failed"
    if chosen:
        message = chosen.message if reason in chosen.message or not failure else f"{chosen.message} ({reason})"
        hint = chosen.hint
        logs = chosen.signal.logs if chosen.cause.logs else ()
    else:
        message = scene.verdict.message
        hint = HINTS.get(reason) or HINTS.get(group_kind(item)[1]) or HINTS[""]
        logs = ()
    return Diagnosis(
        kind=group_kind(item)[1],
        object=_called(item),
        reason=reason,
        message=one_line(message),
        hint=hint,
        doomed=doomed,
        events=scene.events,
        logs_wanted=logs or (_logs_of_the_unready(scene.pods) if failure and not chosen else ()),
    )


def _failure(item: Object, verdict: Readiness) -> str | None:
    """The reason of an object that has failed for good, or is about to; None for one that may still come to be."""
    found = conditions(item.get("status"))
    if group_kind(item) == ("batch", "Job"):
        ends = [entry for kind in ("Failed", "FailureTarget") if (entry := found.get(kind)) and entry.status == "True"]
        return ends[0].reason or "Failed" if ends else None
    if not verdict.done:
        return None
    said = [
        entry
        for holder in (
            item.get("status"),
            *mappings(at(item, "status", "listeners")),
            *mappings(at(item, "status", "parents")),
            *mappings(at(item, "status", "ancestors")),
        )
        for entry in conditions(holder).values()
        if entry.reason
    ]
    whole = (entry.reason for entry in said if str(entry) in verdict.message)
    cut = (entry.reason for entry in said if f"({entry.reason})" in verdict.message)
    own = filter(None, (text(at(item, "status", key)) for key in ("reason", "phase")))
    return next(chain(whole, cut, own), "Failed")


def _findings(signals: Iterable[Signal], clock: _Clock) -> Iterator[_Finding]:
    """Each signal with the first cause that fits it; what no cause fits is nothing that is known to be wrong."""
    for signal in signals:
        for cause in CAUSES:
            groups = cause.fits(signal.source, signal.reason, signal.message)
            if groups is not None:
                facts = _Facts({"message": signal.message, **signal.facts, **groups})
                yield _Finding(signal, cause, facts, clock.ripe(signal, cause))
                break


def _revision(item: Object, snapshot: Snapshot) -> tuple[Object | None, list[Object]]:
    """The ReplicaSet of a Deployment's present template, and the pods of a workload's present revision.

    The pods of a Job are the newest first: the last attempt tells most.
    """
    match group_kind(item):
        case ("apps", "Deployment"):
            newest = _newest_replica_set(item, snapshot.owned(item, "ReplicaSet"))
            return newest, snapshot.owned(newest, "Pod") if newest else []
        case ("batch", "Job"):
            return None, snapshot.owned(item, "Pod")[::-1]
        case ("apps", "StatefulSet"):
            revision, label = at(item, "status", "updateRevision"), "controller-revision-hash"
        case ("apps", "DaemonSet"):
            revision = mapping(metadata(item).get("annotations")).get("deprecated.daemonset.template.generation")
            label = "pod-template-generation"
        case _:
            revision, label = None, ""
    pods = snapshot.owned(item, "Pod")
    known = isinstance(revision, str) and number(at(item, "status", "observedGeneration")) >= generation(item)
    return None, [pod for pod in pods if not known or mapping(metadata(pod).get("labels")).get(label) == revision]


def _newest_replica_set(item: Object, candidates: list[Object]) -> Object | None:
    """The ReplicaSet whose pods are of the Deployment's template, which is what its controller goes by."""
    wanted = at(item, "spec", "template")
    same = [entry for entry in candidates if _template(entry) == wanted]
    if same:
        return same[0]
    if number(at(item, "status", "observedGeneration")) < generation(item):
        return None
    # A server that was updated gives old templates new defaults.
    key = "deployment.kubernetes.io/revision"
    revision = mapping(metadata(item).get("annotations")).get(key)
    numbered = (entry for entry in candidates if mapping(metadata(entry).get("annotations")).get(key) == revision)
    return next(numbered, None) if revision else None


def _template(replica_set: Object) -> dict[str, Any]:
    template = dict(mapping(at(replica_set, "spec", "template")))
    labels = dict(mapping(at(template, "metadata", "labels")))
    labels.pop("pod-template-hash", None)
    return template | {"metadata": dict(mapping(template.get("metadata"))) | {"labels": labels}}


def _exceeds_quota(refused: list[_Finding]) -> bool:
    return any("quota" in finding.facts and "hard" in finding.facts for finding in refused)


def _room_is_coming(item: Object, newest: Object | None, living: list[list[_Finding]], snapshot: Snapshot) -> bool:
    """Whether pods that count against the quota are about to go, so that a refused one may still be created.

    They go when they are being deleted, when they belong to another Job, or when they are old pods of this workload
    and a new one that is well takes their place.
    """
    well = any(not any(finding.doomed for finding in found) for found in living)
    own = text(metadata(newest or item).get("uid"))
    for pod in snapshot.pods(namespace(item)):
        if text(at(pod, "status", "phase")) in _ENDED:
            continue
        if metadata(pod).get("deletionTimestamp"):
            return True
        owner = next((entry for entry in mappings(metadata(pod).get("ownerReferences")) if entry.get("controller")), {})
        if owner.get("uid") == own:
            continue
        if owner.get("kind") == "Job":
            return True
        siblings = snapshot.owned(item, "ReplicaSet")
        if well and any(text(metadata(entry).get("uid")) == owner.get("uid") for entry in siblings):
            return True
    return False


def _logs_of_the_unready(pods: list[Object]) -> tuple[LogSource, ...]:
    """The logs of the containers of the first pod that run and are not ready."""
    for pod in pods:
        unready = [
            LogSource(namespace(pod), name(pod), text(status.get("name")), previous=False)
            for status in mappings(at(pod, "status", "containerStatuses"))
            if status.get("ready") is not True and at(status, "state", "running") is not None
        ]
        if unready:
            return tuple(unready)
    return ()


def _called(item: Object) -> str:
    return "/".join(filter(None, (namespace(item), name(item))))
