"""What ``logs`` reads: the logs of an environment's pods, of its Jobs too."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.engine.jobs import is_job
from aphiria_deploy.errors import AphiriaDeployError, ApiError, InputError
from aphiria_deploy.fields import at
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, concurrently

_POD = Kind("v1", "Pod")


@dataclass(frozen=True)
class Source:
    """A container whose log is read."""

    pod: str
    namespace: str
    container: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How logs are read.

    Attributes:
        follow: Whether to go on with what is still written.
        tail: How many of the last lines.
        previous: Whether to read, of each container, the instance before.
    """

    follow: bool
    tail: int
    previous: bool


def log_sources(client: Client, bundle: Bundle, only: str, deadline: Deadline) -> list[Source]:
    """Finds the containers of an environment's pods, of its Jobs too.

    Args:
        client: The cluster.
        bundle: What was deployed.
        only: The name of a workload, a Job or a container to be content with; all where it is empty.
        deadline: By when.

    Raises:
        InputError: There is nothing of that name.
    """
    sources: list[Source] = []
    for item in bundle.manifests:
        selector = _selector(item)
        if selector is None:
            continue
        metadata = item["metadata"]
        namespace, called = metadata["namespace"], {metadata["name"], (metadata.get("labels") or {}).get("app")}
        for pod in client.list(_POD, deadline, namespace=namespace, labels=selector).items:
            spec, name = pod["spec"], pod["metadata"]["name"]
            containers = [one["name"] for one in (*(spec.get("initContainers") or ()), *spec["containers"])]
            sources += [
                Source(name, namespace, container)
                for container in containers
                if not only or only in {*called, name, container}
            ]
    if only and not sources:
        raise InputError(
            f"logs: found no workload, Job or container {only!r}, or no pod of it; see `aphiria-deploy status`"
        )
    return sources


def _selector(item: Manifest) -> str | None:
    if is_job(item):
        return f"batch.kubernetes.io/job-name={item['metadata']['name']}"
    labels = at(item, "spec", "selector", "matchLabels")
    if item["kind"] not in {"Deployment", "StatefulSet", "DaemonSet"} or not labels:
        return None
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def read_logs(client: Client, sources: Sequence[Source], deadline: Deadline, how: Reading) -> Iterator[str]:
    """Reads logs, each line with its pod and container in front: one after the other, or followed, as they come.

    Raises:
        AphiriaDeployError: One could not be read; that a container has written nothing yet is no error.
    """
    if how.follow:
        yield from _followed(client, sources, deadline, how)
        return
    reads = [partial(_read, client, source, deadline, how) for source in sources]
    for outcome in concurrently(reads, deadline.cancellation):
        yield from outcome.get()


def _read(client: Client, source: Source, deadline: Deadline, how: Reading) -> list[str]:
    return list(_lines(client, source, deadline, how))


def _lines(client: Client, source: Source, deadline: Deadline, how: Reading) -> Iterator[str]:
    label = f"{source.pod}/{source.container}"
    try:
        for line in client.logs(
            source.pod,
            source.namespace,
            deadline,
            container=source.container,
            follow=how.follow,
            tail=how.tail,
            previous=how.previous,
        ):
            yield f"{label} | {line}"
    except ApiError as error:
        # Such as that it has not started, or that there was no instance before.
        yield f"{label} | ({error})"


def _followed(client: Client, sources: Sequence[Source], deadline: Deadline, how: Reading) -> Iterator[str]:
    told: queue.SimpleQueue[str | AphiriaDeployError | None] = queue.SimpleQueue()
    ended = Cancellation(deadline.cancellation)

    def follow(source: Source) -> None:
        try:
            for line in _lines(client, source, deadline.under(ended), how):
                told.put(line)
        except AphiriaDeployError as error:
            told.put(error)
        finally:
            told.put(None)

    with ThreadPoolExecutor(max(1, len(sources))) as pool:
        try:
            following = [pool.submit(follow, source) for source in sources]
            left = len(sources)
            while left:
                match told.get():
                    case None:
                        left -= 1
                    case str(line):
                        yield line
                    case error:
                        raise error
            for one in following:
                one.result()
        finally:
            # Also where nobody reads on: the others would be followed for ever.
            ended.cancel("nobody reads the logs any more")
            ended.close()
