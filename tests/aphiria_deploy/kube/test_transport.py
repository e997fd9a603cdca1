from __future__ import annotations

import ast
import builtins
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import aphiria_deploy.kube
from aphiria_deploy import errors
from aphiria_deploy.errors import (
    AphiriaDeployError,
    CancelledError,
    ClusterUnavailableError,
    CredentialError,
    DeadlineExceededError,
    ForbiddenError,
    KubeconfigError,
    NotFoundError,
    OutcomeUnknownError,
)
from aphiria_deploy.kube import Cancellation, Client, Deadline, Kind, Manners, Ref, Tried
from aphiria_deploy.kube.access import Access, ClientCertificate, Proxy
from aphiria_deploy.kube.credentials import Fixed
from aphiria_deploy.kube.transport import FOREIGN, Request, Stream, Transport
from tests.aphiria_deploy.kube.servers import LOOPBACK, Handler, Server, access, answer, saying, serving

_GET = Request("GET", "/x", "get Pod a/b")
_POD = Ref(Kind("v1", "Pod"), "b", "a")


def _soon(seconds: float = 5.0) -> Deadline:
    return Deadline.after(seconds, "the test")


def _classes(module: object, base: type[BaseException]) -> list[type[Exception]]:
    found = {value for value in vars(module).values() if isinstance(value, type) and issubclass(value, base)}
    return sorted((kind for kind in found if issubclass(kind, Exception)), key=str)


