"""What happens between a registry and us, and what is done about it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aphiria_deploy import http
from aphiria_deploy.errors import AphiriaDeployError, RegistryAccessError, RegistryUnavailableError
from aphiria_deploy.http import Answer, Http, HttpFailureError, pause_before, retry_after
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.registry import Login, resolve
from aphiria_deploy.registry.client import Registry
from aphiria_deploy.registry.reference import Reference
from tests.aphiria_deploy import registries
from tests.aphiria_deploy.registries import Reply, Request, Server, Signer

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
FOUND = Reply(200, {"Docker-Content-Digest": DIGEST})
SECRET = SecretValue("Bearer hunter2")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.01)


def replies(*scripted: Reply) -> Callable[[Request], Reply]:
    left = list(scripted)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def ask(url: str, *, seconds: float = 10, limit: int = 1000, authorization: SecretValue | None = None) -> Answer:
    async def asked() -> Answer:
        async with Http(seconds) as client:
            return await client.ask("GET", url, headers={}, limit=limit, authorization=authorization)

    return asyncio.run(asked())


# Tries again


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_that_passes_is_asked_for_again(status: int) -> None:
    with Server(replies(Reply(status), Reply(status, body=b"{}"), FOUND)) as server:
        assert resolve({"web": f"{server.host}/web:1"})["web"].endswith(DIGEST)
        assert len(server.requests) == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", [429, 500])
def test_an_answer_that_does_not_pass_ends_it_with_its_reason(status: int) -> None:
    with Server(replies(Reply(status))) as server:
        with pytest.raises(
            RegistryUnavailableError, match=rf"found the answer {status}, 5 times at {server.host}"
        ) as raised:
            resolve({"web": f"{server.host}/web:1"})
        assert len(server.requests) == 5
    assert raised.value.exit_code == 5


@pytest.mark.parametrize(
    ("status", "error"), [(401, RegistryAccessError), (403, RegistryAccessError), (418, RegistryUnavailableError)]
)
def test_an_answer_that_is_final_is_not_asked_for_again(status: int, error: type[AphiriaDeployError]) -> None:
    with Server(replies(Reply(status))) as server:
        with pytest.raises(error, match=f"found the answer {status}"):
            resolve({"web": f"{server.host}/web:1"})
        assert len(server.requests) == 1


@pytest.mark.parametrize("wish", [lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)])
def test_a_registry_that_says_when_is_asked_then(wish: Callable[[], str]) -> None:
    with Server(replies(Reply(429, {"Retry-After": wish()}), FOUND)) as server:
        begun = time.monotonic()
        resolve({"web": f"{server.host}/web:1"})
        assert 0.9 < time.monotonic() - begun < 4


def test_a_registry_that_says_too_late_is_not_waited_for() -> None:
    with Server(replies(Reply(429, {"Retry-After": "3600"}))) as server:
        begun = time.monotonic()
        with pytest.raises(
            RegistryUnavailableError, match="to be asked again after 3600 s, with 60 s for everything, at"
        ):
            resolve({"web": f"{server.host}/web:1"})
        assert time.monotonic() - begun < 3


@pytest.mark.usefixtures("quick")
def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    broken = Reply(200, {"Content-Type": "text/plain"}, b"half", length=8)
    with Server(replies(broken, Reply(200, body=b"whole"))) as server:
        assert ask(f"http://{server.host}/").body == b"whole"
    with Server(replies(broken)) as server, pytest.raises(HttpFailureError, match="an answer that breaks off"):
        ask(f"http://{server.host}/")


@pytest.mark.usefixtures("quick")
def test_nobody_there_is_told() -> None:
    port = registries.free_port()
    with pytest.raises(RegistryUnavailableError, match=f"found a refused connection at 127.0.0.1:{port}"):
        resolve({"web": f"127.0.0.1:{port}/web:1"})


def test_a_name_without_an_address_is_told_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(RegistryUnavailableError, match="found no address for its name"):
        resolve({"web": "registry.invalid/web:1"}, timeout=5)
    assert time.monotonic() - begun < 8


@given(st.integers(1, 5), st.none() | st.floats(0, 1000), st.floats(0, 1))
def test_pauses_grow_to_a_limit_and_never_undercut_what_was_asked_for(
    attempt: int, after: float | None, chance: float
) -> None:
    pause = pause_before(attempt, after, chance)
    if after is None:
        assert 0.25 <= pause <= 5
    else:
        assert after <= pause <= max(after, 2.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("\u0663", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 50, 999999999.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:01 GMT", None),
    ],
)
def test_what_is_asked_for_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(text, 10) == seconds


@given(st.text())
def test_no_wish_is_too_odd(text: str) -> None:
    wish = retry_after(text, 10)
    assert wish is None or wish >= 0


# Nothing outlasts the deadline


@pytest.mark.parametrize(
    "reply", [Reply(200, pause=30), Reply(200, body=b"x" * 100, pause=0.4)], ids=["silent", "a byte at a time"]
)
def test_a_slow_answer_does_not_outlast_the_deadline(reply: Reply) -> None:
    with Server(replies(reply)) as server:
        begun = time.monotonic()
        with pytest.raises(HttpFailureError, match=r"no whole answer within (0\.[5-9]|1\.0) s"):
            ask(f"http://{server.host}/", seconds=1)
        assert time.monotonic() - begun < 2.5


def test_a_slow_answer_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ATTEMPT_SECONDS", 0.5)
    with Server(replies(Reply(200, pause=2), FOUND)) as server:
        assert resolve({"web": f"{server.host}/web:1"})["web"].endswith(DIGEST)


def test_one_slow_registry_does_not_hide_what_the_others_say() -> None:
    with Server(replies(Reply(200, pause=30))) as slow, Server(replies(Reply(404))) as other:
        begun = time.monotonic()
        with pytest.raises(AphiriaDeployError) as raised:
            resolve({"web": f"{slow.host}/web:1", "api": f"{other.host}/api:1"}, timeout=1)
        assert time.monotonic() - begun < 3
    lines = str(raised.value).splitlines()
    assert sorted(line.partition(":")[2].partition(":")[0].strip() for line in lines) == ["api", "web"]


def test_an_answer_has_a_largest_size() -> None:
    with (
        Server(replies(Reply(200, body=b"x" * 1001))) as server,
        pytest.raises(HttpFailureError, match="an answer of more than 1000 bytes"),
    ):
        ask(f"http://{server.host}/")


# Redirects


def test_a_redirect_to_another_host_does_not_take_the_authorization_along() -> None:
    with Server(replies(Reply(200, body=b"found"))) as storage:
        for target in (f"http://localhost:{storage.port}/blob?signature=hunter2", f"//127.0.0.1:{storage.port}/blob"):
            with Server(replies(Reply(307, {"Location": target}))) as server:
                answer = ask(f"http://{server.host}/a", authorization=SECRET)
                assert server.requests[0].headers["authorization"] == "Bearer hunter2"
            assert answer.body == b"found"
            assert "hunter2" not in repr(answer)
        assert ["authorization" in request.headers for request in storage.requests] == [False, False]


def test_a_redirect_at_the_same_host_does() -> None:
    with Server(replies(Reply(302, {"Location": "/b"}), Reply(200))) as server:
        ask(f"http://{server.host}/a", authorization=SECRET)
        assert [request.headers.get("authorization") for request in server.requests] == ["Bearer hunter2"] * 2


def test_it_is_not_given_back_after_a_detour() -> None:
    with Server(replies(FOUND)) as storage, Server(replies(FOUND)) as server:
        server.answer = replies(Reply(307, {"Location": f"http://localhost:{storage.port}/"}), Reply(200))
        storage.answer = replies(Reply(307, {"Location": f"http://localhost:{server.port}/back"}))
        ask(f"http://{server.host}/a", authorization=SECRET)
        assert ["authorization" in request.headers for request in server.requests] == [True, False]


def test_redirects_without_end_are_not_followed() -> None:
    with Server(replies(Reply(307, {"Location": "/"}))) as server:
        with pytest.raises(HttpFailureError, match="more than 5 redirects"):
            ask(f"http://{server.host}/")
        assert len(server.requests) == 6


def test_a_redirect_does_not_leave_https() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(307, headers={"Location": "http://127.0.0.1/plain"})

    async def asked() -> None:
        async with Http(5, transport=httpx.MockTransport(answer)) as client:
            await client.ask("GET", "https://registry.example/", headers={}, limit=1)

    with pytest.raises(HttpFailureError, match="a redirect that leaves HTTPS"):
        asyncio.run(asked())


def test_where_a_redirect_leads_cannot_ask_for_the_login() -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="x"'}
    with (
        Server(replies(Reply(401, challenge))) as elsewhere,
        Server(replies(Reply(307, {"Location": f"http://localhost:{elsewhere.port}/"}))) as server,
    ):
        with pytest.raises(RegistryAccessError, match=f"the answer 401 of localhost:{elsewhere.port}"):
            resolve({"web": f"{server.host}/web:1"}, {server.host: Login("reader", SecretValue("hunter2"))})
        assert all("authorization" not in request.headers for request in [*server.requests, *elsewhere.requests])


# GHCR and Docker Hub, whose hosts are not these


def hosts(answers: Callable[[httpx.Request], httpx.Response], ref: str, logins: dict[str, Login]) -> str:
    async def asked() -> str:
        async with Http(5, transport=httpx.MockTransport(answers)) as client:
            return await Registry(client, logins).pinned(Reference.parse(ref), "images: web")

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("ref", "host", "realm", "repository", "pinned"),
    [
        ("ghcr.io/a/b:1", "ghcr.io", "https://ghcr.io/token", "a/b", "ghcr.io/a/b"),
        (
            "nginx",
            "registry-1.docker.io",
            "https://auth.docker.io/token",
            "library/nginx",
            "docker.io/library/nginx",
        ),
    ],
)
def test_the_flow_of_the_big_registries(ref: str, host: str, realm: str, repository: str, pinned: str) -> None:
    seen = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, str(request.url.copy_with(query=None)), request.headers.get("authorization", "")))
        if str(request.url).startswith(realm):
            assert dict(request.url.params) == {"service": host, "scope": f"repository:{repository}:pull"}
            return httpx.Response(200, json={"token": "dG9rZW4="})
        if request.headers.get("authorization") == "Bearer dG9rZW4=":
            return httpx.Response(200, headers={"Docker-Content-Digest": DIGEST})
        challenge = f'Bearer realm="{realm}",service="{host}",scope="repository:{repository}:pull"'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge})

    logins = {pinned.partition("/")[0]: Login("octocat", SecretValue("ghp_x"))}
    assert hosts(answers, ref, logins) == f"{pinned}@{DIGEST}"
    url = f"https://{host}/v2/{repository}/manifests/{Reference.parse(ref).target}"
    assert seen == [
        ("HEAD", url, ""),
        ("GET", realm, registries.basic("octocat", "ghp_x")),
        ("HEAD", url, "Bearer dG9rZW4="),
    ]


@pytest.mark.parametrize(
    "realm", ["http://auth.example/token", "http://127.0.0.1/token", "https://u:p@x/", "ftp://x/", "x"]
)
def test_a_login_is_never_sent_in_the_clear(realm: str) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "ghcr.io"
        return httpx.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})

    with pytest.raises(AphiriaDeployError, match="expected one at https"):
        hosts(answers, "ghcr.io/a/b:1", {"ghcr.io": Login("octocat", SecretValue("ghp_x"))})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={}),
        httpx.Response(200, json=["token"]),
        httpx.Response(200, json={"token": ""}),
        httpx.Response(200, json={"token": "two\r\nlines"}),
        httpx.Response(200, json={"token": 1}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(302, headers={"Location": "https://ghcr.io/login"}),
    ],
)
def test_a_token_service_without_a_token_is_told(answer: httpx.Response) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return answer
        if request.url.path == "/login":
            return httpx.Response(200, content=b"<html>")
        return httpx.Response(401, headers={"WWW-Authenticate": 'Bearer realm="https://ghcr.io/token"'})

    with pytest.raises(RegistryUnavailableError, match=r"without a token at ghcr\.io"):
        hosts(answers, "ghcr.io/a/b:1", {})


# The client's own errors and logs


def errors_of_the_client() -> Iterator[type[Exception]]:
    for name in httpx.__all__:
        found = getattr(httpx, name)
        if isinstance(found, type) and issubclass(found, Exception):
            yield found


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", list(errors_of_the_client()), ids=lambda kind: kind.__name__)
def test_no_error_of_the_client_leaves_its_module(kind: type[Exception]) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        error = kind.__new__(kind)
        Exception.__init__(error, "https://x/?signature=hunter2")
        raise error

    async def asked() -> None:
        async with Http(5, transport=httpx.MockTransport(answers)) as client:
            await client.ask("GET", "https://registry.example/?signature=hunter2", headers={}, limit=1)

    with pytest.raises(HttpFailureError) as raised:
        asyncio.run(asked())
    assert "hunter2" not in f"{raised.value}{raised.value!r}"


@pytest.mark.usefixtures("quick")
def test_no_log_or_error_holds_a_credential(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def answers(request: Request) -> Reply:
        # A server that repeats what it was told, as debugging proxies do.
        body = repr(request.headers).encode()
        if request.path.startswith("/token"):
            return Reply(403, {"X-Debug": request.headers.get("authorization", "")}, body)
        realm = f'Bearer realm="http://{request.headers["host"]}/token"'
        return Reply(401, {"WWW-Authenticate": realm, "Location": "/?signature=hunter2"}, body)

    with Server(answers) as server:
        login = Login("reader", SecretValue("hunter2"))
        assert "hunter2" not in repr(login)
        with pytest.raises(RegistryAccessError) as raised:
            resolve({"web": f"{server.host}/web:1"}, {server.host: login})
        assert any("authorization" in request.headers for request in server.requests)
    credential = registries.basic("reader", "hunter2").removeprefix("Basic ")
    for shown in (str(raised.value), repr(raised.value), caplog.text):
        assert "hunter2" not in shown
        assert credential not in shown


def test_this_machine_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Server(replies(FOUND)) as server:
        for host in ("127.0.0.1", "localhost"):
            assert resolve({"web": f"{host}:{server.port}/web:1"})["web"].endswith(DIGEST)


def test_a_certificate_that_is_not_trusted_is_told_at_once(tmp_path: Path) -> None:
    with Server(replies(FOUND), tls=Signer(tmp_path)) as server:
        with pytest.raises(HttpFailureError, match=r"a certificate that is not trusted \(self-signed certificate\)"):
            ask(f"https://{server.host}/")
        assert server.requests == []


def test_the_machines_own_authority_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(signer.certificate))
    with Server(replies(Reply(200, body=b"found")), tls=signer) as server:
        assert ask(f"https://{server.host}/").body == b"found"


def test_passwords_of_the_machines_user_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login x password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with Server(replies(FOUND)) as server:
        resolve({"web": f"{server.host}/web:1"})
        assert "authorization" not in server.requests[0].headers


def test_who_asks_no_registry_imports_no_client() -> None:
    code = (
        "import sys, aphiria_deploy.registry, aphiria_deploy.settle, aphiria_deploy.secrets;"
        "print([name for name in ('httpx', 'asyncio', 'ssl', 'click', 'rich') if name in sys.modules])"
    )
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_client_is_imported_without_its_command_line() -> None:
    code = (
        "import sys; from aphiria_deploy.http import _library; _library();"
        "print([name for name in ('httpx._main', 'click', 'rich', 'pygments') if name in sys.modules])"
    )
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_one_module_imports_the_client() -> None:
    package = Path(http.__file__).parent
    importing = [file.name for file in package.rglob("*.py") if "import httpx" in file.read_text()]
    assert importing == ["http.py"]
