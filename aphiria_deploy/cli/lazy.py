"""A group whose commands are loaded when they are asked for: one that runs does not wait for all the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command


class Commands(Mapping[str, Any]):
    """Commands by their names, each made when it is looked at.

    Args:
        places: Where each is: ``package.module:attribute``, a function or an app of its own.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(name, self._places[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def group_of(places: Mapping[str, str]) -> type[TyperGroup]:
    """Gives the class of a group of these commands, for `typer.Typer`."""

    class Group(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = cast("Any", Commands(places))

    return Group


def _made(name: str, place: str) -> Any:
    """Makes a command as typer makes that of an app with just this one."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.callback()(_nothing)
    if isinstance(found, typer.Typer):
        app.add_typer(found, name=name)
    else:
        app.command(name)(found)
    group = get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101 - an app with a callback is one
    return group.commands[name]


def _nothing() -> None:
    """A callback makes a group of an app that has one command."""
