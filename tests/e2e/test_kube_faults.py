"""Hundreds of runs of the client through a proxy where requests go wrong: each ends as was wanted."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from aphiria_deploy.errors import AlreadyExistsError, CancelledError, ConflictError, OutcomeUnknownError
from aphiria_deploy.kube import (
    Cancellation,
    Change,
    Client,
    Deadline,
    Manners,
    Ref,
    Watched,
    concurrently,
    load,
    watch,
)
from tests.e2e.objects import CONFIG_MAP, config_map
from tests.e2e.plane import Plane
from tests.faults.proxy import FaultProxy
from tests.faults.schedule import How, nothing, seeded

pytestmark = pytest.mark.xdist_group("control-plane")

RUNS = int(os.environ.get("FAULT_RUNS", "240"))
_GROUPS = 12
_NAMES = "abcdef"
_WAVES = 4


class _Run:
    """One run: what is wanted, and how it is brought about."""

    def __init__(self, seed: int, client: Client, namespace: str) -> None:
        self.chance = random.Random(seed)
        self.client = client
        self.namespace = namespace
        self.label = f"run-{seed}"
        self.deadline = Deadline.after(60, f"run {seed}")
        self.wanted: dict[str, str] = {}

    def manifest(self, name: str, value: str) -> dict[str, object]:
        return config_map(self.namespace, f"{self.label}-{name}", labels={"run": self.label}, value=value)

    def ref(self, name: str) -> Ref:
        return Ref(CONFIG_MAP, f"{self.label}-{name}", self.namespace)

    def waves(self) -> Iterator[list[Callable[[], object]]]:
        for wave in range(_WAVES):
            calls: list[Callable[[], object]] = []
            for name in self.chance.sample(_NAMES, 3):
                value = f"{wave}-{name}"
                if name not in self.wanted:
                    do: Callable[[str, str], None] = self.chance.choice([self.apply, self.create])
                else:
                    do = self.chance.choice([self.apply, self.replace, self.remove])
                calls.append(partial(do, name, value))
                if do == self.remove:
                    del self.wanted[name]
                else:
                    self.wanted[name] = value
            yield calls

    def apply(self, name: str, value: str) -> None:
        assert self.client.apply(self.manifest(name, value), self.deadline, force=True)["data"] == {"value": value}

    def create(self, name: str, value: str) -> None:
        """As whoever creates must: after a cut, what is there is looked at."""
        while True:
            try:
                self.client.create(self.manifest(name, value), self.deadline)
            except (OutcomeUnknownError, AlreadyExistsError):
                found = self.client.find(self.ref(name), self.deadline)
                if found:
                    assert found["data"] == {"value": value}
                    return
            else:
                return

    def replace(self, name: str, value: str) -> None:
        while True:
            read = self.client.get(self.ref(name), self.deadline)
            if read["data"] == {"value": value}:
                return
            try:
                self.client.replace(read | {"data": {"value": value}}, self.deadline)
            except (OutcomeUnknownError, ConflictError):
                continue
            return

    def remove(self, name: str, value: str) -> None:
        uid = self.client.get(self.ref(name), self.deadline)["metadata"]["uid"]
        self.client.delete(self.ref(name), self.deadline, uid=uid, propagation="Background")

    def listed(self) -> dict[str, str]:
        found = self.client.list(
            CONFIG_MAP, self.deadline, namespace=self.namespace, labels=f"run={self.label}", page=2
        )
        return {item["metadata"]["name"].removeprefix(f"{self.label}-"): item["data"]["value"] for item in found.items}


class _Follower:
    """What a watch says that there is."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.seen: dict[str, tuple[str, str]] = {}
        self.problem: BaseException | None = None
        self._changed = threading.Condition()
        self._cancellation = Cancellation()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cancellation.cancel("the run is over")
        self._thread.join(5)
        assert not self._thread.is_alive()
        assert self.problem is None, self.problem

    def reaches(self, wanted: dict[str, str]) -> bool:
        def state() -> bool:
            return self.problem is not None or dict(self.seen.values()) == wanted

        with self._changed:
            return self._changed.wait_for(state, 20)

    def _follow(self) -> None:
        run = self.run
        watched = Watched(CONFIG_MAP, run.namespace, labels=f"run={run.label}")
        try:
            for change, item in watch(run.client, watched, run.deadline.under(self._cancellation)):
                with self._changed:
                    self._tell(change, item)
                    self._changed.notify_all()
        except CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - the test is told
            with self._changed:
                self.problem = error
                self._changed.notify_all()

    def _tell(self, change: Change, item: dict[str, dict[str, str]]) -> None:
        if change is Change.SYNCED:
            return
        uid = item["metadata"]["uid"]
        # Added once, and only then changed or deleted.
        assert (change is Change.ADDED) == (uid not in self.seen), (change, item)
        if change is Change.DELETED:
            del self.seen[uid]
        else:
            name = item["metadata"]["name"].removeprefix(f"{self.run.label}-")
            self.seen[uid] = name, item["data"]["value"]


@pytest.mark.parametrize("group", range(_GROUPS))
def test_every_run_ends_as_was_wanted(control_plane: Plane, namespace: str, tmp_path: Path, group: int) -> None:
    injected: Counter[How] = Counter()
    for seed in range(group, RUNS, _GROUPS):
        rate = (0.1, 0.3, 0.5)[seed % 3]
        with FaultProxy(control_plane.kubeconfig, tmp_path, seeded(seed, rate)) as proxy:
            client = Client(load(proxy.kubeconfig), manners=Manners(chance=lambda: 0.02))
            run = _Run(seed, client, namespace)
            with client, _Follower(run) as follower:
                for calls in run.waves():
                    for outcome in concurrently(calls, workers=3):
                        outcome.get()
                    assert run.listed() == run.wanted, f"seed {seed}"
                proxy.schedule = nothing
                assert run.listed() == run.wanted, f"seed {seed}"
                assert follower.reaches(run.wanted), f"seed {seed}: {follower.seen}, expected {run.wanted}"
            injected.update(one.fault.how for one in proxy.injected)
    # Which of them, depends on the moment; that the proxy can do each is tested where it is.
    assert len(injected) > 1, "next to nothing went wrong"