@pytest.mark.parametrize(
    "kind",
    [
        *_classes(http.client, http.client.HTTPException),
        *_classes(ssl, ssl.SSLError),
        *_classes(socket, OSError),
        *_classes(builtins, OSError),
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_every_error_of_the_http_client_has_a_counterpart(kind: type[Exception]) -> None:
    assert any(issubclass(kind, foreign) for foreign in FOREIGN)


def test_one_module_alone_knows_the_http_client() -> None:
    folder = Path(aphiria_deploy.kube.__path__[0])
    clients = {"http", "ssl", "urllib3", "requests", "httpx", "httpcore", "h2", "aiohttp", "lightkube", "kubernetes"}
    importing: dict[str, set[str]] = {}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in clients & {name.partition(".")[0] for name in names}:
                importing.setdefault(path.name, set()).add(name)
    # TLS is what is below it, and ends at the same boundary.
    assert importing == {"transport.py": {"http", "ssl"}, "wires.py": {"ssl"}}


def _silent(server: Server, connection: socket.socket) -> None:
    server.read(connection)
    server.over.wait(30)


def _trickling(head: bytes) -> Handler:
    def handler(server: Server, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(head)
        while not server.over.wait(0.05):
            connection.sendall(b"x")

    return handler


_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (saying(b""), "cut|not HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "the answer was cut"),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "the answer was cut"),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello"), "the answer was cut"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP"),
        (saying(b"HTTP/1.1 200 " + b"x" * 100_000), "not HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000), "not HTTP"),
    ],
    ids=["nothing", "short body", "short chunk", "no chunk", "other protocol", "long line", "many headers"],
)
def test_a_cut_or_odd_answer_is_an_unavailable_cluster(handler: Handler, said: str) -> None:
    with serving(handler) as server, pytest.raises(ClusterUnavailableError, match=said) as raised:
        Transport(access(server.port)).send(_GET, _soon())
    assert raised.value.exit_code == 5
    assert raised.value.may_have_acted
    assert str(raised.value).startswith(f"get Pod a/b: http://{LOOPBACK}:{server.port} (context 'test' of a test): ")


@pytest.mark.parametrize(
    "handler",
    [_silent, _trickling(b"HTTP/1.1 200 OK\r\nX: "), _trickling(_BODY)],
    ids=["silent", "slow head", "slow body"],
)
def test_an_answer_that_is_not_whole_by_the_deadline_is_none(handler: Handler) -> None:
    since = time.monotonic()
    with serving(handler) as server, pytest.raises(ClusterUnavailableError, match=r"did not answer within 0\.[234]"):
        Transport(access(server.port)).send(_GET, _soon(0.3))
    assert time.monotonic() - since < 1


@pytest.mark.parametrize(
    "handler",
    [_silent, _trickling(b"HTTP/1.1 200 OK\r\nX: "), _trickling(_BODY)],
    ids=["silent", "slow head", "slow body"],
)
def test_a_request_is_stopped_at_once(handler: Handler) -> None:
    cancellation = Cancellation()
    threading.Timer(0.2, cancellation.cancel, ["SIGTERM"]).start()
    since = time.monotonic()
    with serving(handler) as server, pytest.raises(CancelledError, match="get Pod a/b: stopped: SIGTERM"):
        Transport(access(server.port)).send(_GET, Deadline.after(30, "x", cancellation))
    assert time.monotonic() - since < 0.6


def _full() -> tuple[socket.socket, socket.socket]:
    """A listener that completes no connection: its queue is full."""
    listener = socket.create_server((LOOPBACK, 0), backlog=0)
    filler = socket.create_connection(listener.getsockname())
    return listener, filler


def test_connecting_is_stopped_at_once_and_by_the_deadline() -> None:
    listener, filler = _full()
    with listener, filler:
        fillers = [socket.socket() for _ in range(8)]
        for another in fillers:
            another.setblocking(False)
            another.connect_ex(listener.getsockname())
        transport = Transport(access(listener.getsockname()[1]))
        cancellation = Cancellation()
        threading.Timer(0.2, cancellation.cancel, ["SIGTERM"]).start()
        since = time.monotonic()
        with pytest.raises(CancelledError):
            transport.send(_GET, Deadline.after(30, "x", cancellation))
        assert time.monotonic() - since < 0.6
        with pytest.raises(ClusterUnavailableError, match="did not answer within"):
            transport.send(_GET, _soon(0.3))
        for another in fillers:
            another.close()


def test_a_refused_connection_cannot_have_done_anything() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ClusterUnavailableError, match="it refused the connection") as raised:
        Transport(access(port)).send(_GET, _soon())
    assert not raised.value.may_have_acted


def test_a_name_that_does_not_exist_is_said_to_be_none() -> None:
    nowhere = Access(where="context 'x' of f", scheme="https", host="nowhere.invalid", port=1, credentials=Fixed())
    with pytest.raises(ClusterUnavailableError, match=r"nowhere.invalid:1 .*its name cannot be resolved"):
        Transport(nowhere).send(_GET, _soon())


def test_connections_are_used_again_and_given_up_when_the_server_closed_them() -> None:
    with serving(saying(answer(200, b"{}"), answer(404, b"{}"), answer(200, b"{}"))) as server:
        transport = Transport(access(server.port))
        assert [transport.send(_GET, _soon()).status for _ in range(3)] == [200, 404, 200]
        assert server.connections == 1
        time.sleep(0.05)
        assert transport.send(_GET, _soon()).status == 200
        assert server.connections == 2


def test_an_answer_that_ends_with_its_connection_is_read_whole() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 300_000
    with serving(saying(closing)) as server:
        transport = Transport(access(server.port))
        assert [len(transport.send(_GET, _soon()).body) for _ in range(2)] == [300_000] * 2
        assert server.connections == 2


def test_each_of_several_threads_has_a_connection_of_its_own() -> None:
    together = threading.Barrier(5, timeout=5)

    def handler(server: Server, connection: socket.socket) -> None:
        server.read(connection)
        together.wait()
        connection.sendall(answer(200, b"{}"))

    with serving(handler) as server:
        transport = Transport(access(server.port))
        threads = [threading.Thread(target=transport.send, args=(_GET, _soon())) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert server.connections == 5


def test_a_stream_is_read_as_it_comes() -> None:
    def handler(server: Server, connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        server.over.wait(0.3)
        connection.sendall(b"6\r\ntwo\nth\r\n4\r\nree\n\r\n3\r\nend\r\n0\r\n\r\n")
        server.over.wait(5)

    with serving(handler) as server:
        since = time.monotonic()
        with Transport(access(server.port)).stream(_GET, _soon(), _soon()) as stream:
            assert isinstance(stream, Stream)
            lines = stream.lines()
            assert next(lines) == b"one"
            assert time.monotonic() - since < 0.25
            assert list(lines) == [b"two", b"three", b"end"]


def test_what_the_reader_of_a_stream_raises_is_its_own() -> None:
    with (
        serving(saying(answer(200, b"one\ntwo\n"))) as server,
        pytest.raises(OSError, match="the disk is full"),
        Transport(access(server.port)).stream(_GET, _soon(), _soon()),
    ):
        raise OSError("the disk is full")


def test_credentials_are_sent_and_never_shown() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    with serving(saying(page)) as server:
        reached = access(server.port)
        with pytest.raises(ClusterUnavailableError) as raised:
            Transport(reached).send(_GET, _soon())
        assert "Authorization: Bearer hush-hush" in server.heads[0]
    shown = f"{raised.value!r} {raised.value} {reached!r} {ClientCertificate(b'hush-hush', b'hush-hush')!r}"
    assert "hush-hush" not in shown


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ('299 - "unknown field \\"spec.x\\""', 'unknown field "spec.x"'),
        ('299 kube "a \\\\ b"', "a \\ b"),
        ("odd", "odd"),
    ],
)
def test_warnings_of_the_server_are_read(header: str, text: str) -> None:
    with serving(saying(answer(200, b"{}", f"Warning: {header}"))) as server:
        assert Transport(access(server.port)).send(_GET, _soon()).warnings == (text,)


def test_a_proxy_is_asked_for_a_tunnel() -> None:
    with serving(saying(b"HTTP/1.1 200 Connection established\r\n\r\n", answer(200, b"{}"))) as server:
        reached = access(1)
        through = Access(**{**vars(reached), "proxy": Proxy(LOOPBACK, server.port, {"Proxy-Authorization": "Basic x"})})
        assert Transport(through).send(_GET, _soon()).status == 200
        assert server.heads[0].startswith(f"CONNECT {LOOPBACK}:1 HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic x" in server.heads[0]
        assert "Authorization: Bearer" not in server.heads[0]
        assert "Authorization: Bearer" in server.heads[1]


def test_a_proxy_that_refuses_is_said_to() -> None:
    with serving(saying(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as server:
        through = Access(**{**vars(access(1)), "proxy": Proxy(LOOPBACK, server.port)})
        with pytest.raises(ClusterUnavailableError, match=r"proxy .* answered 407"):
            Transport(through).send(_GET, _soon())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"authorities": b"not PEM"}, "certificate-authority"),
        ({"authorities": b"\xff"}, "certificate-authority"),
        ({"credentials": Fixed({}, ClientCertificate(b"no", b"no"))}, "client-certificate, client-key"),
    ],
)
def test_a_certificate_that_is_none_is_a_credential_that_cannot_be_had(settings: dict[str, object], said: str) -> None:
    with serving(_silent) as server:
        reached = Access(**{**vars(access(server.port)), "scheme": "https", **settings})
        with pytest.raises(CredentialError, match=f"context 'test' of a test: {said}"):
            Transport(reached).send(_GET, _soon())


