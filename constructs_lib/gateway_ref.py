"""A Gateway as routes see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from constructs_lib.errors import InvalidPropsError, InvalidValueError
from constructs_lib.values import Hostname

GATEWAY_API_GROUP = "gateway.networking.k8s.io"


class Protocol(StrEnum):
    """What a listener speaks."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


@dataclass(frozen=True)
class Listener:
    """One listener of a Gateway.

    Attributes:
        name: Its name: what a route calls its section.
        protocol: What it speaks.
        hostname: The hosts that it answers for.
    """

    name: str
    protocol: Protocol
    hostname: Hostname

    @property
    def port(self) -> int:
        """Where it listens."""
        return 443 if self.protocol is Protocol.HTTPS else 80


@dataclass(frozen=True, kw_only=True)
class GatewayRef:
    """A Gateway as routes see it: whoever knows its hosts knows its listeners, so nobody types a section's name.

    Attributes:
        name: Its name.
        namespace: Where it is.
        hostnames: The hosts that it has listeners for: domains, and wildcards of one label.

    Raises:
        InvalidPropsError: There is no host, or one twice.
    """

    name: str
    namespace: str
    hostnames: Sequence[Hostname]

    def __post_init__(self) -> None:
        if not self.hostnames:
            raise InvalidPropsError([f"Gateway {self.name}: hostnames: found none, expected one or more"])
        if len(set(self.hostnames)) < len(self.hostnames):
            found = ", ".join(map(str, self.hostnames))
            raise InvalidPropsError([f"Gateway {self.name}: hostnames: found {found}, expected each once"])

    def listeners(self) -> list[Listener]:
        """All listeners, HTTP first: ``…-root`` for domains, ``…-subdomains`` for wildcards, numbered if several."""
        groups = {
            "root": [host for host in self.hostnames if not host.is_wildcard],
            "subdomains": [host for host in self.hostnames if host.is_wildcard],
        }
        return [
            Listener(f"{protocol.lower()}-{group}{f'-{number}' if len(hosts) > 1 else ''}", protocol, host)
            for protocol in Protocol
            for group, hosts in groups.items()
            for number, host in enumerate(hosts, start=1)
        ]

    def listener_for(self, host: Hostname) -> Listener:
        """Finds the HTTPS listener that answers for a host; its own one before a wildcard's.

        Raises:
            InvalidValueError: There is none.
        """
        candidates = [
            listener
            for listener in self.listeners()
            if listener.protocol is Protocol.HTTPS and listener.hostname.covers(host)
        ]
        if not candidates:
            hosts = ", ".join(map(str, self.hostnames))
            raise InvalidValueError(
                f"host of a route to Gateway {self.namespace}/{self.name}", str(host), f"one of {hosts}"
            )
        return min(candidates, key=lambda listener: listener.hostname.is_wildcard)
