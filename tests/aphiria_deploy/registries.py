"""Real registries on this machine's loopback, content for them, and what can stand in between."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest

USER, PASSWORD = "reader", "pass:word é"
# htpasswd -nbBC 5 reader 'pass:word é'
HTPASSWD = "reader:$2y$05$WwMKdU11Z93IHXYlDFf9J.MgPa67LEGiQxW/w5mBjjk4Z4v86BIiq\n"

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
REVISION = "org.opencontainers.image.revision"


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass(frozen=True)
class Pushed:
    """A document that was pushed.

    Attributes:
        digest: Its digest.
        media_type: Its type.
        size: How many bytes it has.
        platform: The platform that it is for.
        config: The digest of its configuration, of an image.
    """

    digest: str
    media_type: str
    size: int
    platform: str = "linux/amd64"
    config: str = ""

    def descriptor(self) -> dict[str, Any]:
        names = ("os", "architecture", "variant")
        platform = dict(zip(names, self.platform.split("/"), strict=False))
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, "platform": platform}


@dataclass(frozen=True)
class Running:
    """A registry that runs.

    Attributes:
        port: Its port.
        authorize: Gives the header with which its owner pushes to a repository.
    """

    port: int
    authorize: Callable[[str], str | None] = field(default=lambda _: None, repr=False)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, repository: str, body: bytes = b"", media_type: str = "application/octet-stream"
    ) -> http.client.HTTPMessage:
        """Gives the headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Content-Type": media_type, "Content-Length": str(len(body))}
        if authorization := self.authorize(repository):
            headers["Authorization"] = authorization
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {content!r}")
        return answer.headers

    def push_blob(self, repository: str, body: bytes) -> str:
        digest = digest_of(body)
        location = self.ask("POST", f"/v2/{repository}/blobs/uploads/", repository)["Location"]
        target = urlsplit(location)
        self.ask("PUT", f"{target.path}?{target.query}&digest={digest}", repository, body)
        return digest

    def push_document(self, repository: str, tag: str | None, data: Mapping[str, Any]) -> Pushed:
        body = json.dumps(data).encode()
        target = tag or digest_of(body)
        self.ask("PUT", f"/v2/{repository}/manifests/{target}", repository, body, data["mediaType"])
        return Pushed(digest_of(body), data["mediaType"], len(body))

    def push_image(
        self,
        repository: str,
        tag: str | None = None,
        *,
        revision: str | None = "c0ffee",
        platform: str = "linux/amd64",
        docker: bool = False,
        config_type: str | None = None,
        note: str = "",
    ) -> Pushed:
        """Pushes an image without layers."""
        system, architecture, *variant = platform.split("/")
        config: dict[str, Any] = {"os": system, "architecture": architecture, "config": {}, "note": note}
        if variant:
            config["variant"] = variant[0]
        if revision:
            config["config"]["Labels"] = {REVISION: revision}
        body = json.dumps(config).encode()
        types = (DOCKER_MANIFEST, DOCKER_CONFIG) if docker else (OCI_MANIFEST, OCI_CONFIG)
        described = {
            "mediaType": config_type or types[1],
            "digest": self.push_blob(repository, body),
            "size": len(body),
        }
        manifest = {"schemaVersion": 2, "mediaType": types[0], "config": described, "layers": []}
        pushed = self.push_document(repository, tag, manifest)
        return Pushed(pushed.digest, pushed.media_type, pushed.size, platform, digest_of(body))

    def push_index(
        self, repository: str, tag: str | None, children: Sequence[Mapping[str, Any]], *, docker: bool = False
    ) -> Pushed:
        media_type = DOCKER_LIST if docker else OCI_INDEX
        return self.push_document(
            repository, tag, {"schemaVersion": 2, "mediaType": media_type, "manifests": list(children)}
        )

    def delete(self, repository: str, kind: str, digest: str) -> None:
        self.ask("DELETE", f"/v2/{repository}/{kind}/{digest}", repository)


