"""Who owns which field of an object, as the server writes it down in ``metadata.managedFields``.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management. The names of the fields in there
also tell how the server merges a list: entry by entry, by which keys, or as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aphiria_deploy.fields import Object, at, mapping, mappings, moment, text

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Owner:
    """Who owns a field.

    Attributes:
        manager: The name of the field manager.
        since: When it last changed what it owns of the object; none where the server does not say.
    """

    manager: str
    since: datetime | None


@dataclass
class Ownership:
    """A field, and all that is below it.

    Attributes:
        owners: Who owns the field itself.
        fields: The fields below, by their names.
        entries: The entries of a list that is merged by keys: the keys with their values, and what is below.
        members: The values of a list that is merged as a set.
    """

    owners: list[Owner] = field(default_factory=list)
    fields: dict[str, Ownership] = field(default_factory=dict)
    entries: list[tuple[Mapping[str, Any], Ownership]] = field(default_factory=list)
    members: list[tuple[Any, Ownership]] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether somebody owns the field or something below it."""
        return bool(self.owners or self.fields or self.entries or self.members)

    @property
    def is_whole(self) -> bool:
        """Whether it is owned as a whole: a value, or a list or an object that is never merged."""
        return bool(self.owners) and not (self.fields or self.entries or self.members)

    @property
    def owner(self) -> Owner | None:
        """Who changed it last of those that own it, or else something below it."""
        return max(self._all(), key=lambda owner: owner.since or _LONG_AGO, default=None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the keys by which the list is merged; none where it is not."""
        return tuple(self.entries[0][0]) if self.entries else ()

    def below(self, name: str) -> Ownership:
        """The ownership of a field."""
        return self.fields.get(name) or Ownership()

    def entry(self, keys: Mapping[str, Any]) -> Ownership:
        """The ownership of an entry of a list."""
        return next((below for found, below in self.entries if found == keys), Ownership())

    def _all(self) -> Iterator[Owner]:
        if self.owners:
            yield from self.owners
            return
        for below in (*self.fields.values(), *(one for _, one in self.entries), *(one for _, one in self.members)):
            yield from below._all()

    def _add(self, fields: Object, owner: Owner) -> None:
        if not fields or "." in fields:
            self.owners.append(owner)
        for name, below in fields.items():
            sort, _, rest = name.partition(":")
            if sort == "f":
                self.fields.setdefault(rest, Ownership())._add(mapping(below), owner)
            elif sort == "k":
                self._inside(self.entries, mapping(_read(rest)))._add(mapping(below), owner)
            elif sort == "v":
                self._inside(self.members, _read(rest))._add(mapping(below), owner)

    @staticmethod
    def _inside(listed: list[tuple[Any, Ownership]], key: Any) -> Ownership:
        found = next((below for known, below in listed if known == key), None)
        if found is None:
            found = Ownership()
            listed.append((key, found))
        return found


def ownership(item: Object) -> Ownership:
    """Gives the ownership of an object's fields, its status aside."""
    root = Ownership()
    for entry in mappings(at(item, "metadata", "managedFields")):
        if entry.get("subresource") != "status":
            root._add(mapping(entry.get("fieldsV1")), Owner(text(entry.get("manager")), moment(entry.get("time"))))
    return root


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return None
