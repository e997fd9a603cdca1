"""Leases: who gets one, until when it is good, and what becomes of who loses it; on a clock that the tests turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import pytest

from aphiria_deploy.engine import lease as leases
from aphiria_deploy.engine.lease import MARGIN_SECONDS, SECONDS, Holder, LeaseLostError, LockedError, held
from aphiria_deploy.errors import (
    AlreadyExistsError,
    CancelledError,
    ClusterUnavailableError,
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
)
from aphiria_deploy.kube import Cancellation, Client, Deadline, Ref

Fault = Callable[[str], None]
T = TypeVar("T")


class _Server:
    """Keeps one Lease as an API server does; `fault` is called before each request, `after` after it was done."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.live: dict[str, Any] | None = None
        self.asked: list[str] = []
        self.fault: Fault = lambda _: None
        self.after: Fault = lambda _: None
        self._version = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self.at

    def find(self, _ref: Ref, _deadline: Deadline, **_: Any) -> dict[str, Any] | None:
        return self._do("find", lambda: self.live)

    def get(self, _ref: Ref, _deadline: Deadline) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            if self.live is None:
                raise NotFoundError("none", status=404)
            return self.live

        return self._do("get", do)

    def create(self, manifest: dict[str, Any], _deadline: Deadline) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            if self.live:
                raise AlreadyExistsError("there", status=409)
            return self._kept(manifest)

        return self._do("create", do)

    def replace(self, manifest: dict[str, Any], _deadline: Deadline) -> dict[str, Any]:
        def do() -> dict[str, Any]:
            if not self.live:
                raise NotFoundError("none", status=404)
            if manifest["metadata"]["resourceVersion"] != self.live["metadata"]["resourceVersion"]:
                raise ConflictError("changed")
            return self._kept(manifest)

        return self._do("replace", do)

    def delete(self, _ref: Ref, _deadline: Deadline, *, uid: str, resource_version: str, propagation: str) -> None:
        def do() -> None:
            assert propagation == "Background"
            if self.live and (uid, resource_version) != (
                self.live["metadata"]["uid"],
                self.live["metadata"]["resourceVersion"],
            ):
                raise ConflictError("changed")
            self.live = None

        self._do("delete", do)

    def holds(self, identity: str, renewed: datetime | None, seconds: int | None = SECONDS) -> None:
        """Somebody holds it."""
        spec: dict[str, Any] = {"holderIdentity": identity, "leaseTransitions": 3}
        if renewed:
            spec |= {"renewTime": _written(renewed), "acquireTime": _written(renewed)}
        if seconds is not None:
            spec["leaseDurationSeconds"] = seconds
        self._kept({"metadata": {"name": "pr-7", "namespace": "aphiria-deploy"}, "spec": spec})

    @property
    def renewed(self) -> str:
        """When it was last renewed."""
        return str(self.live["spec"]["renewTime"]) if self.live else ""

    def _do(self, what: str, do: Callable[[], T]) -> T:
        with self._lock:
            self.asked.append(what)
            self.fault(what)
            done = do()
            self.after(what)
            return done

    def _kept(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        metadata = {**manifest["metadata"], "resourceVersion": str(self._version)}
        metadata.setdefault("uid", f"uid-{self._version}")
        self.live = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **manifest, "metadata": metadata}
        return self.live


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


@pytest.fixture
def server() -> _Server:
    return _Server()


@contextmanager
def _held(
    server: _Server, cancellation: Cancellation | None = None, *, wait: float = 0.0, identity: str = "me"
) -> Iterator[leases.Lease]:
    with held(
        cast("Client", server),
        "pr-7",
        Holder("deploy", identity),
        Deadline.after(10, "the test"),
        cancellation or Cancellation(),
        wait_seconds=wait,
    ) as lease:
        yield lease


def _once(what: str, error: Exception) -> Fault:
    """A fault of the first request of a kind."""
    left = [error]

    def fault(asked: str) -> None:
        if asked == what and left:
            raise left.pop()

    return fault


def _until(condition: Callable[[], object]) -> None:
    deadline = Deadline.after(3, "the test")
    while not condition():
        deadline.sleep(0.005, "the thread that renews the lease")


