"""Whatever is given: exit code 2 or 5, one message, no traceback, nothing written."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aphiria_deploy.bundle import Bundle, encode
from apps import site
from tests.aphiria_deploy.cli.running import Ended, run
from tests.aphiria_deploy.test_files import contents
from tests.apps.made import DIGEST

IMAGES = {name: f"ghcr.io/aphiria/aphiria.com-{name}@{DIGEST}" for name in ("web", "api")}
OUTPUTS = {
    "postgresqlAdminUser": "postgres",
    "postgresqlAdminPassword": "not-to-be-seen-1",
    "ghcrUsername": "puller",
    "ghcrToken": "not-to-be-seen-2",
}
_FUZZ = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def kubeconfig(server: str = "https://127.0.0.1:1", context: str = "kind-here") -> dict[str, Any]:
    """A kubeconfig whose credential cannot be had, which is told at once, before anybody is asked."""
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/plugin"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
    }


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return site.bundle("pr-107", IMAGES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Bundle) -> Path:
    """A folder with files to give, from which there is no way to a cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "bundle.json").write_bytes(encode(bundle))
    (tmp_path / "outputs.json").write_text(json.dumps(OUTPUTS))
    (tmp_path / "config").write_text(json.dumps(kubeconfig()))
    return tmp_path


GOOD = ("--bundle", "bundle.json", "--outputs", "outputs.json", "--kubeconfig", "config")


def assert_refused(ended: Ended, code: int | None = None) -> None:
    """What every refusal is like."""
    assert ended.code in ({2, 5} if code is None else {code}), ended
    assert ended.out == ""
    assert "Traceback" not in ended.err
    # Without a command it is the help.
    helped = re.match(r"Usage: aphiria-deploy( secrets)? \[OPTIONS\] COMMAND", ended.err)
    assert helped or len(re.findall("^[Ee]rror: ", ended.err, re.MULTILINE)) == 1
    for value in (OUTPUTS["postgresqlAdminPassword"], OUTPUTS["ghcrToken"]):
        assert value not in ended.err


def test_what_is_right_gets_as_far_as_the_credential(folder: Path) -> None:
    ended = run("pr", "107", *GOOD)

    assert_refused(ended, 5)
    assert "/nowhere/plugin" in ended.err


MISTAKES: list[tuple[list[str], int, str]] = [
    (["pr"], 2, "Missing argument"),
    (["pr", "0", *GOOD], 2, "'0': found no number"),
    (["pr", "107", *GOOD, "--timeout", "0s"], 2, "--timeout: found '0s'"),
    (["pr", "107", *GOOD, "--timeout", "soon"], 2, "--timeout: found 'soon'"),
    (["pr", "107", *GOOD, "--wait-for-lock", "1"], 2, "--wait-for-lock: found '1'"),
    (["pr", "107", *GOOD, "--commit", "HEAD"], 2, "--commit: found 'HEAD'"),
    (["pr", "107", *GOOD, "--web-image", "x"], 2, "--bundle: found images beside it"),
    (["pr", "108", *GOOD], 2, "bundle.json: environment: found pr-107, expected pr-108"),
    (["production", *GOOD], 2, "bundle.json: environment: found pr-107, expected production"),
    (["pr", "107", "--kubeconfig", "config"], 2, "found no pyproject.toml"),
    (["pr", "107", "--bundle", "bundle.json", "--outputs", "outputs.json"], 2, "the cluster: found none named"),
    (["pr", "107", *GOOD[:4], "--kubeconfig", "nowhere"], 2, "nowhere: No such file or directory"),
    (["pr", "107", *GOOD, "--context", "other"], 2, "found no context 'other'; expected one of kind-here"),
    (["pr", "107", *GOOD[2:], "--bundle", "nowhere"], 2, "nowhere: No such file or directory"),
    (["pr", "107", *GOOD[2:], "--bundle", "outputs.json"], 2, "outputs.json: not a bundle"),
    (["pr", "107", *GOOD[:2], "--outputs", "nowhere", *GOOD[4:]], 2, "nowhere: No such file or directory"),
    (["pr", "107", *GOOD[:2], "--outputs", "/", *GOOD[4:]], 2, "/: Is a directory"),
    (["pr", "107", *GOOD[:2], *GOOD[4:]], 5, "found no outputs; give them with --outputs FILE"),
    (["status", "pr-0", "--kubeconfig", "config"], 2, "'pr-0': found no environment"),
    (["status", "pr-1"], 2, "no kubeconfig"),
    (["list", "--outputs", "outputs.json"], 2, "the cluster: found none named"),
    (["logs", "pr-1", "--tail", "0", "--kubeconfig", "config"], 2, "'--tail'"),
    (["rollback", "pr-1"], 2, "the cluster: found none named"),
    (["rollback", "pr-1", "--to", "0", "--kubeconfig", "config"], 2, "'--to'"),
    (["rollback", "pr-1", "--to", "x", "--kubeconfig", "config"], 2, "'--to'"),
    (["destroy", "pr-1"], 2, "the cluster: found none named"),
    (["destroy", "production", "--kubeconfig", "config", "--yes"], 2, "production: found no preview, expected pr-N"),
    (["destroy", "preview-base", "--kubeconfig", "config"], 2, "preview-base: found no preview, expected pr-N"),
    (["destroy", "local", *GOOD[:2], "--kubeconfig", "config"], 2, "local: found no preview, expected pr-N"),
    (["destroy", "pr-9", *GOOD[:2], "--kubeconfig", "config"], 2, "environment: found pr-107, expected pr-9"),
    (["secrets", "apply", "pr-9", *GOOD], 2, "environment: found pr-107, expected pr-9"),
    (["diff", "pr-9", *GOOD], 2, "environment: found pr-107, expected pr-9"),
    (["check", "x" * 5000], 2, "File name too long"),
    (["status", "pr-1", "--kubeconfig", "x" * 5000], 2, "File name too long"),
    (["promote", "pr-x"], 2, "'x': found no number"),
    (["github", "comment", "1_0"], 2, "'1_0': found no number"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES, ids=[" ".join(one[0])[:60] for one in MISTAKES])
def test_a_mistake_is_one_message_and_nothing_written(
    folder: Path, arguments: list[str], code: int, message: str
) -> None:
    before = contents(folder)

    ended = run(*arguments)

    assert_refused(ended, code)
    assert message in ended.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"), [one for one in MISTAKES if one[0][0] not in {"logs", "promote", "github"}]
)
def test_in_json_it_is_one_document(folder: Path, arguments: list[str], code: int, message: str) -> None:
    ended = run(*arguments, "--output", "json")

    assert ended.code == code
    assert ended.data["result"] == "failed"
    assert ended.data["error"]["exitCode"] == code
    assert ended.data["error"]["message"].splitlines()[0] in ended.err
    # A name that an option has stands in the message of neither.
    assert message.strip("'") in ended.err


