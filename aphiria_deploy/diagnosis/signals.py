"""What the objects themselves say is wrong, in one form, before it is judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aphiria_deploy.diagnosis.causes import Source
from aphiria_deploy.diagnosis.snapshot import Occurrence, Snapshot
from aphiria_deploy.fields import (
    Condition,
    Object,
    at,
    conditions,
    current,
    mapping,
    mappings,
    metadata,
    moment,
    name,
    namespace,
    number,
    text,
)

_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
_POD_NAME = re.compile(r"^(Error creating: )?(pods? \"[^\"]*\" is forbidden: )?", re.IGNORECASE)


@dataclass(frozen=True)
class LogSource:
    """The log of a container.

    Attributes:
        namespace: The pod's namespace.
        pod: The pod.
        container: The container.
        previous: Whether it is the instance before the present one.
    """

    namespace: str
    pod: str
    container: str
    previous: bool


@dataclass(frozen=True)
class Signal:
    """Something that is wrong.

    Attributes:
        source: Where it was seen.
        reason: The cluster's own word for it.
        message: What the cluster says.
        since: Since when it is so.
        seen: When it was last tried and failed; None where it is the state of this moment.
        decisive: Whether it can doom; ends of a Job's containers cannot, the Job counts its attempts itself.
        logs: The logs that belong to it.
        facts: What the texts are filled with.
        shown: The word that people know it by, where it is another one than the reason.
    """

    source: Source
    reason: str
    message: str
    since: datetime | None
    seen: datetime | None
    decisive: bool = True
    logs: tuple[LogSource, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    shown: str = ""


def refusals(controller: Object, snapshot: Snapshot) -> Iterator[Signal]:
    """That a controller may not create its pods: its condition, else its events since it last created one."""
    condition = conditions(controller.get("status")).get("ReplicaFailure")
    events = snapshot.events(controller)
    created = max((entry.last for entry in events if entry.reason == "SuccessfulCreate" and entry.last), default=None)
    refused = [
        entry
        for entry in events
        if entry.reason == "FailedCreate" and not (created and entry.last and entry.last < created)
    ]
    if condition and condition.status == "True":
        last = max((entry.last for entry in refused if entry.last), default=condition.since)
        yield _refusal(condition.reason, condition.message, condition.since, last)
    elif refused and _wants_more(controller):
        yield _refusal("FailedCreate", refused[-1].message, refused[-1].first, refused[-1].last)


def of_pod(pod: Object, snapshot: Snapshot, ends_decide: bool) -> Iterator[Signal]:
    """Everything that is wrong with a pod: its containers, volumes, node, probes."""
    events = snapshot.events(pod)
    yield from _containers(pod, events, ends_decide)
    yield from _pod_itself(pod)
    yield from _volumes(pod, events)
    yield from _node(pod, events)


def of_conditions(item: Object) -> Iterator[Signal]:
    """The conditions that say no: of the object, its listeners, its parents, its ancestors."""
    status = item.get("status")
    for holder, where in (
        (mapping(status), ""),
        *((entry, f"listener {text(entry.get('name'))}: ") for entry in mappings(at(status, "listeners"))),
        *((entry, _reference(entry.get("parentRef"))) for entry in mappings(at(status, "parents"))),
        *((entry, _reference(entry.get("ancestorRef"))) for entry in mappings(at(status, "ancestors"))),
    ):
        for entry in current(conditions(holder), item).values():
            if entry.status == "False":
                message = f"{where}{entry.message or entry.reason}"
                yield Signal(Source.CONDITION, entry.reason, message, entry.since, None)


def of_events(item: Object, snapshot: Snapshot) -> Iterator[Signal]:
    """The warnings about the object itself."""
    for entry in snapshot.events(item):
        if entry.type == "Warning":
            yield Signal(Source.EVENT, entry.reason, entry.message, entry.first, entry.last)


def _refusal(reason: str, message: str, since: datetime | None, seen: datetime | None) -> Signal:
    return Signal(
        Source.REFUSED,
        reason,
        _POD_NAME.sub("", message),
        since,
        seen,
        facts={"sums": _sums(message)},
    )


def _wants_more(controller: Object) -> bool:
    """Whether pods are still to be created; a Job that has one running is content."""
    status = controller.get("status")
    if text(controller.get("kind")) == "Job":
        return number(at(status, "active")) == 0
    wanted = number(at(controller, "spec", "replicas"), number(at(status, "desiredNumberScheduled"), 1))
    return number(at(status, "replicas"), number(at(status, "currentNumberScheduled"))) < wanted


def _sums(message: str) -> str:
    """The sums of a quota that do not add up: ``pods: 5 used + 1 requested, 5 allowed``."""
    parts = re.search(r"requested: (.+?), used: (.+?), limited: (.+)$", message)
    if not parts:
        return ""
    requested, used, allowed = (dict(re.findall(r"([^,=\s]+)=([^,\s]+)", part)) for part in parts.groups())
    return "; ".join(
        f"{resource}: {used.get(resource, '0')} used + {amount} requested, {allowed.get(resource, '?')} allowed"
        for resource, amount in requested.items()
    )


@dataclass(frozen=True)
class _Container:
    """A container of a pod: what was asked for, what it is, what was reported of it."""

    pod: Object
    spec: Object
    status: Object
    events: list[Occurrence]

    @property
    def waits_for(self) -> str:
        return text(at(self.status, "state", "waiting", "reason"))

    @property
    def last_end(self) -> Object:
        """How it ended, now or before it was started again; empty where that was no failure."""
        now = mapping(at(self.status, "state", "terminated"))
        if now:
            return now if number(now.get("exitCode")) else {}
        return mapping(at(self.status, "lastState", "terminated"))

    def log(self, previous: bool) -> LogSource:
        return LogSource(namespace(self.pod), name(self.pod), text(self.status.get("name")), previous)

    def facts(self) -> dict[str, str]:
        image = text(self.spec.get("image")) or text(self.status.get("image"))
        host, slash, _ = image.partition("/")
        secrets = [text(entry.get("name")) for entry in mappings(at(self.pod, "spec", "imagePullSecrets"))]
        return {
            "container": text(self.status.get("name")),
            "image": image,
            "registry": host if slash and re.search(r"[.:]|^localhost$", host) else "docker.io",
            "pull_secrets": ", ".join(filter(None, secrets)) or "the pod names none",
            "memory_limit": text(at(self.spec, "resources", "limits", "memory")) or "the node's memory",
        }

    def probe_asks(self, key: str) -> str:
        """What a probe asks: ``GET :8080/health``."""
        probe = mapping(self.spec.get(key))
        for kind in ("httpGet", "tcpSocket", "grpc"):
            if kind in probe:
                port = at(probe, kind, "port")
                named = {text(entry.get("name")): entry for entry in mappings(self.spec.get("ports"))}
                port = at(named.get(port), "containerPort") or port if isinstance(port, str) else port
                if kind == "httpGet":
                    return f"GET :{port}{text(at(probe, kind, 'path')) or '/'}"
                return f"{'TCP' if kind == 'tcpSocket' else 'gRPC'} :{port}"
        command = at(probe, "exec", "command")
        return " ".join(map(str, command)) if isinstance(command, list) else key


def _containers(pod: Object, events: list[Occurrence], ends_decide: bool) -> Iterator[Signal]:
    specs = {
        text(entry.get("name")): entry
        for key in ("initContainers", "containers")
        for entry in mappings(at(pod, "spec", key))
    }
    for key in ("initContainerStatuses", "containerStatuses"):
        for status in mappings(at(pod, "status", key)):
            own = text(status.get("name"))
            container = _Container(
                pod, specs.get(own, {}), status, [entry for entry in events if entry.container == own]
            )
            running = at(status, "state", "running") is not None
            if container.last_end and (container.waits_for == "CrashLoopBackOff" or at(status, "state", "terminated")):
                yield _end(container, ends_decide)
            elif container.waits_for not in _STARTING:
                yield _waiting(container)
            elif running and status.get("ready") is not True:
                yield from _unhealthy(container)


def _waiting(container: _Container) -> Signal:
    reason = container.waits_for
    message = text(at(container.status, "state", "waiting", "message"))
    failures = [entry for entry in container.events if entry.reason == "Failed"]
    if reason in {"ErrImagePull", "ImagePullBackOff"}:
        pulls = [entry for entry in failures if entry.message.startswith("Failed to pull image")]
        failures = pulls or failures
        if reason == "ImagePullBackOff" and "ErrImagePull: " not in message and pulls:
            # Not every version says what it backs off from.
            message = pulls[-1].message
        # What the image is called must not be taken for what the registry says.
        message = message.rpartition("ErrImagePull: ")[2].replace(text(container.spec.get("image")) or "\0", "…")
        message = re.sub(r"^(Failed to pull image \"…\": )?(rpc error: code = \w+ desc = )?", "", message)
    begun = _created(container.pod)
    seen = max((time for time in [begun, *(entry.last for entry in failures)] if time), default=None)
    return Signal(Source.WAITING, reason, message, begun, seen, facts=container.facts())


def _end(container: _Container, ends_decide: bool) -> Signal:
    ended, in_back_off = container.last_end, container.waits_for == "CrashLoopBackOff"
    reason, code, explained = text(ended.get("reason")), number(ended.get("exitCode")), text(ended.get("message"))
    killed = next((entry.message for entry in container.events[::-1] if entry.reason == "Killing"), "")
    by_probe = re.search(r"failed (liveness|startup) probe", killed) if code in {0, 137, 143} else None
    probe = by_probe[1] if by_probe else "liveness"
    explained = killed if by_probe else explained
    failures = [entry for entry in container.events if entry.message.lower().startswith(f"{probe} probe failed: ")]
    ended_as = f"{reason}, exit code {code}" if reason not in {"", "Error", "Completed"} else f"exit code {code}"
    times = _created(container.pod), moment(ended.get("finishedAt"))
    return Signal(
        Source.ENDED,
        reason,
        f"exit code {code}: {explained}" if explained else f"exit code {code}",
        times[1],
        max((time for time in times if time), default=None),
        # In back-off it has ended twice at least: the first time it is started again at once.
        decisive=ends_decide and in_back_off,
        shown="CrashLoopBackOff" if in_back_off and reason in {"", "Error", "Completed"} else reason,
        logs=(container.log(previous=not at(container.status, "state", "terminated")),),
        facts=container.facts()
        | {
            "message": explained,
            "ended": f"failed with {ended_as}" + (f": {explained}" if explained else ""),
            "probe_failure": failures[-1].message.partition("failed: ")[2] if failures else "no answer",
            "probe_asks": container.probe_asks(f"{probe}Probe"),
        },
    )


def _unhealthy(container: _Container) -> Iterator[Signal]:
    failing = [entry for entry in container.events if entry.reason == "Unhealthy"]
    if not failing:
        return
    last = failing[-1]
    logs = [container.log(previous=False)]
    if number(container.status.get("restartCount")) and at(container.status, "lastState", "terminated"):
        logs.append(container.log(previous=True))
    facts = container.facts() | {
        "probe_asks": container.probe_asks(f"{last.message.partition(' ')[0].lower()}Probe"),
        "message": last.message.partition("failed: ")[2] or last.message,
    }
    yield Signal(Source.PROBE, last.reason, last.message, last.first, last.last, logs=tuple(logs), facts=facts)


def _pod_itself(pod: Object) -> Iterator[Signal]:
    """A pod that was ended as a whole: evicted, or past its deadline."""
    reason = text(at(pod, "status", "reason"))
    if text(at(pod, "status", "phase")) == "Failed" and reason:
        facts = {"container": text(at(_first(at(pod, "spec", "containers")), "name"))}
        yield Signal(Source.ENDED, reason, text(at(pod, "status", "message")), None, None, decisive=False, facts=facts)


def _volumes(pod: Object, events: list[Occurrence]) -> Iterator[Signal]:
    started = any(
        text(at(status, "state", "waiting", "reason")) not in _STARTING or not at(status, "state", "waiting")
        for key in ("initContainerStatuses", "containerStatuses")
        for status in mappings(at(pod, "status", key))
    )
    failed = [entry for entry in events if entry.reason in {"FailedMount", "FailedAttachVolume"}]
    if started or not failed:
        return
    # "timed out waiting" comes after the event that says why, and does not say it.
    told = [entry for entry in failed if "waiting for the condition" not in entry.message] or failed
    yield Signal(Source.VOLUME, told[-1].reason, told[-1].message, told[-1].first, told[-1].last)


def _node(pod: Object, events: list[Occurrence]) -> Iterator[Signal]:
    scheduled = conditions(pod.get("status")).get("PodScheduled")
    if not scheduled or scheduled.status != "False":
        return
    told = [entry for entry in events if entry.reason in {"TriggeredScaleUp", "NotTriggerScaleUp"}]
    if told:
        yield Signal(Source.UNSCHEDULED, told[-1].reason, _autoscaler(told[-1], scheduled), scheduled.since, None)
        if told[-1].reason == "TriggeredScaleUp":
            return
    yield Signal(Source.UNSCHEDULED, scheduled.reason, scheduled.message, scheduled.since, None)


def _autoscaler(event: Occurrence, scheduled: Condition) -> str:
    return f"{event.message}; {scheduled.message}" if scheduled.message else event.message


def _created(pod: Object) -> datetime | None:
    return moment(metadata(pod).get("creationTimestamp"))


def _first(values: object) -> Object:
    return next(iter(mappings(values)), {})


def _reference(ref: object) -> str:
    section = text(at(ref, "sectionName"))
    return f"{text(at(ref, 'kind')) or 'Gateway'} {text(at(ref, 'name'))}{f', listener {section}' if section else ''}: "
