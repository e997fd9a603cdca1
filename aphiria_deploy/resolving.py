"""Waiting until names lead to an address, by the word of their zone's own name servers.

The machine's resolver would do for nobody else, and keeps for up to an hour that a name did not exist.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from aphiria_deploy.errors import DeadlineExceededError, UnavailableError
from aphiria_deploy.kube import Deadline

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 15.0
_ASK_SECONDS: Final = 5.0


class Server(NamedTuple):
    """A name server.

    Attributes:
        address: Its IP address.
        port: Its port.
    """

    address: str
    port: int = 53


Lookup = Callable[[str], Mapping[Server, frozenset[str]]]
"""Gives the IPv4 addresses of a name as each of the servers has them; of one that does not answer nothing."""


def wait_until_resolved(
    names: Sequence[str], address: str, lookup: Lookup, deadline: Deadline, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Waits until every name leads to the address, and to no other one, at every server that answers.

    Args:
        names: The names; a wildcard stands for any name below it.
        address: The address.
        lookup: Asks the servers.
        deadline: Until when.
        tell: Is told what it waits for, whenever that changes.

    Raises:
        DeadlineExceededError: They do not in time; the message says what was found.
    """
    pause, told = _FIRST_PAUSE, ""
    while missing := _missing(names, address, lookup):
        text = "; ".join(missing)
        if text != told:
            tell(f"waiting for names: {text}")
            told = text
        try:
            deadline.sleep(min(pause, max(deadline.remaining, 0.0)), "names to lead to the Gateway")
        except DeadlineExceededError as error:
            raise DeadlineExceededError(
                f"{error}: {text}; see that the zone's name servers are DigitalOcean's, or go on without waiting: "
                "--skip-dns-wait"
            ) from None
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _missing(names: Sequence[str], address: str, lookup: Lookup) -> list[str]:
    found = []
    for name in names:
        # Another name each time: nobody between here and there has kept an answer for it.
        asked = f"check-{secrets.token_hex(4)}{name[1:]}" if name.startswith("*.") else name
        try:
            answers = lookup(asked)
        except UnavailableError as error:
            found.append(f"{name}: {error}")
            continue
        if not answers:
            found.append(f"{name}: found no server that answers, expected {address}")
        others = sorted({", ".join(sorted(each)) or "none" for each in answers.values() if each != {address}})
        found += [f"{name}: found {addresses}, expected {address}" for addresses in others]
    return found


def authoritative(zone: str, servers: Iterable[Server] | None = None, *, seconds: float = _ASK_SECONDS) -> Lookup:
    """Gives what asks a zone's own name servers.

    Args:
        zone: The zone.
        servers: Its servers; those that the machine's resolver names, if not given.
        seconds: How long each may take to answer.
    """
    import dns.exception  # noqa: PLC0415 - only who waits for names pays for it
    import dns.message  # noqa: PLC0415
    import dns.query  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415

    chosen = list(servers) if servers is not None else []

    def lookup(name: str) -> Mapping[Server, frozenset[str]]:
        if not chosen:
            chosen.extend(_servers_of(zone))
        answers = {}
        for server in chosen:
            question = dns.message.make_query(name, dns.rdatatype.A)
            try:
                answer = dns.query.udp(question, server.address, timeout=seconds, port=server.port)
            except (dns.exception.DNSException, OSError):
                continue
            records = [rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A]
            answers[server] = frozenset(record.address for rrset in records for record in rrset)
        return answers

    return lookup


def _servers_of(zone: str) -> list[Server]:
    import dns.exception  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    resolver = dns.resolver.Resolver()
    resolver.lifetime = _ASK_SECONDS
    try:
        hosts = [str(record.target) for record in resolver.resolve(zone, "NS")]
        return [Server(str(record)) for host in hosts for record in resolver.resolve(host, "A")]
    except (dns.exception.DNSException, OSError) as error:
        raise UnavailableError(f"the name servers of {zone}: found none ({type(error).__name__})") from None