def test_it_is_made_held_and_given_back(server: _Server) -> None:
    with _held(server) as lease:
        assert server.live
        assert server.live["spec"] | {"acquireTime": "", "renewTime": ""} == {
            "holderIdentity": "me",
            "leaseDurationSeconds": SECONDS,
            "acquireTime": "",
            "renewTime": "",
            "leaseTransitions": 0,
        }
        lease.check()
    assert server.live is None


AGO = timedelta(seconds=SECONDS)


@pytest.mark.parametrize(
    ("identity", "age", "seconds", "free"),
    [
        ("other", timedelta(0), SECONDS, False),
        ("other", AGO - timedelta(seconds=1), SECONDS, False),
        ("other", AGO, SECONDS, True),
        ("other", AGO, 60, False),
        ("other", timedelta(seconds=5), 4, True),
        ("other", None, SECONDS, True),
        ("other", AGO - timedelta(seconds=1), None, False),
        ("other", -timedelta(minutes=5), SECONDS, False),
        ("", timedelta(0), SECONDS, True),
        ("me", timedelta(0), SECONDS, True),
    ],
)
def test_whose_it_is_and_until_when(
    server: _Server, identity: str, age: timedelta | None, seconds: int | None, free: bool
) -> None:
    server.holds(identity, None if age is None else server.at - age, seconds)
    if free:
        with _held(server):
            assert server.live
            assert server.live["spec"]["holderIdentity"] == "me"
            assert server.live["spec"]["leaseTransitions"] == 4
    else:
        locked = pytest.raises(LockedError, match=r"found other at work since .*--wait-for-lock")
        with locked as caught, _held(server):
            pass
        assert caught.value.exit_code == 4
        assert server.live
        assert server.live["spec"]["holderIdentity"] == "other"


def test_a_holder_that_goes_while_it_is_waited_for_is_followed(server: _Server) -> None:
    server.holds("other", server.at)
    looked: list[str] = []

    def goes(what: str) -> None:
        looked.append(what)
        if len(looked) == 3:
            server.live = None

    server.fault = goes
    with _held(server, wait=5):
        assert looked[:3] == ["find", "find", "find"]


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("create", AlreadyExistsError("faster", status=409)),
        ("create", OutcomeUnknownError("cut")),
    ],
)
def test_who_was_faster_is_looked_at_again(server: _Server, what: str, error: Exception) -> None:
    server.fault = _once(what, error)
    with _held(server):
        assert server.asked[:4] == ["find", "create", "find", "create"]


def test_a_create_whose_answer_was_cut_is_ours_all_the_same(server: _Server) -> None:
    server.after = _once("create", OutcomeUnknownError("cut"))
    with _held(server):
        assert server.live
        assert server.live["spec"]["holderIdentity"] == "me"


def test_a_namespace_that_is_not_there_is_told_and_not_asked_for_again(server: _Server) -> None:
    def missing(what: str) -> None:
        if what == "create":
            raise NotFoundError('namespaces "aphiria-deploy" not found', status=404)

    server.fault = missing
    with pytest.raises(NotFoundError), _held(server):
        pass
    assert server.asked == ["find", "create"]


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)


@pytest.mark.usefixtures("quickly")
def test_it_is_renewed_by_the_cluster_s_clock(server: _Server) -> None:
    with _held(server) as lease:
        for _ in range(3):
            server.at += timedelta(seconds=SECONDS - MARGIN_SECONDS - 1)
            now = _written(server.at)
            _until(lambda: server.renewed == now)  # noqa: B023 - it is over before the next
            lease.check()
        assert server.live
        assert server.live["spec"]["acquireTime"] < server.live["spec"]["renewTime"]


def test_a_lease_that_took_long_to_get_is_renewed_at_once(server: _Server) -> None:
    """Its time runs from when it was asked for, and not from when the answer came."""
    server.after = lambda what: setattr(server, "at", server.at + timedelta(seconds=11)) if what == "create" else None
    with _held(server) as lease:
        _until(lambda: "replace" in server.asked)
        lease.check()


