"""What there is to restore, and the newest of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aphiria_deploy.errors import AphiriaDeployError

NAME = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{6}Z-[a-z][a-z0-9_]*")
"""What a backup is called; the database's name ends it."""

_STAMP = len("2026/01/31/020000Z-")
_PARTS = ("dump", "roles.sql", "rows", "sha256")


class NoBackupError(AphiriaDeployError):
    """There is no complete backup, or the newest is older than it may be."""


@dataclass(frozen=True)
class Backup:
    """A backup in the bucket.

    Attributes:
        name: Its name.
        bytes: How large it is.
        complete: Whether all of it is there, and was read back when it was uploaded: others cannot be restored.
    """

    name: str
    bytes: int
    complete: bool

    @property
    def taken(self) -> datetime:
        """When it was begun."""
        return datetime.strptime(self.name[: len("YYYY/MM/DD/HHMMSS")], "%Y/%m/%d/%H%M%S").replace(tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """What a database was before a restore.

    Attributes:
        database: Its name.
        bytes: How large it is.
    """

    database: str
    bytes: int


@dataclass(frozen=True)
class Listing:
    """What there is to restore, and what restores kept: the newest first."""

    backups: Sequence[Backup]
    kept: Sequence[Kept]


def listing(entries: Sequence[Mapping[str, object]]) -> Listing:
    """Sorts what the listing Job's log says: objects in the bucket, and databases.

    What is in the bucket and is no part of a backup is left out.
    """
    sizes: dict[str, dict[str, int]] = {}
    kept = []
    for entry in entries:
        if "database" in entry:
            kept.append(Kept(str(entry["database"]), int(str(entry["bytes"]))))
            continue
        name, _, part = str(entry.get("Path", "")).partition(".")
        if NAME.fullmatch(name) and part in _PARTS:
            sizes.setdefault(name, {})[part] = int(str(entry["Size"]))
    backups = [Backup(name, sum(parts.values()), set(parts) == set(_PARTS)) for name, parts in sizes.items()]
    return Listing(
        sorted(backups, key=lambda backup: backup.name, reverse=True),
        sorted(kept, key=lambda one: one.database, reverse=True),
    )


def newest(found: Listing, database: str, now: datetime, max_age: timedelta) -> Backup:
    """Gives the newest complete backup of a database.

    Args:
        found: What there is; of other databases too.
        database: The database's name.
        now: The present.
        max_age: How old it may be.

    Raises:
        NoBackupError: There is none, or it is older.
    """
    of_it = [backup for backup in found.backups if backup.name[_STAMP:] == database]
    complete = [backup for backup in of_it if backup.complete]
    if not complete:
        raise NoBackupError(
            f"database {database}: found no complete backup and {len(of_it)} incomplete, expected one: the log of the "
            "CronJob's last Job says why; `aphiria-deploy db backup` takes one"
        )
    best = max(complete, key=lambda backup: backup.taken)
    age = now - best.taken
    if age > max_age:
        raise NoBackupError(
            f"database {database}: found {best.name}, {age_text(age)} old, as the newest complete backup, expected one "
            f"of the last {age_text(max_age)}: the log of the CronJob's last Job says why; nothing was restored"
        )
    return best


def age_text(age: timedelta) -> str:
    """Gives an age in hours and minutes: ``26h05m``."""
    minutes = int(age.total_seconds()) // 60
    return f"{minutes // 60}h{minutes % 60:02}m"
