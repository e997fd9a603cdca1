"""nginx with the WebApp's mounts, and a browser that imports its runtime configuration."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from constructs_lib.web_app import JavaScriptModule
from tests.runtime import sets
from tests.runtime.balancer import Balancer
from tests.runtime.browser import dom
from tests.runtime.conftest import Pods
from tests.runtime.handovers import Report, hand_over
from tests.runtime.loads import Downloads

pytestmark = pytest.mark.xdist_group("runtime-requests")

MakePods = Callable[[Mapping[str, str | bytes]], Pods]

_PAGE = """\
<!doctype html>
<title>A site</title>
<p id="result"></p>
<script type="module">
%s
document.getElementById("result").textContent = encodeURIComponent(JSON.stringify(result));
</script>
"""
_SITE = {"apiUri": "https://api.example.com", "cookieDomain": ".example.com"}
_HOSTILE = {
    "singleQuote": "it's",
    "doubleQuote": 'a "word"',
    "endOfScript": "</script><script>document.title = 'taken over'</script>",
    "comment": "<!-- <script> -->",
    "ampersand": "&quot;&lt;&amp;",
    "backslash": "C:\\new\\u0041\\",
    "newline": "one\ntwo\r\nthree\ttab",
    "lineSeparators": "one\u2028two\u2029three",
    "template": "`${document.title}` ${1 + 1}",
    "beyondAscii": "Grüße, 日本語, 😀",
    "control": "\x00\x1f\x7f",
    "statement": '"; document.title = "taken over"; //',
    "empty": "",
}
# What JavaScript allows as a name, and what a careless module would stumble over.
_NAMES = ["config", "result", "__proto__", "constructor", "undefined", "NaN", "async", "of", "get", "$", "_", "x1"]


def _config(values: Mapping[str, str]) -> sets.Set:
    return sets.web(runtime_config=JavaScriptModule(values=values))


def _load(web: sets.Set, pods: Pods, profile: Path) -> tuple[str, Any]:
    """Loads the page that a front end serves, and gives its title and result."""
    with Balancer() as balancer:
        balancer.add(pods.ready(web))
        document = dom(f"http://127.0.0.1:{balancer.port}/", profile)
    title, result = re.search("<title>(.*)</title>", document), re.search('<p id="result">(.*)</p>', document)
    assert title, document
    assert result, document
    assert result[1], f"the module was not loaded:\n{document}"
    return title[1], json.loads(unquote(result[1]))


def test_browser_imports_the_values_by_name_and_as_default(web_pods: MakePods, tmp_path: Path) -> None:
    use = """\
import config, { apiUri, cookieDomain } from "/js/config/config.js";
const result = { apiUri, cookieDomain, config };"""

    title, result = _load(_config(_SITE), web_pods({"index.html": _PAGE % use}), tmp_path / "profile")

    assert title == "A site"
    assert result == _SITE | {"config": _SITE}


@pytest.mark.parametrize("values", [_HOSTILE, dict.fromkeys(_NAMES, "value")], ids=["values", "names"])
def test_browser_reads_hostile_configuration_as_it_is(
    web_pods: MakePods, tmp_path: Path, values: Mapping[str, str]
) -> None:
    use = """\
import config, * as named from "/js/config/config.js";
const result = { config, named };"""

    title, result = _load(_config(values), web_pods({"index.html": _PAGE % use}), tmp_path / "profile")

    assert title == "A site"
    assert result == {"config": values, "named": {**values, "default": values}}


def test_hostile_values_do_not_break_out_of_an_inline_script(web_pods: MakePods, tmp_path: Path) -> None:
    web = _config(_HOSTILE)
    page = _PAGE % f"{web.only('ConfigMap')['data']['config.js']}\nconst result = {{ {', '.join(_HOSTILE)} }};"

    title, result = _load(web, web_pods({"index.html": page}), tmp_path / "profile")

    assert title == "A site"
    assert result == _HOSTILE


def test_module_is_served_as_a_script_beside_the_sites_own_files(web_pods: MakePods) -> None:
    pod = web_pods({"index.html": "home", "js/app.js": "app"}).ready(_config(_SITE))

    module = pod.request("GET", "/js/config/config.js")

    assert (module.status, module.headers["content-type"]) == (200, "application/javascript")
    assert pod.request("GET", "/").body == b"home"
    assert pod.request("GET", "/js/app.js").body == b"app"


_FILM = random.Random(0).randbytes(2 * 1024 * 1024)
_BUFFER = 65536


def _download_over_handovers(web_pods: MakePods, template: sets.Template, times: int) -> Report:
    """Downloads a file slowly while pods are replaced; what is not sent waits in nginx, and not in any buffer."""
    pods, web = web_pods({"index.html": "home", "film.bin": _FILM}), sets.web()
    report = hand_over(
        lambda: pods.start(web, template, network=[f"net.ipv4.tcp_wmem=4096 16384 {_BUFFER}"]),
        lambda port: Downloads(port, "/film.bin", _FILM, seconds=3, buffer=_BUFFER),
        times=times,
        pause=sets.DRAIN.pause,
        delays=(0.5, 1.5),
        buffer=_BUFFER,
    )
    print(report)
    return report


def test_downloads_survive_handovers(web_pods: MakePods) -> None:
    report = _download_over_handovers(web_pods, sets.web().template("Deployment"), times=6)

    assert report.failed == 0, str(report)
    assert not report.lost, str(report)
    assert not report.killed, str(report)
    assert len(report.handovers) == 6, str(report)
    assert report.unfinished > 6, str(report)
    assert sets.DRAIN.pause + 0.5 < report.slowest_ending < sets.DRAIN.grace - 5, str(report)


def test_downloads_are_cut_off_without_the_pre_stop(web_pods: MakePods) -> None:
    report = _download_over_handovers(web_pods, sets.without_pre_stop(sets.web().template("Deployment")), times=1)

    assert report.failed > 0, str(report)
