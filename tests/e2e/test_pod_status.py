from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.pod_status import ANNOTATION, Behaviour, Pace, behaviour_of, image_id, status_of

_PACE = Pace(start=1, ready=2, complete=3, back_off=4)


def _pod(*, restart: str = "Always", said: str = "", init: bool = False, probe: bool = False) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": "x:1"} | ({"readinessProbe": {}} if probe else {})
    spec: dict[str, Any] = {"restartPolicy": restart, "containers": [container]}
    if init:
        spec["initContainers"] = [{"name": "prepare", "image": "y:1"}]
    return {"metadata": {"uid": "u", "annotations": {ANNOTATION: said} if said else {}}, "spec": spec}


def _at(pod: dict[str, Any], age: float) -> tuple[dict[str, Any], float | None]:
    return status_of(pod, age, lambda at: f"t{at:g}", lambda name, init: behaviour_of(pod, name, init=init), _PACE)


def _states(pod: dict[str, Any], age: float, key: str = "containerStatuses") -> str:
    state: dict[str, dict[str, str]] = _at(pod, age)[0][key][0]["state"]
    ((name, about),) = state.items()
    return f"{name}:{about.get('reason', '')}"


@pytest.mark.parametrize(
    ("pod", "moments"),
    [
        (_pod(), [(0, "Pending", "waiting:ContainerCreating", 1), (1, "Running", "running:", None)]),
        (_pod(probe=True), [(1, "Running", "running:", 3), (3, "Running", "running:", None)]),
        (
            _pod(restart="Never"),
            [(1, "Running", "running:", 4), (4, "Succeeded", "terminated:Completed", None)],
        ),
        (_pod(restart="Never", said="fail"), [(4, "Failed", "terminated:Error", None)]),
        (
            _pod(restart="OnFailure", said="fail"),
            [(4, "Running", "waiting:CrashLoopBackOff", 8), (100, "Running", "waiting:CrashLoopBackOff", None)],
        ),
        (_pod(said="crash-loop"), [(1, "Running", "running:", 4), (4, "Running", "waiting:CrashLoopBackOff", 8)]),
        (
            _pod(said="image-not-found"),
            [(1, "Pending", "waiting:ErrImagePull", 5), (5, "Pending", "waiting:ImagePullBackOff", None)],
        ),
        (_pod(said="hang", restart="Never"), [(100, "Running", "running:", None)]),
        (
            _pod(init=True),
            [(0, "Pending", "waiting:PodInitializing", 1), (4, "Pending", "waiting:ContainerCreating", 5)],
        ),
        (_pod(init=True, said="prepare=config-error"), [(50, "Pending", "waiting:PodInitializing", None)]),
        (_pod(init=True, said="prepare=fail", restart="Never"), [(4, "Failed", "waiting:PodInitializing", None)]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_pod_goes_its_way(pod: dict[str, Any], moments: list[tuple[float, str, str, float | None]]) -> None:
    found = [(age, _at(pod, age)[0]["phase"], _states(pod, age), _at(pod, age)[1]) for age, *_ in moments]
    assert found == moments


def test_readiness_comes_with_the_probe() -> None:
    pod = _pod(probe=True)
    ready = [[one["status"] for one in _at(pod, age)[0]["conditions"] if one["type"] == "Ready"] for age in (2, 3)]
    assert ready == [["False"], ["True"]]


def test_a_pod_or_a_label_says_how_its_containers_do() -> None:
    pod = _pod(said="main=crash-loop,prepare=run-error")
    assert behaviour_of(pod, "main", init=False) is Behaviour.CRASH_LOOP
    assert behaviour_of(pod, "prepare", init=True) is Behaviour.RUN_ERROR
    assert behaviour_of(_pod(said="fail"), "prepare", init=True) is Behaviour.COMPLETE
    labelled = {"metadata": {"labels": {ANNOTATION: "hang"}}, "spec": {}}
    assert behaviour_of(labelled, "main", init=False) is Behaviour.HANG


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("site/web:1", "site/web"),
        ("host:5000/site/web", "host:5000/site/web"),
        ("host:5000/site/web:1", "host:5000/site/web"),
    ],
)
def test_an_image_gets_a_digest_of_its_own(image: str, repository: str) -> None:
    name, _, digest = image_id(image).partition("@sha256:")
    assert name == repository
    assert len(digest) == 64


def test_an_image_that_has_a_digest_keeps_it() -> None:
    assert image_id(f"host:5000/site/web:1@sha256:{'a' * 64}") == f"host:5000/site/web@sha256:{'a' * 64}"
