"""Watching the objects of a kind: what is there, and then every change, however often the connection is cut."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.errors import (
    AphiriaDeployError,
    ClusterUnavailableError,
    GoneError,
    ServerError,
)
from aphiria_deploy.kube.client import Client, ObjectList
from aphiria_deploy.kube.deadline import Cancellation, Deadline
from aphiria_deploy.kube.mapping import Kind
from aphiria_deploy.kube.retries import Repeat, pause, worth_another_try
from aphiria_deploy.kube.seen import older
from aphiria_deploy.kube.statuses import error_of

_WINDOW_SECONDS = 60
_SILENCE_SECONDS = 15.0
_QUICK_SECONDS = 1.0


class Change(StrEnum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"

    SYNCED = "SYNCED"
    """Nothing: all that is there has been told. The object is the list's metadata."""


class Event(NamedTuple):
    """A change, and the object after it; of a deletion, the last that was seen of it."""

    change: Change
    object: Manifest


@dataclass(frozen=True)
class Watched:
    """What is watched.

    Attributes:
        kind: The kind.
        namespace: In which namespace; in all of them where there is none.
        labels: A label selector.
        fields: A field selector.
        metadata_only: Whether the objects have their metadata alone.
        start: A list that was made before, with the same selectors: the watch goes on from there, and tells of its
            objects as added. Without it, it makes one.
    """

    kind: Kind
    namespace: str | None = None
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False
    start: ObjectList | None = None

    def __str__(self) -> str:
        return f"watch {self.kind.name}{f' in {self.namespace}' if self.namespace else ''}"


def watch(client: Client, watched: Watched, deadline: Deadline) -> Iterator[Event]:
    """Tells what is there, and then each change, until the deadline.

    Each object is told of as ADDED once, then as MODIFIED, and at last as DELETED, whatever happens to the connection;
    changes in between may be told of as one. A recreated object is another object: DELETED, then ADDED. SYNCED comes
    each time that all objects were listed.

    Args:
        client: The cluster.
        watched: What is watched.
        deadline: Until when.

    Raises:
        DeadlineExceededError: The deadline passed.
        CancelledError: It was told to stop.
        ApiError: The server refuses it.
        CredentialError: The server does not take the credential any more.
        ClusterUnavailableError: The server has not answered for as long as the client's patience lasts.
    """
    return _Watch(client, watched, deadline).events()


