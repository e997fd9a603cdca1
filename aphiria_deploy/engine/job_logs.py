"""Keeps the end of what a Job's containers write: a Job that runs out of time takes its pods and their logs along."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Self

from aphiria_deploy.diagnosis import LogSource, redact
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.fields import at, mapping, mappings, text
from aphiria_deploy.kube import Cancellation, Client, Deadline
from aphiria_deploy.progress import Progress

KEPT_LINES = 200


class JobLogs:
    """Follows the logs of Jobs' pods while it is entered.

    Args:
        client: The cluster.
        deadline: Until when.
        progress: Is told of each line.
        secrets: Values that must not be shown.
    """

    def __init__(self, client: Client, deadline: Deadline, progress: Progress, secrets: Collection[str]) -> None:
        self._client = client
        self._cancellation = Cancellation(deadline.cancellation)
        self._deadline = deadline.under(self._cancellation)
        self._progress = progress
        self._secrets = tuple(secrets)
        self._lines: dict[LogSource, deque[str]] = {}
        self._jobs: dict[LogSource, str] = {}
        self._threads: dict[LogSource, threading.Thread] = {}
        self._ended: set[LogSource] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cancellation.cancel("nobody reads the logs any more")
        self._cancellation.close()
        for thread in self._threads.values():
            thread.join(2)

    def follow(self, pod: Mapping[str, Any], job: str) -> None:
        """Begins to read what the containers of a Job's pod write, as soon as each has started.

        Args:
            pod: The pod.
            job: The UID of the Job.
        """
        for container, ended in _started(pod):
            metadata = pod["metadata"]
            source = LogSource(metadata["namespace"], metadata["name"], container, previous=False)
            if ended:
                self._ended.add(source)
            if source in self._lines:
                continue
            self._lines[source] = deque(maxlen=KEPT_LINES)
            self._jobs[source] = job
            thread = threading.Thread(target=self._read, args=(source,), name=f"log of {source.pod}", daemon=True)
            self._threads[source] = thread
            thread.start()

    def gone(self, pod: Mapping[str, Any]) -> None:
        """Takes note that a pod is gone: nothing more is written."""
        metadata = pod["metadata"]
        self._ended |= {
            source
            for source in self._lines
            if (source.namespace, source.pod) == (metadata["namespace"], metadata["name"])
        }

    def tail(self, source: LogSource) -> str:
        """The end of what a container has written so far; empty where it was not followed."""
        return "\n".join(tuple(self._lines.get(source, ())))

    def of(self, job: str) -> tuple[LogSource, ...]:
        """The logs that were followed of a Job, by its UID, the last that began first: also of pods that are gone."""
        return tuple(source for source in reversed(self._lines) if self._jobs[source] == job)

    def settle(self, seconds: float) -> None:
        """Gives the logs of containers that have ended the time to arrive."""
        deadline = Deadline.after(seconds)
        for source in self._ended:
            self._threads[source].join(deadline.remaining)

    def _read(self, source: LogSource) -> None:
        lines = self._lines[source]
        try:
            for line in self._client.logs(
                source.pod, source.namespace, self._deadline, container=source.container, follow=True
            ):
                shown = redact(line, self._secrets)
                lines.append(shown)
                self._progress.log(f"{source.pod}/{source.container}", shown)
        except AphiriaDeployError as error:
            # A log is a help and no condition: that it could not be read to its end is said in its place.
            if not self._cancellation.cancelled:
                lines.append(f"(the log ends here: {error})")


def _started(pod: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The containers that have started, and whether each has ended."""
    status = pod.get("status")
    for field in ("initContainerStatuses", "containerStatuses"):
        for entry in mappings(at(status, field)):
            state = mapping(entry.get("state"))
            if "running" in state or "terminated" in state:
                yield text(entry.get("name")), "terminated" in state
