"""One comment a pull request, whoever else writes, deletes or runs at the same time."""

from __future__ import annotations

import threading

import pytest

from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.comment import marker
from aphiria_deploy.github.comments import upsert
from aphiria_deploy.github.errors import GitHubAccessError, GitHubUnavailableError
from tests.aphiria_deploy.github.stand_in import BOT, Asked, Said, StandIn

MARKER = marker(7)


def text(words: str) -> str:
    return f"{MARKER}\n\n{words}\n"


def bodies(stand_in: StandIn) -> list[str]:
    return [data["body"] for data in stand_in.comments_of(7) if data["user"]["login"] == BOT]


def test_it_is_written_once_and_edited_from_then_on(stand_in: StandIn, github: GitHub) -> None:
    first = upsert(github, 7, MARKER, text("one"))
    second = upsert(github, 7, MARKER, text("two"))

    assert first.id == second.id
    assert bodies(stand_in) == [text("two")]


def test_what_says_so_already_is_left_alone(stand_in: StandIn, github: GitHub) -> None:
    upsert(github, 7, MARKER, text("one"))
    stand_in.requests.clear()
    upsert(github, 7, MARKER, text("one"))

    assert [asked.method for asked in stand_in.requests] == ["GET", "GET"]


def test_it_is_found_behind_hundreds_of_others(stand_in: StandIn, github: GitHub) -> None:
    mine = stand_in.comment(7, text("one"))
    for number in range(250):
        stand_in.comment(7, f"comment {number}", "ann")

    assert upsert(github, 7, MARKER, text("two")).id == mine["id"]


@pytest.mark.parametrize(
    ("body", "author"),
    [
        (text("stolen"), "mallory"),
        (f"I quote: {MARKER}", BOT),
        (f"{marker(70)}\n", BOT),
        ("<!-- aphiria-deploy:pr-7", BOT),
    ],
)
def test_what_only_looks_like_it_is_left_alone(body: str, author: str, stand_in: StandIn, github: GitHub) -> None:
    other = stand_in.comment(7, body, author)

    assert upsert(github, 7, MARKER, text("mine")).id != other["id"]
    assert stand_in.comments[other["id"]][1]["body"] == body


def test_of_several_the_oldest_stays(stand_in: StandIn, github: GitHub) -> None:
    oldest = stand_in.comment(7, text("a"))
    stand_in.comment(7, text("b"))
    stand_in.comment(7, text("c"))

    assert upsert(github, 7, MARKER, text("now")).id == oldest["id"]
    assert bodies(stand_in) == [text("now")]


def test_one_that_is_deleted_before_it_is_edited_is_written_again(stand_in: StandIn, github: GitHub) -> None:
    stand_in.comment(7, text("one"))

    def delete(asked: Asked) -> Said | None:
        if asked.method == "PATCH":
            stand_in.before.clear()
            stand_in.comments.clear()
        return None

    stand_in.before.append(delete)
    upsert(github, 7, MARKER, text("two"))

    assert bodies(stand_in) == [text("two")]


def test_one_that_is_always_deleted_is_told_of(stand_in: StandIn, github: GitHub) -> None:
    stand_in.after.append(lambda asked: stand_in.comments.clear() if asked.method == "POST" else None)

    with pytest.raises(GitHubUnavailableError, match="found its comment gone each time"):
        upsert(github, 7, MARKER, text("one"))


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.usefixtures("quick")
def test_a_write_without_an_answer_is_looked_for(carried_out: bool, stand_in: StandIn, github: GitHub) -> None:
    left = [1]

    def cut(asked: Asked) -> Said | None:
        if asked.method == "POST" and left[0]:
            left[0] = 0
            return Said(cut=True)
        return None

    (stand_in.after if carried_out else stand_in.before).append(cut)
    upsert(github, 7, MARKER, text("one"))

    assert bodies(stand_in) == [text("one")]


def test_two_runs_at_once_leave_one_comment(stand_in: StandIn) -> None:
    meet = threading.Barrier(2, timeout=10)
    met = threading.local()

    def wait(asked: Asked) -> Said | None:
        # Both have seen that there is none, before either writes.
        if asked.method == "POST" and not getattr(met, "already", False):
            met.already = True
            meet.wait()
        return None

    stand_in.before.append(wait)
    failures: list[BaseException] = []

    def run(words: str) -> None:
        try:
            with stand_in.client() as github:
                upsert(github, 7, MARKER, text(words))
        except Exception as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(words,)) for words in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert failures == []
    assert len(stand_in.comments) == 1
    assert bodies(stand_in)[0] in {text("one"), text("two")}


def test_leave_that_is_missing_is_told(stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(lambda asked: Said(403, {"message": "no"}) if asked.method == "POST" else None)

    with pytest.raises(GitHubAccessError, match="give the job or the token the permission"):
        upsert(github, 7, MARKER, text("one"))


def test_a_text_without_its_marker_would_never_be_found_again(github: GitHub) -> None:
    with pytest.raises(ValueError, match="begins with its marker"):
        upsert(github, 7, MARKER, "text")
