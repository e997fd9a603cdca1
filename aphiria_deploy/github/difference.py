"""What differs between two bundles: pure, without a cluster.

It is the plan that a reviewer sees before approving, for a server's dry run needs the power to write; and it says how
a preview differs from production.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.fields import one_line
from aphiria_deploy.objects import ObjectKey

_ABSENT: Final = object()
_SHOWN: Final = 200
_DEEPEST: Final = 60


class Kind(StrEnum):
    """What becomes of something."""

    CREATED = "create"
    CHANGED = "change"
    DELETED = "delete"


@dataclass(frozen=True)
class Line:
    """One line of a field's difference.

    Attributes:
        sign: ``-`` for what was, ``+`` for what will be, a space for what is beside it.
        text: The line.
    """

    sign: str
    text: str


@dataclass(frozen=True)
class FieldChange:
    """One field that differs.

    Attributes:
        path: Its path; items of lists by their names: ``spec.template.spec.containers[web].image``.
        lines: What was, and what will be.
    """

    path: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Item:
    """One thing of a bundle that differs.

    Attributes:
        kind: What becomes of it.
        title: What it is: ``Deployment preview-pr-107/web``.
        fields: The fields that differ, of one that is in both.
    """

    kind: Kind
    title: str
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What differs between two bundles.

    Attributes:
        items: In the order in which things are applied; then what goes.
        unchanged: How many objects are the same.
        first: Whether there was nothing to compare with.
    """

    items: tuple[Item, ...]
    unchanged: int
    first: bool = False

    def count(self, kind: Kind) -> int:
        """How many things this becomes of."""
        return sum(item.kind is kind for item in self.items)

    def summary(self) -> str:
        """The difference in one line."""
        parts = [f"{self.count(kind)} to {kind.value}" for kind in Kind]
        base = ", compared with nothing: no recorded bundle is known" if self.first else ""
        return f"{', '.join(parts)}, {self.unchanged} unchanged{base}"

    def lines(self) -> Iterator[str]:
        """The difference as lines that a ``diff`` block colours."""
        signs = {Kind.CREATED: "+", Kind.CHANGED: "!", Kind.DELETED: "-"}
        for item in self.items:
            yield f"{signs[item.kind]} {item.title}"
            for change in item.fields:
                yield f"    {change.path}"
                for line in change.lines:
                    yield f"{line.sign}     {line.text}"


def difference(old: Bundle | None, new: Bundle) -> Difference:
    """Compares a bundle with the recorded one.

    Args:
        old: What is recorded as deployed; none for a first deploy, or where no record can be had.
        new: What is to be deployed.
    """
    before, after = _things(old) if old else {}, _things(new)
    items: list[Item] = []
    unchanged = 0
    for title, data in after.items():
        if title not in before:
            items.append(Item(Kind.CREATED, title))
        elif same(before[title], data):
            unchanged += 1
        else:
            items.append(Item(Kind.CHANGED, title, tuple(fields(before[title], data))))
    items += [Item(Kind.DELETED, title) for title in before if title not in after]
    return Difference(tuple(items), unchanged, first=old is None)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: for Python True is also 1."""
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


def fields(before: Any, after: Any, path: str = "", depth: int = 0) -> Iterator[FieldChange]:
    """Compares two values, field by field."""
    if before is not _ABSENT and after is not _ABSENT and same(before, after):
        return
    if depth < _DEEPEST and isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            one = f"{path}.{key}" if path else str(key)
            yield from fields(before.get(key, _ABSENT), after.get(key, _ABSENT), one, depth + 1)
    elif depth < _DEEPEST and isinstance(before, list) and isinstance(after, list):
        old, new = _named(before), _named(after)
        if old is None or new is None:
            old, new = dict(enumerate(before)), dict(enumerate(after))
        elif list(old) != list(new) and set(old) == set(new):
            yield FieldChange(path, (Line("-", f"in the order {_shown(list(old))}"), Line("+", _shown(list(new)))))
        for key in dict.fromkeys((*old, *new)):
            yield from fields(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{path}[{key}]", depth + 1)
    else:
        yield FieldChange(path or "(all of it)", tuple(_lines(before, after)))


def _things(bundle: Bundle) -> dict[str, Any]:
    """Everything that a deploy or a destroy of the bundle does, by a title that says what it is."""
    things: dict[str, Any] = {}

    def add(title: str, data: Any) -> None:
        unique, number = title, 1
        while unique in things:
            # A hostile bundle may say one thing twice: both are shown.
            number += 1
            unique = f"{title} ({number})"
        things[unique] = data

    for manifest in bundle.manifests:
        add(title_of(manifest), manifest)
    for secret in bundle.secrets:
        add(f"Secret {secret.namespace}/{secret.name}, made of", msgspec.to_builtins(secret))
    for check in bundle.checks:
        add(f"check after the deploy: {one_line(json.dumps(msgspec.to_builtins(check), sort_keys=True))}", None)
    for job in bundle.destruction.jobs if bundle.destruction else ():
        add(f"{title_of(job)}, run by the destruction", job)
    for name, url in bundle.urls.items():
        add(f"URL {name}", url)
    return things


def title_of(manifest: Mapping[str, Any]) -> str:
    """What to call an object, whatever it is really made of."""
    try:
        return one_line(str(ObjectKey.of(manifest)))
    except (KeyError, TypeError, AttributeError):
        return f"something that is no object: {_shown(manifest)}"


def _named(items: Sequence[Any]) -> dict[Any, Any] | None:
    """The items by their names, where all have one and no two have the same."""
    if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items):
        return None
    named = {item["name"]: item for item in items}
    return named if len(named) == len(items) else None


def _lines(before: Any, after: Any) -> Iterator[Line]:
    if isinstance(before, str) and isinstance(after, str) and ("\n" in before or "\n" in after):
        compared = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
        for line in list(compared)[2:]:
            if not line.startswith("@@"):
                yield Line(line[0], one_line(line[1:], _SHOWN) if line[1:].strip() else "")
        return
    if before is not _ABSENT:
        yield Line("-", _shown(before))
    if after is not _ABSENT:
        yield Line("+", _shown(after))


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return one_line(text, _SHOWN) if text else '""'
