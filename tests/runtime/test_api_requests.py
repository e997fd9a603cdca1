"""The Api's own nginx configuration, in front of PHP-FPM with the code that its init container copied."""

from __future__ import annotations

import hashlib
import json
import random
import time
from typing import Any

import pytest

from constructs_lib.values import BodySize
from tests.runtime import sets
from tests.runtime.conftest import Pods
from tests.runtime.pods import Answer, Pod

pytestmark = pytest.mark.xdist_group("runtime-requests")

_LIMIT = 3 * 1024 * 1024
_MULTIPART = (
    b'--limit\r\ncontent-disposition: form-data; name="title"\r\n\r\na photo\r\n'
    b'--limit\r\ncontent-disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
    b"content-type: image/jpeg\r\n\r\n%s\r\n--limit--\r\n"
)


@pytest.fixture(scope="module")
def api(api_pods: Pods) -> Pod:
    return api_pods.ready(sets.api(max_body_size=BodySize("3m"), request_timeout=3))


def _json(answer: Answer) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(answer.body)
    return decoded


def _random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_health_is_answered_through_nginx_by_php(api: Pod) -> None:
    answer = api.request("GET", "/health")

    assert (answer.status, answer.body) == (200, b"ok")


def test_front_controller_sees_the_request_as_it_was_sent(api: Pod) -> None:
    answer = api.request(
        "PATCH",
        "/echo?name=J%C3%BCrgen&list[]=1&list[]=2&empty=",
        body=b'{"a": 1}',
        headers={"Content-Type": "application/json", "X-Request-Id": "abc", "Authorization": "Bearer x.y.z"},
    )

    seen = _json(answer)
    assert answer.headers["content-type"] == "application/json"
    assert seen["query"] == {"name": "Jürgen", "list": ["1", "2"], "empty": ""}
    assert seen["sha256"] == hashlib.sha256(b'{"a": 1}').hexdigest()
    assert (
        seen["server"]
        | {
            "REQUEST_METHOD": "PATCH",
            "REQUEST_URI": "/echo?name=J%C3%BCrgen&list[]=1&list[]=2&empty=",
            "SCRIPT_NAME": "/index.php",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": "8",
            "HTTP_X_REQUEST_ID": "abc",
            "HTTP_AUTHORIZATION": "Bearer x.y.z",
            "HTTP_HOST": "pod.example",
        }
        == seen["server"]
    )


@pytest.mark.parametrize("path", ["/a%20b/%C3%A9", "/encoded%2Fslash?and=%26", "/double//slash", "/"])
def test_path_reaches_the_front_controller_unchanged(api: Pod, path: str) -> None:
    seen = _json(api.request("GET", "/echo?path=1"))["server"]
    answer = api.request("GET", path)

    assert seen["REQUEST_URI"] == "/echo?path=1"
    if path == "/":
        assert answer.body == b"ok"
    else:
        assert _json(answer)["path"] == path.partition("?")[0]


@pytest.mark.parametrize(
    ("forwarded", "https"), [("https", "on"), ("http", None), ("", None), ("ftp", None), (None, None)]
)
def test_https_is_on_only_when_the_gateway_says_so(api: Pod, forwarded: str | None, https: str | None) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-Proto": forwarded}

    assert _json(api.request("GET", "/echo", headers=headers))["server"].get("HTTPS") == https


def test_proxy_header_does_not_become_a_variable(api: Pod) -> None:
    seen = _json(api.request("GET", "/echo", headers={"Proxy": "http://attacker.example"}))

    # PHP's own guard leaves it out; behind nginx's alone it is empty.
    assert seen["server"].get("HTTP_PROXY", "") == ""
    assert "attacker" not in json.dumps(seen)


def test_client_address_is_believed_from_trusted_proxies_alone(api: Pod, api_pods: Pods) -> None:
    behind_a_proxy = api_pods.ready(sets.api(trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"]))
    headers = {"X-Forwarded-For": "192.0.2.1, 198.51.100.7, 10.1.2.3"}

    def address(pod: Pod) -> object:
        return _json(pod.request("GET", "/echo", headers=headers))["server"]["REMOTE_ADDR"]

    # The last address that is no trusted proxy: what is in front of it anyone can write.
    assert address(behind_a_proxy) == "198.51.100.7"
    assert address(api) == "127.0.0.1"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/assets/site.css", "text/css"),
        ("/assets/picture.svg", "image/svg+xml"),
        ("/.well-known/security.txt", "text/plain"),
    ],
)
def test_static_file_is_served_as_what_it_is(api: Pod, path: str, content_type: str) -> None:
    answer = api.request("GET", path)

    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert answer.body.decode() == sets.FILES[f"public{path}"]


