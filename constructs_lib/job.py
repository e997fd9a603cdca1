"""Jobs: named after what they run, so the same input is a no-op and another input is another Job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from constructs_lib.checksum import checksum
from constructs_lib.errors import InvalidValueError
from constructs_lib.order import ObjectRef, depends_on
from constructs_lib.placement import Placement
from constructs_lib.pod import PodOptions
from constructs_lib.values import Name

JOB_CLASS = "deploy.aphiria.com/job-class"
"""The annotation that says when a Job runs again."""
JOB_INPUT = "deploy.aphiria.com/job-input"
"""The annotation of a Job of class ``once`` that says what it has done when it is complete."""
RUNS_AGAIN_WITH = "deploy.aphiria.com/runs-again-with"
"""The annotation of a Job of class ``ensure`` that names an object: when its UID is another, the Job runs again."""

_HASH_DIGITS = 10


class JobClass(StrEnum):
    """When a Job runs again."""

    ENSURE = "ensure"
    """Whenever its template, its Secret or what it works on changed: it makes something so, and again does no harm."""
    ONCE = "once"
    """Never for the same image and command."""
    ALWAYS = "always"
    """On every deploy."""


def job(
    placement: Placement,
    *,
    prefix: str,
    app: str,
    component: str,
    job_class: JobClass,
    pod: Mapping[str, Any],
    after: Sequence[ObjectRef] = (),
    runs_again_with: ObjectRef | None = None,
    options: PodOptions,
    deadline: int,
    retries: int,
) -> dict[str, Any]:
    """Gives a Job whose name ends in a hash of what it runs.

    It stays when it has finished, with its log, until a release without it prunes it.

    Args:
        placement: Where it lives.
        prefix: Its name in front of the hash.
        app: The application that it is a part of.
        component: Its role in the site.
        job_class: When it runs again.
        pod: The pod's spec.
        after: What must be there, or complete, first.
        runs_again_with: For a Job of class ``ensure``, an object that tells what it works on from another by its UID.
        options: What the site adds.
        deadline: Seconds after which it has failed.
        retries: How often a failed pod is replaced.

    Raises:
        InvalidValueError: The prefix leaves no room for the hash, or a number is out of range.
    """
    if deadline < 1 or retries < 0:
        raise InvalidValueError(f"Job {prefix}", f"deadline {deadline}, retries {retries}", "1 or more, and 0 or more")
    template: dict[str, Any] = {
        "metadata": {"labels": placement.object_labels(app, component) | dict(options.labels)},
        "spec": dict(pod),
    }
    if options.annotations:
        template["metadata"]["annotations"] = dict(options.annotations)
    spec = {"backoffLimit": retries, "activeDeadlineSeconds": deadline, "template": template}
    annotations = {JOB_CLASS: job_class.value}
    if job_class is JobClass.ONCE:
        runs = [[part["image"], part.get("command", []), part.get("args", [])] for part in pod["containers"]]
        annotations[JOB_INPUT] = checksum(runs)
    if runs_again_with:
        annotations[RUNS_AGAIN_WITH] = str(runs_again_with)
    name = str(Name(f"{prefix}-{checksum([job_class.value, spec])[:_HASH_DIGITS]}"))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": placement.metadata(name, app=app, component=component, annotations=annotations | depends_on(after)),
        "spec": spec,
    }


def job_ref(manifest: Mapping[str, Any]) -> ObjectRef:
    """Gives the reference with which others wait for a Job."""
    metadata = manifest["metadata"]
    return ObjectRef(group="batch", kind="Job", namespace=metadata["namespace"], name=metadata["name"])
