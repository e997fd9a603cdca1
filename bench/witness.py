"""Sees when the last object of a preview became ready, by watches of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.errors import CancelledError
from aphiria_deploy.kube import Cancellation, Change, Client, Deadline, Kind, Watched, Watches
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.readiness import judge

_FOREVER = 3600.0


class Witness:
    """Watches every kind of a bundle in the whole cluster, while it is entered.

    Attributes:
        problem: What ended it, if something did.
    """

    def __init__(self, client: Client, bundle: Bundle) -> None:
        self.problem: BaseException | None = None
        self._client = client
        self._kinds = sorted({Kind.of(item) for item in bundle.manifests})
        self._cancellation = Cancellation()
        self._deadline = Deadline.after(_FOREVER, "the measurement", self._cancellation)
        self._ready_at: dict[ObjectKey, float] = {}
        self._is_ready: dict[ObjectKey, bool] = {}
        self._synced = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._synced.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancellation.cancel("it was measured")
        self._thread.join(10)
        if self.problem and error is None:
            raise self.problem

    def ready_at(self, bundle: Bundle) -> float:
        """When the last of a bundle's objects became ready, by `time.monotonic`."""
        # What happened before is told a moment later here.
        time.sleep(0.2)
        keys = [ObjectKey.of(item) for item in bundle.manifests]
        unready = [str(key) for key in keys if not self._is_ready.get(key)]
        assert not unready, f"not ready: {', '.join(unready)}"
        return max(self._ready_at[key] for key in keys)

    def _run(self) -> None:
        unsynced = len(self._kinds)
        try:
            with Watches(self._client, [Watched(kind) for kind in self._kinds], self._deadline) as watches:
                while True:
                    told = watches.next(_FOREVER)
                    if told is None:
                        continue
                    change, item = told[1]
                    if change is Change.SYNCED:
                        unsynced -= 1
                        if unsynced <= 0:
                            self._synced.set()
                    else:
                        self._saw(change, item)
        except CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised at the end
            self.problem = error

    def _saw(self, change: Change, item: Mapping[str, Any]) -> None:
        key = ObjectKey.of(item)
        ready = change is not Change.DELETED and judge(item).ok
        if ready and not self._is_ready.get(key):
            self._ready_at[key] = time.monotonic()
        self._is_ready[key] = ready
