"""What happens between GitHub and us: pages, limits, refusals, failures, and what is done about each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from aphiria_deploy import errors as base
from aphiria_deploy.errors import AphiriaDeployError, InputError, UnavailableError
from aphiria_deploy.github import errors
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.transport import PER_PAGE, Transport, rate_limited, refusal
from aphiria_deploy.http import Answer
from aphiria_deploy.masked import SecretValue
from tests.aphiria_deploy.github.stand_in import BOT, TOKEN, Asked, Said, StandIn

Interference = Callable[[Asked], Said | None]


def first(times: int, said: Said, method: str = "") -> Interference:
    """Says something the first times."""
    left = [times]

    def interfere(asked: Asked) -> Said | None:
        if (method and asked.method != method) or not left[0]:
            return None
        left[0] -= 1
        return said

    return interfere


# Lists


@pytest.mark.parametrize("count", [0, 1, PER_PAGE - 1, PER_PAGE, PER_PAGE + 1, 2 * PER_PAGE, 250])
def test_a_list_is_read_to_its_end(count: int, stand_in: StandIn, github: GitHub) -> None:
    for number in range(1, count + 1):
        stand_in.open_pull(number, f"{number:040x}")

    assert [pull.number for pull in github.open_pull_requests()] == list(range(1, count + 1))
    # A page that is full may be the last: one more is asked for, and it is empty.
    assert len(stand_in.requests) == count // PER_PAGE + 1


def test_a_full_page_that_names_no_next_one_is_not_believed(stand_in: StandIn, github: GitHub) -> None:
    for number in range(1, 151):
        stand_in.open_pull(number, f"{number:040x}")
    page = stand_in.page
    stand_in.page = lambda *given: Said(200, page(*given).body)  # type: ignore[method-assign] # a proxy that drops headers

    assert len(github.open_pull_requests()) == 150


def test_a_count_that_does_not_agree_is_not_believed(stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(lambda _: Said(200, {"total_count": 3, "environments": [{"name": "preview"}]}))

    with pytest.raises(errors.GitHubContentError, match="found 1 items, expected 3 as the answer says"):
        github.environments()


def test_a_list_without_end_ends(stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(lambda _: Said(200, [], {"Link": '<https://x>; rel="next"'}))

    with pytest.raises(errors.GitHubContentError, match="found no end after 100 pages"):
        github.labels()


def test_a_page_that_cannot_be_had_is_no_end(stand_in: StandIn) -> None:
    for number in range(1, 151):
        stand_in.open_pull(number, f"{number:040x}")
    stand_in.before.append(lambda asked: Said(404, {}) if asked.query.get("page") == "2" else None)

    with stand_in.client() as github, pytest.raises(errors.GitHubNotFoundError):
        github.open_pull_requests()


# Limits


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {"retry-after": "7"}, b"", 7),
        (403, {"retry-after": "0"}, b"", 0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1030"}, b"", 31),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900"}, b"", 1),
        (403, {"x-ratelimit-remaining": "0"}, b"", 60),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, b"", 60),
        (403, {}, b'{"message": "You have exceeded a secondary rate limit"}', 60),
        (429, {}, b"", 60),
        (403, {"x-ratelimit-remaining": "12"}, b'{"message": "Resource not accessible"}', None),
        (500, {"retry-after": "7"}, b"", None),
        (200, {"x-ratelimit-remaining": "0"}, b"", None),
    ],
)
def test_a_rate_limit_is_told_by_what_the_answer_says(
    status: int, headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    assert rate_limited(Answer(status, headers, body, "https://api.github.com"), 1000.0) == seconds


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_rate_limit_is_waited_for_and_also_a_write_is_sent_again(status: int, method: str, stand_in: StandIn) -> None:
    stand_in.before.append(first(1, Said(status, {"message": "slow down"}, {"Retry-After": "1"}), method))
    stand_in.open_pull(7, "a" * 40)
    begun = time.monotonic()

    with stand_in.client() as github:
        made = github.create_comment(7, "x")
        assert github.comments(7) == [made]

    assert time.monotonic() - begun >= 1


def test_a_rate_limit_longer_than_there_is_time_is_said_at_once(stand_in: StandIn) -> None:
    stand_in.before.append(lambda _: Said(403, {}, {"Retry-After": "3600"}))
    begun = time.monotonic()

    with stand_in.client(seconds=5) as github, pytest.raises(errors.GitHubUnavailableError, match="for 3600 s more"):
        github.labels()

    assert time.monotonic() - begun < 4
    assert len(stand_in.requests) == 1


# Failures


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_fails_is_asked_again(status: int, stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(first(3, Said(status)))

    assert github.labels() == []
    assert len(stand_in.requests) == 4


@pytest.mark.usefixtures("quick")
def test_what_goes_on_failing_is_given_up(stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(lambda _: Said(503))

    with pytest.raises(errors.GitHubUnavailableError, match=r"GET /repos/.*/labels: found the answer 503 5 times"):
        github.labels()
    assert len(stand_in.requests) == 5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", [Said(502), Said(cut=True)])
def test_a_write_that_may_have_happened_is_not_repeated(said: Said, stand_in: StandIn, github: GitHub) -> None:
    stand_in.after.append(lambda asked: said if asked.method == "POST" else None)

    with pytest.raises(errors.GitHubOutcomeUnknownError):
        github.create_comment(7, "x")
    assert len(stand_in.comments) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", [Said(502), Said(cut=True)])
def test_a_write_that_does_no_harm_twice_is(said: Said, stand_in: StandIn, github: GitHub) -> None:
    comment = stand_in.comment(7, "before")
    stand_in.after.append(first(2, said, "PATCH"))

    assert github.edit_comment(comment["id"], "after").body == "after"
    assert len(stand_in.requests) == 3


def test_what_was_deleted_by_a_try_that_failed_is_gone_all_the_same(stand_in: StandIn, github: GitHub) -> None:
    comment = stand_in.comment(7, "x")
    stand_in.after.append(first(1, Said(502), "DELETE"))

    assert github.delete_comment(comment["id"]) is False
    assert stand_in.comments == {}


def test_a_host_that_does_not_answer_is_unavailable() -> None:
    token = SecretValue(TOKEN)
    transport = Transport("http://127.0.0.1:9", token, seconds=2)
    with (
        GitHub("a/b", token, transport=transport) as github,
        pytest.raises(UnavailableError, match="a refused connection"),
    ):
        github.create_label("keep", color="ffffff", description="")


# Refusals


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (301, errors.GitHubRefusedError, 1),
        (400, errors.GitHubRefusedError, 1),
        (401, errors.GitHubAccessError, 5),
        (403, errors.GitHubAccessError, 5),
        (404, errors.GitHubNotFoundError, 1),
        (409, errors.GitHubConflictError, 1),
        (410, errors.GitHubNotFoundError, 1),
        (422, errors.GitHubInvalidError, 1),
        (418, errors.GitHubRefusedError, 1),
    ],
)
def test_each_refusal_has_an_error_of_ours(status: int, kind: type[Exception], exit_code: int) -> None:
    body = {"message": "No\nway", "errors": [{"field": "name", "code": "already_exists"}, "odd"]}
    found = refusal(status, json.dumps(body).encode(), "POST /x")

    assert type(found) is kind
    assert str(found).startswith(f"POST /x: found the answer {status}: No way")
    assert found.exit_code == exit_code  # type: ignore[attr-defined]
    assert getattr(found, "status", status) == status
    if isinstance(found, errors.GitHubRefusedError):
        assert found.codes == ("already_exists",)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": 3}', b'{"errors": "x"}', b"\xff", b"[" * 5000])
def test_a_refusal_that_says_nothing_is_one(body: bytes) -> None:
    assert "found the answer 404: nothing more" in str(refusal(404, body, "GET /x"))


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422])
def test_a_refusal_is_not_asked_again(status: int, stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(lambda _: Said(status, {"message": "no"}))

    with pytest.raises((errors.GitHubRefusedError, errors.GitHubAccessError)):
        github.create_comment(7, "x")
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"number": "seven"}', b'{"number": 7}', b"\xff\xfe", b'{"number": 7', b"[" * 100_000]
)
def test_an_answer_that_is_not_as_described_is_not_used(body: bytes, stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(lambda _: Said(200, body))

    with pytest.raises(errors.GitHubContentError, match="expected what GitHub's API describes"):
        github.pull_request(7)


def test_a_wrong_token_is_no_workflow(stand_in: StandIn) -> None:
    with stand_in.client(token="ghs_wrong") as github, pytest.raises(errors.GitHubAccessError, match="has expired"):
        github.login()
    with stand_in.client() as github:
        assert github.login() == BOT


# The token


@pytest.mark.parametrize(
    "api", ["http://api.github.com", "ftp://127.0.0.1", "api.github.com", "http://127.0.0.1.evil.example"]
)
def test_the_token_is_sent_in_the_clear_to_this_machine_alone(api: str) -> None:
    with pytest.raises(InputError, match="expected an address at https"):
        GitHub("a/b", SecretValue(TOKEN), api=api)


@pytest.mark.parametrize("repository", ["", "a", "a/b/c", "a/b?x", "../b", "a/", "-a/b"])
def test_a_repository_is_owner_and_name(repository: str) -> None:
    with pytest.raises(InputError, match="expected owner/name"):
        GitHub(repository, SecretValue(TOKEN))


def test_the_token_does_not_follow_to_where_artifacts_lie(stand_in: StandIn, github: GitHub) -> None:
    stand_in.leave(5, "approved", {"a.txt": b"content"})
    (artifact,) = github.artifacts(5)

    assert github.artifact(artifact.id).startswith(b"PK")
    assert "authorization" not in stand_in.requests[-1].headers


@pytest.mark.parametrize("environ", [{}, {"GITHUB_TOKEN": " "}, {"GITHUB_REPOSITORY": "a/b"}])
def test_what_a_workflow_has_to_say_is_told(environ: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"GITHUB_TOKEN.*set GITHUB_TOKEN to"):
        GitHub.of(environ)


def test_names_cannot_change_the_path(stand_in: StandIn, github: GitHub) -> None:
    assert github.permission_of("../../user?x=1#").permission == "none"
    assert stand_in.requests[-1].path.endswith("/collaborators/..%2F..%2Fuser%3Fx%3D1%23/permission")


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 452), *range(500, 512), 599])
def test_every_status_is_an_error_of_ours(status: int) -> None:
    assert isinstance(refusal(status, b"", "GET /x"), AphiriaDeployError)


def test_every_error_of_ours_is_in_the_tree() -> None:
    tree = str(base.__doc__)
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and kind.__module__ == errors.__name__:
            assert name in tree, name
            assert issubclass(kind, AphiriaDeployError)


# Redirects of what changes something


def moved(asked: Asked, status: int, to: str) -> Said | None:
    return Said(status, None, {"Location": to}) if asked.method != "GET" and "elsewhere" not in asked.path else None


def test_a_repository_that_moved_is_followed_where_the_method_stays(stand_in: StandIn, github: GitHub) -> None:
    comment = stand_in.comment(7, "before")
    target = f"/repos/aphiria/aphiria.com/issues/comments/{comment['id']}"
    stand_in.before.append(first(1, Said(307, None, {"Location": target})))

    assert github.edit_comment(comment["id"], "after").body == "after"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_become_a_read_is_not_followed(status: int, stand_in: StandIn, github: GitHub) -> None:
    stand_in.before.append(lambda asked: moved(asked, status, "/user"))

    with pytest.raises(errors.GitHubRefusedError, match=f"found the answer {status}"):
        github.create_comment(7, "x")
    assert len(stand_in.requests) == 1


def test_what_is_written_goes_to_no_other_host(stand_in: StandIn, github: GitHub) -> None:
    elsewhere = f"{stand_in.api.replace('127.0.0.1', 'localhost')}/elsewhere/1"
    stand_in.before.append(lambda asked: moved(asked, 307, elsewhere))

    with pytest.raises(errors.GitHubUnavailableError, match="takes a request's body to another host"):
        github.edit_comment(1, "x")
    assert len(stand_in.requests) == 1
