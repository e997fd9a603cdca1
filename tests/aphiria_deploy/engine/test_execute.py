"""Carrying a plan out: under the lease, and told by what went wrong first."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from aphiria_deploy.engine.applyset import Parent, Pruning
from aphiria_deploy.engine.execute import Executor
from aphiria_deploy.engine.lease import Lease, LeaseLostError
from aphiria_deploy.engine.plan import Action, Plan, PlannedWave, Step
from aphiria_deploy.errors import AphiriaDeployError, CancelledError, ForbiddenError
from aphiria_deploy.kube import Client, Deadline
from aphiria_deploy.objects import ObjectKey
from aphiria_deploy.progress import Phases, Silent
from tests.aphiria_deploy.samples import config_map

PARENT = Parent(name="applyset.pr-7", namespace="aphiria-deploy")


class _Client:
    """Applies, and remembers it; or raises what it is told to: that it was stopped, once another one has failed."""

    width = 8

    def __init__(self, errors: Mapping[str, AphiriaDeployError]) -> None:
        self.errors = errors
        self.applied: list[str] = []
        self.failed = threading.Event()

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def apply(self, manifest: dict[str, Any], _deadline: Deadline, *, force: bool) -> dict[str, Any]:
        name = manifest["metadata"]["name"]
        if name in self.errors:
            error = self.errors[name]
            if isinstance(error, CancelledError):
                self.failed.wait(5)
            self.failed.set()
            raise error
        assert not force
        self.applied.append(name)
        return manifest | {"metadata": manifest["metadata"] | {"uid": name}}


class _Lease:
    """One that is lost after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise LeaseLostError("somebody else holds it now")


def _wave(*names: str, action: Action = Action.CREATE) -> PlannedWave:
    manifests = [config_map(name, {}) for name in names]
    return PlannedWave("all", tuple(Step(ObjectKey.of(one), action, one, live=one) for one in manifests))


def _carry_out(client: _Client, *waves: PlannedWave, looks: int = 100) -> None:
    lease = cast("Lease", _Lease(looks))
    executor = Executor(cast("Client", client), lease, Silent(), Deadline.after(10, "the test"), ())
    plan = Plan(waves=waves, prune=Pruning(delete=(), kept=()), parent=PARENT, target=PARENT)
    executor.apply(plan, Phases(Silent()))


def test_each_wave_is_applied_after_the_one_before_and_what_stays_is_not_written() -> None:
    client = _Client({})
    _carry_out(client, _wave("a"), _wave("b", action=Action.NOTHING), _wave("c"))
    assert client.applied == ["a", "c"]


def test_what_went_wrong_is_told_and_not_what_was_stopped_by_it() -> None:
    refused = ForbiddenError("no", status=403)
    client = _Client({"a": CancelledError("not begun: another one failed"), "b": refused})
    with pytest.raises(ForbiddenError, match="no"):
        _carry_out(client, _wave("a", "b", "c"), _wave("d"))
    assert "d" not in client.applied


def test_that_it_was_told_to_stop_is_told_where_nothing_else_went_wrong() -> None:
    client = _Client({"b": CancelledError("stopped: SIGTERM")})
    client.failed.set()
    with pytest.raises(CancelledError, match="SIGTERM"):
        _carry_out(client, _wave("a", "b"))


def test_nothing_is_written_without_the_lease() -> None:
    client = _Client({})
    with pytest.raises(LeaseLostError):
        _carry_out(client, _wave("a"), _wave("b"), looks=1)
    assert client.applied == ["a"]