def test_everything_that_is_missing_is_told_at_once(folder: Path, bundle: Bundle) -> None:
    sample = site.bundle("pr-107", {"web": IMAGES["web"]})
    (folder / "bundle.json").write_bytes(encode(sample))
    (folder / "outputs.json").write_text(json.dumps({"ghcrUsername": " ", "ghcrToekn": "not-to-be-seen-2"}))

    ended = run("pr", "107", *GOOD)

    assert_refused(ended, 2)
    told = ("samples for api", "ghcrUsername: found an empty", "ghcrToken: found none", "ghcrToekn", "/nowhere/plugin")
    assert [word for word in told if word not in ended.err] == []


@pytest.mark.parametrize("command", [["pr", "107"], ["diff", "pr-107"], ["secrets", "apply", "pr-107"]])
def test_a_bundle_that_was_changed_afterwards_is_refused(folder: Path, command: list[str]) -> None:
    document = (folder / "bundle.json").read_text().replace('"preview-quota"', '"no-quota"')
    (folder / "bundle.json").write_text(document)

    ended = run(*command, *GOOD)

    assert_refused(ended, 2)
    assert "bundle.json: the content hash is sha256:" in ended.err
    assert "it was changed after it was made" in ended.err


def test_a_bundle_with_findings_is_refused_with_all_of_them(folder: Path, bundle: Bundle) -> None:
    document = json.loads(encode(bundle))
    del document["hash"]
    for file in document["files"]:
        for item in file["manifests"]:
            if item["kind"] == "Service":
                item["spec"]["selector"] = {"app": "nobody"}
            if item["kind"] == "Deployment":
                item["spec"]["template"]["spec"]["hostNetwork"] = True
    (folder / "bundle.json").write_bytes(encode(msgspec.convert(document, Bundle)))

    ended = run("pr", "107", *GOOD)

    assert_refused(ended, 2)
    assert re.search("pr-107: found [0-9]+ errors in its manifests, expected none:", ended.err)
    assert {"host-access", "service-target"} <= set(re.findall("^  ([a-z-]+): ", ended.err, re.MULTILINE))


def test_a_missing_kubeconfig_does_not_hide_the_rest(folder: Path) -> None:
    ended = run("pr", "107", "--bundle", "nowhere", "--kubeconfig", "neither")

    assert_refused(ended, 2)
    assert "nowhere: No such file" in ended.err
    assert "neither: No such file" in ended.err


def test_a_traceback_is_shown_to_who_asks_for_it_and_the_exit_code_stays(folder: Path) -> None:
    ended = run("pr", "107", *GOOD, "--verbose", "--output", "json")

    assert ended.code == 5
    assert ended.data["error"]["kind"] == "CredentialError"
    assert ended.err.startswith("Traceback")


