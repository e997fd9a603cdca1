"""What a deploy takes of a namespace's quota, moment by moment. Pure arithmetic, exact.

The moments are those of the planned order: each Job alone beside the running pods, then the rollouts with their surge.
The previous version's pods are taken to be of the same size as the new ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from constructs_lib.checks import quantity
from constructs_lib.checks.manifests import dig, mapping, sequence, string, whole

Amounts = Mapping[str, Fraction]
"""Amounts by resource name: ``cpu``, ``memory``, …"""

Usage = Mapping[str, Fraction]
"""Amounts by quota key: ``requests.cpu``, ``limits.memory``, ``pods``, …"""

_POD_LEVEL = ("cpu", "memory")


@dataclass(frozen=True)
class Defaults:
    """What a LimitRange gives a container that says nothing."""

    limits: Amounts
    requests: Amounts


NO_DEFAULTS = Defaults({}, {})


def defaults_of(limit_ranges: Iterable[Mapping[str, Any]]) -> Defaults:
    """Gives the defaults for containers, as the API server completes and the admission plugin applies them."""
    limits: dict[str, Fraction] = {}
    requests: dict[str, Fraction] = {}
    for limit_range in limit_ranges:
        for item in map(mapping, sequence(dig(limit_range, "spec", "limits"))):
            if item.get("type") == "Container":
                default = {**amounts(item.get("max")), **amounts(item.get("default"))}
                request = {**amounts(item.get("min")), **default, **amounts(item.get("defaultRequest"))}
                limits = {**default, **limits}
                requests = {**request, **requests}
    return Defaults(limits, requests)


def amounts(data: Any) -> dict[str, Fraction]:
    """Reads amounts by resource; what is not a quantity is left out (``unknown-field`` reports it)."""
    return {name: quantity.parse(value) for name, value in mapping(data).items() if quantity.is_quantity(value)}


def container_amounts(
    container: Mapping[str, Any], defaults: Defaults
) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    """Gives a container's requests and limits, completed: a request follows its limit, then come the defaults."""
    limits = amounts(dig(container, "resources", "limits"))
    requests = {**limits, **amounts(dig(container, "resources", "requests"))}
    return {**defaults.requests, **requests}, {**defaults.limits, **limits}


def pod_usage(spec: Mapping[str, Any], defaults: Defaults = NO_DEFAULTS) -> dict[str, Fraction]:
    """Gives what the quota counts for one pod.

    Regular containers are summed, each init container counts as much as it needs beside the sidecars that already
    run, and the larger of the two is taken (KEP-753); amounts of the pod as a whole replace the sums (KEP-2837); the
    overhead of the runtime class is added.
    """
    usage = {"pods": Fraction(1), "count/pods": Fraction(1)}
    overhead = amounts(spec.get("overhead"))
    for index, key in enumerate(("requests", "limits")):
        total = _effective(spec, defaults, index)
        whole_pod = amounts(dig(spec, "resources", key))
        if key == "requests":
            whole_pod = {**amounts(dig(spec, "resources", "limits")), **whole_pod}
        total.update({name: amount for name, amount in whole_pod.items() if name in _POD_LEVEL or "hugepages" in name})
        for name, amount in overhead.items():
            if key == "requests" or name in total:
                total[name] = total.get(name, Fraction(0)) + amount
        for name, amount in total.items():
            usage[f"{key}.{name}"] = amount
            if key == "requests":
                usage[name] = amount
    return usage


def _effective(spec: Mapping[str, Any], defaults: Defaults, index: int) -> dict[str, Fraction]:
    total: dict[str, Fraction] = defaultdict(Fraction)
    for container in map(mapping, sequence(spec.get("containers"))):
        for name, amount in container_amounts(container, defaults)[index].items():
            total[name] += amount
    sidecars: dict[str, Fraction] = defaultdict(Fraction)
    highest: dict[str, Fraction] = defaultdict(Fraction)
    for container in map(mapping, sequence(spec.get("initContainers"))):
        own = container_amounts(container, defaults)[index]
        if container.get("restartPolicy") == "Always":
            for name, amount in own.items():
                total[name] += amount
                sidecars[name] += amount
            now = dict(sidecars)
        else:
            now = {name: own.get(name, Fraction(0)) + sidecars.get(name, Fraction(0)) for name in {*own, *sidecars}}
        for name, amount in now.items():
            highest[name] = max(highest[name], amount)
    return {name: max(total.get(name, Fraction(0)), highest.get(name, Fraction(0))) for name in {*total, *highest}}


@dataclass(frozen=True, kw_only=True)
class Running:
    """What keeps running: a Deployment, a StatefulSet, a Pod, ….

    Attributes:
        title: What to call it.
        replicas: How many pods run before, and after.
        surge: How many more run at the same time during its rollout.
        usage: What one pod takes.
        overlap: How many more there can be while old pods, which Kubernetes does not wait for, shut down.
    """

    title: str
    replicas: int
    usage: Usage
    surge: int = 0
    overlap: int = 0


@dataclass(frozen=True, kw_only=True)
class Task:
    """What runs to its end: a Job, or one run of a CronJob."""

    title: str
    pods: int
    usage: Usage


