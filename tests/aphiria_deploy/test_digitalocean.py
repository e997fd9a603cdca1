"""A fresh kubeconfig, asked of a stand-in for DigitalOcean's API on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aphiria_deploy.cluster_access import access_of
from aphiria_deploy.digitalocean import fetch_kubeconfig, token_of
from aphiria_deploy.errors import CredentialError, InputError, UnavailableError
from aphiria_deploy.masked import SecretValue

TOKEN = "dop_v1_a-token"
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://203.0.113.9:443"}}]
users: [{name: u, user: {token: fresh}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


@dataclass
class Api:
    """The stand-in.

    Attributes:
        answers: What it answers, one after the other; the last one stays.
        asked: The paths and credentials that it was asked with.
    """

    url: str
    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, KUBECONFIG)])
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {"DIGITALOCEAN_API_URL": self.url, "DIGITALOCEAN_TOKEN": TOKEN}


@pytest.fixture
def api() -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers.get("Authorization", "")))
            status, body = found.answers[0] if len(found.answers) == 1 else found.answers.pop(0)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Api(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def fetch(api: Api, seconds: float = 10.0) -> str:
    return fetch_kubeconfig("an-id", SecretValue(TOKEN), environ=api.environ, seconds=seconds).reveal()


def test_it_is_asked_for_by_the_cluster_s_id_with_a_life_of_hours(api: Api) -> None:
    assert fetch(api) == KUBECONFIG
    path = "/v2/kubernetes/clusters/an-id/kubeconfig?expiry_seconds=7200"
    assert api.asked == [(path, f"Bearer {TOKEN}")]


def test_an_answer_that_passes_is_asked_for_again(api: Api) -> None:
    api.answers = [(503, ""), (429, ""), (200, KUBECONFIG)]
    assert fetch(api) == KUBECONFIG


@pytest.mark.parametrize(
    ("status", "body", "error", "match"),
    [
        (401, "", CredentialError, "see DIGITALOCEAN_TOKEN"),
        (403, "", CredentialError, "see DIGITALOCEAN_TOKEN"),
        (404, "", InputError, "is it the right account"),
        (200, "<html>a proxy's page</html>", UnavailableError, "expected a kubeconfig"),
        (418, "", UnavailableError, "found the answer 418"),
    ],
)
def test_what_is_no_kubeconfig_is_told_as_what_it_is(
    api: Api, status: int, body: str, error: type[Exception], match: str
) -> None:
    api.answers = [(status, body)]
    with pytest.raises(error, match=match) as caught:
        fetch(api)
    assert TOKEN not in str(caught.value)


def test_no_answer_is_waited_for_so_long_and_no_longer(api: Api) -> None:
    api.answers = [(503, "")]
    with pytest.raises(UnavailableError, match="try again later"):
        fetch(api, seconds=1.0)


def test_the_token_goes_nowhere_else(api: Api) -> None:
    api.answers = [(302, "http://localhost:1/elsewhere")]
    with pytest.raises(UnavailableError):
        fetch(api, seconds=2.0)
    assert {credentials for _, credentials in api.asked} == {f"Bearer {TOKEN}"}


def test_a_fresh_kubeconfig_goes_before_the_one_in_the_outputs(api: Api) -> None:
    outputs = {"clusterId": "an-id", "kubeconfig": KUBECONFIG.replace("203.0.113.9", "203.0.113.1")}
    assert access_of(outputs, "stack s", api.environ).host == "203.0.113.9"
    without_token = {"DIGITALOCEAN_API_URL": api.url}
    access = access_of(outputs, "stack s", without_token)
    assert access.host == "203.0.113.1"
    assert "with DIGITALOCEAN_TOKEN a new one is fetched" in access.where
    assert len(api.asked) == 1


def test_a_token_that_is_not_taken_is_not_passed_over(api: Api) -> None:
    api.answers = [(401, "")]
    with pytest.raises(CredentialError):
        access_of({"clusterId": "an-id", "kubeconfig": KUBECONFIG}, "stack s", api.environ)


def test_outputs_that_name_no_cluster_are_refused() -> None:
    with pytest.raises(InputError, match="the cluster: found none named: stack s has no kubeconfig"):
        access_of({"gatewayName": "g"}, "stack s", {})


def test_an_empty_token_is_none() -> None:
    assert token_of({"DIGITALOCEAN_TOKEN": " "}) is None
    assert token_of({}) is None
