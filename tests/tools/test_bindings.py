import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tools.crd import Json, crd
from tools.bindings import GenerationError, generate, normalize_archive
from tools.node import CHECKOUT

needs_npm = pytest.mark.skipif(
    not (CHECKOUT / "node_modules" / "cdk8s-cli").is_dir(),
    reason="npm's packages are not installed (`make node_modules/.lock` does)",
)

SPEC: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "mode": {"type": "string", "enum": ["Fast", "Slow"]},
        "port": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
    },
}


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@needs_npm
def test_the_same_crds_give_the_same_bytes_elsewhere_on_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {"example.test": [crd(SPEC)]}
    here = generate(groups, tmp_path / "here")

    other_day = tmp_path / "other-day.js"
    other_day.write_text(
        "const D = Date; const shift = 86400000 * 401;"
        "globalThis.Date = class extends D {"
        " constructor(...a) { a.length ? super(...a) : super(D.now() + shift); }"
        " static now() { return D.now() + shift; } };"
    )
    monkeypatch.setenv("NODE_OPTIONS", f"--require={other_day}")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with umask(0o077):
        there = generate(groups, tmp_path / "some" / "where" / "else")

    assert content(here.packages) == content(there.packages)
    assert content(here.stubs) == content(there.stubs)
    assert sorted(content(here.packages)) == [
        "test/example/__init__.py",
        "test/example/_jsii/__init__.py",
        "test/example/_jsii/testexample@0.0.0.jsii.tgz",
        "test/example/py.typed",
    ]
    assert content(here.stubs) == {
        "test/example/__init__.pyi": b"from imports.test.example import *\n",
    }


@needs_npm
def test_output_is_shown_when_generation_fails(tmp_path: Path) -> None:
    broken = crd({"type": "object", "properties": {"a": {"$ref": "#/absent"}}})

    with pytest.raises(GenerationError, match=r"^cdk8s import of example\.test: found .*; its output:\n\S"):
        generate({"example.test": [broken]}, tmp_path)


def archive(members: dict[str, bytes], *, mtime: int = 0, level: int = 9) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), mtime
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), compresslevel=level, mtime=mtime)


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return {name: (tar.extractfile(name) or io.BytesIO()).read() for name in tar.getnames()}


def test_an_archive_depends_on_its_content_alone() -> None:
    one = archive({"package/a.js": b"1;\n", "package/.jsii": b'{ "a": 1 }'}, mtime=5, level=1)
    other = archive({"package/.jsii": b'{"a":\n1}', "package/a.js": b"1;\n"}, mtime=6, level=9)

    assert normalize_archive(one) == normalize_archive(other)


def test_an_archive_keeps_what_runs() -> None:
    packed = archive(
        {
            "package/.jsii": '{\n  "name": "é"\n}'.encode(),
            "package/package.json": b'{ "name": "x" }',
            "package/x.js": b"run();\n//# sourceMappingURL=data:application/json;base64,eyJ9\n",
            "package/x.d.ts": b"declare;",
        }
    )

    assert members(normalize_archive(packed)) == {
        "package/.jsii": '{"name":"é"}'.encode(),
        "package/package.json": b'{ "name": "x" }',
        "package/x.js": b"run();\n",
    }


def test_an_archive_of_more_than_one_stored_block_is_whole() -> None:
    code = os.urandom(200_000)

    assert members(normalize_archive(archive({"package/x.js": code})))["package/x.js"] == code


@pytest.mark.parametrize("file", sorted((CHECKOUT / "imports").rglob("*.tgz")), ids=lambda file: file.name)
def test_the_committed_archives_are_normal(file: Path) -> None:
    assert normalize_archive(file.read_bytes()) == file.read_bytes()
