"""What runs pods and goes on running: Deployment, ReplicaSet, StatefulSet, DaemonSet, and the Pod itself.

The fields and their meaning are those of the Kubernetes API reference (apps/v1, v1); what their controllers write
was recorded from Kubernetes 1.36.
"""

from __future__ import annotations

from datetime import timedelta

from aphiria_deploy.fields import (
    Condition,
    Object,
    at,
    conditions,
    mapping,
    mappings,
    metadata,
    moment,
    number,
    text,
)
from aphiria_deploy.readiness.verdict import Readiness, count, failed, ready, waiting

_NOT_OBSERVED = "waiting for its controller to see it"
_NO_DEADLINE = 2**31 - 1
"""With this ``progressDeadlineSeconds`` the controller writes no ``Progressing`` condition (apps/v1)."""


def deployment(item: Object) -> Readiness:
    """Every replica is of this template and available, no old one is left, and the controller says so."""
    found = conditions(item.get("status"))
    progressing = found.get("Progressing")
    if _observed(item) is None:
        return waiting(_NOT_OBSERVED)
    if _missed_its_deadline(item, progressing):
        return failed(f"no progress for {_deadline(item)} s: {progressing}")
    if at(item, "spec", "paused") is True and progressing and progressing.reason == "DeploymentPaused":
        return waiting("its rollout is paused (spec.paused)")
    if pending := _replicas_pending(item, found):
        return waiting(pending)
    if _deadline(item) != _NO_DEADLINE and (not progressing or progressing.reason != "NewReplicaSetAvailable"):
        return waiting("waiting for its controller to call the rollout complete")
    available = found.get("Available")
    if not available or available.status != "True":
        return waiting(str(available) if available else "waiting for its controller to call it available")
    return ready(_pods_available(number(at(item, "spec", "replicas"), 1)))


def replica_set(item: Object) -> Readiness:
    """Every replica is available."""
    wanted = number(at(item, "spec", "replicas"), 1)
    if _observed(item) is None:
        return waiting(_NOT_OBSERVED)
    available = number(at(item, "status", "availableReplicas"))
    if available < wanted:
        refused = conditions(item.get("status")).get("ReplicaFailure")
        if refused and refused.status == "True":
            return waiting(f"a pod cannot be created: {refused.message}")
        return waiting(f"{available} of {wanted} pods available")
    surplus = number(at(item, "status", "replicas")) - wanted
    return waiting(f"{count(surplus, 'pod')} to end") if surplus > 0 else ready(_pods_available(wanted))


def stateful_set(item: Object) -> Readiness:
    """Every replica is ready and of this revision; with a partition, those above it; with OnDelete, of any."""
    status, wanted = item.get("status"), number(at(item, "spec", "replicas"), 1)
    if _observed(item) is None:
        return waiting(_NOT_OBSERVED)
    running, prepared = number(at(status, "replicas")), number(at(status, "readyReplicas"))
    if min(running, prepared) < wanted:
        return waiting(f"{min(running, prepared)} of {wanted} pods ready")
    if running > wanted:
        return waiting(f"{count(running - wanted, 'pod')} to end")
    if at(item, "spec", "updateStrategy", "type") == "OnDelete":
        return ready(f"{count(wanted, 'pod')} ready; a pod is updated when it is deleted (OnDelete)")
    updated = number(at(status, "updatedReplicas"))
    partition = number(at(item, "spec", "updateStrategy", "rollingUpdate", "partition"))
    if updated < wanted - partition:
        return waiting(f"{updated} of {max(wanted - partition, 0)} pods updated")
    if partition == 0 and at(status, "currentRevision") != at(status, "updateRevision"):
        return waiting("waiting for its controller to call the rollout complete")
    return ready(f"{count(wanted, 'pod')} ready")


def daemon_set(item: Object) -> Readiness:
    """On every node that should have one, its pod is of this template and available."""
    status = item.get("status")
    if _observed(item) is None:
        return waiting(_NOT_OBSERVED)
    wanted = number(at(status, "desiredNumberScheduled"))
    steps = [("currentNumberScheduled", "scheduled"), ("numberReady", "ready"), ("numberAvailable", "available")]
    if at(item, "spec", "updateStrategy", "type") != "OnDelete":
        steps.insert(1, ("updatedNumberScheduled", "updated"))
    for field, word in steps:
        if (reached := number(at(status, field))) < wanted:
            return waiting(f"{reached} of {wanted} pods {word}")
    return ready(_pods_available(wanted))