@pytest.mark.parametrize("path", ["/nothing", "/assets/nothing.css", "/assets", "/assets/", "/.well-known/nothing"])
def test_path_that_is_no_file_is_the_frameworks_to_answer(api: Pod, path: str) -> None:
    answer = api.request("GET", path)

    assert (answer.status, _json(answer)) == (404, {"error": "no such route", "path": path})


@pytest.mark.parametrize(
    "path",
    [
        "/other.php",
        "/other.php?x=1",
        "/other.php/",
        "/other.PHP",
        "/other.php.bak",
        "/other.php~",
        "/old.phtml",
        "/other%2Ephp",
        "/assets/nested.php",
        "/index.php/x",
        "/.env",
        "/%2Eenv",
        "/.git/config",
        "/.git/",
        "/assets/.hidden",
        "/.well-known/.env",
    ],
)
def test_no_other_script_and_no_hidden_file_is_run_or_served(api: Pod, path: str) -> None:
    answer = api.request("GET", path)

    assert answer.status == 404
    assert sets.SECRET_TEXT not in answer.body.decode()
    assert "<?php" not in answer.body.decode()


@pytest.mark.parametrize(
    "path", ["/../.env", "/assets/../../.env", "/..%2f.env", "/../src/routes.php", "/src/routes.php"]
)
def test_nothing_outside_of_the_public_folder_is_reached(api: Pod, path: str) -> None:
    answer = api.request("GET", path)

    assert answer.status in {400, 404}
    assert sets.SECRET_TEXT not in answer.body.decode()
    assert "<?php" not in answer.body.decode()


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/assets/site.css", 200), ("/nothing", 404), ("/other.php", 404)]
)
def test_every_answer_is_hardened_and_names_no_version(api: Pod, path: str, status: int) -> None:
    answer = api.request("GET", path)

    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["server"] == "nginx"
    assert "x-powered-by" not in answer.headers


def test_body_just_under_the_limit_passes_whole(api: Pod) -> None:
    body = _random_bytes(_LIMIT)

    seen = _json(api.request("POST", "/echo", body=body, headers={"Content-Type": "application/octet-stream"}))

    assert (seen["length"], seen["sha256"]) == (_LIMIT, hashlib.sha256(body).hexdigest())


def test_body_above_the_limit_is_refused(api: Pod) -> None:
    answer = api.request("POST", "/echo", body=bytes(_LIMIT + 1))

    assert answer.status == 413


@pytest.mark.parametrize("size", [1000, _LIMIT - 300])
def test_uploaded_file_is_received_up_to_the_limit(api: Pod, size: int) -> None:
    photo = _random_bytes(size)

    answer = api.request(
        "POST", "/upload", body=_MULTIPART % photo, headers={"Content-Type": "multipart/form-data; boundary=limit"}
    )

    assert _json(answer) == {
        "fields": {"title": "a photo"},
        "files": {"photo": {"name": "photo.jpg", "error": 0, "sha256": hashlib.sha256(photo).hexdigest()}},
    }


def test_default_limits_of_nginx_and_php_agree(api_pods: Pods) -> None:
    pod = api_pods.ready(sets.api())
    photo = _random_bytes(10 * 1024 * 1024 - 300)
    headers = {"Content-Type": "multipart/form-data; boundary=limit"}

    largest = pod.request("POST", "/upload", body=_MULTIPART % photo, headers=headers)
    too_large = pod.request("POST", "/upload", body=_MULTIPART % (photo + bytes(300)), headers=headers)

    assert _json(largest)["files"]["photo"]["sha256"] == hashlib.sha256(photo).hexdigest()
    assert too_large.status == 413


def test_slow_answer_is_waited_for_and_one_that_is_too_slow_is_not(api: Pod) -> None:
    started = time.monotonic()
    slow = api.request("GET", "/slow?ms=1500")
    too_slow = api.request("GET", "/slow?ms=5000")

    assert (slow.status, slow.body) == (200, b"ok")
    assert too_slow.status == 504
    assert time.monotonic() - started < 1.5 + 5


def test_answer_larger_than_the_buffers_comes_whole(api: Pod) -> None:
    size = 8 * 1024 * 1024

    answer = api.request("GET", f"/large?bytes={size}")

    assert answer.body == b"0123456789abcdef" * (size // 16)


def test_variables_reach_php_from_the_config_map_the_secrets_and_the_site(api: Pod) -> None:
    seen = _json(api.request("GET", "/env"))

    assert seen | sets.VARIABLES | sets.SECRETS["site-secrets"] | {"TOKEN": "t0ken", "EMPTY": "not any more"} == seen


def test_another_port_and_another_public_folder_work_as_well(api_pods: Pods) -> None:
    pod = api_pods.ready(sets.api(port=8443, public_path="web"))

    assert pod.http_port == 8443
    assert pod.request("GET", "/health").body == b"ok"
    assert pod.request("GET", "/robots.txt").body.decode() == sets.FILES["web/robots.txt"]
    assert pod.request("GET", "/assets/site.css").status == 404