class _Watch:
    def __init__(self, client: Client, watched: Watched, deadline: Deadline) -> None:
        self._client = client
        self._watched = watched
        self._deadline = deadline
        self._known: dict[str, Manifest] = {}
        self._position = ""
        self._failures = 0
        self._told_something = False
        self._patience = deadline

    def events(self) -> Iterator[Event]:
        if self._watched.start:
            yield from self._listed(self._watched.start)
        while True:
            self._deadline.check(str(self._watched))
            if not self._position:
                yield from self._listed(self._list())
            problem: GoneError | ClusterUnavailableError | ServerError | None = None
            since, self._told_something = time.monotonic(), False
            try:
                yield from self._follow()
            except GoneError as error:
                # The server no longer keeps what happened since then.
                self._position, problem = "", error
            except (ClusterUnavailableError, ServerError) as error:
                problem = error
            if self._told_something or (not problem and time.monotonic() - since > _QUICK_SECONDS):
                self._failures = 0
            else:
                self._wait(problem)

    def _wait(self, problem: GoneError | ClusterUnavailableError | ServerError | None) -> None:
        """Sleeps before the next try, unless there is none: it failed, or ended before anything came."""
        manners = self._client.manners
        if not self._failures:
            self._patience = self._deadline.within(manners.patience_seconds)
        seconds = pause(self._failures, manners.chance(), problem.retry_after if problem else None)
        self._deadline.check(str(self._watched))
        hopeful = problem is None or isinstance(problem, GoneError) or worth_another_try(problem, Repeat.SAFE)
        patient = self._patience is self._deadline or seconds < self._patience.remaining
        if problem and not (hopeful and patient):
            raise problem
        self._failures += 1
        self._deadline.sleep(seconds, str(self._watched))

    def _list(self) -> ObjectList:
        watched = self._watched
        return self._client.list(
            watched.kind,
            self._deadline,
            namespace=watched.namespace,
            labels=watched.labels,
            fields=watched.fields,
            metadata_only=watched.metadata_only,
        )

    def _listed(self, found: ObjectList) -> Iterator[Event]:
        """What a list tells: also of those that are gone since the last one."""
        present = {item["metadata"]["uid"] for item in found.items}
        for uid in [uid for uid in self._known if uid not in present]:
            yield Event(Change.DELETED, self._known.pop(uid))
        for item in found.items:
            yield from self._seen(item)
        self._position = found.resource_version
        yield Event(Change.SYNCED, {"metadata": {"resourceVersion": found.resource_version}})

    def _seen(self, item: Manifest) -> Iterator[Event]:
        """An object that is there, of which this may have been told already."""
        uid, version = item["metadata"]["uid"], item["metadata"]["resourceVersion"]
        before = self._known.get(uid)
        if before is None:
            self._known[uid] = item
            yield Event(Change.ADDED, item)
        elif before["metadata"]["resourceVersion"] != version and not older(version, _version(before)):
            self._known[uid] = item
            yield Event(Change.MODIFIED, item)

    def _follow(self) -> Iterator[Event]:
        """One watch request, until the server ends it."""
        watched = self._watched
        window = min(_WINDOW_SECONDS, int(self._deadline.remaining) + 1)
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._position,
            "timeoutSeconds": str(window),
            "labelSelector": watched.labels,
            "fieldSelector": watched.fields,
        }
        # The server ends it first; a connection on which nothing comes any more is given up soon after.
        end = self._deadline.within(window + _SILENCE_SECONDS)
        with self._client.watch_stream(
            watched.kind, query, end, namespace=watched.namespace, metadata_only=watched.metadata_only
        ) as stream:
            for line in stream.lines():
                yield from self._told(line)
                self._told_something = True

    def _told(self, line: bytes) -> Iterator[Event]:
        try:
            event = msgspec.json.decode(line)
            kind, item = event["type"], event["object"]
            version = item["metadata"]["resourceVersion"] if kind != "ERROR" else ""
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
            raise ClusterUnavailableError(f"{self._watched}: an event was cut") from None
        if kind == "ERROR":
            raise _failure(item, str(self._watched))
        if kind != "BOOKMARK":
            named = {**item, "apiVersion": self._watched.kind.api_version, "kind": self._watched.kind.name}
            yield from self._gone(named) if kind == "DELETED" else self._seen(named)
        self._position = version
        self._client.seen.saw(self._watched.kind, version)

    def _gone(self, item: Manifest) -> Iterator[Event]:
        if self._known.pop(item["metadata"]["uid"], None) is not None:
            yield Event(Change.DELETED, item)


def _version(item: Manifest) -> int:
    version = item["metadata"]["resourceVersion"]
    return int(version) if version.isdecimal() else 0


def _failure(status: Mapping[str, Any], what: str) -> AphiriaDeployError:
    """The error that the server sends as an event, in place of an answer."""
    code = status.get("code")
    return error_of(code if isinstance(code, int) and code >= 300 else 500, {}, msgspec.json.encode(status), what)


class Watches:
    """Several watches at once, told of one after the other. To be used in a ``with``, whose end stops them.

    Args:
        client: The cluster.
        watched: What is watched; at most a few tens, for each has a thread and a connection.
        deadline: Until when.
    """

    def __init__(self, client: Client, watched: list[Watched], deadline: Deadline) -> None:
        self._client = client
        self._watched = watched
        self._cancellation = Cancellation(deadline.cancellation)
        self._own = deadline
        self._deadline = deadline.under(self._cancellation)
        self._queue: queue.SimpleQueue[tuple[Watched, Event] | BaseException] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for watched in self._watched:
            thread = threading.Thread(target=self._run, args=(watched,), name=str(watched), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancellation.cancel("it is not watched any more")
        self._cancellation.close()
        for thread in self._threads:
            thread.join(5)

    def next(self, seconds: float) -> tuple[Watched, Event] | None:
        """The next event, and of what; nothing where none comes within so many seconds.

        Raises:
            As `watch`, of whichever fails first.
        """
        try:
            told = self._queue.get(timeout=min(seconds, self._own.remaining))
        except queue.Empty:
            self._own.check(" and ".join(str(watched) for watched in self._watched))
            return None
        if isinstance(told, BaseException):
            raise told
        return told

    def _run(self, watched: Watched) -> None:
        try:
            for event in watch(self._client, watched, self._deadline):
                self._queue.put((watched, event))
        except BaseException as error:  # noqa: BLE001 - raised by the thread that asks
            self._queue.put(error)