def _client(server: Server, **settings: object) -> Client:
    return Client(access(server.port), manners=Manners(chance=lambda: 0.0), **settings)  # type: ignore[arg-type]


_UNWELL = answer(503, b'{"kind":"Status","reason":"ServiceUnavailable","code":503}')
_WELL = answer(200, b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"b","resourceVersion":"5"}}')


def test_a_read_is_tried_again_until_it_succeeds_and_each_try_is_told() -> None:
    tried: list[Tried] = []
    with serving(saying(_UNWELL, _UNWELL, _WELL)) as server:
        assert _client(server, observe=tried.append).get(_POD, _soon())["metadata"]["name"] == "b"
    assert [(one.status, one.again_in is None) for one in tried] == [(503, False), (503, False), (200, True)]
    assert "hush-hush" not in repr(tried)


def test_a_create_that_was_cut_is_not_made_again() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b", "namespace": "a"}}
    with serving(saying(b"")) as server:
        with pytest.raises(OutcomeUnknownError, match=r"create Pod a/b: .*it may have been done all the same"):
            _client(server).create(pod, _soon())
        assert len(server.heads) == 1


def test_a_create_that_was_refused_for_now_is_made_again() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b", "namespace": "a"}}
    with serving(saying(_UNWELL, _WELL)) as server:
        assert _client(server).create(pod, _soon())["metadata"]["resourceVersion"] == "5"


