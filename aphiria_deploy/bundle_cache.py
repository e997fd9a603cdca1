"""Bundles that were made before: a deploy that changes nothing starts no Node.

An entry's name is the hash of all that its bundle is made of (`sources.fingerprint`), and the bundle carries its own
hash: what has been changed, broken off or put there by somebody else is not used. Nothing of a bundle is secret.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aphiria_deploy.bundle import Bundle, BundleError, decode, encode
from aphiria_deploy.sources import fingerprint

ENTRIES = 64
"""How many bundles are kept; those that were used last."""

_UNFINISHED = ".unfinished-"
_UNFINISHED_SECONDS = 3600
_ENTRY = re.compile(r"[0-9a-f]{64}\.json")
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Taken:
    """A bundle, and where it comes from.

    Attributes:
        bundle: The bundle.
        hit: Whether it was in the cache.
        notes: Why what was there was not used, or what was made is not kept; for people.
    """

    bundle: Bundle
    hit: bool
    notes: tuple[str, ...] = ()


def cached_bundle(
    project_folder: Path, environment: str, images: Mapping[str, str], make: Callable[[], Bundle]
) -> Bundle:
    """Gives an environment's bundle: from the cache, or made; `take` also says which."""
    return take(project_folder, environment, images, make).bundle


def take(
    project_folder: Path,
    environment: str,
    images: Mapping[str, str],
    make: Callable[[], Bundle],
    *,
    folder: Path | None = None,
) -> Taken:
    """Gives an environment's bundle: from the cache where sources, inputs and packages are the same, or else made.

    That there is no cache, or none that can be used, is no error.

    Args:
        project_folder: The folder of the site's ``pyproject.toml``. For the cache to be right, the site's modules are
            not imported before this is called: what is hashed is what is in the files now.
        environment: The environment's name.
        images: The images that are given, by the site's names for them.
        make: Synthesizes it.
        folder: The cache; the user's own, if not given.

    Raises:
        Exception: What ``make`` raises.
    """
    try:
        place = folder or _user_folder()
        key = fingerprint(project_folder, environment, images)
    except (OSError, RuntimeError) as error:
        return Taken(make(), hit=False, notes=(f"no cache of bundles: {error}",))
    entry = place / f"{key}.json"
    notes = []
    try:
        return Taken(_read(entry, environment), hit=True)
    except FileNotFoundError:
        pass
    except (OSError, BundleError, _ForeignError) as error:
        notes.append(f"the cached bundle is not used: {error}")
    bundle = make()
    try:
        if fingerprint(project_folder, environment, images) == key:
            _write(entry, encode(bundle))
            _remove_oldest(place)
        else:
            # Nobody knows which of them it was made of.
            notes.append("the bundle is not cached: the sources changed while it was made")
    except OSError as error:
        notes.append(f"the bundle is not cached: {error}")
    return Taken(bundle, hit=False, notes=tuple(notes))


class _ForeignError(Exception):
    """An entry is not what this cache wrote there."""


def _user_folder() -> Path:
    """Where the user's caches are: https://specifications.freedesktop.org/basedir/latest/."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # A relative one is to be ignored, it says.
    base = given if given.is_absolute() else Path.home() / ".cache"
    return base / "aphiria-deploy" / "bundles"


def _read(entry: Path, environment: str) -> Bundle:
    with entry.open("rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise _ForeignError(f"{entry}: found something else than a bundle")
        if found.st_uid != os.geteuid():
            raise _ForeignError(f"{entry}: found a file of the user {found.st_uid}, expected one of {os.geteuid()}")
        bundle = decode(file.read(), str(entry))
    if bundle.environment.name != environment:
        raise _ForeignError(f"{entry}: found the bundle of {bundle.environment.name}, expected that of {environment}")
    with contextlib.suppress(OSError):
        # Those that were used last are kept.
        os.utime(entry)
    return bundle


def _write(entry: Path, document: bytes) -> None:
    entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Beside it first, so that nobody ever reads half of it.
    descriptor, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=entry.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
        Path(name).replace(entry)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _remove_oldest(folder: Path) -> None:
    entries: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            age = path.stat().st_mtime
            if _ENTRY.fullmatch(path.name):
                entries.append((age, path))
            elif path.name.startswith(_UNFINISHED) and age < time.time() - _UNFINISHED_SECONDS:
                # Of a run that was killed.
                path.unlink()
    for _, path in sorted(entries, reverse=True)[ENTRIES:]:
        path.unlink(missing_ok=True)
