"""What ``aphiria-deploy db`` does, and how it tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from aphiria_deploy.backup_listing import Listing, age_text
from aphiria_deploy.backups import Backups, Rehearsed, Request, Restored
from aphiria_deploy.cli.connecting import Stack, connect
from aphiria_deploy.cli.terminal import Shown, is_watched, progress
from aphiria_deploy.cli.writing import How
from aphiria_deploy.engine.deploying import NotApprovedError
from aphiria_deploy.kube import Cancellation, Client, cancelled_by_signals

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def take(how: How) -> str:
    """Takes a backup, and gives its name."""
    with _backups(how) as (backups, _):
        return backups.take()


def list_all(how: How) -> Listing:
    """Lists what there is."""
    with _backups(how) as (backups, _):
        return backups.listed()


def restore(how: How, name: str) -> Restored:
    """Restores a backup.

    Raises:
        NotApprovedError: Whoever was asked did not agree.
    """
    with _backups(how) as (backups, shown):
        _require_agreement(
            how, shown, f"Restore {how.environment}'s database to {name}? What is there now is kept beside it."
        )
        return backups.restore(name)


def rehearse(how: How, max_age: float) -> Rehearsed:
    """Rehearses a restore: of the newest complete backup, which may be so many seconds old."""
    with _backups(how) as (backups, _):
        return backups.rehearse(timedelta(seconds=max_age))


def discard(how: How, database: str) -> None:
    """Drops a database that a restore kept.

    Raises:
        NotApprovedError: Whoever was asked did not agree.
    """
    with _backups(how) as (backups, shown):
        _require_agreement(how, shown, f"Drop {database} for ever?")
        backups.discard(database)


def listing_data(how: How, listing: Listing) -> dict[str, Any]:
    """What there is, as data."""
    return {
        "environment": how.environment,
        "backups": [
            {"name": one.name, "taken": one.taken.isoformat(), "bytes": one.bytes, "complete": one.complete}
            for one in listing.backups
        ],
        "kept": [{"database": one.database, "bytes": one.bytes} for one in listing.kept],
    }


def listing_text(how: How, listing: Listing) -> str:
    """What there is, as text."""
    if not listing.backups and not listing.kept:
        return f"{how.environment}: no backup"
    lines = [
        f"{one.name}  {_size(one.bytes):>10}{'' if one.complete else '  incomplete: it cannot be restored'}"
        for one in listing.backups
    ]
    lines += [f"{one.database}  {_size(one.bytes):>10}  kept by a restore" for one in listing.kept]
    return "\n".join(lines)


def restored_data(how: How, restored: Restored) -> dict[str, Any]:
    """What a restore has done, as data."""
    return {
        "environment": how.environment,
        "result": "failed" if restored.error else "restored",
        "backup": restored.backup,
        "database": restored.database,
        "kept": restored.kept,
        "error": str(restored.error) if restored.error else None,
    }


def restored_text(how: How, restored: Restored) -> str:
    """What a restore has done, as text."""
    lines = [f"{restored.database} is what it was at {restored.backup}"]
    if restored.kept:
        lines.append(
            f"what was there before is kept as {restored.kept}, until "
            f"`aphiria-deploy db discard {how.environment} {restored.kept}`"
        )
    if restored.error:
        lines.append(f"the migrations that ran on it failed: {restored.error}")
    return "\n".join(lines)


def rehearsed_data(how: How, rehearsed: Rehearsed) -> dict[str, Any]:
    """What a rehearsal has shown, as data."""
    return {
        "environment": how.environment,
        "backup": rehearsed.backup,
        "taken": rehearsed.taken.isoformat(),
        "ageSeconds": int(rehearsed.age.total_seconds()),
        "bytes": rehearsed.bytes,
        "restoredBytes": rehearsed.restored_bytes,
        "tables": rehearsed.tables,
        "rows": rehearsed.rows,
        "seconds": rehearsed.seconds,
    }


def rehearsed_text(how: How, rehearsed: Rehearsed) -> str:
    """What a rehearsal has shown, as text."""
    return (
        f"{rehearsed.backup} restores: {rehearsed.tables} tables with all of their {rehearsed.rows} rows\n"
        f"{age_text(rehearsed.age)} old, {_size(rehearsed.bytes)} in the bucket, "
        f"{_size(rehearsed.restored_bytes)} as a database, in {rehearsed.seconds:.1f} s\n"
        f"{how.environment}'s database was not touched"
    )


@contextmanager
def _backups(how: How) -> Iterator[tuple[Backups, Shown]]:
    access = connect(how.where, Stack(how.where, None), local=how.environment == "local")
    cancellation = Cancellation()
    request = Request(environment=how.environment, timeout=how.timeout, wait_for_lock=how.wait_for_lock)
    with cancelled_by_signals(cancellation), progress() as shown, Client(access) as client:
        yield Backups(client, request, shown, cancellation), shown


def _require_agreement(how: How, shown: Shown, question: str) -> None:
    """Asks on a terminal; elsewhere what was named was meant."""
    if not (how.yes or not is_watched() or shown.ask(question)):
        raise NotApprovedError(f"{how.environment}: it was not agreed to; nothing was changed")


def _size(number: int) -> str:
    size = float(number)
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
