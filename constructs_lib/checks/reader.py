"""Reads YAML as Kubernetes reads it, as a stream of events, with bounds on what a text may cost.

Kubernetes' YAML is that of go-yaml v2: ``yes``, ``on`` and ``y`` are booleans, a leading 0 means octal, ``1e3`` is a
number, ``12:30:00`` and dates are strings. No document is held twice; aliases are counted as what they stand for, so
that a "YAML bomb" is refused before it is built.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from constructs_lib.checks.schema import join

MAX_NODES = 1_000_000
MAX_DEPTH = 100
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it is there
_TAG = "tag:yaml.org,2002:"


class InputError(Exception):
    """A file cannot be checked. The message starts with the file and line, and says what was expected."""

    def __init__(self, file: str, line: int | None, problem: str) -> None:
        self.file = file
        self.line = line
        super().__init__(f"{file}{f':{line}' if line else ''}: {problem}")


class _Merge(str):
    """The key ``<<`` written plainly, which merges; in quotes it is a name like any other."""

    __slots__ = ()


@dataclass
class Document:
    """One document: its value, its line, and the lines of a List's items."""

    value: Any
    line: int
    item_lines: list[int] = field(default_factory=list)


@dataclass
class _Open:
    """A list or object that is being read."""

    value: list[Any] | dict[str, Any]
    path: str
    line: int
    anchor: str | None
    key: str | None = None
    merges: list[dict[str, Any]] = field(default_factory=list)
    nodes: int = 1
    own: set[str] = field(default_factory=set)


class Reader:
    """Builds documents from the events of the YAML parser."""

    def __init__(self, file: str, text: str, lines: dict[str, int] | None = None) -> None:
        self._file = file
        self._text = text
        self._lines = lines
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._stack: list[_Open] = []
        self._nodes = 0
        self._document = Document(None, 1)

    def documents(self) -> Iterator[Document]:
        """Reads the documents, one after the other."""
        try:
            for event in yaml.parse(self._text, Loader=_PARSER):
                done = self._event(event)
                if done is not None:
                    yield done
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise InputError(self._file, mark.line + 1 if mark else None, f"not YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise InputError(self._file, None, f"not YAML: {' '.join(str(error).split())}") from error

    def _event(self, event: Any) -> Document | None:
        line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                self._count(1, line)
                self._add(self._scalar(event, line), line, 1, event.anchor)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self._stack.pop()
                self._merge(done)
                self._add(done.value, done.line, done.nodes, done.anchor, opened=True)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise InputError(self._file, line, f"the alias *{event.anchor} has no anchor before it")
                value, nodes = self._anchors[event.anchor]
                self._count(nodes, line, aliased=True)
                self._add(value, line, nodes)
            case yaml.DocumentStartEvent():
                self._anchors.clear()
                self._document = Document(None, line)
            case yaml.DocumentEndEvent():
                return self._document
        return None

    def _count(self, nodes: int, line: int, *, aliased: bool = False) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            what = "counting what aliases stand for: a YAML bomb?" if aliased else "expected fewer: split it"
            raise InputError(self._file, line, f"more than {MAX_NODES:,} values in one file, {what}")

    def _open(self, event: Any, line: int) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise InputError(self._file, line, f"nested more than {MAX_DEPTH} levels deep")
        if event.tag and event.tag not in {"!", f"{_TAG}map", f"{_TAG}seq"}:
            raise InputError(self._file, line, f"the tag {event.tag} is none that Kubernetes reads")
        value: list[Any] | dict[str, Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._path()
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None:
            raise InputError(self._file, line, "expected a name as the key, found a list or an object")
        self._count(1, line)
        self._note(path, line)
        self._stack.append(_Open(value, path, line, event.anchor))

    def _path(self) -> str:
        if not self._stack:
            return ""
        top = self._stack[-1]
        if isinstance(top.value, list):
            return f"{top.path}[{len(top.value)}]"
        return join(top.path, top.key or "")

    def _note(self, path: str, line: int) -> None:
        if len(self._stack) == 2 and self._stack[0].key == "items" and isinstance(self._stack[1].value, list):
            self._document.item_lines.append(line)
        if self._lines is not None:
            self._lines.setdefault(path, line)

    def _add(self, value: Any, line: int, nodes: int, anchor: str | None = None, *, opened: bool = False) -> None:
        if anchor:
            self._anchors[anchor] = (value, nodes)
        if not self._stack:
            self._document.value = value
            if self._document.line == 1 and line > 1:
                self._document.line = line
            return
        top = self._stack[-1]
        top.nodes += nodes
        if isinstance(top.value, list):
            if not opened:
                self._note(self._path(), line)
            top.value.append(str(value) if isinstance(value, _Merge) else value)
        elif top.key is None:
            top.key = self._key(top, value, line)
            self._note(self._path(), line)
        else:
            self._set(top, value, line)

    def _key(self, top: _Open, value: Any, line: int) -> str:
        if isinstance(value, list | dict):
            raise InputError(self._file, line, "expected a name as the key, found an alias of a list or an object")
        key = value if isinstance(value, str) else _key_text(value)
        if isinstance(value, _Merge):
            return value
        if key in top.own:
            raise InputError(self._file, line, f"the key {key!r} stands twice in one object ({top.path or 'its top'})")
        top.own.add(key)
        return key

    def _set(self, top: _Open, value: Any, line: int) -> None:
        assert isinstance(top.value, dict)  # noqa: S101
        if isinstance(top.key, _Merge):
            merged = value if isinstance(value, list) else [value]
            if not all(isinstance(one, dict) for one in merged):
                raise InputError(self._file, line, "expected an object to merge (<<), found something else")
            top.merges.extend(merged)
        else:
            top.value[top.key or ""] = str(value) if isinstance(value, _Merge) else value
        top.key = None

    def _merge(self, done: _Open) -> None:
        if isinstance(done.value, dict):
            for merged in done.merges:
                done.value.update({key: value for key, value in merged.items() if key not in done.value})

    def _scalar(self, event: Any, line: int) -> Any:
        value = event.value
        if event.tag and event.tag not in {"!", f"{_TAG}str"}:
            return self._tagged(event.tag, value, line)
        if event.tag or not event.implicit[0]:
            return value
        return _Merge(value) if value == "<<" else resolve(value)

    def _tagged(self, tag: str, value: str, line: int) -> Any:
        if tag == f"{_TAG}binary":
            try:
                return base64.b64decode("".join(value.split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise InputError(self._file, line, "expected base64 of text after !!binary") from error
        if tag in {f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"}:
            return resolve(value)
        raise InputError(self._file, line, f"the tag {tag} is none that Kubernetes reads")


_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGERS = (
    (re.compile(r"[-+]?(?:0|[1-9][0-9]*)"), 10),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_UINT64 = 2**64


def resolve(text: str) -> Any:
    """Gives what a plain scalar means to Kubernetes: a boolean, a number, nothing, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    plain = text.replace("_", "")
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(plain):
            number = int(re.sub(r"^([-+]?)0([0-7]+)$", r"\g<1>0o\2", plain) if base == 8 else plain, base)
            return number if -_UINT64 // 2 <= number < _UINT64 else float(number)
    return float(plain) if _FLOAT.fullmatch(plain) else text


def _key_text(value: Any) -> str:
    return {True: "true", False: "false", None: "null"}.get(value, str(value)) if not _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
