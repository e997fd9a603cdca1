"""Reads a stack's configuration into typed settings, and tells all that is wrong with it at once.

Pulumi's own ``Config`` reads key by key: the first missing one ends the run, and nobody reads a misspelt one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar, cast, get_type_hints

import pulumi

from constructs_lib.checks.quantity import QuantityError, parse

S = TypeVar("S")


class SettingsError(Exception):
    """A stack's configuration cannot be used.

    Attributes:
        problems: Each begins with the key that it is about.
    """

    def __init__(self, stack: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        listed = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(f"the configuration of the stack {stack} cannot be used:\n{listed}")


class Secret:
    """A setting that is kept encrypted, as an output that stays secret wherever it goes.

    Attributes:
        value: The output.
    """

    def __init__(self, text: str) -> None:
        self.value: pulumi.Output[str] = pulumi.Output.secret(text)

    def __repr__(self) -> str:
        return "Secret(***)"


class Quantity(str):
    """An amount as Kubernetes writes it: ``700m``, ``1664Mi``."""

    __slots__ = ()


def read(kind: type[S], found: Mapping[str, Any], secret_keys: Collection[str], stack: str) -> S:
    """Reads settings.

    Args:
        kind: The dataclass of the settings: a field ``max_nodes`` is the key ``maxNodes``.
        found: The configuration, without the project's prefix, as Pulumi gives it: texts, and JSON in texts.
        secret_keys: Which of them are encrypted.
        stack: The stack's name, for the message.

    Raises:
        SettingsError: Keys are missing, unknown, or not of their type; all of them are told.
    """
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {key_of(each.name): each for each in fields(cast(Any, kind))}
    problems: list[str] = []
    values: dict[str, Any] = {}
    for key, each in known.items():
        if key in found:
            try:
                values[each.name] = _converted(found[key], hints[each.name], encrypted=key in secret_keys)
            except ValueError as error:
                problems.append(f"{key}: {error}")
        elif each.default is MISSING and each.default_factory is MISSING:
            problems.append(f"{key}: found none, expected {_described(hints[each.name])}: {_hint(key, each, hints)}")
    for key in sorted(found.keys() - known.keys()):
        close = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
        problems.append(f"{key}: found an unknown key; {hint}")
    if problems:
        raise SettingsError(stack, problems)
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(stack, str(error).splitlines()) from None


def keys(kind: type[Any]) -> set[str]:
    """Gives the keys of settings."""
    return {key_of(each.name) for each in fields(kind)}


def key_of(name: str) -> str:
    """Gives the key of a field: ``maxNodes`` for ``max_nodes``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _converted(value: Any, kind: Any, *, encrypted: bool) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    kind = _plain(kind)
    if kind is Secret:
        if not text.strip():
            raise ValueError("found an empty value, expected a secret")
        if not encrypted:
            raise ValueError("found it in plain text, expected it encrypted: pulumi config set --secret, or fn::secret")
        return Secret(text)
    convert, what = _KINDS[kind]
    try:
        return convert(text)
    except (ValueError, TypeError):
        # A value that stands at the wrong key may be a secret: it is not shown where it is encrypted.
        shown = "an encrypted value" if encrypted else repr(text)
        raise ValueError(f"found {shown}, expected {what}") from None


def _plain(kind: Any) -> Any:
    """Gives the type of a value that may be absent."""
    arguments = getattr(kind, "__args__", ())
    return next((each for each in arguments if each is not type(None)), kind) if type(None) in arguments else kind


def _text(text: str) -> str:
    if not text.strip() or text.strip() != text:
        raise ValueError(text)
    return text


def _flag(text: str) -> bool:
    return {"true": True, "false": False}.get(text) is True if text in {"true", "false"} else _fail(text)


def _fail(text: str) -> bool:
    raise ValueError(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _quantity(text: str) -> Quantity:
    try:
        parse(text)
    except QuantityError as error:
        raise ValueError(text) from error
    return Quantity(text)


def _texts(text: str) -> tuple[str, ...]:
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
        raise ValueError(text)
    return tuple(found)


def _texts_by_name(text: str) -> dict[str, str]:
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(item, str) and item for item in found.values()):
        raise ValueError(text)
    return found


_KINDS: Mapping[Any, tuple[Callable[[str], Any], str]] = {
    str: (_text, "a text without white space around it"),
    bool: (_flag, "true or false"),
    int: (_number, "a whole number"),
    Quantity: (_quantity, "a quantity such as 700m or 1664Mi"),
    tuple[str, ...]: (_texts, "a list of texts"),
    Mapping[str, str]: (_texts_by_name, "texts by name"),
}


def _described(kind: Any) -> str:
    return "a secret" if kind is Secret else _KINDS[_plain(kind)][1]


def _hint(key: str, field: Field[Any], hints: Mapping[str, Any]) -> str:
    secret = "--secret " if _plain(hints[field.name]) is Secret else ""
    return str(field.metadata.get("hint", f"pulumi config set {secret}{key} …, or in the stack's ESC environment"))