def test_one_that_runs_out_unseen_is_lost(server: _Server) -> None:
    """The thread that renews it may sleep as everything else does: a machine that is suspended."""

    def work() -> None:
        with _held(server) as lease:
            server.at += timedelta(seconds=SECONDS - MARGIN_SECONDS - 0.1)
            lease.check()
            server.at += timedelta(seconds=0.1)
            lease.check()

    with pytest.raises(LeaseLostError, match="it ran out before it could be renewed"):
        work()


def _works_until_told_to_stop(server: _Server, happens: Callable[[], None]) -> None:
    cancellation = Cancellation()
    with _held(server, cancellation):
        happens()
        assert cancellation.wait(5)
        # As whatever waits does.
        raise CancelledError("stopped")


def _unreachable(server: _Server) -> None:
    def fault(_: str) -> None:
        raise ClusterUnavailableError("no answer")

    server.fault = fault


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (lambda server: server.holds("thief", server.at), "thief holds it now"),
        (lambda server: setattr(server, "live", None), "somebody deleted it"),
        (_unreachable, "no answer"),
    ],
    ids=["stolen", "deleted", "unreachable"],
)
def test_who_loses_it_is_told_to_stop_and_why(server: _Server, happens: Callable[[_Server], None], says: str) -> None:
    with pytest.raises(LeaseLostError, match=says):
        _works_until_told_to_stop(server, lambda: happens(server))
    # Somebody else's is never given back.
    assert server.live is None or server.live["spec"]["holderIdentity"] == ("thief" if "thief" in says else "me")


@pytest.mark.usefixtures("quickly")
def test_a_renewal_whose_answer_was_cut_is_no_loss(server: _Server) -> None:
    server.after = _once("replace", OutcomeUnknownError("cut"))
    with _held(server) as lease:
        _until(lambda: server.asked.count("replace") > 2)
        lease.check()


def test_who_is_told_to_stop_has_not_lost_it(server: _Server) -> None:
    def work(cancellation: Cancellation) -> None:
        with _held(server, cancellation) as lease:
            cancellation.cancel("SIGTERM")
            lease.check()
            raise CancelledError("stopped: SIGTERM")

    with pytest.raises(CancelledError, match="SIGTERM"):
        work(Cancellation())
    assert server.live is None


def test_one_that_cannot_be_given_back_hides_nothing(server: _Server) -> None:
    def unreachable(what: str) -> None:
        if what == "delete":
            raise ClusterUnavailableError("no answer")

    server.fault = unreachable
    with _held(server):
        pass
    with pytest.raises(ValueError, match="what went wrong"), _held(server):
        raise ValueError("what went wrong")


def test_how_long_it_is_good_for_never_changes() -> None:
    """Another version of this tool, on another machine, goes by the same."""
    assert (SECONDS, leases.RENEW_SECONDS, MARGIN_SECONDS) == (15, 5.0, 3.0)


def test_what_the_other_one_does_is_told(server: _Server) -> None:
    server.holds("other", server.at)
    assert server.live
    server.live["metadata"]["annotations"] = {"deploy.aphiria.com/doing": "destroy"}
    with pytest.raises(LockedError, match=r"found other at work \(destroy\) since 2026-01-01T00:00:00"), _held(server):
        pass


def test_one_that_goes_before_it_is_taken_is_made(server: _Server) -> None:
    server.holds("other", server.at - AGO)
    server.fault = _once("replace", NotFoundError("it went", status=404))

    def goes(what: str) -> None:
        if what == "find":
            server.live = None

    server.after = goes
    with _held(server):
        assert server.live
        assert server.live["spec"]["leaseTransitions"] == 0


def test_it_is_given_back_though_it_was_renewed_meanwhile(server: _Server) -> None:
    with _held(server):
        server.holds("me", server.at)
    assert server.live is None


def test_whose_work_ends_after_it_was_lost_is_told(server: _Server) -> None:
    def work() -> None:
        with _held(server):
            server.at += timedelta(seconds=SECONDS)

    with pytest.raises(LeaseLostError, match="ran out"):
        work()
