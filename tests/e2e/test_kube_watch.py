"""Watching, on a real API server: nothing is lost, whatever happens to the connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aphiria_deploy.errors import (
    CancelledError,
    ClusterUnavailableError,
    DeadlineExceededError,
    ForbiddenError,
    UnknownKindError,
)
from aphiria_deploy.kube import (
    Cancellation,
    Change,
    Client,
    Deadline,
    Event,
    Kind,
    Manners,
    Ref,
    Tried,
    Watched,
    Watches,
    load,
    watch,
)
from tests.e2e.objects import CONFIG_MAP, POD, config_map
from tests.e2e.plane import Plane
from tests.faults.proxy import FaultProxy
from tests.faults.schedule import Fault, How, Rule, rules

pytestmark = pytest.mark.xdist_group("control-plane")


def _watched(namespace: str, *, metadata_only: bool = False) -> Watched:
    # Not what each namespace is given by the controllers.
    return Watched(CONFIG_MAP, namespace, fields="metadata.name!=kube-root-ca.crt", metadata_only=metadata_only)


def _told(event: Event) -> tuple[str, str]:
    return event.change.value, event.object["metadata"].get("name", "")


def _until(events: Iterator[Event], change: Change, name: str) -> list[tuple[str, str]]:
    told = []
    for event in events:
        told.append(_told(event))
        if told[-1] == (change.value, name):
            return told
    raise AssertionError(told)


@pytest.fixture
def proxy(control_plane: Plane, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane.kubeconfig, tmp_path) as running:
        yield running


@pytest.fixture
def behind(proxy: FaultProxy) -> Iterator[Client]:
    """A client behind the proxy, which does not wait long."""
    with Client(load(proxy.kubeconfig), manners=Manners(chance=lambda: 0.1)) as loaded:
        yield loaded


@pytest.mark.parametrize("metadata_only", [False, True])
def test_what_is_there_and_then_every_change(
    client: Client, namespace: str, deadline: Deadline, metadata_only: bool
) -> None:
    old = client.create(config_map(namespace, "old"), deadline)
    events = watch(client, _watched(namespace, metadata_only=metadata_only), deadline)
    assert _until(events, Change.SYNCED, "") == [("ADDED", "old"), ("SYNCED", "")]
    client.apply(config_map(namespace, "new", a="1"), deadline)
    client.apply(config_map(namespace, "new", a="2"), deadline)
    client.delete(Ref.of(old), deadline, propagation="Background")
    told = [next(events) for _ in range(3)]
    assert [_told(event) for event in told] == [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "old")]
    assert all(Kind.of(event.object) == CONFIG_MAP for event in told)
    assert all(("data" in event.object) != metadata_only for event in told[:2])


def test_a_watch_goes_on_from_a_list_that_was_made_before(client: Client, namespace: str, deadline: Deadline) -> None:
    client.create(config_map(namespace, "old"), deadline)
    start = client.list(CONFIG_MAP, deadline, namespace=namespace, fields="metadata.name!=kube-root-ca.crt")
    client.create(config_map(namespace, "between"), deadline)
    tried: list[Tried] = []
    counting = Client(client.access, observe=tried.append)
    again = Watched(CONFIG_MAP, namespace, fields="metadata.name!=kube-root-ca.crt", start=start)
    assert _until(watch(counting, again, deadline), Change.ADDED, "between") == [
        ("ADDED", "old"),
        ("SYNCED", ""),
        ("ADDED", "between"),
    ]
    assert [one.target.partition("?")[2].startswith("watch=true") for one in tried] == [True]


def test_a_watch_ends_at_its_deadline_and_when_it_is_cancelled(client: Client, namespace: str) -> None:
    since = time.monotonic()
    with pytest.raises(DeadlineExceededError, match=f"waiting for watch ConfigMap in {namespace}"):
        list(watch(client, _watched(namespace), Deadline.after(1, "this")))
    assert time.monotonic() - since < 2
    cancellation = Cancellation()
    threading.Timer(0.5, cancellation.cancel, ["SIGTERM"]).start()
    since = time.monotonic()
    with pytest.raises(CancelledError, match="SIGTERM"):
        list(watch(client, _watched(namespace), Deadline.after(60, "this", cancellation)))
    assert time.monotonic() - since < 1


def test_what_may_not_be_watched_is_refused_and_not_tried_again(
    control_plane: Plane, namespace: str, deadline: Deadline
) -> None:
    nobody = Client(load(control_plane.kubeconfig))
    nobody.access.credentials.fixed_headers["Impersonate-User"] = "jane"  # type: ignore[attr-defined]
    with pytest.raises(ForbiddenError, match="jane"):
        list(watch(nobody, _watched(namespace), deadline))


def test_a_cut_watch_goes_on_where_it_was(
    client: Client, behind: Client, proxy: FaultProxy, namespace: str, deadline: Deadline
) -> None:
    cut = [Fault(How.CUT_WATCH, events=1), Fault(How.CUT_WATCH, events=1, fraction=0.5), Fault(How.RESET_BEFORE)]
    proxy.schedule = rules(
        *[Rule(fault, watch=True, nth=range(n, 30, 4)) for n, fault in enumerate([*cut, Fault(How.REFUSE, status=429)])]
    )
    events = watch(behind, _watched(namespace), deadline)
    _until(events, Change.SYNCED, "")
    told = []
    for n in range(12):
        client.create(config_map(namespace, f"x-{n}"), deadline)
        told += _until(events, Change.ADDED, f"x-{n}")
    assert told == [("ADDED", f"x-{n}") for n in range(12)]
    lists = [asked for asked in proxy.asked if asked.list]
    assert len(lists) == 1, "it did not list again"
    assert {injected.fault.how for injected in proxy.injected} >= {How.CUT_WATCH, How.RESET_BEFORE, How.REFUSE}


def test_a_deletion_in_a_gap_is_told(
    client: Client, behind: Client, proxy: FaultProxy, namespace: str, deadline: Deadline
) -> None:
    kept, gone, recreated = (client.create(config_map(namespace, name), deadline) for name in ("a", "b", "c"))
    events = watch(behind, _watched(namespace), deadline)
    _until(events, Change.SYNCED, "")
    proxy.schedule = rules(Rule(Fault(How.GONE), watch=True, nth=[0]))
    with proxy.down():
        for item in (gone, recreated):
            client.delete(Ref.of(item), deadline, propagation="Background")
        again = client.create(config_map(namespace, "c"), deadline)
        client.apply(config_map(namespace, "a", changed="yes"), deadline, force=True)
    told = list(_events_until_synced(events))
    assert sorted(_told(event) for event in told) == [
        ("ADDED", "c"),
        ("DELETED", "b"),
        ("DELETED", "c"),
        ("MODIFIED", "a"),
    ]
    by_name = [(event.change, event.object["metadata"]["uid"]) for event in told]
    assert by_name.index((Change.DELETED, recreated["metadata"]["uid"])) < by_name.index(
        (Change.ADDED, again["metadata"]["uid"])
    )
    assert (Change.MODIFIED, kept["metadata"]["uid"]) in by_name


def _events_until_synced(events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        if event.change is Change.SYNCED:
            return
        yield event


def test_a_watch_whose_resource_version_is_always_too_old_does_not_spin(
    behind: Client, proxy: FaultProxy, namespace: str
) -> None:
    proxy.schedule = rules(Rule(Fault(How.GONE), watch=True))
    slow = Client(behind.access, manners=Manners(chance=lambda: 1.0))
    with pytest.raises(DeadlineExceededError):
        list(watch(slow, _watched(namespace), Deadline.after(3, "this")))
    assert len(proxy.asked) <= 8


def test_a_watch_that_ends_at_once_does_not_spin(behind: Client, proxy: FaultProxy, namespace: str) -> None:
    proxy.schedule = rules(Rule(Fault(How.CUT_WATCH, events=0), watch=True))
    slow = Client(behind.access, manners=Manners(chance=lambda: 1.0))
    with pytest.raises((DeadlineExceededError, ClusterUnavailableError)):
        list(watch(slow, _watched(namespace), Deadline.after(3, "this")))
    assert len(proxy.asked) <= 8


def test_a_server_that_stays_away_is_given_up(behind: Client, proxy: FaultProxy, namespace: str) -> None:
    impatient = Client(behind.access, manners=Manners(patience_seconds=1, chance=lambda: 0.5))
    events = watch(impatient, _watched(namespace), Deadline.after(60, "this"))
    _until(events, Change.SYNCED, "")
    proxy.cut()
    since = time.monotonic()
    with proxy.down(), pytest.raises(ClusterUnavailableError):
        next(events)
    assert time.monotonic() - since < 10


def test_a_watch_outlives_the_api_server(
    client: Client, control_plane: Plane, namespace: str, deadline: Deadline
) -> None:
    gone = client.create(config_map(namespace, "gone"), deadline)
    told: list[tuple[str, str]] = []
    problems: list[BaseException] = []
    seen = threading.Condition()
    cancellation = Cancellation()

    def follow() -> None:
        try:
            for event in watch(client, _watched(namespace), deadline.under(cancellation)):
                with seen:
                    told.append(_told(event))
                    seen.notify_all()
        except CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - the test is told
            problems.append(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    with seen:
        assert seen.wait_for(lambda: ("SYNCED", "") in told, 20)
    with control_plane.api_server_down():
        time.sleep(0.5)
    client.delete(Ref.of(gone), deadline, uid=gone["metadata"]["uid"], propagation="Background")
    client.apply(config_map(namespace, "new"), deadline)
    with seen:
        assert seen.wait_for(lambda: ("ADDED", "new") in told and ("DELETED", "gone") in told, 60), (told, problems)
    cancellation.cancel("done")
    thread.join(5)
    assert not thread.is_alive()
    assert not problems
    assert [one for one in told if one[0] != "SYNCED"] == [("ADDED", "gone"), ("DELETED", "gone"), ("ADDED", "new")]


def test_a_resource_version_that_the_server_has_forgotten_leads_to_a_new_list(
    client: Client, control_plane: Plane, namespace: str, deadline: Deadline
) -> None:
    gone = client.create(config_map(namespace, "gone"), deadline)
    start = client.list(CONFIG_MAP, deadline, namespace=namespace, fields="metadata.name!=kube-root-ca.crt")
    client.delete(Ref.of(gone), deadline, propagation="Background")
    for n in range(5):
        client.apply(config_map(namespace, "new", n=str(n)), deadline)
    control_plane.compact()
    with control_plane.api_server_down():
        pass
    tried: list[Tried] = []
    fresh = Client(client.access, observe=tried.append)
    again = Watched(CONFIG_MAP, namespace, fields="metadata.name!=kube-root-ca.crt", start=start)
    events = watch(fresh, again, deadline)
    assert _until(events, Change.SYNCED, "") == [("ADDED", "gone"), ("SYNCED", "")]
    assert _until(events, Change.ADDED, "new") == [("DELETED", "gone"), ("ADDED", "new")]
    assert any("watch=true" not in one.target for one in tried), "the server kept it after all"


def test_several_watches_are_told_of_together_and_end_together(
    client: Client, namespace: str, deadline: Deadline
) -> None:
    before = threading.active_count()
    since = time.monotonic()
    with Watches(client, [_watched(namespace), Watched(POD, namespace)], deadline) as watches:
        synced: set[Kind] = set()
        while len(synced) < 2:
            told = watches.next(10)
            assert told
            if told[1].change is Change.SYNCED:
                synced.add(told[0].kind)
        assert watches.next(0.05) is None
        client.apply(config_map(namespace, "x"), deadline)
        told = watches.next(10)
        assert told
        assert (told[0].kind, _told(told[1])) == (CONFIG_MAP, ("ADDED", "x"))
    assert time.monotonic() - since < 10
    assert threading.active_count() == before


def test_the_first_failure_of_several_watches_is_raised(client: Client, namespace: str, deadline: Deadline) -> None:
    unknown = Watched(Kind("example.org/v1", "Mouse"), namespace)
    with Watches(client, [unknown], deadline) as watches, pytest.raises(UnknownKindError, match="Mouse"):
        watches.next(10)