@contextmanager
def registry(
    folder: Path, auth: Mapping[str, Any] | None = None, authorize: Callable[[str], str | None] | None = None
) -> Iterator[Running]:
    """Runs Debian's registry, with its content in a folder, or skips the test."""
    program = shutil.which("docker-registry", path="/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("needs Debian's package docker-registry (apt-get install docker-registry)")
    port = free_port()
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if auth:
        settings["auth"] = auth
    # JSON is YAML.
    configuration = folder / "registry.yml"
    configuration.write_text(json.dumps(settings))
    # It ends with the tests, however these end.
    tied = ["setpriv", "--pdeathsig=KILL"] if shutil.which("setpriv") else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*tied, program, "serve", configuration], stdout=log, stderr=log)
    try:
        wait_until_open(port, lambda: process.poll() is not None, folder / "log")
        yield Running(port, authorize or (lambda _: None))
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_open(port: int, has_ended: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if has_ended() or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.02)
        else:
            return


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


# Servers of the tests' own


@dataclass(frozen=True)
class Request:
    """What a server was asked."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}


@dataclass(frozen=True)
class Reply:
    """What a server answers.

    Attributes:
        pause: Seconds before each byte of the body, or before the answer where it has none.
        length: The length that it says its body has.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pause: float = 0
    length: int | None = None


class _Handler(BaseHTTPRequestHandler):
    """Answers what its server says."""

    protocol_version = "HTTP/1.1"
    answer: Callable[[Request], Reply]

    def handle_any(self) -> None:
        headers = {name.lower(): text for name, text in self.headers.items()}
        reply = type(self).answer(Request(self.command, self.path, headers))
        if not reply.body:
            time.sleep(reply.pause)
        self.send_response(reply.status)
        length = len(reply.body) if reply.length is None else reply.length
        for name, text in {"Content-Length": str(length), **reply.headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.close_connection = reply.length is not None
        if self.command == "HEAD":
            return
        step = 1 if reply.pause else len(reply.body) or 1
        try:
            for start in range(0, len(reply.body), step):
                time.sleep(reply.pause)
                self.wfile.write(reply.body[start : start + step])
        except OSError:
            # Nobody listens any more.
            self.close_connection = True

    do_GET = do_HEAD = handle_any  # noqa: N815 - the names that the server calls

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server:
    """A server that answers what a function says, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Request], Reply], *, tls: Signer | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        handler = type("Handler", (_Handler,), {"answer": staticmethod(self._remembered)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            # The handshake belongs to the connection's own thread: one that fails is no matter of the server's.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]

    def _remembered(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.answer(request)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, method: str) -> list[str]:
        return [urlsplit(request.path).path for request in self.requests if request.method == method]


def forward(request: Request, port: int) -> Reply:
    """Gives a registry's own answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {name: text for name, text in request.headers.items() if name not in {"host", "connection"}}
    connection.request(request.method, request.path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    kept = {name: text for name, text in answer.headers.items() if name.lower() not in {"connection", "date"}}
    return Reply(answer.status, kept, body)


class Signer:
    """Makes the tokens that a registry accepts, as its token service would."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl (apt-get install openssl)")
        self.key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests -addext subjectAltName=IP:127.0.0.1"
        subprocess.run([*made.split(), "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)
        self._chain = "".join(self.certificate.read_text().splitlines()[1:-1])

    def token(self, repository: str, actions: Sequence[str], *, seconds: int = 300) -> str:
        # https://distribution.github.io/distribution/spec/auth/jwt/
        now = int(time.time())
        claims = {
            "iss": "tests",
            "sub": USER,
            "aud": "registry.test",
            "iat": now - 600,
            "nbf": now - 600,
            "exp": now + seconds,
            "jti": str(time.monotonic_ns()),
            "access": [{"type": "repository", "name": repository, "actions": list(actions)}] if actions else [],
        }
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._chain]}
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self.key)], input=signed, check=True, capture_output=True
        ).stdout
        return b".".join((signed, _base64url(signature))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
