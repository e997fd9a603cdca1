"""Rules about what a namespace's quota allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from constructs_lib.checks import budget
from constructs_lib.checks.budget import Moment, Running, Task
from constructs_lib.checks.manifests import Container, Manifests, Object, Pod, dig, mapping, whole
from constructs_lib.checks.model import Severity
from constructs_lib.checks.order import stages
from constructs_lib.checks.registry import Found, rule

_COMPUTE = ("requests.cpu", "limits.cpu", "requests.memory", "limits.memory")
_KEYS = (*_COMPUTE, "cpu", "memory", "pods", "count/pods")
_REPORTED = 8


def _quotas(manifests: Manifests) -> dict[str, list[Object]]:
    result: dict[str, list[Object]] = defaultdict(list)
    for quota in manifests.everywhere("ResourceQuota"):
        result[quota.namespace].append(quota)
    return result


def _defaults(manifests: Manifests, namespace: str) -> budget.Defaults:
    ranges = [item.data for item in manifests.everywhere("LimitRange") if item.namespace == namespace]
    return budget.defaults_of(ranges) if ranges else budget.NO_DEFAULTS


@rule(
    "quota-resources",
    summary="a container or init container lacks the requests or limits that its namespace's quota demands",
    why="Pods were refused, first for a container and later for an init container without limits (`failed quota: must "
    "specify limits.cpu`), and the tool waited 10 minutes in silence.",
)
def quota_resources(manifests: Manifests) -> Iterator[Found]:
    """Finds containers that the quota's admission refuses."""
    for namespace, quotas in _quotas(manifests).items():
        defaults = _defaults(manifests, namespace)
        for pod in manifests.pods_in(namespace):
            usage = budget.pod_usage(pod.spec, defaults)
            counting = [quota for quota in quotas if budget.applies(quota.data, pod.spec, usage)]
            demanded = {_full(key): quota for quota in counting for key in budget.hard_limits(quota.data)}
            compute = [key for key in _COMPUTE if key in demanded]
            if not compute:
                continue
            quota = demanded[compute[0]]
            for container in pod.containers:
                yield from _lacking(manifests, pod, container, defaults, (quota, compute))


def _full(key: str) -> str:
    return f"requests.{key}" if key in {"cpu", "memory"} else key


def _lacking(
    manifests: Manifests, pod: Pod, container: Container, defaults: budget.Defaults, demand: tuple[Object, list[str]]
) -> Iterator[Found]:
    quota, compute = demand
    requests, limits = budget.container_amounts(container.data, defaults)
    whole_pod = mapping(pod.spec.get("resources"))
    if whole_pod.get("requests") or whole_pod.get("limits"):
        return  # the pod as a whole says it (KEP-2837), and the quota asks no more
    own = {"requests": requests, "limits": limits}
    missing = [key for key in _COMPUTE if key.partition(".")[2] not in own[key.partition(".")[0]]]
    refused = [key for key in missing if key in compute]
    kind = "init container" if container.init else "container"
    path = f"{container.path}.resources"
    if refused:
        yield Found(
            pod.owner,
            path,
            f"{kind} {container.name} has no {', '.join(refused)}; ResourceQuota {quota.name} refuses its pods without",
            f"set resources.{', resources.'.join(refused)}",
        )
    elif missing and manifests.closed:
        yield Found(
            pod.owner,
            path,
            f"{kind} {container.name} has no {', '.join(missing)}; in a namespace with a quota every container has "
            "requests and limits of CPU and memory",
            f"set resources.{', resources.'.join(missing)}",
            Severity.WARNING,
        )


@rule(
    "quota-budget",
    summary="a moment of the deploy does not fit the quota: a Job beside the running pods, or a rollout with its surge",
    why="A rolling update did not fit the quota, because old and new pods run together and Jobs beside them: the "
    "rollout hung until its timeout.",
)
def quota_budget(manifests: Manifests) -> Iterator[Found]:
    """Simulates the planned order of the deploy in each namespace that has a quota."""
    for namespace, quotas in _quotas(manifests).items():
        for quota in quotas:
            hard = budget.hard_limits(quota.data)
            plan = _plan(manifests, namespace, quota)
            keys = [key for key in hard if _is_counted(key)]
            yield from _over(manifests, plan, quota, keys)
            yield from _objects(manifests, quota, hard)


@dataclass
class _Plan:
    """What runs in a namespace, as one quota counts it."""

    running: list[Running] = field(default_factory=list)
    jobs: list[Task] = field(default_factory=list)
    cron: list[Task] = field(default_factory=list)
    stages: list[list[Running]] = field(default_factory=list)
    owners: list[Object] = field(default_factory=list)


def _plan(manifests: Manifests, namespace: str, quota: Object) -> _Plan:
    plan = _Plan()
    defaults = _defaults(manifests, namespace)
    staged: dict[Object, Running] = {}
    jobs: dict[Object, Task] = {}
    for pod in manifests.pods_in(namespace, with_base=True):
        usage = budget.pod_usage(pod.spec, defaults)
        if not budget.applies(quota.data, pod.spec, usage):
            continue
        owner, title = pod.owner, pod.owner.name
        if owner.kind == "Job":
            jobs[owner] = Task(title=title, pods=budget.job_pods(owner.spec), usage=usage)
        elif owner.kind == "CronJob":
            if owner.spec.get("suspend") is not True:
                pods = budget.job_pods(mapping(dig(owner.spec, "jobTemplate", "spec")))
                plan.cron.append(Task(title=title, pods=pods, usage=usage))
        else:
            staged[owner] = _running(manifests, pod, title, usage)
            plan.running.append(staged[owner])
        plan.owners.append(owner)
    plan.jobs = [jobs[item] for stage in stages(list(jobs)) for item in stage]
    plan.stages = [[staged[item] for item in stage] for stage in stages(list(staged))]
    return plan