def pod(item: Object) -> Readiness:
    """It is Ready, or has ended well."""
    status = item.get("status")
    match text(at(status, "phase")):
        case "Succeeded":
            return ready("completed")
        case "Failed":
            reason = text(at(status, "reason")) or _ended_badly(item) or "a container failed"
            return failed(": ".join(filter(None, (reason, text(at(status, "message"))))))
        case _:
            pass
    found = conditions(status)
    if (prepared := found.get("Ready")) and prepared.status == "True":
        return ready("ready")
    scheduled = found.get("PodScheduled")
    if scheduled and scheduled.status == "False":
        return waiting(str(scheduled))
    if held := _held_up(item):
        return waiting(held)
    return waiting(prepared.message if prepared and prepared.message else "waiting for its containers to be ready")


def missed_deadline_condition(item: Object) -> Condition | None:
    """The Deployment's condition that says that this rollout made no progress for too long, or None."""
    progressing = conditions(item.get("status")).get("Progressing")
    return progressing if _missed_its_deadline(item, progressing) else None


def _observed(item: Object) -> int | None:
    observed = at(item, "status", "observedGeneration")
    return observed if isinstance(observed, int) else None


def _deadline(item: Object) -> int:
    return number(at(item, "spec", "progressDeadlineSeconds"), _NO_DEADLINE)


def _missed_its_deadline(item: Object, progressing: Condition | None) -> bool:
    """Whether ProgressDeadlineExceeded is about this rollout and not about one before it.

    The controller keeps the condition until it sees progress. A rollback to a ReplicaSet that still exists, and
    another attempt at the same template, therefore report it at once, and with the new generation (recorded from
    Kubernetes 1.36). It counts when some pod is unavailable, and when it was written at least as long after the
    spec as the deadline is.
    """
    if not progressing or progressing.reason != "ProgressDeadlineExceeded":
        return False
    if number(at(item, "status", "unavailableReplicas")) == 0:
        return False
    asked = [
        time
        for entry in mappings(metadata(item).get("managedFields"))
        if not entry.get("subresource") and "f:spec" in mapping(entry.get("fieldsV1"))
        if (time := moment(entry.get("time")))
    ]
    if not asked or not progressing.updated:
        return True
    return progressing.updated >= max(asked) + timedelta(seconds=_deadline(item))


def _replicas_pending(item: Object, found: dict[str, Condition]) -> str:
    """What the counts say that a Deployment waits for; empty when nothing."""
    status, wanted = item.get("status"), number(at(item, "spec", "replicas"), 1)
    running, updated = number(at(status, "replicas")), number(at(status, "updatedReplicas"))
    old = max(running - updated, 0)
    # The counts do not tell old pods from new ones: at least so many of the new ones are available.
    available = max(
        number(at(status, "availableReplicas")) - old, updated - number(at(status, "unavailableReplicas")), 0
    )
    refused = found.get("ReplicaFailure")
    if refused and refused.status == "True" and available < wanted:
        return f"a pod cannot be created: {refused.message}"
    if updated < wanted:
        return f"{updated} of {wanted} pods updated"
    if available < updated:
        return f"{available} of {updated} updated pods available"
    if old or running > wanted:
        return f"{count(max(old, running - wanted), 'old pod')} to end"
    prepared = number(at(status, "readyReplicas"))
    return f"{prepared} of {wanted} pods ready" if prepared < wanted else ""


def _pods_available(amount: int) -> str:
    return f"{count(amount, 'pod')} available" if amount else "no pods wanted"


def _held_up(item: Object) -> str:
    """Which container waits, and for what: init containers first, since the others wait for them."""
    for field in ("initContainerStatuses", "containerStatuses"):
        for entry in mappings(at(item, "status", field)):
            reason = text(at(entry, "state", "waiting", "reason"))
            if reason and reason != "PodInitializing":
                message = text(at(entry, "state", "waiting", "message"))
                return f"container {text(entry.get('name'))}: {': '.join(filter(None, (reason, message)))}"
    return ""


def _ended_badly(item: Object) -> str:
    for field in ("initContainerStatuses", "containerStatuses"):
        for entry in mappings(at(item, "status", field)):
            code = number(at(entry, "state", "terminated", "exitCode"))
            if code:
                reason = text(at(entry, "state", "terminated", "reason")) or "Error"
                return f"container {text(entry.get('name'))}: {reason}, exit code {code}"
    return ""
