"""Reads a command line as Pulumi's command does, and refuses what that does not know: `pulumi/options.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_OPTIONS: Final[Mapping[str, Mapping[str, str]]] = json.loads(
    (Path(__file__).parent / "pulumi" / "options.json").read_text(encoding="utf-8")
)["options"]
_WORDS: Final = {"stack init": 1}
"""How many words may follow a command; none of those that are used here takes another one."""


class UnknownWordError(Exception):
    """What Pulumi's command says of a word that it does not know, after which it ends with 1."""


@dataclass(frozen=True)
class CommandLine:
    """A command line.

    Attributes:
        command: The command: ``stack select``.
        words: What follows it.
        options: Its options, with ``true`` where one is a flag.
    """

    command: str
    words: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def stack(self) -> str:
        """The stack that it is about."""
        return self.options.get("stack") or self.words[-1]

    def as_data(self) -> dict[str, Any]:
        """As a recording has it: without what differs from run to run."""
        varying = {"event-log", "config-file"}
        options = {name: "" if name in varying else value for name, value in sorted(self.options.items())}
        return {"command": self.command, "words": list(self.words), "options": options}


def parse(arguments: Sequence[str], *, debugging: bool) -> CommandLine:
    """Reads a command line.

    Args:
        arguments: The words after ``pulumi``.
        debugging: Whether PULUMI_DEBUG_COMMANDS is set, which the option ``--event-log`` needs.

    Raises:
        UnknownWordError: There is an option or a word in it that is not known.
    """
    command = _command(arguments)
    known = {**_OPTIONS[""], **_OPTIONS[command]}
    rest = list(arguments)
    for word in command.split():
        rest.remove(word)
    words: list[str] = []
    options: dict[str, str] = {}
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            words.append(word)
            continue
        name, given, value = word.removeprefix("--").partition("=")
        kind = known.get(name)
        if kind is None or (kind == "debug" and not debugging):
            raise UnknownWordError(f"unknown flag: --{name}")
        if kind in {"value", "debug"} and not given:
            if not rest:
                raise UnknownWordError(f"flag needs an argument: --{name}")
            value = rest.pop(0)
        if kind == "flag" and given and value not in {"true", "false"}:
            raise UnknownWordError(f'invalid argument "{value}" for "--{name}" flag')
        options[name] = value if given or kind in {"value", "debug"} else "true"
    if len(words) > _WORDS.get(command, 0):
        raise UnknownWordError(f'unknown command "{words[-1]}" for "pulumi {command}"')
    return CommandLine(command, tuple(words), options)


def _command(arguments: Sequence[str]) -> str:
    """The command in it: options of all commands may come before its words."""
    words = [word for word in arguments if not word.startswith("-")]
    for count in (2, 1):
        command = " ".join(words[:count])
        if command and command in _OPTIONS:
            return command
    raise UnknownWordError(f'unknown command "{" ".join(words[:1])}" for "pulumi"')
