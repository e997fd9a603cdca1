"""A small GitHub that remembers what was done to it, and goes wrong where a test says so.

Each request is compared with GitHub's own description, unknown fields refused, where npm's packages are there.
"""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.transport import Transport
from aphiria_deploy.masked import SecretValue
from tests.aphiria_deploy.github import description

REPOSITORY = "aphiria/aphiria.com"
TOKEN = "ghs_" + "t" * 36
BOT = "github-actions[bot]"
STARTED = "2026-11-26T12:00:00Z"

Data = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    # After the request was carried out the connection breaks.
    cut: bool = False


Interference = Callable[[Asked], Said | None]


class StandIn:
    """GitHub, with one repository.

    Attributes:
        requests: What was asked, in order.
        before: Asked first; may answer instead, or do something meanwhile.
        after: Asked when a request was carried out; may answer instead.
    """

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self.before: list[Interference] = []
        self.after: list[Interference] = []
        self.pulls: dict[int, Data] = {}
        self.comments: dict[int, tuple[int, Data]] = {}
        self.deployments: dict[int, Data] = {}
        self.statuses: dict[int, list[Data]] = {}
        self.environments: dict[str, Data] = {}
        self.rules: dict[str, list[str]] = {}
        self.secrets: dict[str, dict[str, Data]] = {}
        self.permissions: dict[str, Data] = {}
        self.labels: list[Data] = []
        self.issues: dict[int, Data] = {}
        self.runs: dict[int, Data] = {}
        self.artifacts: dict[int, tuple[int, str, bytes]] = {}
        self.trees: dict[str, str] = {}
        self.may_administer = False
        self.key = ""
        self._next = 100
        self._clock = 0
        self._lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"github": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.api = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[StandIn]:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    @contextmanager
    def client(self, *, seconds: float = 20, token: str = TOKEN) -> Iterator[GitHub]:
        secret = SecretValue(token)
        with GitHub(REPOSITORY, secret, transport=Transport(self.api, secret, seconds=seconds)) as github:
            yield github

    # What a test sets up

    def moment(self) -> str:
        self._clock += 1
        return f"2026-11-26T12:{self._clock // 60:02}:{self._clock % 60:02}Z"

    def number(self) -> int:
        self._next += 1
        return self._next

    def open_pull(self, number: int, sha: str, *, author: str = "ann", fork: str = REPOSITORY, **more: Any) -> Data:
        head = {"sha": sha, "ref": f"branch-{number}", "repo": {"full_name": fork}}
        self.pulls[number] = {
            "number": number,
            "state": "open",
            "title": f"Change {number}",
            "head": head,
            "base": {"sha": "b" * 40, "ref": "main", "repo": {"full_name": REPOSITORY}},
            "created_at": STARTED,
            "updated_at": STARTED,
            "html_url": f"https://github.example/{REPOSITORY}/pull/{number}",
            "user": {"login": author, "type": "User"},
            "labels": [],
            "merged_at": None,
            "merge_commit_sha": None,
        } | more
        return self.pulls[number]

    def may(self, login: str, role: str) -> None:
        legacy = {"maintain": "write", "triage": "read"}.get(role, role)
        self.permissions[login] = {"permission": legacy, "role_name": role, "user": {"login": login, "type": "User"}}

    def build(self, run: int, pull: int, **more: Any) -> Data:
        head = self.pulls[pull]["head"]
        author = self.pulls[pull]["user"]
        self.runs[run] = {
            "id": run,
            "event": "pull_request",
            "path": ".github/workflows/build-preview.yml",
            "conclusion": "success",
            "head_sha": head["sha"],
            "head_branch": head["ref"],
            "head_repository": dict(head["repo"]),
            "html_url": f"https://github.example/{REPOSITORY}/actions/runs/{run}",
            "actor": dict(author),
            "triggering_actor": dict(author),
        } | more
        return self.runs[run]

    def leave(self, run: int, name: str, files: Mapping[str, bytes]) -> None:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, data in files.items():
                archive.writestr(path, data)
        self.artifacts[self.number()] = (run, name, content.getvalue())

    def comment(self, pull: int, body: str, author: str = BOT) -> Data:
        number = self.number()
        data = {
            "id": number,
            "html_url": f"https://github.example/c/{number}",
            "created_at": self.moment(),
            "body": body,
            "user": {"login": author, "type": "Bot" if "[bot]" in author else "User"},
        }
        self.comments[number] = (pull, data)
        return data

    def comments_of(self, pull: int) -> list[Data]:
        return [data for number, data in self.comments.values() if number == pull]

    def state_of(self, deployment: int) -> str:
        states = self.statuses.get(deployment, [])
        return str(states[-1]["state"]) if states else "pending"

    # What is asked

    def answer(self, asked: Asked, raw: bytes, target: str) -> Said:
        with self._lock:
            self.requests.append(asked)
        if asked.path.startswith("/elsewhere/"):
            assert "authorization" not in asked.headers, "the token reached another host"
            return Said(200, self.artifacts[int(asked.path.rpartition("/")[2])][2])
        if description.SOURCE.is_file():
            description.check_request(asked.method, target, asked.headers, raw)
        for interference in list(self.before):
            if (said := interference(asked)) is not None:
                return said
        with self._lock:
            said = self._carried_out(asked)
        for interference in list(self.after):
            if (other := interference(asked)) is not None:
                return other
        return said

    def _carried_out(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _problem(401, "Bad credentials")
        path = asked.path.removeprefix(f"/repos/{REPOSITORY}")
        for pattern, method, handle in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == asked.method:
                return handle(self, asked, *(unquote(part) for part in match.groups()))
        return _problem(404, "Not Found")

    def page(self, asked: Asked, items: list[Any], key: str = "") -> Said:
        size, number = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
        part = items[(number - 1) * size : number * size]
        more = number * size < len(items)
        headers = {"Link": f'<{self.api}{asked.path}?page={number + 1}>; rel="next"'} if more else {}
        return Said(200, {"total_count": len(items), key: part} if key else part, headers)

    def administered(self) -> Said | None:
        return None if self.may_administer else _problem(403, "Resource not accessible by integration")


def _problem(status: int, message: str, code: str = "") -> Said:
    return Said(status, {"message": message, **({"errors": [{"code": code, "field": "name"}]} if code else {})})


Handle = Callable[..., Said]
_ROUTES: list[tuple[str, str, Handle]] = []


def _on(method: str, pattern: str) -> Callable[[Handle], Handle]:
    def register(handle: Handle) -> Handle:
        _ROUTES.append((pattern, method, handle))
        return handle

    return register


@_on("GET", "/pulls")
def _pulls(github: StandIn, asked: Asked) -> Said:
    found = [pull for pull in github.pulls.values() if pull["state"] == asked.query.get("state", "open")]
    return github.page(asked, sorted(found, key=lambda pull: pull["number"]))


@_on("GET", "/pulls/([0-9]+)")
def _pull(github: StandIn, _: Asked, number: str) -> Said:
    found = github.pulls.get(int(number))
    return Said(200, found) if found else _problem(404, "Not Found")


@_on("GET", "/commits/([^/]+)/pulls")
def _pulls_of(github: StandIn, asked: Asked, sha: str) -> Said:
    return github.page(
        asked, [pull for pull in github.pulls.values() if sha in {pull["merge_commit_sha"], pull["head"]["sha"]}]
    )


@_on("GET", "/git/commits/([^/]+)")
def _commit(github: StandIn, _: Asked, sha: str) -> Said:
    tree = github.trees.get(sha)
    return Said(200, {"sha": sha, "tree": {"sha": tree}, "parents": []}) if tree else _problem(404, "Not Found")


@_on("GET", "/collaborators/([^/]+)/permission")
def _permission(github: StandIn, _: Asked, login: str) -> Said:
    found = github.permissions.get(login)
    return Said(200, found) if found else _problem(404, f"{login} is not a user")


@_on("GET", "/issues/([0-9]+)/comments")
def _comments(github: StandIn, asked: Asked, number: str) -> Said:
    return github.page(asked, github.comments_of(int(number)))


@_on("POST", "/issues/([0-9]+)/comments")
def _new_comment(github: StandIn, asked: Asked, number: str) -> Said:
    if len(asked.body["body"]) > 65_536:
        return _problem(422, "Validation Failed: body is too long (maximum is 65536 characters)")
    return Said(201, github.comment(int(number), asked.body["body"]))


@_on("PATCH", "/issues/comments/([0-9]+)")
def _edited_comment(github: StandIn, asked: Asked, number: str) -> Said:
    found = github.comments.get(int(number))
    if found is None:
        return _problem(404, "Not Found")
    found[1]["body"] = asked.body["body"]
    return Said(200, found[1])


@_on("DELETE", "/issues/comments/([0-9]+)")
def _deleted_comment(github: StandIn, _: Asked, number: str) -> Said:
    return Said(204) if github.comments.pop(int(number), None) else _problem(404, "Not Found")


@_on("GET", "/deployments")
def _deployments(github: StandIn, asked: Asked) -> Said:
    found = [one for one in github.deployments.values() if one["environment"] == asked.query.get("environment")]
    return github.page(asked, sorted(found, key=lambda one: one["id"], reverse=True))


@_on("POST", "/deployments")
def _new_deployment(github: StandIn, asked: Asked) -> Said:
    number = github.number()
    name = asked.body["environment"]
    github.environments.setdefault(name, {"name": name, "protection_rules": [], "deployment_branch_policy": None})
    github.deployments[number] = {
        "id": number,
        "sha": asked.body["ref"],
        "ref": asked.body["ref"],
        "environment": name,
        "created_at": github.moment(),
        "payload": asked.body["payload"],
        "transient_environment": asked.body["transient_environment"],
        "creator": {"login": BOT, "type": "Bot"},
    }
    return Said(201, github.deployments[number])


@_on("GET", "/deployments/([0-9]+)/statuses")
def _statuses(github: StandIn, asked: Asked, number: str) -> Said:
    return github.page(asked, list(reversed(github.statuses.get(int(number), []))))


@_on("POST", "/deployments/([0-9]+)/statuses")
def _new_status(github: StandIn, asked: Asked, number: str) -> Said:
    if int(number) not in github.deployments:
        return _problem(404, "Not Found")
    status = {"id": github.number(), "created_at": github.moment(), **asked.body}
    github.statuses.setdefault(int(number), []).append(status)
    return Said(201, status)


@_on("DELETE", "/deployments/([0-9]+)")
def _deleted_deployment(github: StandIn, _: Asked, number: str) -> Said:
    if github.state_of(int(number)) not in {"inactive", "pending"}:
        return _problem(422, "We cannot delete an active deployment")
    return Said(204) if github.deployments.pop(int(number), None) else _problem(404, "Not Found")


@_on("GET", "/environments")
def _environments(github: StandIn, asked: Asked) -> Said:
    return github.page(asked, list(github.environments.values()), "environments")


@_on("GET", "/environments/([^/]+)")
def _environment(github: StandIn, _: Asked, name: str) -> Said:
    found = github.environments.get(name)
    return Said(200, found) if found else _problem(404, "Not Found")


@_on("PUT", "/environments/([^/]+)")
def _put_environment(github: StandIn, asked: Asked, name: str) -> Said:
    if (refused := github.administered()) is not None:
        return refused
    rules = []
    if asked.body["reviewers"]:
        reviewers = [{"type": one["type"], "reviewer": {"id": one["id"]}} for one in asked.body["reviewers"]]
        prevent = asked.body["prevent_self_review"]
        rules.append({"type": "required_reviewers", "reviewers": reviewers, "prevent_self_review": prevent})
    policy = asked.body["deployment_branch_policy"]
    github.environments[name] = {"name": name, "protection_rules": rules, "deployment_branch_policy": policy}
    return Said(200, github.environments[name])


@_on("DELETE", "/environments/([^/]+)")
def _deleted_environment(github: StandIn, _: Asked, name: str) -> Said:
    if (refused := github.administered()) is not None:
        return refused
    return Said(204) if github.environments.pop(name, None) else _problem(404, "Not Found")


@_on("GET", "/environments/([^/]+)/deployment-branch-policies")
def _rules(github: StandIn, asked: Asked, name: str) -> Said:
    return github.page(asked, [{"name": one} for one in github.rules.get(name, [])], "branch_policies")


@_on("POST", "/environments/([^/]+)/deployment-branch-policies")
def _new_rule(github: StandIn, asked: Asked, name: str) -> Said:
    github.rules.setdefault(name, []).append(asked.body["name"])
    return Said(200, {"name": asked.body["name"]})


@_on("GET", "/environments/([^/]+)/secrets")
def _secrets(github: StandIn, asked: Asked, name: str) -> Said:
    return github.page(asked, [{"name": one} for one in github.secrets.get(name, {})], "secrets")


@_on("GET", "/environments/([^/]+)/secrets/public-key")
def _key(github: StandIn, _: Asked, name: str) -> Said:
    return Said(200, {"key_id": f"key-of-{name}", "key": github.key})


@_on("PUT", "/environments/([^/]+)/secrets/([^/]+)")
def _put_secret(github: StandIn, asked: Asked, environment: str, name: str) -> Said:
    github.secrets.setdefault(environment, {})[name] = asked.body
    return Said(201, {})


@_on("GET", "/labels")
def _labels(github: StandIn, asked: Asked) -> Said:
    return github.page(asked, github.labels)


@_on("POST", "/labels")
def _new_label(github: StandIn, asked: Asked) -> Said:
    if any(one["name"].casefold() == asked.body["name"].casefold() for one in github.labels):
        return _problem(422, "Validation Failed", "already_exists")
    github.labels.append(asked.body)
    return Said(201, asked.body)


@_on("GET", "/issues")
def _issues(github: StandIn, asked: Asked) -> Said:
    found = [one for one in github.issues.values() if one["state"] == "open" and asked.query["labels"] in one["labels"]]
    return github.page(asked, found)


@_on("POST", "/issues")
def _new_issue(github: StandIn, asked: Asked) -> Said:
    number = github.number()
    github.issues[number] = {
        "number": number,
        "state": "open",
        "html_url": f"https://github.example/i/{number}",
        "user": {"login": BOT, "type": "Bot"},
        **asked.body,
    }
    return Said(201, github.issues[number])


@_on("PATCH", "/issues/([0-9]+)")
def _edited_issue(github: StandIn, asked: Asked, number: str) -> Said:
    github.issues[int(number)] |= asked.body
    return Said(200, github.issues[int(number)])


@_on("GET", "/actions/runs/([0-9]+)")
def _run(github: StandIn, _: Asked, number: str) -> Said:
    found = github.runs.get(int(number))
    return Said(200, found) if found else _problem(404, "Not Found")


def _left(github: StandIn, artifact: int) -> Data:
    number, name, content = github.artifacts[artifact]
    run = github.runs.get(number, {})
    fork = (run.get("head_repository") or {}).get("full_name", REPOSITORY) != REPOSITORY
    leaving = {"id": number, "head_branch": run.get("head_branch"), "head_sha": run.get("head_sha")}
    ids = {"repository_id": 1, "head_repository_id": 2 if fork else 1}
    return {
        "id": artifact,
        "name": name,
        "size_in_bytes": len(content),
        "expired": False,
        "workflow_run": leaving | ids,
    }


@_on("GET", "/actions/artifacts")
def _artifacts_named(github: StandIn, asked: Asked) -> Said:
    found = [_left(github, one) for one, (_, name, _) in github.artifacts.items() if name == asked.query["name"]]
    return github.page(asked, found[::-1], "artifacts")


@_on("GET", "/actions/runs/([0-9]+)/artifacts")
def _artifacts(github: StandIn, asked: Asked, number: str) -> Said:
    found = [_left(github, one) for one, (run, _, _) in github.artifacts.items() if run == int(number)]
    return github.page(asked, found, "artifacts")


@_on("GET", "/actions/artifacts/([0-9]+)/zip")
def _artifact(github: StandIn, _: Asked, number: str) -> Said:
    # To another host, where the token must not go.
    return Said(302, None, {"Location": f"{github.api.replace('127.0.0.1', 'localhost')}/elsewhere/{number}"})


@_on("GET", "/user")
def _user(_: StandIn, __: Asked) -> Said:
    return _problem(403, "Resource not accessible by integration")


@_on("GET", "/users/([^/]+)")
def _account(_: StandIn, __: Asked, login: str) -> Said:
    return Said(200, {"id": sum(login.encode()), "login": login})


@_on("GET", "/orgs/([^/]+)/teams/([^/]+)")
def _team(_: StandIn, __: Asked, organization: str, slug: str) -> Said:
    return Said(200, {"id": 7000 + len(organization) + len(slug), "slug": slug})


class _Handler(BaseHTTPRequestHandler):
    github: StandIn
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            parts.path,
            {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()},
            {name.lower(): text for name, text in self.headers.items()},
            json.loads(raw) if raw else None,
        )
        try:
            said = self.github.answer(asked, raw, self.path)
        except AssertionError as error:
            said = Said(418, {"message": f"the test's GitHub: {error}"})
        if said.cut:
            self.close_connection = True
            return
        body = (
            said.body if isinstance(said.body, bytes) else b"" if said.body is None else json.dumps(said.body).encode()
        )
        self.send_response(said.status)
        for name, text in {
            "Content-Type": "application/json",
            **said.headers,
            "Content-Length": str(len(body)),
        }.items():
            if said.status != 204 or name != "Content-Length":
                self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that the server calls

    def log_message(self, *_: object) -> None:
        """Says nothing."""
