"""The address of a Gateway that comes late, never, or changes, on a real API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aphiria_deploy.errors import CancelledError, DeadlineExceededError
from aphiria_deploy.gateway_address import GATEWAY, wait_for_address
from aphiria_deploy.kube import Cancellation, Client, Deadline, Ref
from tests.crds import load_crds
from tests.e2e.plane import Plane

pytestmark = pytest.mark.xdist_group("gateways")

NAME = "public"
ADDRESS = "203.0.113.7"


@pytest.fixture(scope="module")
def gateways(control_plane: Plane) -> None:
    name = "gateways.gateway.networking.k8s.io"
    control_plane.apply(*(crd for crd in load_crds() if crd["metadata"]["name"] == name))
    control_plane.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")


def gateway(namespace: str) -> dict[str, Any]:
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    return {
        "apiVersion": GATEWAY.api_version,
        "kind": GATEWAY.name,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"gatewayClassName": "nginx", "listeners": [listener]},
    }


def report(
    client: Client, namespace: str, *addresses: tuple[str, str], programmed: bool = True, generation: int | None = None
) -> None:
    """Says of the Gateway what a controller would."""
    ref, deadline = Ref(GATEWAY, NAME, namespace), Deadline.after(20, "the test")
    live = client.get(ref, deadline)
    condition = {
        "type": "Programmed",
        "status": str(programmed),
        "reason": "Programmed" if programmed else "AddressNotAssigned",
        "message": "",
        "observedGeneration": generation or live["metadata"]["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"conditions": [condition], "addresses": [{"type": kind, "value": value} for kind, value in addresses]}
    client.patch(ref, {"status": status}, deadline, subresource="status")


@pytest.fixture
def later() -> Iterator[Callable[[float, Callable[[], object]], None]]:
    """Does something after so many seconds."""
    threads: list[threading.Timer] = []

    def do(seconds: float, act: Callable[[], object]) -> None:
        threads.append(threading.Timer(seconds, act))
        threads[-1].start()

    yield do
    for thread in threads:
        thread.join(20)


Later = Callable[[float, Callable[[], object]], None]


def test_an_address_that_is_there_is_not_waited_for(
    gateways: None, client: Client, namespace: str, deadline: Deadline
) -> None:
    client.apply(gateway(namespace), deadline)
    report(client, namespace, ("IPAddress", ADDRESS))
    since = time.monotonic()
    assert wait_for_address(client, NAME, namespace, deadline) == ADDRESS
    assert time.monotonic() - since < 2


class Telling:
    """Does the next thing whenever something else is waited for."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        self.told: list[str] = []
        self._acts = iter(acts)

    def __call__(self, text: str) -> None:
        self.told.append(text)
        next(self._acts)()


def test_an_address_that_comes_late_is_seen_when_it_comes(
    gateways: None, client: Client, namespace: str, deadline: Deadline
) -> None:
    telling = Telling(
        lambda: client.apply(gateway(namespace), deadline),
        lambda: report(client, namespace, programmed=False),
        lambda: report(client, namespace),
        lambda: report(client, namespace, ("IPAddress", ADDRESS)),
    )
    assert wait_for_address(client, NAME, namespace, deadline, telling) == ADDRESS
    ref = f"Gateway {namespace}/{NAME}"
    assert telling.told == [
        f"waiting for {ref} to be there",
        # As the API server itself says of every new Gateway.
        f"waiting for {ref}: its condition Programmed (Pending: Waiting for controller)",
        f"waiting for {ref}: its condition Programmed (AddressNotAssigned)",
        f"waiting for {ref}: an IPv4 address",
    ]


def test_an_address_that_never_comes_ends_with_what_is_missing(
    gateways: None, client: Client, namespace: str, deadline: Deadline
) -> None:
    client.apply(gateway(namespace), deadline)
    report(client, namespace, programmed=False)
    with pytest.raises(DeadlineExceededError) as caught:
        wait_for_address(client, NAME, namespace, Deadline.after(1.5, "the wait"))
    assert "the wait took longer than the 1.5 s" in str(caught.value)
    assert f"Gateway {namespace}/{NAME}: its condition Programmed (AddressNotAssigned)" in str(caught.value)
    assert f"kubectl describe gateway --namespace {namespace} {NAME}" in str(caught.value)


@pytest.mark.parametrize(
    "address", [("Hostname", "lb.example.com"), ("IPAddress", "2001:db8::7"), ("IPAddress", "0.0.0.0")]
)
def test_what_no_record_can_hold_is_no_address(
    address: tuple[str, str], gateways: None, client: Client, namespace: str, deadline: Deadline
) -> None:
    client.apply(gateway(namespace), deadline)
    report(client, namespace, address)
    with pytest.raises(DeadlineExceededError, match="an IPv4 address"):
        wait_for_address(client, NAME, namespace, Deadline.after(1, "the wait"))


def test_an_address_of_the_gateway_before_it_was_changed_is_not_taken(
    gateways: None, client: Client, namespace: str, deadline: Deadline, later: Later
) -> None:
    client.apply(gateway(namespace), deadline)
    report(client, namespace, ("IPAddress", "198.51.100.1"), generation=1)
    changed = gateway(namespace)
    changed["spec"]["listeners"][0]["port"] = 8080
    client.apply(changed, deadline)
    later(1.0, lambda: report(client, namespace, ("IPAddress", ADDRESS)))
    assert wait_for_address(client, NAME, namespace, deadline) == ADDRESS


def test_a_gateway_that_is_made_anew_is_another_one(
    gateways: None, client: Client, namespace: str, deadline: Deadline
) -> None:
    client.apply(gateway(namespace), deadline)
    telling = Telling(
        lambda: client.delete(Ref(GATEWAY, NAME, namespace), deadline),
        lambda: client.apply(gateway(namespace), deadline),
        lambda: report(client, namespace, ("IPAddress", ADDRESS)),
    )
    assert wait_for_address(client, NAME, namespace, deadline, telling) == ADDRESS
    assert telling.told[1] == f"waiting for Gateway {namespace}/{NAME} to be there"


def test_waiting_can_be_stopped(gateways: None, client: Client, namespace: str, later: Later) -> None:
    cancellation = Cancellation()
    later(0.5, lambda: cancellation.cancel("SIGTERM"))
    with pytest.raises(CancelledError, match="SIGTERM"):
        wait_for_address(client, NAME, namespace, Deadline.after(60, "the wait", cancellation))