@dataclass(frozen=True)
class Moment:
    """Pods that exist at the same time: how many of which size, and why."""

    title: str
    parts: tuple[tuple[str, int, Usage], ...]

    def total(self, key: str) -> Fraction:
        """Gives the sum of a quota key."""
        return sum((count * usage.get(key, Fraction(0)) for _, count, usage in self.parts), Fraction(0))


def moments(
    running: Sequence[Running], jobs: Sequence[Task], stages: Sequence[Sequence[Running]], cron: Sequence[Task]
) -> Iterator[Moment]:
    """Gives the moments of the planned order.

    Args:
        running: Everything that keeps running.
        jobs: The Jobs, in their order.
        stages: The rollouts: those of one stage are at the same time, a stage waits for the one before.
        cron: The CronJobs, each of which can run beside the running pods at any time.
    """
    steady = tuple((f"{one.title} running", one.replicas, one.usage) for one in running if one.replicas)
    for job in jobs:
        yield Moment(f"Job {job.title}", (*steady, (job.title, job.pods, job.usage)))
    for stage in stages:
        surging = [one for one in stage if one.surge]
        surge = tuple((f"{one.title} surge", one.surge, one.usage) for one in surging)
        names = ", ".join(one.title for one in surging)
        yield Moment(f"rollout of {names}" if names else "running", (*steady, *surge))
    for task in cron:
        yield Moment(f"CronJob {task.title}", (*steady, (task.title, task.pods, task.usage)))


def shutting_down(running: Sequence[Running]) -> Moment:
    """Gives the worst moment of the rollouts when old pods take their time to shut down."""
    parts = [(f"{one.title} running", one.replicas, one.usage) for one in running if one.replicas]
    parts += [(f"{one.title} new or shutting down", one.overlap, one.usage) for one in running if one.overlap]
    return Moment("old pods shutting down", tuple(parts))


def surge_of(spec: Mapping[str, Any], replicas: int) -> int:
    """Gives how many pods more than its replicas a Deployment has at most during a rollout.

    Percentages of ``maxSurge`` are rounded up, those of ``maxUnavailable`` down; there are never more new pods than
    replicas.
    """
    strategy = mapping(spec.get("strategy"))
    if strategy.get("type") == "Recreate" or spec.get("paused") is True or replicas < 1:
        return 0
    rolling = mapping(strategy.get("rollingUpdate"))
    return min(scaled(rolling.get("maxSurge", "25%"), replicas, up=True), replicas)


def scaled(value: Any, replicas: int, *, up: bool) -> int:
    """Reads a number, or a percentage of the replicas."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        share = Fraction(int(value[:-1]) * replicas, 100)
        return -(-share.numerator // share.denominator) if up else share.numerator // share.denominator
    return max(0, whole(value, 0))


def job_pods(spec: Mapping[str, Any]) -> int:
    """Gives how many pods of a Job run at the same time."""
    parallelism = max(0, whole(spec.get("parallelism"), 1))
    completions = spec.get("completions")
    return min(parallelism, max(0, whole(completions, parallelism))) if completions is not None else parallelism


def show(key: str, amount: Fraction) -> str:
    """Writes an amount in the unit of its quota key."""
    return quantity.show_bytes(amount) if "memory" in key or "storage" in key else quantity.show_cpu(amount)


def table(all_moments: Sequence[Moment], keys: Sequence[str], hard: Mapping[str, Fraction]) -> str:
    """Writes the moments as a table, and marks what does not fit."""
    rows = [["moment", *keys], ["quota", *(show(key, hard[key]) for key in keys)]]
    for moment in all_moments:
        cells = [(moment.total(key), key) for key in keys]
        rows.append([moment.title, *(f"{show(key, sum_)}{' !' if sum_ > hard[key] else ''}" for sum_, key in cells)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(keys) + 1)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def summed(moment: Moment, key: str) -> str:
    """Writes how a moment's sum comes about: ``web running 500m + web surge 500m = 1``."""
    parts = []
    for title, count, usage in moment.parts:
        amount = usage.get(key, Fraction(0))
        if amount and count:
            parts.append(f"{title} {f'{count} x ' if count > 1 else ''}{show(key, amount)}")
    return f"{' + '.join(parts)} = {show(key, moment.total(key))}"


def hard_limits(quota: Mapping[str, Any]) -> dict[str, Fraction]:
    """Gives a ResourceQuota's limits by key."""
    return amounts(dig(quota, "spec", "hard"))


def applies(quota: Mapping[str, Any], pod_spec: Mapping[str, Any], usage: Usage) -> bool | None:
    """Says whether a quota with scopes counts the pod; None where that depends on what is not known here."""
    scopes = [string(scope) for scope in sequence(dig(quota, "spec", "scopes"))]
    for expression in map(mapping, sequence(dig(quota, "spec", "scopeSelector", "matchExpressions"))):
        if expression.get("operator") != "Exists":
            return None
        scopes.append(string(expression.get("scopeName")))
    best_effort = not any(key.partition(".")[2] in _POD_LEVEL and amount for key, amount in usage.items())
    terminating = pod_spec.get("activeDeadlineSeconds") is not None
    answers = {
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "Terminating": terminating,
        "NotTerminating": not terminating,
    }
    if any(scope not in answers for scope in scopes):
        return None
    return all(answers[scope] for scope in scopes)
