"""Waiting for a Gateway's address: a load balancer has it some minutes after the Gateway is there."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, Final

from aphiria_deploy.errors import DeadlineExceededError
from aphiria_deploy.kube import Change, Client, Deadline, Kind, Ref, Watched, watch

GATEWAY: Final = Kind("gateway.networking.k8s.io/v1", "Gateway")


def wait_for_address(
    client: Client, name: str, namespace: str, deadline: Deadline, tell: Callable[[str], None] = lambda _: None
) -> str:
    """Waits until a Gateway is programmed and has an IP address, and gives that.

    Args:
        client: The cluster.
        name: The Gateway's name.
        namespace: Its namespace.
        deadline: Until when.
        tell: Is told what it waits for, whenever that changes.

    Raises:
        DeadlineExceededError: It has none in time; the message says what it lacks.
        UnavailableError: The cluster does not answer.
    """
    ref = Ref(GATEWAY, name, namespace)
    lacks = f"{ref} to be there"
    told = ""
    try:
        for change, item in watch(client, Watched(GATEWAY, namespace, fields=f"metadata.name={name}"), deadline):
            if change is Change.SYNCED:
                pass
            elif change is Change.DELETED:
                lacks = f"{ref} to be there"
            else:
                address, missing = address_of(item)
                if address:
                    return address
                lacks = f"{ref}: {missing}"
            if lacks != told:
                tell(f"waiting for {lacks}")
                told = lacks
    except DeadlineExceededError as error:
        raise DeadlineExceededError(
            f"{error}; it still waits for {lacks}; see `kubectl describe gateway --namespace {namespace} {name}`, and "
            "the Service beside it: a load balancer that is refused says so in its events"
        ) from None
    raise AssertionError("a watch ends with an error")


def address_of(gateway: dict[str, Any]) -> tuple[str, str]:
    """Gives a Gateway's address, or what is missing for one.

    Args:
        gateway: The Gateway, as the cluster has it.

    Returns:
        The address and nothing, or nothing and what is missing.
    """
    status = gateway.get("status") or {}
    generation = gateway["metadata"].get("generation", 0)
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    programmed = conditions.get("Programmed") or {}
    if programmed.get("status") != "True" or programmed.get("observedGeneration", generation) < generation:
        reason = ": ".join(filter(None, (programmed.get("reason"), programmed.get("message"))))
        return "", f"its condition Programmed{f' ({reason})' if reason else ''}"
    for each in status.get("addresses") or ():
        value = str(each.get("value") or "")
        if each.get("type", "IPAddress") == "IPAddress" and _is_ipv4(value):
            return value, ""
    return "", "an IPv4 address"


def _is_ipv4(text: str) -> bool:
    try:
        return not ipaddress.IPv4Address(text).is_unspecified
    except ValueError:
        return False
