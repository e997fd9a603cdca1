"""Files are read as Kubernetes reads them, and what cannot be read is said with file and line, at a bounded cost."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from constructs_lib.checks import check
from constructs_lib.checks.load import load, load_file, load_text, with_lines
from constructs_lib.checks.reader import InputError, resolve

_OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
_BOMB = (
    _OBJECT
    + "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n" for number in range(1, 12))
)
_MERGE_BOMB = (
    _OBJECT
    + "a0: &a0 {x: 1}\n"
    + "".join(
        f"a{number}: &a{number} {{<<: [{aliases}], k: [{aliases}]}}\n"
        for number in range(1, 12)
        for aliases in (", ".join([f"*a{number - 1}"] * 10),)
    )
)


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"kind: A\nspec: [1,\n", 3, "not YAML"),
        (b"kind: A\n\tspec: 1\n", 2, "not YAML"),
        (b"kind: A\n---\nkind: B\nspec:\n  a: 1\n  a: 2\n", 6, "the key 'a' stands twice in one object (spec)"),
        (b"kind: A\nspec: {yes: 1, true: 2}\n", 2, "the key 'true' stands twice"),
        (b"\x00\x01\x02", 1, "found the control character"),
        (b"kind: A\n\xff\xfe", 2, "expected text in UTF-8"),
        (b"\x7fELF\x02\x01\x01", 1, "is it binary?"),
        (b"hello\n", 1, "expected a Kubernetes object, found a str"),
        (b"# a list\n- a\n", 2, "expected a Kubernetes object, found a list"),
        (b"a: 1\n", 1, "found no kind and no apiVersion"),
        (b"kind: List\napiVersion: v1\nitems:\n- kind: A\n- 7\n", 5, "expected a Kubernetes object in the List"),
        (b"kind: A\na: &a [*a]\n", 2, "the alias *a has no anchor before it"),
        (b"kind: A\na: !!python/object:os.system {}\n", 2, "the tag"),
        (b"kind: A\n? [a]\n: 1\n", 2, "expected a name as the key"),
        (b"kind: A\na: !!binary '???'\n", 2, "expected base64"),
        (b"kind: A\na: {<<: 1}\n", 2, "expected an object to merge"),
        (b"[" * 5000, 1, "nested more than 100 levels deep"),
        (_BOMB.encode(), 9, "a YAML bomb?"),
        (_MERGE_BOMB.encode(), None, "a YAML bomb?"),
        (b"kind: A\nx: {{ .Values.a }}\n", 2, "expected a name as the key"),
    ],
)
def test_what_cannot_be_read_is_said_with_file_and_line(
    tmp_path: Path, content: bytes, line: int | None, problem: str
) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_file(file)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{file}:")
    assert line in (None, caught.value.line)


def test_a_file_of_50_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    with file.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    with pytest.raises(InputError, match="found 50 MiB, expected at most 16 MiB"):
        load_file(file)


@pytest.mark.parametrize(
    "content",
    [_BOMB, _MERGE_BOMB, _OBJECT + "data:\n" + "  k: v\n" * 2_000_000, "- " * 4_000_000],
    # pytest puts a test's name into its environment, which no program could be started with.
    ids=["aliases", "merge keys", "many keys", "many lists"],
)
def test_no_file_costs_more_than_its_bounds(tmp_path: Path, content: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(content)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (700_000_000, 700_000_000))\n"
        "from pathlib import Path\n"
        "from constructs_lib.checks.load import load_file\n"
        "from constructs_lib.checks.reader import InputError\n"
        "try: load_file(Path(sys.argv[1]))\nexcept InputError as error: print(error)\n"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith(f"{file}:")
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("content", ["", "\n", "# nothing\n", "---\n---\n", "---\nnull\n"])
def test_an_empty_file_holds_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(content)
    assert load([file]) == []


def test_documents_and_lists_are_taken_apart_with_their_lines() -> None:
    text = "# first\nkind: A\n---\n\nkind: List\napiVersion: v1\nitems:\n- kind: B\n- # last\n  kind: C\n"
    text += "---\nkind: DList\nitems: [{kind: D}]\n"
    found = [(source.data["kind"], source.document, source.line) for source in load_text(text, "a.yaml")]
    assert found == [("A", (0, None), 2), ("B", (1, 0), 8), ("C", (1, 1), 10), ("D", (2, 0), 13)]


def test_aliases_and_merges_are_resolved() -> None:
    (source,) = load_text(
        "kind: A\na: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\nc: {<<: [{w: 4, x: 5}, *a]}\nd: *a\n", "a.yaml"
    )
    assert source.data["b"] == {"x": 1, "z": 3}
    assert source.data["c"] == {"w": 4, "x": 5, "z": 2}
    assert source.data["d"] == {"x": 1, "z": 2}


def test_a_merge_key_in_quotes_is_a_name() -> None:
    (source,) = load_text("kind: A\na: {'<<': {x: 1}}\nb: [<<]\nc: <<\n", "a.yaml")
    assert source.data == {"kind": "A", "a": {"<<": {"x": 1}}, "b": ["<<"], "c": "<<"}
    assert type(source.data["c"]) is str


def test_folders_are_read_in_order_and_what_is_no_object_is_left_out(tmp_path: Path) -> None:
    hidden = (".github/w.yaml", "node_modules/n.yaml", "chart/templates/t.yaml", "d.txt")
    for name in ("b/b.yml", "a.yaml", "c.json", *hidden):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'{{"kind": "{Path(name).stem.upper()}"}}')
    (tmp_path / "chart" / "Chart.yaml").write_text('{"apiVersion": "v2", "name": "chart"}')
    (tmp_path / "chart" / "values.yaml").write_text("replicas: 1\n")
    assert [source.data.get("kind") for source in load([tmp_path])] == ["A", "B", "C"]
    with pytest.raises(InputError, match="found no kind and no apiVersion"):
        load([tmp_path / "chart" / "values.yaml"])


def test_a_path_that_does_not_exist_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="expected YAML or JSON files in the folder, found none"):
        load([tmp_path])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, True) for word in ("y", "Y", "yes", "on", "ON", "true")],
        *[(word, False) for word in ("n", "no", "off", "False")],
        *[(word, None) for word in ("", "~", "null")],
        *[("0755", 493), ("0o17", 15), ("0x1F", 31), ("0b11", 3), ("1_000", 1000), ("+7", 7), ("-0", 0)],
        *[("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("08", 8.0), ("9" * 30, 1e30)],
        *[(word, word) for word in ("12:30:45", "2026-01-31", "1.2.3", "-", "+", ".", "0x", "1e", "yEs", "0b2", "1Gi")],
    ],
)
def test_plain_words_mean_what_they_mean_to_kubernetes(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


_plain = st.one_of(st.text(max_size=20), st.integers(-(2**40), 2**40), st.booleans(), st.none())
_values = st.recursive(
    _plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@example({"<<": []})
@example({"a": {"<<": ""}})
@given(st.dictionaries(st.text(min_size=1, max_size=8), _values, max_size=5))
def test_what_a_dumper_writes_is_read_back(data: dict[str, Any]) -> None:
    data["kind"] = "A"
    text = yaml.safe_dump(data, allow_unicode=True, default_style='"')
    (source,) = load_text(text, "a.yaml")
    assert source.data == yaml.safe_load(text) == data


def test_a_finding_has_the_line_of_its_field(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\n---\n"
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: two\n  spec:\n"
        "    containers:\n    - name: a\n      image: a:1\n      imag: x\n"
    )
    report = with_lines(check(load([file])))
    lines = {(finding.rule, finding.path): finding.line for finding in report.findings}
    assert lines["unknown-field", "spec.containers[0].imag"] == 17
    assert lines["root-container", "spec.containers[0]"] == 15
    assert {finding.file for finding in report.findings} == {str(file)}
