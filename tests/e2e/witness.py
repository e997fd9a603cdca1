"""Looks on beside the engine: when was something first to be seen in the cluster?"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from aphiria_deploy.errors import CancelledError
from aphiria_deploy.kube import Cancellation, Change, Client, Deadline, Kind, Watched, watch


class Witness:
    """Looks on beside the engine, and remembers when something was first to be seen in the cluster.

    Args:
        client: The cluster.
        watched: What is looked at.
        sees: Whether an object shows it.
    """

    def __init__(self, client: Client, watched: Watched, sees: Callable[[dict[str, Any]], object]) -> None:
        self.at: float | None = None
        self._client = client
        self._watched = watched
        self._sees = sees
        self._cancellation = Cancellation()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cancellation.cancel("the test is over")
        self._thread.join(5)

    @property
    def seconds_ago(self) -> float:
        """How long ago that was; less than nothing where the engine saw it first."""
        now = time.monotonic()
        self._thread.join(5)
        assert self.at is not None, f"{self._watched}: it was never seen"
        return now - self.at

    def _look(self) -> None:
        with contextlib.suppress(CancelledError):
            for change, item in watch(self._client, self._watched, Deadline.after(120, "", self._cancellation)):
                if change is not Change.SYNCED and self._sees(item):
                    self.at = time.monotonic()
                    return


class Serving:
    """Looks at a Service's endpoints, from when it has one, and remembers whether there was ever none that serves.

    Args:
        client: The cluster.
        namespace: The namespace of the Service.
        service: Its name.

    Attributes:
        fewest: The smallest number of endpoints that were ready at one time.
    """

    def __init__(self, client: Client, namespace: str, service: str) -> None:
        self.fewest = 0
        self._client = client
        self._serves = threading.Event()
        self._slices: dict[str, int] = {}
        kind = Kind("discovery.k8s.io/v1", "EndpointSlice")
        self._watched = Watched(kind, namespace, labels=f"kubernetes.io/service-name={service}")
        self._cancellation = Cancellation()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._serves.wait(20), f"{self._watched}: nothing serves"
        return self

    def __exit__(self, *_: object) -> None:
        self._cancellation.cancel("the test is over")
        self._thread.join(5)

    def _look(self) -> None:
        with contextlib.suppress(CancelledError):
            for change, item in watch(self._client, self._watched, Deadline.after(120, "", self._cancellation)):
                if change is Change.SYNCED:
                    continue
                name, endpoints = item["metadata"]["name"], item.get("endpoints") or ()
                ready = [one for one in endpoints if one["conditions"].get("ready") and change is not Change.DELETED]
                self._slices[name] = len(ready)
                now = sum(self._slices.values())
                if self._serves.is_set():
                    self.fewest = min(self.fewest, now)
                elif now:
                    self.fewest = now
                    self._serves.set()
