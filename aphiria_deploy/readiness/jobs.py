"""What runs and ends: Job, and the CronJob that starts Jobs (batch/v1; recorded from Kubernetes 1.36)."""

from __future__ import annotations

from collections.abc import Iterable

from aphiria_deploy.fields import Object, at, conditions, number, text
from aphiria_deploy.readiness.verdict import Readiness, count, failed, ready, waiting


def job(item: Object) -> Readiness:
    """It is Complete. One that has started, or is suspended, is not."""
    status, found = item.get("status"), conditions(item.get("status"))
    if (complete := found.get("Complete")) and complete.status == "True":
        return ready("completed")
    if (failure := found.get("Failed")) and failure.status == "True":
        return failed(str(failure))
    if (failing := found.get("FailureTarget")) and failing.status == "True":
        # It is lost, but its pods still end, and with them their logs.
        return waiting(f"failing: {failing}; its pods are ending")
    if at(item, "spec", "suspend") is True:
        return waiting("suspended (spec.suspend): it does not run")
    if (met := found.get("SuccessCriteriaMet")) and met.status == "True":
        return waiting("succeeded; its pods are ending")
    if not at(status, "startTime"):
        return waiting("not started yet")
    return waiting(_progress(item))


def has_done_its_work(item: Object, pods: Iterable[Object]) -> bool:
    """Whether a pod of a Job has ended well, where one is all that it asks for.

    Its controller looks at what became of pods once a second, and then says Complete:
    https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/controller/job/job_controller.go (``SyncJobBatchPeriod``).

    Args:
        item: The Job.
        pods: The pods that it controls.
    """
    if text(at(item, "metadata", "deletionTimestamp")) or any(
        found.status == "True"
        for kind, found in conditions(item.get("status")).items()
        if kind in {"Failed", "FailureTarget"}
    ):
        return False
    spec = item.get("spec")
    alone = number(at(spec, "completions"), 1) == 1 and number(at(spec, "parallelism"), 1) == 1
    return alone and any(at(pod, "status", "phase") == "Succeeded" for pod in pods)


def cron_job(item: Object) -> Readiness:
    """It is ready at once: its Jobs come later."""
    if at(item, "spec", "suspend") is True:
        return ready("suspended (spec.suspend): it starts no Jobs")
    return ready(f"scheduled: {text(at(item, 'spec', 'schedule'))}")


def _progress(item: Object) -> str:
    status = item.get("status")
    wanted = number(at(item, "spec", "completions"), number(at(item, "spec", "parallelism"), 1))
    wrong = number(at(status, "failed"))
    parts = ["running" if number(at(status, "active")) else "waiting for its pod to be created"]
    if wanted > 1:
        parts.append(f"{number(at(status, 'succeeded'))} of {wanted} completed")
    if wrong:
        attempts = number(at(item, "spec", "backoffLimit"), 6) + 1
        parts.append(f"{count(wrong, 'failed attempt')} of {attempts}")
    return ", ".join(parts)
