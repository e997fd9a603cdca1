"""A cluster's room, written down by who sees it and read by who does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy.capacity import Node, Room, Share, describe, outlook, room_of
from aphiria_deploy.errors import InputError
from aphiria_deploy.room import MOST_AGE, SeenRoom, decode, encode
from tests.aphiria_deploy.github.bundles import preview
from tests.aphiria_deploy.test_capacity import API, HOME, NODES, WEB, node, pod

SEEN = datetime(2026, 11, 26, 3, 17, tzinfo=UTC)
MANIFESTS = preview().manifests
FREE = SeenRoom(room_of(NODES, []), SEEN)

shares = st.builds(
    Share,
    st.fractions(0, 10**6, max_denominator=10**9),
    st.fractions(0, 2**60, max_denominator=1000),
    st.integers(0, 500),
)
rooms = st.builds(
    Room, st.lists(st.builds(Node, st.none() | shares, st.dictionaries(st.text(max_size=9), shares))).map(tuple)
)


@given(rooms)
def test_what_was_written_is_read(room: Room) -> None:
    seen = SeenRoom(room, SEEN)

    assert decode(encode(seen), "room.json") == seen


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [pod("a"), pod("b"), pod("c")],
        [WEB, API],
        [WEB, pod("gone", namespace=HOME, cpu="600m", memory="1408Mi")],
    ],
)
def test_it_says_what_one_who_sees_the_cluster_says(pods: list[dict[str, Any]]) -> None:
    room = room_of([*NODES, node("d", unschedulable=True)], pods)
    said = decode(encode(SeenRoom(room, SEEN)), "room.json").outlook(MANIFESTS, SEEN)
    live = outlook(MANIFESTS, room)

    assert (said.wanted, said.nodes, said.node, said.fits, said.more) == (
        *(live.wanted, live.nodes, live.node, live.fits, live.more),
    )


@pytest.mark.parametrize(
    ("age", "end"),
    [
        (timedelta(0), "0 min before this plan"),
        # Clocks differ by a little.
        (timedelta(minutes=-2), "0 min before this plan"),
        (timedelta(minutes=119), "119 min before this plan"),
        (timedelta(hours=3, minutes=12), "3 h before this plan"),
        (MOST_AGE, "168 h before this plan"),
    ],
)
def test_it_says_as_of_when(age: timedelta, end: str) -> None:
    text = describe(FREE.outlook(MANIFESTS, SEEN + age))

    assert text.endswith(f"; 3 more of this size fit on the 3 nodes that take pods, as of 2026-11-26 03:17 UTC, {end}")


def test_no_room_is_said_as_of_when_too() -> None:
    text = describe(SeenRoom(room_of([], []), SEEN).outlook(MANIFESTS, SEEN + timedelta(hours=2)))

    assert text.endswith(
        "; no room for it as of 2026-11-26 03:17 UTC, 2 h before this plan, on the 0 nodes that take pods"
    )


@pytest.mark.parametrize("age", [MOST_AGE + timedelta(seconds=1), timedelta(minutes=-6)])
def test_of_what_was_seen_too_long_ago_or_is_still_to_come_nothing_is_said(age: timedelta) -> None:
    found = FREE.outlook(MANIFESTS, SEEN + age)

    assert (found.more, found.fits, found.nodes) == (None, None, None)
    assert describe(found).endswith("; how many more fit is not known: the cluster was last seen 2026-11-26 03:17 UTC")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "aphiria-deploy/room/v2"),
        (("seen",), "yesterday"),
        (("seen",), "2026-11-26T03:17:00"),
        (("nodes", 0, "has", "cpu"), "-1"),
        (("nodes", 0, "has", "cpu"), "1e99999999"),
        (("nodes", 0, "has", "memory"), "1/0"),
        (("nodes", 0, "has", "pods"), -1),
        (("nodes", 0, "taken"), []),
        (("nodes", 0, "name"), "a"),
    ],
)
def test_what_is_no_record_is_refused(path: tuple[Any, ...], value: object) -> None:
    document = json.loads(encode(FREE))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    with pytest.raises(InputError, match=r"room\.json: .*expected what `aphiria-deploy github room` wrote"):
        decode(json.dumps(document).encode(), "room.json")


@pytest.mark.parametrize("document", [b"", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(document: bytes) -> None:
    with pytest.raises(InputError, match="expected what"):
        decode(document, "room.json")


def test_amounts_stay_exact() -> None:
    third = Share(Fraction(1, 3), Fraction(1, 7), 1)
    (found,) = decode(encode(SeenRoom(Room((Node(third, {"x": third}),)), SEEN)), "x").room.nodes

    assert (found.has, found.taken) == (third, {"x": third})
