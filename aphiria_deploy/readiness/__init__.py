"""When an object is ready: one pure function a kind, object in, verdict out.

Nothing here asks a cluster or a clock. Messages are shown live, one line an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aphiria_deploy.fields import (
    Object,
    at,
    conditions,
    current,
    generation,
    group_kind,
    metadata,
    text,
)
from aphiria_deploy.readiness import certificates, core, jobs, routing, workloads
from aphiria_deploy.readiness.jobs import has_done_its_work
from aphiria_deploy.readiness.verdict import Readiness, failed, ready, waiting

__all__ = ["Readiness", "has_done_its_work", "judge"]

_CLAIM = ("", "PersistentVolumeClaim")


def judge(item: Object, binding_modes: Mapping[str, str] | None = None) -> Readiness:
    """Says whether an object has become what was asked for.

    Deletion comes first: an object that is being deleted is never ready. Then a status that is not about the
    present generation counts for nothing. The rest is a matter of the kind.

    Args:
        item: The object as the API server gives it.
        binding_modes: The ``volumeBindingMode`` of each StorageClass by its name, where the caller knows them; only
            claims are judged by it.
    """
    if text(metadata(item).get("deletionTimestamp")):
        return _being_deleted(item)
    observed = at(item, "status", "observedGeneration")
    if isinstance(observed, int) and observed < generation(item):
        return waiting(f"waiting for its controller to see generation {generation(item)}, it has seen {observed}")
    if group_kind(item) == _CLAIM:
        return core.persistent_volume_claim(item, binding_modes)
    return _RULES.get(group_kind(item), _by_conditions)(item)


def _being_deleted(item: Object) -> Readiness:
    """What holds a deletion up: what a namespace still has in it, the finalizers of anything else."""
    found = conditions(item.get("status"))
    remaining = [
        str(found[kind].message)
        for kind in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
        if kind in found and found[kind].status == "True"
    ]
    finalizers = metadata(item).get("finalizers")
    if not remaining and isinstance(finalizers, list) and finalizers:
        remaining = [f"finalizers {', '.join(map(str, finalizers))}"]
    return waiting(": ".join(["being deleted", *(["; ".join(remaining)] if remaining else [])]))


def _at_once(_: Object) -> Readiness:
    return ready("applied")


def _by_conditions(item: Object) -> Readiness:
    """Kinds that are not in the table: by the conditions that most controllers write, as kstatus reads them.

    Without any of them nothing is known, and nothing is waited for.
    """
    found = current(conditions(item.get("status")), item)
    stale = conditions(item.get("status")).keys() - found.keys()
    if (stalled := found.get("Stalled")) and stalled.status == "True":
        return failed(str(stalled))
    if (busy := found.get("Reconciling")) and busy.status == "True":
        return waiting(str(busy))
    for kind in ("Ready", "Available"):
        if kind in stale:
            return waiting(f"waiting for its controller to see generation {generation(item)}")
        if entry := found.get(kind):
            return ready(str(entry)) if entry.status == "True" else waiting(str(entry))
    return ready("applied")


_RULES: Mapping[tuple[str, str], Callable[[Object], Readiness]] = {
    ("", "Namespace"): core.namespace,
    ("", "ResourceQuota"): core.resource_quota,
    ("", "Pod"): workloads.pod,
    ("", "Service"): core.service,
    ("", "ConfigMap"): _at_once,
    ("", "LimitRange"): _at_once,
    ("", "Secret"): _at_once,
    ("", "ServiceAccount"): _at_once,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): core.custom_resource_definition,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _at_once,
    ("batch", "CronJob"): jobs.cron_job,
    ("batch", "Job"): jobs.job,
    ("cert-manager.io", "Certificate"): certificates.certificate,
    ("cert-manager.io", "ClusterIssuer"): certificates.issuer,
    ("cert-manager.io", "Issuer"): certificates.issuer,
    ("gateway.networking.k8s.io", "Gateway"): routing.gateway,
    ("gateway.networking.k8s.io", "GatewayClass"): routing.gateway_class,
    ("gateway.networking.k8s.io", "HTTPRoute"): routing.http_route,
    ("gateway.networking.k8s.io", "ReferenceGrant"): _at_once,
    ("gateway.nginx.org", "ClientSettingsPolicy"): routing.policy,
    ("gateway.nginx.org", "NginxProxy"): _at_once,
    ("gateway.nginx.org", "RateLimitPolicy"): routing.policy,
    ("networking.k8s.io", "NetworkPolicy"): _at_once,
    ("policy", "PodDisruptionBudget"): _at_once,
}
