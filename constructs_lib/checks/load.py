"""Reads manifests from YAML files, and finds the lines of findings in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from constructs_lib.checks.manifests import Source
from constructs_lib.checks.model import Finding, Report, Silenced
from constructs_lib.checks.reader import Document, InputError, Reader

MAX_BYTES = 16 * 1024 * 1024
SUFFIXES = frozenset({".yaml", ".yml", ".json"})

_NOT_TEXT = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def load(paths: Iterable[Path]) -> list[Source]:
    """Reads the manifests of files, and of all YAML and JSON files in folders, in the order of their names.

    Of a folder, what is no Kubernetes object (a chart's values, a workflow) is passed over, and so are hidden folders,
    ``node_modules``, and a Helm chart's ``templates``, which are not YAML. A file that is named must hold objects.

    Raises:
        InputError: A path does not exist, or a file is no YAML or holds something other than Kubernetes objects.
    """
    return [source for path in paths for file in _files(path) for source in _load(file, others=path.is_dir())]


def load_file(path: Path) -> list[Source]:
    """Reads the manifests of one file: several documents, and the items of Lists, one by one.

    Raises:
        InputError: It cannot be read, is too large, or is not YAML that Kubernetes would read.
    """
    return _load(path, others=False)


def load_text(text: str, name: str, *, others: bool = False) -> list[Source]:
    """Reads the manifests of YAML that is already there; the name stands for the file.

    Args:
        text: The YAML.
        name: What to call it.
        others: Whether documents that are no Kubernetes objects (no kind, no apiVersion) are passed over.

    Raises:
        InputError: It is not YAML that Kubernetes would read.
    """
    sources: list[Source] = []
    for number, document in enumerate(Reader(name, text).documents()):
        if document.value is None or (others and not _is_object(document.value)):
            continue
        if not isinstance(document.value, dict):
            found = type(document.value).__name__
            raise InputError(name, document.line, f"expected a Kubernetes object, found a {found}")
        if not _is_object(document.value):
            raise InputError(name, document.line, "expected a Kubernetes object, found no kind and no apiVersion")
        sources.extend(_objects(document, name, number))
    return sources


def _is_object(value: Any) -> bool:
    # A Helm chart's Chart.yaml has an apiVersion as well, but no metadata.
    return isinstance(value, dict) and ("kind" in value or {"apiVersion", "metadata"} <= value.keys())


def _load(path: Path, *, others: bool) -> list[Source]:
    return load_text(_text(path), str(path), others=others)


def with_lines(report: Report) -> Report:
    """Gives each finding that comes from a file the line of its field, by reading those files once more."""
    places: dict[str, dict[tuple[str, str, str], dict[str, int]]] = {}
    everything = [*report.findings, *(one.finding for one in report.silenced)]
    for file in {finding.file for finding in everything if finding.file}:
        places[file] = _lines(Path(file), [finding for finding in everything if finding.file == file])

    def placed(finding: Finding) -> Finding:
        line = places.get(finding.file or "", {}).get(_identity(finding), {}).get(finding.path)
        return replace(finding, line=line) if line is not None else finding

    return Report(
        tuple(map(placed, report.findings)),
        tuple(Silenced(placed(one.finding), one.reason) for one in report.silenced),
    )


def _identity(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.name, str(finding.line)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = False
        for file in sorted(path.rglob("*")):
            if file.suffix in SUFFIXES and file.is_file() and not _is_left_out(file, path):
                found = True
                yield file
        if not found:
            raise InputError(str(path), None, "expected YAML or JSON files in the folder, found none")
    elif path.exists():
        yield path
    else:
        raise InputError(str(path), None, "no such file or folder")


def _is_left_out(file: Path, root: Path) -> bool:
    folders = [parent for parent in file.parents if parent != root and parent.is_relative_to(root)]
    return any(
        parent.name.startswith(".")
        or parent.name == "node_modules"
        or (parent.name == "templates" and (parent.parent / "Chart.yaml").exists())
        for parent in folders
    )


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            limit = MAX_BYTES // 1024 // 1024
            problem = f"found {size / 1024 / 1024:.0f} MiB, expected at most {limit} MiB: split it into several files"
            raise InputError(str(path), None, problem)
        data = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), None, error.strerror or str(error)) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(str(path), line, "expected text in UTF-8, found a byte that is not: is it binary?") from error
    strange = _NOT_TEXT.search(text)
    if strange:
        line = text.count("\n", 0, strange.start()) + 1
        problem = f"expected text, found the control character {strange.group()!r}: is it binary?"
        raise InputError(str(path), line, problem)
    return text


def _objects(document: Document, file: str, number: int) -> Iterator[Source]:
    data, kind = document.value, document.value.get("kind")
    items = data.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield Source(data, file, (number, None), document.line)
        return
    for index, item in enumerate(items):
        line = document.item_lines[index] if index < len(document.item_lines) else document.line
        if not isinstance(item, dict):
            raise InputError(file, line, f"expected a Kubernetes object in the {kind}, found {type(item).__name__}")
        yield Source(item, file, (number, index), line)


def _lines(path: Path, findings: list[Finding]) -> dict[tuple[str, str, str], dict[str, int]]:
    """Gives, for the objects with findings, the line of each field that is named, or of the nearest one around it."""
    wanted: dict[tuple[str, str, str], set[str]] = {}
    for finding in findings:
        wanted.setdefault(_identity(finding), set()).add(finding.path)
    result: dict[tuple[str, str, str], dict[str, int]] = {}
    lines: dict[str, int] = {}
    for document in Reader(str(path), _text(path), lines).documents():
        if isinstance(document.value, dict):
            for source in _objects(document, str(path), 0):
                prefix = f"items[{source.document[1]}]" if source.document[1] is not None else ""
                metadata = source.data.get("metadata")
                metadata = metadata if isinstance(metadata, dict) else {}
                name = metadata.get("name") or metadata.get("generateName") or ""
                key = (str(source.data.get("kind")), str(name), str(source.line))
                for field_path in wanted.get(key, ()):
                    found = _nearest(lines, prefix, field_path)
                    result.setdefault(key, {})[field_path] = found if found is not None else int(key[2])
        lines.clear()
    return result


def _nearest(lines: dict[str, int], prefix: str, path: str) -> int | None:
    while path:
        whole = f"{prefix}.{path}" if prefix else path
        if whole in lines:
            return lines[whole]
        cut = max(path.rfind("."), path.rfind("["))
        path = path[: max(cut, 0)]
    return None
