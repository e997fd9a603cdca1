"""Every method of the client, against GitHub's own description as Prism serves it.

What is asked has to be described, unknown fields refused; what GitHub's examples answer has to be understood.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from aphiria_deploy.github.client import GitHub
from aphiria_deploy.http import Answer, Http
from aphiria_deploy.masked import SecretValue
from tests.aphiria_deploy.github.description import UndescribedError, check_request
from tests.aphiria_deploy.github.prism import prism

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"

CALLS: dict[str, Callable[[GitHub], object]] = {
    "open_pull_requests": lambda github: github.open_pull_requests(),
    "pull_request": lambda github: github.pull_request(1347),
    "pull_requests_of": lambda github: github.pull_requests_of(SHA),
    "commit": lambda github: github.commit(SHA),
    "permission_of": lambda github: github.permission_of("octocat"),
    "comments": lambda github: github.comments(7),
    "create_comment": lambda github: github.create_comment(7, "text"),
    "edit_comment": lambda github: github.edit_comment(1, "text"),
    "delete_comment": lambda github: github.delete_comment(1),
    "deployments": lambda github: github.deployments("preview-pr-7"),
    "create_deployment": lambda github: github.create_deployment(
        "preview-pr-7", SHA, {"format": "x"}, transient=True, description="d" * 500
    ),
    "statuses": lambda github: github.statuses(42),
    "set_status": lambda github: github.set_status(
        42, "success", description="is up", url="https://7.example", log_url="https://log.example"
    ),
    "delete_deployment": lambda github: github.delete_deployment(42),
    "environments": lambda github: github.environments(),
    "environment": lambda github: github.environment("preview"),
    "put_environment": lambda github: github.put_environment(
        "preview-reviewed", reviewers=[{"type": "User", "id": 4}], custom_branches=True, prevent_self_review=True
    ),
    "delete_environment": lambda github: github.delete_environment("preview-pr-7"),
    "branch_rules": lambda github: github.branch_rules("preview"),
    "add_branch_rule": lambda github: github.add_branch_rule("preview", "main"),
    "secret_names": lambda github: github.secret_names("preview"),
    "secrets_key": lambda github: github.secrets_key("preview"),
    "put_secret": lambda github: github.put_secret("preview", "TOKEN", key_id="1", encrypted="c2VjcmV0"),
    "labels": lambda github: github.labels(),
    "create_label": lambda github: github.create_label("keep", color="0e8a16", description="Keep it"),
    "open_issues": lambda github: github.open_issues("drift"),
    "create_issue": lambda github: github.create_issue("Drift", "text", ["drift"]),
    "edit_issue": lambda github: github.edit_issue(1347, body="text", closed=True),
    "workflow_run": lambda github: github.workflow_run(30433642),
    "artifacts": lambda github: github.artifacts(30433642),
    "newest_artifacts": lambda github: github.newest_artifacts("room"),
    "user_id": lambda github: github.user_id("octocat"),
    "team_id": lambda github: github.team_id("github", "justice-league"),
    "login": lambda github: github.login(),
}
# GitHub answers it with a redirect to another host, which the stand-in's tests follow.
ELSEWHERE = {"artifact"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prism(tmp_path_factory.mktemp("prism")) as address:
        yield address


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compares each request with the description; gives what Prism finds wrong with one."""
    once = Http.once
    violations: list[str] = []

    async def checked(self: Http, method: str, url: str, **given: Any) -> Answer:
        path = urlsplit(url)._replace(scheme="", netloc="").geturl()
        headers = {name.lower(): text for name, text in given["headers"].items()}
        check_request(method, path, headers, given.get("body") or b"")
        answer = await once(self, method, url, **given)
        found = answer.headers.get("sl-violations", "")
        violations.extend([found] if '"location":["request"' in found else [])
        # An example names a next page, which would be the same one again.
        return replace(answer, headers={name: text for name, text in answer.headers.items() if name != "link"})

    monkeypatch.setattr(Http, "once", checked)
    return violations


@pytest.mark.xdist_group("prism")
@pytest.mark.parametrize("name", CALLS)
def test_what_is_asked_is_described_and_what_is_answered_is_understood(
    name: str, address: str, watched: list[str]
) -> None:
    with GitHub("octocat/hello-world", SecretValue("ghs_" + "x" * 36), api=address) as github:
        found = CALLS[name](github)

    assert watched == []
    # These give nothing, and the issues of the example are pull requests.
    if name not in {"put_environment", "add_branch_rule", "put_secret", "open_issues"}:
        assert found not in (None, [])


def test_no_method_is_left_out() -> None:
    methods = {name for name, _ in inspect.getmembers(GitHub, inspect.isfunction) if not name.startswith("_")}

    assert methods == CALLS.keys() | ELSEWHERE


@pytest.mark.parametrize(
    ("method", "target", "body", "message"),
    [
        ("POST", "/repos/a/b/deployments", b'{"ref": "x", "enviroment": "y"}', "enviroment"),
        ("POST", "/repos/a/b/issues/7/comments", b'{"body": "x", "text": "y"}', "text"),
        ("POST", "/repos/a/b/deployments/1/statuses", b'{"state": "done"}', "done"),
        ("GET", "/repos/a/b/pulls?stat=open", b"", "parameter stat"),
        ("GET", "/repos/a/b/pulls?state=opened", b"", "opened"),
        ("GET", "/repos/a/b/pulls/seven", b"", "seven"),
        ("GET", "/repos/a/b/pullz", b"", "nothing of the kind"),
    ],
)
def test_what_is_not_described_is_seen(method: str, target: str, body: bytes, message: str) -> None:
    with pytest.raises(UndescribedError, match=message):
        check_request(method, target, {"content-type": "application/json"}, body)
