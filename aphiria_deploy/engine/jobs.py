"""When a Job runs, and why: its class, what it depends on, and what became of it before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.engine.waves import dependencies, references
from aphiria_deploy.errors import InputError
from aphiria_deploy.fields import conditions
from aphiria_deploy.objects import ObjectKey

CLASS = "deploy.aphiria.com/job-class"
INPUT = "deploy.aphiria.com/job-input"
RUNS_AGAIN_WITH = "deploy.aphiria.com/runs-again-with"
"""The annotation that names the objects whose identity a Job's work belongs to: a database server's claim."""
IDENTITY = "deploy.aphiria.com/identity"
"""The annotation of a pod template with the UIDs of those objects: another server's Job is another Job."""


class JobClass(StrEnum):
    """When a Job runs again."""

    ENSURE = "ensure"
    ONCE = "once"
    ALWAYS = "always"


class Course(StrEnum):
    """What becomes of a Job in a deploy."""

    RUN = "run"
    """It is created; one of its name that is there goes first."""
    WAIT = "wait"
    """It is there and running: it is waited for."""
    LEAVE = "leave"
    """It has done its work."""


@dataclass(frozen=True)
class Decision:
    """What becomes of a Job, and why."""

    course: Course
    why: str


def is_job(manifest: Mapping[str, Any]) -> bool:
    """Whether an object is a Job."""
    return (manifest["kind"], manifest["apiVersion"].partition("/")[0]) == ("Job", "batch")


def job_class(manifest: Mapping[str, Any]) -> JobClass:
    """The class of a Job. One that says none runs once: a Job of its name that is complete is not run again.

    Raises:
        InputError: What it says is no class.
    """
    said = (manifest["metadata"].get("annotations") or {}).get(CLASS, JobClass.ONCE)
    if said not in set(JobClass):
        raise InputError(
            f"{ObjectKey.of(manifest)}: metadata.annotations[{CLASS}]: found {said!r}, expected ensure, once or always"
        )
    return JobClass(said)


def identities(manifest: Mapping[str, Any]) -> list[ObjectKey]:
    """The objects whose identity a Job's work belongs to."""
    return references(manifest, RUNS_AGAIN_WITH)


def with_identities(manifest: Manifest, uids: Mapping[ObjectKey, str]) -> Manifest:
    """Gives a Job whose template says on which objects, by their UIDs, it works; any other is given back as it is."""
    if not is_job(manifest) or not (keys := identities(manifest)):
        return manifest
    template = manifest["spec"]["template"]
    metadata = template.get("metadata") or {}
    said = ",".join(uids.get(key, "") for key in keys)
    annotations = {**(metadata.get("annotations") or {}), IDENTITY: said}
    spec = manifest["spec"] | {"template": template | {"metadata": metadata | {"annotations": annotations}}}
    return manifest | {"spec": spec}


def done_once(manifest: Manifest, jobs: Sequence[Manifest], uids: Mapping[ObjectKey, str]) -> str:
    """What a release records of a complete Job of class ``once``: its input, and on which server it has worked.

    A migration that ran on a server that was rebuilt since must run again on the new one. Which server that is, the
    Jobs say that it depends on.

    Args:
        manifest: The Job.
        jobs: All Jobs of the bundle.
        uids: The UIDs of the objects that Jobs name as what they work on.
    """
    by_key = {ObjectKey.of(job): job for job in jobs}
    found: list[str] = []
    pending, visited = [manifest], set()
    while pending:
        job = pending.pop()
        key = ObjectKey.of(job)
        if key in visited:
            continue
        visited.add(key)
        found += [uids.get(identity, "") for identity in identities(job)]
        pending += [by_key[wanted] for wanted in dependencies(job) if wanted in by_key]
    metadata = manifest["metadata"]
    written = (metadata.get("annotations") or {}).get(INPUT) or f"{metadata.get('namespace', '')}/{metadata['name']}"
    return "@".join([written, *sorted(filter(None, found))])


def outcome(live: Mapping[str, Any] | None) -> str:
    """What became of a Job: ``absent``, ``going``, ``running``, ``complete`` or ``failed``."""
    if live is None:
        return "absent"
    if live["metadata"].get("deletionTimestamp"):
        return "going"
    found = conditions(live.get("status"))
    if (complete := found.get("Complete")) and complete.status == "True":
        return "complete"
    if any((entry := found.get(kind)) and entry.status == "True" for kind in ("Failed", "FailureTarget")):
        return "failed"
    return "running"


def decide_once(live: Mapping[str, Any] | None, done: str, recorded: Collection[str]) -> Decision:
    """Decides for a Job of class ``once``, which the server need not be asked for.

    Args:
        live: The Job of its name.
        done: What `done_once` gives for it.
        recorded: What the release that runs has recorded.
    """
    if done in recorded:
        return Decision(Course.LEAVE, "it has run for this image and command")
    match outcome(live):
        case "complete" if "@" not in done:
            return Decision(Course.LEAVE, "it is complete")
        case "complete":
            # Complete, and not recorded: the run that was to record it died, or the server was rebuilt since.
            return Decision(Course.RUN, "nothing records that it ran on this database server")
        case "running":
            return Decision(Course.WAIT, "it is running already")
        case "failed":
            return Decision(Course.RUN, "its last attempt failed")
        case _:
            return Decision(Course.RUN, "it has not run for this image and command")


def decide(live: Mapping[str, Any] | None, wanted: JobClass, *, same_template: bool, differs: str = "") -> Decision:
    """Decides for a Job of class ``ensure`` or ``always``.

    Args:
        live: The Job of its name.
        wanted: Its class.
        same_template: Whether the live one runs exactly this.
        differs: In what the two differ.
    """
    found = outcome(live)
    if found == "absent":
        return Decision(Course.RUN, "it has not run yet")
    if not same_template:
        return Decision(Course.RUN, differs or "what it runs has changed")
    if found == "running":
        return Decision(Course.WAIT, "it is running already")
    if found in {"failed", "going"}:
        return Decision(Course.RUN, "its last attempt failed" if found == "failed" else "it is being deleted")
    if wanted is JobClass.ALWAYS:
        return Decision(Course.RUN, "it runs on every deploy")
    return Decision(Course.LEAVE, "nothing has changed since it ran")


def template_difference(live: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """In which of the engine's annotations the templates of two Jobs differ, in words; empty where in neither."""
    old, new = (_annotations(item) for item in (live, manifest))
    if old.get(IDENTITY) != new.get(IDENTITY):
        return "the database server is another one"
    if old.get("checksum/secret") != new.get("checksum/secret"):
        return "a Secret that it uses has changed"
    return ""


def _annotations(job: Mapping[str, Any]) -> Mapping[str, str]:
    annotations: Mapping[str, str] = (job["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    return annotations
