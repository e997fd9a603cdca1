"""The budget against a brute-force simulation of the rollouts, step by step as the controllers make them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructs_lib.checks import Finding, check
from constructs_lib.checks.budget import pod_usage, scaled, surge_of

_Pods = tuple[int, int, int]
"""Old pods, new pods, and how many of the new ones are ready."""


def _most(replicas: int, surge: int, unavailable: int) -> int:
    """Gives the most pods that exist at the same time, by visiting every state that a rolling update can reach.

    The rules are the deployment controller's: new pods while the total is below replicas + surge, old ones go while
    replicas - unavailable pods are ready. Pods that shut down are not counted: the budget warns about them apart.
    """
    if not surge and not unavailable:
        unavailable = 1
    seen: set[_Pods] = set()
    todo: list[_Pods] = [(replicas, 0, 0)]
    while todo:
        state = todo.pop()
        if state not in seen:
            seen.add(state)
            todo.extend(_next(state, (replicas, surge, unavailable)))
    assert any(old == 0 and new == ready == replicas for old, new, ready in seen), "the rollout never ends"
    return max(old + new for old, new, _ in seen)


def _next(state: _Pods, limits: tuple[int, int, int]) -> Iterator[_Pods]:
    (old, new, ready), (replicas, surge, unavailable) = state, limits
    if old + new < replicas + surge and new < replicas:
        yield old, new + 1, ready
    if old and old - 1 + ready >= replicas - unavailable:
        yield old - 1, new, ready
    if ready < new:
        yield old, new, ready + 1


def _deployment(name: str, replicas: int, strategy: dict[str, Any], cpu: int, memory: int) -> dict[str, Any]:
    amounts = {"cpu": f"{cpu}m", "memory": f"{memory}Mi"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "p"},
        "spec": {"replicas": replicas, "strategy": strategy, **_template(name, amounts, amounts)},
    }


def _template(name: str, requests: dict[str, str], limits: dict[str, str]) -> dict[str, Any]:
    containers = [{"name": "a", "image": "a:1", "resources": {"requests": requests, "limits": limits}}]
    return {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": containers},
        },
    }


def _job(name: str, parallelism: int, cpu: int, memory: int) -> dict[str, Any]:
    job = _deployment(name, 1, {}, cpu, memory)
    spec = {"parallelism": parallelism, "completions": 4, "template": job["spec"]["template"]}
    return {**job, "apiVersion": "batch/v1", "kind": "Job", "spec": spec}


def _budget(hard: dict[str, str], objects: Sequence[dict[str, Any]]) -> list[Finding]:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "p"}}
    found = check([{**quota, "spec": {"hard": hard}}, *objects]).findings
    return [finding for finding in found if finding.rule == "quota-budget"]


_limits = st.one_of(st.integers(0, 5), st.integers(0, 100).map(lambda percent: f"{percent}%"))
_strategies = st.one_of(
    st.just({}),
    st.just({"type": "Recreate"}),
    st.builds(lambda s, u: {"rollingUpdate": {"maxSurge": s, "maxUnavailable": u}}, _limits, _limits),
)
_deployments = st.tuples(st.integers(0, 6), _strategies, st.integers(1, 900), st.integers(1, 900))
_jobs = st.tuples(st.integers(1, 6), st.integers(1, 900), st.integers(1, 900))


def _peak(replicas: int, strategy: dict[str, Any]) -> int:
    if strategy.get("type") == "Recreate" or not replicas:
        return replicas
    rolling = strategy.get("rollingUpdate", {})
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, up=True)
    return _most(replicas, surge, scaled(rolling.get("maxUnavailable", "25%"), replicas, up=False))


@settings(max_examples=150, deadline=None)
@given(st.lists(_deployments, min_size=1, max_size=3), st.lists(_jobs, max_size=3), st.sampled_from([-1, 0]))
def test_the_budget_is_what_a_simulation_needs(
    deployments: list[tuple[int, dict[str, Any], int, int]], jobs: list[tuple[int, int, int]], room: int
) -> None:
    steady = [sum(one[0] * size for one, size in zip(deployments, sizes, strict=True)) for sizes in _sizes(deployments)]
    peaks = [
        sum(_peak(one[0], one[1]) * size for one, size in zip(deployments, sizes, strict=True))
        for sizes in _sizes(deployments)
    ]
    beside = [[min(job[0], 4) * size for job in jobs for size in (_size(job, index),)] for index in range(3)]
    need = [max([peak, *(base + job for job in more)]) for peak, base, more in zip(peaks, steady, beside, strict=True)]
    objects = [_deployment(f"d{number}", *one) for number, one in enumerate(deployments)]
    objects += [_job(f"j{number}", *one) for number, one in enumerate(jobs)]
    for key, unit, amount in zip(("pods", "limits.cpu", "requests.memory"), ("", "m", "Mi"), need, strict=True):
        if amount + room < 0:
            continue  # no quota is below nothing
        found = _budget({key: f"{amount + room}{unit}"}, objects)
        assert bool(found) == (room < 0), (key, amount, [one.message for one in found])


def _sizes(deployments: list[tuple[int, dict[str, Any], int, int]]) -> list[list[int]]:
    return [[1] * len(deployments), [one[2] for one in deployments], [one[3] for one in deployments]]


def _size(job: tuple[int, int, int], index: int) -> int:
    return (1, job[1], job[2])[index]


@pytest.mark.parametrize(
    ("surge", "unavailable"), list(itertools.product(["0%", "1%", "25%", "34%", "100%", 0, 1, 3, 9], [0]))
)
@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 10])
def test_percentages_of_the_surge_are_rounded_up(replicas: int, surge: int | str, unavailable: int) -> None:
    spec = {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}
    assert replicas + surge_of(spec, replicas) == _most(replicas, scaled(surge, replicas, up=True), unavailable)


_amount = st.integers(0, 50)
_containers = st.lists(_amount, min_size=1, max_size=3)
_inits = st.lists(st.tuples(_amount, st.booleans()), max_size=4)


@given(_containers, _inits, _amount)
def test_a_pod_counts_as_its_worst_moment(containers: list[int], inits: list[tuple[int, bool]], overhead: int) -> None:
    """The kubelet starts init containers one after the other; a sidecar stays, and the regular ones come last."""
    moments, sidecars = [], 0
    for amount, stays in inits:
        moments.append(sidecars + amount)
        sidecars += amount if stays else 0
    moments.append(sidecars + sum(containers))
    spec = {
        "overhead": {"cpu": f"{overhead}m"},
        "containers": [{"resources": {"requests": {"cpu": f"{one}m"}}} for one in containers],
        "initContainers": [
            {"resources": {"requests": {"cpu": f"{one}m"}}, **({"restartPolicy": "Always"} if stays else {})}
            for one, stays in inits
        ],
    }
    assert pod_usage(spec)["requests.cpu"] == Fraction(max(moments) + overhead, 1000)


def test_the_message_shows_the_moments_and_the_sum() -> None:
    objects = [_deployment("web", 1, {}, 500, 1024), _job("migrate", 1, 200, 256)]
    (found,) = _budget({"limits.cpu": "800m", "requests.memory": "4Gi"}, objects)
    assert found.message.splitlines() == [
        "ResourceQuota q does not hold limits.cpu 1 of 800m at rollout of web",
        "moment          limits.cpu  requests.memory",
        "quota           800m        4Gi",
        "Job migrate     700m        1280Mi",
        "rollout of web  1 !         2Gi",
        "limits.cpu at rollout of web: web running 500m + web surge 500m = 1",
    ]