@pytest.mark.parametrize(
    ("uid", "calls"), [("u", 2), (None, 1)], ids=["one object is deleted once", "another of its name may be there"]
)
def test_a_deletion_that_was_cut_is_made_again_for_one_uid(uid: str | None, calls: int) -> None:
    gone = answer(404, b'{"kind":"Status","reason":"NotFound","code":404}')
    answers = iter([b"", gone])

    def handler(server: Server, connection: socket.socket) -> None:
        if server.read(connection):
            connection.sendall(next(answers))

    with serving(handler) as server:
        if uid:
            assert _client(server).delete(_POD, _soon(), uid=uid) is None
        else:
            with pytest.raises(OutcomeUnknownError):
                _client(server).delete(_POD, _soon())
        assert len(server.heads) == calls


def test_a_pause_longer_than_the_deadline_is_not_waited_for() -> None:
    busy = answer(429, b'{"kind":"Status","reason":"TooManyRequests","code":429}', "Retry-After: 3600")
    since = time.monotonic()
    with serving(saying(busy)) as server, pytest.raises(ClusterUnavailableError, match="429"):
        _client(server).get(_POD, _soon(60))
    assert time.monotonic() - since < 2


def test_retry_after_is_waited_for() -> None:
    busy = answer(429, b'{"kind":"Status","reason":"TooManyRequests","code":429}', "Retry-After: 1")
    since = time.monotonic()
    with serving(saying(busy, _WELL)) as server:
        _client(server).get(_POD, _soon(30))
    assert 1 <= time.monotonic() - since < 3


def test_the_deadline_ends_all_tries_and_says_what_the_last_came_to() -> None:
    with serving(saying(*[_UNWELL] * 1000)) as server:
        client = Client(access(server.port), manners=Manners(chance=lambda: 0.2))
        with pytest.raises((DeadlineExceededError, ClusterUnavailableError), match="503"):
            client.get(_POD, _soon(0.5))


def test_a_refusal_is_not_tried_again() -> None:
    refused = answer(403, b'{"kind":"Status","reason":"Forbidden","code":403,"message":"exceeded quota"}')
    with serving(saying(refused)) as server:
        with pytest.raises(ForbiddenError, match="exceeded quota"):
            _client(server).get(_POD, _soon())
        assert len(server.heads) == 1


class _Renewing(Fixed):
    """A credential that is another one after it was refused."""

    tokens = 0

    def headers(self, deadline: Deadline) -> dict[str, str]:
        return {"Authorization": f"Bearer token-{self.tokens}"}

    def refused(self) -> bool:
        object.__setattr__(self, "tokens", self.tokens + 1)
        return True


_UNAUTHORIZED = answer(401, b'{"kind":"Status","reason":"Unauthorized","code":401,"message":"Unauthorized"}')