def _running(manifests: Manifests, pod: Pod, title: str, usage: budget.Usage) -> Running:
    owner = pod.owner
    replicas = 1 if owner.kind in {"Pod", "DaemonSet"} else _replicas(manifests, owner)
    surge = budget.surge_of(owner.spec, replicas) if owner.kind == "Deployment" else 0
    recreated = dig(owner.spec, "strategy", "type") == "Recreate" or owner.kind != "Deployment"
    at_once = pod.spec.get("terminationGracePeriodSeconds") == 0
    overlap = surge if recreated or at_once else replicas
    return Running(title=title, replicas=replicas, usage=usage, surge=surge, overlap=overlap)


def _replicas(manifests: Manifests, owner: Object) -> int:
    """Gives how many replicas there are at least: an autoscaler's minimum where the manifest leaves it open."""
    replicas = owner.spec.get("replicas")
    for scaler in manifests.everywhere("HorizontalPodAutoscaler"):
        target = mapping(scaler.spec.get("scaleTargetRef"))
        if (scaler.namespace, target.get("kind"), target.get("name")) == (owner.namespace, owner.kind, owner.name):
            return max(whole(replicas, 1), whole(scaler.spec.get("minReplicas"), 1))
    return max(0, whole(replicas, 1))


def _is_counted(key: str) -> bool:
    return key in _KEYS or key.startswith(("requests.ephemeral", "limits.ephemeral", "ephemeral", "requests.hugepages"))


def _over(manifests: Manifests, plan: _Plan, quota: Object, keys: Sequence[str]) -> Iterator[Found]:
    if not plan.owners:
        return
    hard = budget.hard_limits(quota.data)
    moments = list(budget.moments(plan.running, plan.jobs, plan.stages, plan.cron))
    over = [(moment, key) for moment in moments for key in keys if moment.total(key) > hard[key]]
    item = quota if manifests.emits(quota) else plan.owners[0]
    path = f'spec.hard["{(over[0][1] if over else keys[0])}"]' if keys and item is quota else ""
    if over:
        worst = {key: max((m for m, k in over if k == key), key=lambda m: m.total(key)) for _, key in over}
        sums = "\n".join(f"{key} at {moment.title}: {budget.summed(moment, key)}" for key, moment in worst.items())
        yield Found(
            item,
            path,
            f"ResourceQuota {quota.name} does not hold {_short(over, hard)}\n"
            f"{budget.table(moments, keys, hard)}\n{sums}",
            "raise the quota, lower the resources, or roll out with less surge (strategy Recreate, or maxSurge 0)",
        )
        return
    last = budget.shutting_down(plan.running)
    late = [(last, key) for key in keys if last.total(key) > hard[key]]
    if late:
        yield Found(
            item,
            path,
            f"ResourceQuota {quota.name} holds the rollouts, but not while old pods shut down, which Kubernetes does "
            f"not wait for: {_short(late, hard)}\n{budget.table([*moments, last], keys, hard)}",
            "raise the quota, or shorten terminationGracePeriodSeconds: until then new pods are refused, and retried",
            Severity.WARNING,
        )


def _short(over: Sequence[tuple[Moment, str]], hard: budget.Amounts) -> str:
    said = [f"{key} {budget.show(key, m.total(key))} of {budget.show(key, hard[key])} at {m.title}" for m, key in over]
    more = f"; and {len(said) - _REPORTED} more" if len(said) > _REPORTED else ""
    return "; ".join(said[:_REPORTED]) + more


_COUNTED_KINDS = {
    "services": "Service",
    "count/services": "Service",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "count/persistentvolumeclaims": "PersistentVolumeClaim",
    "count/deployments.apps": "Deployment",
    "count/statefulsets.apps": "StatefulSet",
    "count/jobs.batch": "Job",
    "count/cronjobs.batch": "CronJob",
    "count/ingresses.networking.k8s.io": "Ingress",
}


def _objects(manifests: Manifests, quota: Object, hard: budget.Amounts) -> Iterator[Found]:
    """Finds quotas on the number of objects that the set alone exceeds."""
    if not manifests.emits(quota):
        return
    namespace = quota.namespace
    for key, kind in _COUNTED_KINDS.items():
        if key not in hard:
            continue
        names = [item.name for item in manifests.of(kind) if item.namespace == namespace]
        if len(names) > hard[key]:
            yield Found(
                quota,
                f'spec.hard["{key}"]',
                f"ResourceQuota {quota.name} allows {key} {budget.show('', hard[key])}, and the set has {len(names)}: "
                f"{', '.join(names[:_REPORTED])}",
                "raise the quota, or emit fewer",
            )
    storage = sum(
        (_claimed(item) for item in manifests.of("PersistentVolumeClaim") if item.namespace == namespace), Fraction(0)
    )
    if storage > hard.get("requests.storage", storage):
        yield Found(
            quota,
            'spec.hard["requests.storage"]',
            f"ResourceQuota {quota.name} allows {budget.show('storage', hard['requests.storage'])} of storage, and the "
            f"set's claims ask for {budget.show('storage', storage)}",
            "raise the quota, or ask for less",
        )


def _claimed(claim: Object) -> Fraction:
    return budget.amounts(dig(claim.spec, "resources", "requests")).get("storage", Fraction(0))
