"""The shapes of engine events, as Pulumi's command writes them: `pulumi/events.json`, strict on unknown fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_FACTS: Final = json.loads((Path(__file__).parent / "pulumi" / "events.json").read_text(encoding="utf-8"))
_TYPES: Final[Mapping[str, Mapping[str, str]]] = _FACTS["types"]
_VALUES: Final[Mapping[str, Sequence[str]]] = _FACTS["values"]
_PLAIN: Final[Mapping[str, type]] = {"string": str, "int": int, "bool": bool}
_STAMPS: Final = {"sequence", "timestamp"}


def values(name: str) -> Sequence[str]:
    """The values that a type has."""
    return _VALUES[name]


def faults(event: Any) -> list[str]:
    """What is wrong with an event."""
    return [*_object(event, "EngineEvent", ""), *_one(event)]


def faults_of_run(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the events of a run: each one, and their order."""
    found = [f"event {number}: {fault}" for number, event in enumerate(events) for fault in faults(event)]
    if not events:
        return found
    kinds = [kind_of(event) for event in events]
    if kinds[-1] != "cancelEvent" or kinds.count("cancelEvent") != 1:
        found.append(f"expected cancelEvent at the end and nowhere else, found {kinds}")
    before = kinds[: kinds.index("preludeEvent")] if "preludeEvent" in kinds else ["nothing"]
    if kinds.count("preludeEvent") != 1 or set(before) - {"policyLoadEvent"}:
        found.append(f"expected preludeEvent at the beginning and nowhere else, found {kinds}")
    if "summaryEvent" in kinds and kinds[-2:] != ["summaryEvent", "cancelEvent"]:
        found.append(f"expected summaryEvent before cancelEvent, found {kinds}")
    numbers = [event["sequence"] for event in events]
    if numbers != sorted(set(numbers)):
        found.append(f"expected numbers that rise, found {numbers}")
    return found


def kind_of(event: Mapping[str, Any]) -> str:
    """Which of the event's fields is the event."""
    return next(iter(event.keys() - _STAMPS), "")


def _one(event: Any) -> Iterator[str]:
    kinds = sorted(event.keys() - _STAMPS) if isinstance(event, dict) else []
    if len(kinds) != 1:
        yield f"expected one event, found {kinds}"


def _object(found: Any, name: str, path: str) -> Iterator[str]:
    if not isinstance(found, dict):
        yield f"{path}: expected {name}, found {found!r}"
        return
    fields = _TYPES[name]
    for unknown in sorted(found.keys() - fields.keys()):
        yield f"{path}/{unknown}: no field of {name}"
    for field, form in fields.items():
        optional, nullable = form.endswith("?"), form.endswith("|null")
        if field not in found:
            if not optional:
                yield f"{path}/{field}: missing in {name}"
        elif not (nullable and found[field] is None):
            yield from _value(found[field], form.removesuffix("?").removesuffix("|null"), f"{path}/{field}")


def _value(found: Any, form: str, path: str) -> Iterator[str]:
    if form == "any":
        return
    if form in _PLAIN:
        if type(found) is not _PLAIN[form]:
            yield f"{path}: expected {form}, found {found!r}"
    elif form in _VALUES:
        if found not in _VALUES[form]:
            yield f"{path}: expected one of {', '.join(_VALUES[form])}, found {found!r}"
    elif form.startswith("{"):
        yield from _each(found, dict, form[1:-1], path)
    elif form.startswith("["):
        yield from _each(found, list, form[1:-1], path)
    else:
        yield from _object(found, form, path)


def _each(found: Any, kind: type[dict[Any, Any] | list[Any]], form: str, path: str) -> Iterator[str]:
    if not isinstance(found, kind):
        yield f"{path}: expected {kind.__name__}, found {found!r}"
        return
    items: Mapping[Any, Any] = found if isinstance(found, dict) else dict(enumerate(found))
    for key, value in items.items():
        yield from _value(value, form, f"{path}/{key}")