def test_a_credential_that_is_refused_is_renewed_once() -> None:
    def handler(server: Server, connection: socket.socket) -> None:
        while head := server.read(connection):
            connection.sendall(_WELL if "token-1" in head else _UNAUTHORIZED)

    with serving(handler) as server:
        assert Client(access(server.port, _Renewing())).get(_POD, _soon())
    with serving(saying(_UNAUTHORIZED, _UNAUTHORIZED)) as server:
        with pytest.raises(CredentialError, match="Unauthorized"):
            Client(access(server.port, _Renewing())).get(_POD, _soon())
        assert len(server.heads) == 2
    with serving(saying(_UNAUTHORIZED)) as server:
        with pytest.raises(CredentialError):
            _client(server).get(_POD, _soon())
        assert len(server.heads) == 1


def test_what_is_not_json_is_not_an_api_server() -> None:
    with (
        serving(saying(answer(200, b"<html>"))) as server,
        pytest.raises((ClusterUnavailableError, DeadlineExceededError), match="not a JSON object"),
    ):
        Client(access(server.port), manners=Manners(patience_seconds=0.1)).get(_POD, _soon(2))


def test_a_probe_of_something_else_says_so() -> None:
    with (
        serving(saying(answer(200, b'{"hello": 1}'))) as server,
        pytest.raises(ClusterUnavailableError, match="has no 'gitVersion'; expected the version of an API server"),
    ):
        _client(server).probe(_soon())


def test_a_probe_does_not_wait_long() -> None:
    since = time.monotonic()
    with serving(_silent) as server, pytest.raises((ClusterUnavailableError, DeadlineExceededError), match="probe"):
        _client(server).probe(_soon(60), seconds=0.5)
    assert time.monotonic() - since < 2


def test_a_list_that_goes_back_in_time_is_asked_for_again() -> None:
    def listed(version: str) -> bytes:
        return answer(200, b'{"kind":"PodList","metadata":{"resourceVersion":"%s"},"items":[]}' % version.encode())

    with serving(saying(listed("100"), listed("90"), listed("99"), listed("101"))) as server:
        client = _client(server)
        kind = Kind("v1", "Pod")
        assert [client.list(kind, _soon()).resource_version for _ in range(2)] == ["100", "101"]


def test_a_list_whose_rest_is_gone_is_made_anew_in_one_piece() -> None:
    def listed(name: str, more: str) -> bytes:
        item = f'{{"metadata":{{"name":"{name}"}}}}'
        body = f'{{"kind":"PodList","metadata":{{"resourceVersion":"7","continue":"{more}"}},"items":[{item}]}}'
        return answer(200, body.encode())

    gone = answer(410, b'{"kind":"Status","reason":"Expired","code":410}')
    with serving(saying(listed("old", "more"), gone, listed("new", ""))) as server:
        items = _client(server).list(Kind("v1", "Pod"), _soon(), page=1).items
        assert [item["metadata"]["name"] for item in items] == ["new"]
        assert items[0]["kind"] == "Pod"
        assert [("limit=1" in head, "continue=more" in head) for head in server.heads] == [
            (True, False),
            (True, True),
            (False, False),
        ]


_MISSING = answer(404, b'{"kind":"Status","reason":"NotFound","code":404}')


def test_find_gives_nothing_where_nothing_is() -> None:
    with serving(saying(_MISSING)) as server:
        assert _client(server).find(_POD, _soon()) is None
    with serving(saying(_MISSING)) as server, pytest.raises(NotFoundError, match="a/b"):
        _client(server).get(_POD, _soon())


@pytest.mark.parametrize("kind", _classes(errors, AphiriaDeployError), ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_that_its_module_shows(kind: type[AphiriaDeployError]) -> None:
    assert f" {kind.__name__} " in (errors.__doc__ or "") or kind is AphiriaDeployError
    assert kind.exit_code in {1, 2, 3, 4, 5}


def test_exit_codes_say_whose_fault_it_is() -> None:
    codes: dict[Callable[..., AphiriaDeployError], int] = {
        KubeconfigError: 2,
        CredentialError: 5,
        ClusterUnavailableError: 5,
        OutcomeUnknownError: 5,
        DeadlineExceededError: 1,
        CancelledError: 1,
    }
    assert {kind: kind("x").exit_code for kind in codes} == codes
