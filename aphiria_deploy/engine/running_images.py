"""Whether pods run the images that were planned, by what the nodes' runtimes say that they run.

A tag can be moved, and a node can keep what it once led to; an ``imageID`` cannot. Which digest a runtime reports, that
of the index, of the platform's manifest or of the configuration, is its own business: all three are the same image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aphiria_deploy.fields import Object, at, mappings, metadata, name, namespace, text
from aphiria_deploy.registry.content import digest_of_image_id
from aphiria_deploy.registry.reference import Reference

Resolve = Callable[[Sequence[str]], Mapping[str, Collection[str]]]
"""Gives for each reference every digest under which a pod may report it: `ImageContent.digests` of the registry."""

_LISTS = (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses"))


@dataclass(frozen=True)
class WrongImage:
    """A container that does not run what was planned.

    Attributes:
        pod: ``namespace/name`` of its pod.
        container: Its name.
        planned: The reference that was planned.
        found: What it runs: the runtime's ``imageID``; the pod's own reference where the planned one has no digest.
    """

    pod: str
    container: str
    planned: str
    found: str

    def __str__(self) -> str:
        return f"Pod {self.pod}: container {self.container}: found {self.found}, expected {self.planned}"


def planned_images(workload: Object) -> dict[str, str]:
    """Gives the images of a workload's pods, init containers too, by the container's name.

    Args:
        workload: A Deployment, Job, CronJob, …, or a Pod.
    """
    spec = (
        at(workload, "spec", "jobTemplate", "spec", "template", "spec")
        or at(workload, "spec", "template", "spec")
        or workload.get("spec")
    )
    return {
        text(container.get("name")): text(container.get("image"))
        for kind, _ in _LISTS
        for container in mappings(at(spec, kind))
    }


def wrong_images(pods: Iterable[Object], planned: Mapping[str, str], resolve: Resolve) -> list[WrongImage]:
    """Finds the containers of a workload's pods that run something else than planned.

    A container that has not started yet runs nothing, and is not wrong; a pod that is being deleted or has failed does
    not count, nor does a container that was not planned (what a webhook injects). A reference without a digest, which a
    local environment may use, says nothing that a runtime's answer could be compared with: the pod's own reference is.

    Args:
        pods: The pods, as the API gives them.
        planned: References, by the name of the container.
        resolve: Is called once at most, and only with references whose own digest is not what is reported.

    Raises:
        InputError: A planned reference is not one.
        AphiriaDeployError: What ``resolve`` raises.
    """
    suspects = [one for pod in pods if _counts(pod) for one in _suspects(pod, planned)]
    in_question = sorted({wrong.planned for wrong, digest in suspects if digest})
    known = resolve(in_question) if in_question else {}
    return [wrong for wrong, digest in suspects if digest is None or digest not in known[wrong.planned]]


def _suspects(pod: Object, planned: Mapping[str, str]) -> Iterator[tuple[WrongImage, str | None]]:
    """Gives what is not what was planned by its own name, with the digest that may still be another name of it."""
    where = f"{namespace(pod)}/{name(pod)}"
    asked = {
        text(entry.get("name")): text(entry.get("image"))
        for kind, _ in _LISTS
        for entry in mappings(at(pod, "spec", kind))
    }
    statuses = {text(entry.get("name")): entry for _, kind in _LISTS for entry in mappings(at(pod, "status", kind))}
    for container, reference in planned.items():
        wanted = Reference.parse(reference, f"Pod {where}: container {container}").digest
        status = statuses.get(container, {})
        image_id = text(status.get("imageID"))
        digest = digest_of_image_id(image_id)
        if container not in asked:
            yield WrongImage(where, container, reference, "no such container"), None
        elif wanted is None:
            if asked[container] != reference:
                yield WrongImage(where, container, reference, asked[container]), None
        elif (image_id or _has_started(status)) and digest != wanted:
            yield WrongImage(where, container, reference, image_id or "no imageID"), digest


def _counts(pod: Object) -> bool:
    # One that was evicted stays as a record, of an earlier release too.
    return "deletionTimestamp" not in metadata(pod) and at(pod, "status", "phase") != "Failed"


def _has_started(status: Object) -> bool:
    return any(
        at(status, place, state) is not None for place in ("state", "lastState") for state in ("running", "terminated")
    )
