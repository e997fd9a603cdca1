"""What a kubelet would report of a pod, so and so long after it got there: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

ANNOTATION = "kubelet.test/behave"
"""Of a pod, as an annotation or a label: a behaviour for all of its containers, or ``container=behaviour,…``."""


class Behaviour(StrEnum):
    """How a container does."""

    RUN = "run"
    """It starts, becomes ready and stays."""

    COMPLETE = "complete"
    """It ends well."""

    FAIL = "fail"
    """It ends with 1, and where it is restarted, again and again."""

    CRASH_LOOP = "crash-loop"
    """The same, of a container that should stay."""

    IMAGE_NOT_FOUND = "image-not-found"
    """ErrImagePull with "not found", then ImagePullBackOff."""

    IMAGE_UNAUTHORIZED = "image-unauthorized"
    """ErrImagePull with "unauthorized", then ImagePullBackOff."""

    INVALID_IMAGE = "invalid-image"
    """InvalidImageName."""

    CONFIG_ERROR = "config-error"
    """CreateContainerConfigError: a Secret's key is missing."""

    RUN_ERROR = "run-error"
    """RunContainerError: its command does not exist."""

    NEVER_READY = "never-ready"
    """It starts, and its readiness probe fails."""

    HANG = "hang"
    """It should end, and does not."""


@dataclass(frozen=True)
class Pace:
    """How long things take, in seconds."""

    start: float = 0.05
    ready: float = 0.2
    complete: float = 0.2
    back_off: float = 0.3
    stop: float = 0.05


@dataclass(frozen=True)
class _Container:
    status: dict[str, Any]
    ready: bool = False
    ended: bool = False
    failed: bool = False
    again_at: float | None = None


def behaviour_of(pod: Mapping[str, Any], container: str, *, init: bool) -> Behaviour:
    """What a pod's annotation or label says of a container, or what is usual."""
    metadata = pod["metadata"]
    said = (metadata.get("annotations") or {}).get(ANNOTATION) or (metadata.get("labels") or {}).get(ANNOTATION) or ""
    for part in filter(None, said.split(",")):
        name, equals, value = part.partition("=")
        if not equals and not init:
            return Behaviour(name)
        if equals and name == container:
            return Behaviour(value)
    ends = init or pod["spec"].get("restartPolicy", "Always") != "Always"
    return Behaviour.COMPLETE if ends else Behaviour.RUN


def image_id(image: str) -> str:
    """The digest under which a node reports an image: its own, or one made of its name."""
    repository, at, digest = image.partition("@")
    if at:
        return f"{repository.rpartition(':')[0] if ':' in repository.rpartition('/')[2] else repository}@{digest}"
    name = image.rpartition(":")[0] if ":" in image.rpartition("/")[2] else image
    return f"{name}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def status_of(
    pod: Mapping[str, Any],
    age: float,
    now: Callable[[float], str],
    behave: Callable[[str, bool], Behaviour],
    pace: Pace,
) -> tuple[dict[str, Any], float | None]:
    """The status of a pod on its node.

    Args:
        pod: The pod.
        age: For how many seconds it has been there.
        now: Gives the time as it was at an age, as a timestamp.
        behave: How a container does, by its name and whether it is an init container.
        pace: How long things take.

    Returns:
        The status, and the age at which it is next another one.
    """
    spec = pod["spec"]
    restarts = spec.get("restartPolicy", "Always") != "Never"
    since = 0.0
    init: list[_Container] = []
    blocked = False
    for container in spec.get("initContainers") or ():
        sidecar = container.get("restartPolicy") == "Always"
        if blocked:
            init.append(_Container(_waiting(container, "PodInitializing")))
            continue
        behaviour = Behaviour.RUN if sidecar else behave(container["name"], True)
        one = _container(container, behaviour, age - since, lambda at, s=since: now(at + s), pace, restarts=restarts)  # type: ignore[misc]
        init.append(_Container(one.status, one.ready, one.ended, one.failed, _later(one.again_at, since)))
        blocked = not (one.ready if sidecar else one.ended and not one.failed)
        since += pace.start + pace.complete
    main = [
        _Container(_waiting(container, "PodInitializing"))
        if blocked
        else _container(
            container,
            behave(container["name"], False),
            age - since,
            lambda at, s=since: now(at + s),  # type: ignore[misc]
            pace,
            restarts=restarts,
        )
        for container in spec["containers"]
    ]
    main = [_Container(one.status, one.ready, one.ended, one.failed, _later(one.again_at, since)) for one in main]
    failed = any(one.failed and one.ended for one in [*init, *main])
    ended = (failed and blocked) or all(one.ended for one in main)
    phase = "Pending" if blocked and not failed else "Running"
    if not blocked and not any("running" in one.status["state"] or one.status["restartCount"] for one in main):
        phase = "Pending"
    if ended:
        phase = "Failed" if failed else "Succeeded"
    ready = bool(main) and all(one.ready for one in main) and not ended
    status = {
        "phase": phase,
        "startTime": now(0),
        "podIP": _address(pod),
        "podIPs": [{"ip": _address(pod)}],
        "conditions": _conditions(ready=ready, initialized=not blocked, now=now(age)),
        "containerStatuses": [one.status for one in main],
    }
    if init:
        status["initContainerStatuses"] = [one.status for one in init]
    nexts = [one.again_at for one in [*init, *main] if one.again_at is not None]
    return status, min(nexts, default=None)


