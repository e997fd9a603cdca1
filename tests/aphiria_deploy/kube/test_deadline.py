from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from aphiria_deploy.errors import CancelledError, DeadlineExceededError
from aphiria_deploy.kube import Cancellation, Deadline


def test_a_deadline_within_another_is_never_later() -> None:
    whole = Deadline.after(1, "the deploy")
    assert whole.within(60) is whole
    part = whole.within(0.5, "the rollout")
    assert part.remaining <= 0.5
    assert part.what == "the rollout"
    assert part.cancellation is whole.cancellation


def test_what_took_too_long_and_what_for_is_said() -> None:
    with pytest.raises(DeadlineExceededError, match=r"the deploy took longer than the 0 s .* waiting for the Job"):
        Deadline.after(0, "the deploy").check("the Job")


def test_a_sleep_ends_when_it_is_cancelled() -> None:
    cancellation = Cancellation()
    threading.Timer(0.1, cancellation.cancel, ["SIGTERM"]).start()
    since = time.monotonic()
    with pytest.raises(CancelledError, match="SIGTERM"):
        Deadline.after(30, "the deploy", cancellation).sleep(20, "the Job")
    assert time.monotonic() - since < 2


def test_a_sleep_ends_at_the_deadline() -> None:
    since = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        Deadline.after(0.1, "the deploy").sleep(20, "the Job")
    assert time.monotonic() - since < 2


def test_cancelling_reaches_children_and_never_the_parent() -> None:
    parent = Cancellation()
    child, other = Cancellation(parent), Cancellation(parent)
    child.cancel("mine")
    assert child.cancelled
    assert not parent.cancelled
    assert not other.cancelled
    parent.cancel("all")
    assert (child.reason, other.reason) == ("mine", "all")
    assert Cancellation(parent).reason == "all"


def test_a_closed_child_is_forgotten() -> None:
    parent = Cancellation()
    child = Cancellation(parent)
    child.close()
    parent.cancel("all")
    assert not child.cancelled


def test_wakers_are_called_once_and_at_once_where_it_is_too_late() -> None:
    cancellation = Cancellation()
    called: list[str] = []
    with cancellation.waking(lambda: called.append("gone")):
        pass
    with cancellation.waking(lambda: called.append("in time")):
        cancellation.cancel("x")
        cancellation.cancel("again")
    with cancellation.waking(lambda: called.append("late")):
        pass
    assert called == ["in time", "late"]
    assert cancellation.reason == "x"


_PROGRAM = """
import os
from aphiria_deploy.errors import CancelledError
from aphiria_deploy.kube import *
from tests.aphiria_deploy.kube.servers import access, serving

def silent(server, connection):
    server.read(connection)
    os.write(1, b"asked\\n")
    server.over.wait(60)

with serving(silent) as server:
    client = Client(access(server.port))
    stop = Cancellation()
    with cancelled_by_signals(stop):
        try:
            concurrently([lambda: client.get(Ref(Kind("v1", "Node"), "x"), Deadline.after(60, "x", stop))] * 2)[0].get()
        except CancelledError as error:
            os.write(1, b"cleaning up: " + stop.reason.encode() + b"\\n")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_requests_at_once_and_leaves_time_to_clean_up(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "asked\n"
        since = time.monotonic()
        program.send_signal(number)
        while (line := program.stdout.readline()) == "asked\n":
            pass
        assert line == f"cleaning up: {number.name}\n"
        assert program.wait(5) == 0
    assert time.monotonic() - since < 2
