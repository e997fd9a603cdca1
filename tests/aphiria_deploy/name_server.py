"""A name server on loopback, which answers as a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from aphiria_deploy.resolving import Server

Answer = Callable[[str], list[str]]
"""Gives the addresses of a name, without the final dot."""


@contextlib.contextmanager
def name_server(answer: Answer) -> Iterator[Server]:
    """While in the block, there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    data, peer = listening.recvfrom(4096)
                except TimeoutError:
                    continue
                listening.sendto(_answered(data, answer), peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Server("127.0.0.1", listening.getsockname()[1])
        finally:
            over.set()
            thread.join()


def _answered(data: bytes, answer: Answer) -> bytes:
    question = dns.message.from_wire(data)
    response = dns.message.make_response(question)
    response.flags |= dns.flags.AA
    [asked] = question.question
    addresses = answer(str(asked.name).rstrip("."))
    if addresses:
        response.answer.append(dns.rrset.from_text(asked.name, 300, "IN", "A", *addresses))
    else:
        response.set_rcode(dns.rcode.NXDOMAIN)
    wire: bytes = response.to_wire()
    return wire


def records(of: Callable[[], dict[str, str]]) -> Answer:
    """Answers from addresses by name, of which some are wildcards."""

    def answer(name: str) -> list[str]:
        known = of()
        wildcard = f"*.{name.partition('.')[2]}"
        return [known[key] for key in (name, wildcard) if key in known][:1]

    return answer