def _later(again_at: float | None, since: float) -> float | None:
    return None if again_at is None else again_at + since


def _container(
    container: Mapping[str, Any],
    behaviour: Behaviour,
    age: float,
    now: Callable[[float], str],
    pace: Pace,
    *,
    restarts: bool,
) -> _Container:
    """A container so and so long after it may start."""
    if age < pace.start:
        return _Container(_waiting(container, "ContainerCreating"), again_at=pace.start)
    match behaviour:
        case Behaviour.IMAGE_NOT_FOUND | Behaviour.IMAGE_UNAUTHORIZED:
            return _unpulled(container, behaviour, age, pace)
        case Behaviour.INVALID_IMAGE | Behaviour.CONFIG_ERROR | Behaviour.RUN_ERROR:
            return _Container(_waiting(container, *_REFUSED[behaviour]))
        case Behaviour.COMPLETE | Behaviour.FAIL | Behaviour.CRASH_LOOP:
            return _ending(container, behaviour, age, now, pace, restarts=restarts)
    # One that should end is ready as soon as it runs; so is one without a probe.
    ready_at = pace.start + (pace.ready if "readinessProbe" in container else 0)
    ready = behaviour is not Behaviour.NEVER_READY and age >= ready_at
    running = _of(container) | {"state": {"running": {"startedAt": now(pace.start)}}, "started": True, "ready": ready}
    waits = behaviour is not Behaviour.NEVER_READY and not ready
    return _Container(running, ready=ready, again_at=ready_at if waits else None)


_REFUSED = {
    Behaviour.INVALID_IMAGE: ("InvalidImageName", "couldn't parse image name: invalid reference"),
    Behaviour.CONFIG_ERROR: ("CreateContainerConfigError", "couldn't find key password in Secret"),
    Behaviour.RUN_ERROR: ("RunContainerError", "failed to create shim task: exec: no such file or directory"),
}


def _ending(
    container: Mapping[str, Any],
    behaviour: Behaviour,
    age: float,
    now: Callable[[float], str],
    pace: Pace,
    *,
    restarts: bool,
) -> _Container:
    code = 0 if behaviour is Behaviour.COMPLETE else 1
    end = pace.start + pace.complete
    if age < end:
        running = {"state": {"running": {"startedAt": now(pace.start)}}, "started": True, "ready": False}
        return _Container(_of(container) | running, again_at=end)
    terminated = {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "startedAt": now(pace.start),
        "finishedAt": now(end),
        "containerID": _container_id(container),
    }
    if code and (restarts or behaviour is Behaviour.CRASH_LOOP):
        count = min(5, 1 + int((age - end) / pace.back_off))
        waiting = _waiting(container, "CrashLoopBackOff", f"back-off restarting failed container={container['name']}")
        waiting |= {"lastState": {"terminated": terminated}, "restartCount": count, **_image(container)}
        return _Container(waiting, again_at=end + count * pace.back_off if count < 5 else None)
    status = _of(container) | {"state": {"terminated": terminated}, "started": False, "ready": False}
    return _Container(status, ended=True, failed=bool(code))


def _unpulled(container: Mapping[str, Any], behaviour: Behaviour, age: float, pace: Pace) -> _Container:
    missing = behaviour is Behaviour.IMAGE_NOT_FOUND
    problem = f"{container['image']}: not found" if missing else "unexpected status: 401 unauthorized"
    message = f'failed to pull and unpack image "{container["image"]}": {problem}'
    back_off_at = pace.start + pace.back_off
    if age < back_off_at:
        return _Container(_waiting(container, "ErrImagePull", message), again_at=back_off_at)
    return _Container(_waiting(container, "ImagePullBackOff", f"Back-off pulling image: ErrImagePull: {message}"))


def _of(container: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": container["name"], "restartCount": 0, "lastState": {}, **_image(container)}


def _image(container: Mapping[str, Any]) -> dict[str, str]:
    image = container["image"]
    return {"image": image, "imageID": image_id(image), "containerID": _container_id(container)}


def _container_id(container: Mapping[str, Any]) -> str:
    return f"containerd://{hashlib.sha256(container['name'].encode()).hexdigest()}"


def _waiting(container: Mapping[str, Any], reason: str, message: str = "") -> dict[str, Any]:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
        "lastState": {},
        "state": {"waiting": {"reason": reason} | ({"message": message} if message else {})},
    }


def _conditions(*, ready: bool, initialized: bool, now: str) -> list[dict[str, Any]]:
    said = {
        "PodReadyToStartContainers": True,
        "Initialized": initialized,
        "ContainersReady": ready,
        "Ready": ready,
        "PodScheduled": True,
    }
    return [
        {"type": name, "status": str(value), "lastTransitionTime": now}
        | ({} if value else {"reason": "ContainersNotReady"})
        for name, value in said.items()
    ]


def _address(pod: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(pod["metadata"]["uid"].encode()).digest()
    return f"10.{200 + digest[0] % 50}.{digest[1]}.{1 + digest[2] % 250}"