def test_names_of_images_are_checked_before_a_registry_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    asked = "--images=wbe=127.0.0.1:1/x:tag"
    ended = run("pr", "107", asked, *(f"{folder}/{one}" if "." in one or one == "config" else one for one in GOOD[2:]))

    assert_refused(ended, 2)
    assert "images: wbe: found an unknown name, expected one of api, nginx, postgresql, web" in ended.err


# What a shell passes on: no NUL, and bytes that are no UTF-8 as surrogates.
_WORDS = st.text(st.characters(exclude_characters="\0"), max_size=20)


@_FUZZ
@given(
    st.sampled_from(["pr", "diff", "status", "history", "logs", "drift", "rollback", "destroy", "secrets", ""]),
    st.data(),
)
def test_any_words_at_all(folder: Path, command: str, data: st.DataObject) -> None:
    options = ["--bundle", "--outputs", "--kubeconfig", "--context", "--timeout", "--commit", "--images", "--to", "--"]
    words = data.draw(st.lists(st.sampled_from([*options, *GOOD, "107", "pr-107", "apply"]) | _WORDS, max_size=6))
    before = contents(folder)

    ended = run(command, *words)

    if not {"--help", "--show-completion"} & set(words):
        assert_refused(ended)
    assert contents(folder) == before


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@_FUZZ
@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"ghcrToken": "not-to-be-seen-2"')
def test_any_outputs(folder: Path, document: bytes) -> None:
    (folder / "outputs.json").write_bytes(document)

    assert_refused(run("pr", "107", *GOOD))


@_FUZZ
@given(st.sampled_from([*OUTPUTS, "kubeconfig", "gatewayName", "postgresqlPort", "other"]), _JSON)
def test_any_output(folder: Path, name: str, value: Any) -> None:
    (folder / "outputs.json").write_text(json.dumps(OUTPUTS | {name: value}))

    assert_refused(run("pr", "107", *GOOD))
    assert_refused(run("pr", "107", *GOOD[:4]))


@_FUZZ
@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b"a: " + b"[" * 100_000)
@example(b"- " * 100_000)
@example(b"2001-99-99")
@example(b"&a [*a]")
@example(b"\xef\xbb\xbf{}")
def test_any_kubeconfig(folder: Path, document: bytes) -> None:
    (folder / "config").write_bytes(document)

    assert_refused(run("status", "pr-107", "--kubeconfig", "config"))


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(one for key, item in inner for one in _places(item, (*place, key)))]


_ODD: list[Any] = [None, True, 0, -1, 10**30, "", "x", "\n", [], {}, [None], {"a": None}, [[]], "https://[", "x" * 3000]


def _with(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return changed


@pytest.mark.parametrize("place", _places(kubeconfig())[1:], ids=lambda place: ".".join(map(str, place)))
def test_a_kubeconfig_with_anything_anywhere(folder: Path, place: tuple[Any, ...]) -> None:
    for value in _ODD:
        (folder / "config").write_text(json.dumps(_with(kubeconfig(), place, value)))
        if place[-1] in {"command", "exec", "user"}:
            # Without a plugin it would be asked for for its time.
            continue
        assert_refused(run("status", "pr-107", "--kubeconfig", "config"))


@pytest.mark.parametrize("seed", range(3))
def test_a_bundle_with_anything_anywhere_sealed_anew(folder: Path, bundle: Bundle, seed: int) -> None:
    """It ends where a good one ends too, or it is refused; a hash that fits proves nothing of who made it."""
    chance = random.Random(seed)
    document = json.loads(encode(bundle))
    del document["hash"]
    places = _places(document)[1:]
    ends: list[int] = []
    while len(ends) < 25:
        changed = _with(document, chance.choice(places), chance.choice(_ODD))
        try:
            sealed = encode(msgspec.convert(changed, Bundle))
        except (msgspec.ValidationError, ValueError):
            continue
        (folder / "bundle.json").write_bytes(sealed)
        ended = run("pr", "107", *GOOD)
        assert_refused(ended)
        ends.append(ended.code)
    assert set(ends) == {2, 5}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("file", ["bundle.json", "outputs.json", "config"])
def test_a_file_that_may_not_be_read_is_told(folder: Path, file: str) -> None:
    (folder / file).chmod(0)

    ended = run("pr", "107", *GOOD)

    assert_refused(ended, 2)
    assert f"{file}: Permission denied" in ended.err


def test_bytes_that_are_no_text_are_told_as_they_can_be(folder: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    for arguments in (["check", name], ["pr", name], ["pr", "107", "--bundle", name]):
        assert_refused(run(*arguments), 2)
    assert sys.getfilesystemencoding() == "utf-8"
