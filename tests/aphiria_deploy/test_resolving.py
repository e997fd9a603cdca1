"""Waiting for names, with real name servers on loopback."""

from __future__ import annotations

import itertools
import time

import pytest

from aphiria_deploy.errors import DeadlineExceededError, UnavailableError
from aphiria_deploy.kube import Deadline
from aphiria_deploy.resolving import Server, authoritative, wait_until_resolved
from tests.aphiria_deploy.name_server import name_server, records

ADDRESS = "203.0.113.7"
NAMES = ["example.com", "www.example.com", "*.pr.example.com"]


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(seconds, "the test")


def test_names_that_lead_there_are_not_waited_for() -> None:
    asked = []

    def answer(name: str) -> list[str]:
        asked.append(name)
        return [ADDRESS]

    with name_server(answer) as server:
        since = time.monotonic()
        wait_until_resolved(NAMES, ADDRESS, authoritative("example.com", [server]), soon())
    assert time.monotonic() - since < 1.5
    assert asked[:2] == ["example.com", "www.example.com"]
    # Of a wildcard some name below it is asked, since the star itself is none.
    assert asked[2].endswith(".pr.example.com")
    assert not asked[2].startswith("*")


def test_a_record_that_comes_late_is_waited_for_and_told_of() -> None:
    known = {"example.com": ADDRESS, "www.example.com": "198.51.100.1"}
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        known.update({"www.example.com": ADDRESS, "*.pr.example.com": ADDRESS})

    with name_server(records(lambda: known)) as server:
        wait_until_resolved(NAMES, ADDRESS, authoritative("example.com", [server]), soon(), tell)
    assert told == [
        "waiting for names: www.example.com: found 198.51.100.1, expected 203.0.113.7; "
        "*.pr.example.com: found none, expected 203.0.113.7"
    ]


def test_every_server_must_say_so_and_one_that_is_silent_does_not_count() -> None:
    behind = itertools.chain(["198.51.100.1"], itertools.repeat(ADDRESS))
    with name_server(lambda _: [ADDRESS]) as first, name_server(lambda _: [next(behind)]) as second:
        silent = Server("127.0.0.1", 9)
        told: list[str] = []
        lookup = authoritative("example.com", [first, second, silent], seconds=0.3)
        wait_until_resolved(["example.com"], ADDRESS, lookup, soon(60), told.append)
    assert told == ["waiting for names: example.com: found 198.51.100.1, expected 203.0.113.7"]


def test_a_second_address_beside_it_is_not_the_same() -> None:
    with name_server(lambda _: [ADDRESS, "198.51.100.1"]) as server, pytest.raises(DeadlineExceededError) as caught:
        wait_until_resolved(["example.com"], ADDRESS, authoritative("example.com", [server]), soon(1))
    assert "found 198.51.100.1, 203.0.113.7, expected 203.0.113.7" in str(caught.value)


def test_names_that_never_come_end_with_what_was_found_and_what_to_do() -> None:
    with name_server(lambda _: []) as server, pytest.raises(DeadlineExceededError) as caught:
        wait_until_resolved(["www.example.com"], ADDRESS, authoritative("example.com", [server]), soon(1))
    assert "www.example.com: found none, expected 203.0.113.7" in str(caught.value)
    assert "--skip-dns-wait" in str(caught.value)


def test_without_any_server_it_says_so() -> None:
    def lookup(_: str) -> dict[Server, frozenset[str]]:
        raise UnavailableError("the name servers of example.com: found none (NoNameservers)")

    with pytest.raises(DeadlineExceededError, match=r"the name servers of example\.com: found none"):
        wait_until_resolved(["www.example.com"], ADDRESS, lookup, soon(1))
