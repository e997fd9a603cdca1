"""What a bundle is made of, as one hash: where it is the same, so is the bundle.

Everything counts by its content, never by its time. It is asked before every deploy, also of one that changes nothing,
so it has to be fast: git lists the files while the packages are looked through, and nothing is parsed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

_VERSION = "aphiria-deploy/sources/v1"
_PACKAGES = ("constructs_lib", "aphiria_deploy")
# Beside `constructs_lib` in a checkout: the bindings that belong to it.
_BINDINGS = "imports"
# What installers write about a distribution. RECORD has the hashes of its files: one version may have two contents.
_ENDINGS = (".dist-info", ".egg-info")
_DIRECT_URL = "direct_url.json"
_METADATA = ("METADATA", "PKG-INFO", "RECORD", _DIRECT_URL)
_LIST = "git -c core.fsmonitor=false -c core.untrackedCache=false ls-files -z --cached --others --exclude-standard"
_PASSED_OVER = frozenset({"__pycache__", "node_modules"})


def fingerprint(project_folder: Path, environment: str, images: Mapping[str, str]) -> str:
    """Gives 64 hex digits for all that a bundle is made of.

    These are the files of the site's project (those that git tracks or would; without git, all but hidden folders,
    ``dist``, ``node_modules``, virtual environments and what Python compiled); the files of the library, of the engine
    and of whatever is installed in editable mode, where they lie elsewhere; what is installed, by what its installers
    recorded; the version of Python; and what is asked for.

    Args:
        project_folder: The folder of the site's ``pyproject.toml``.
        environment: The environment's name.
        images: The images that are given, by the site's names for them.

    Raises:
        OSError: A file or a folder cannot be read.
    """
    with contextlib.ExitStack() as stack:
        return _fingerprint(project_folder, environment, images, stack)


def _fingerprint(project_folder: Path, environment: str, images: Mapping[str, str], stack: contextlib.ExitStack) -> str:
    total = _Total()
    total.add_text(json.dumps([_VERSION, sys.version, environment, sorted(images.items())]))
    roots = [_Listing(project_folder.resolve(), stack)]
    for folder in _add_installed(total):
        if folder not in [root.folder for root in roots]:
            roots.append(_Listing(folder, stack))
    covered: set[str] = set()
    for root in roots:
        names = root.files()
        covered.update(f"{root.folder}/{name}" for name in names if name.endswith("__init__.py"))
        total.add_files(str(root.folder), names)
    for package in _package_folders():
        if f"{package}/__init__.py" not in covered:
            for folder in (package, *_bindings(package)):
                total.add_text(folder.name)
                total.add_files(str(folder), _walk(str(folder)))
    return total.hexdigest()


class _Total:
    """A hash over names and contents, each with its length: nothing can be moved from one to the next."""

    def __init__(self) -> None:
        self._total = hashlib.sha256()
        self._walked: set[str] = set()

    def add_text(self, text: str) -> None:
        self.add_content(os.fsencode(text))

    def add_content(self, content: bytes) -> None:
        self._total.update(b"%d:" % len(content))
        self._total.update(content)

    def add_files(self, folder: str, names: Sequence[str]) -> None:
        self.add_text(str(len(names)))
        for name in names:
            self.add_text(name)
            self._add(f"{folder}/{name}")

    def hexdigest(self) -> str:
        return self._total.hexdigest()

    def _add(self, path: str) -> None:
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                self.add_text("link")
                self.add_text(os.readlink(path))  # noqa: PTH115 - of text, as all here
                mode = os.stat(path).st_mode  # noqa: PTH116
        except OSError as error:
            # git has it in its index alone, or it is a link that leads nowhere.
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                raise
            self.add_text("absent")
            return
        if stat.S_ISREG(mode):
            self.add_text("file")
            self.add_content(_read(path))
        elif stat.S_ISDIR(mode):
            self.add_text("folder")
            # A repository in the repository, or a link: git lists nothing of what is in it.
            real = os.path.realpath(path)
            if real not in self._walked and not _is_passed_over(path):
                self._walked.add(real)
                self.add_files(path, _walk(path))
        else:
            # Nothing that could be read to its end.
            self.add_text("other")


class _Listing:
    """The files of a folder. git is asked when it is made, and waited for when they are wanted."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        # A hook that runs us has variables that lead git to another repository.
        environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        try:
            process = subprocess.Popen(_LIST.split(), cwd=folder, env=environment, **streams)  # type: ignore[call-overload] # noqa: S603
            self._git = stack.enter_context(process)
        except FileNotFoundError:
            # There is no git; where there is no such folder, the walk says so.
            self._git = None

    def files(self) -> list[str]:
        """Their names in the folder, sorted."""
        listed = self._git.communicate()[0] if self._git else b""
        if self._git is None or self._git.returncode or not listed:
            # No checkout, not ours, or a folder that another checkout ignores.
            return _walk(str(self.folder), top=True)
        return sorted({os.fsdecode(name).rstrip("/") for name in listed.split(b"\0") if name})


def _add_installed(total: _Total) -> list[Path]:
    """Adds every distribution that can be imported, and gives the folders of those in editable mode."""
    editable = []
    for place in (each or "." for each in dict.fromkeys(sys.path)):
        try:
            with os.scandir(place) as entries:
                found = [(entry.name, entry.is_dir()) for entry in entries if entry.name.endswith(_ENDINGS)]
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            # An archive that modules are imported from.
            head, name = os.path.split(place)
            total.add_files(head, [name])
            continue
        for name, is_folder in sorted(found):
            # An old one may be a file itself.
            total.add_files(place, [f"{name}/{part}" for part in _METADATA] if is_folder else [name])
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if folder := _editable_folder(_read(f"{place}/{name}/{_DIRECT_URL}")):
                    editable.append(folder)
    return editable


def _editable_folder(direct_url: bytes) -> Path | None:
    """Where an editable distribution's files are: https://packaging.python.org/en/latest/specifications/direct-url/."""
    found = json.loads(direct_url)
    url = urlsplit(found.get("url", ""))
    if url.scheme != "file" or not found.get("dir_info", {}).get("editable"):
        return None
    folder = Path(unquote(url.path)).resolve()
    return folder if folder.is_dir() else None


def _package_folders() -> Iterator[Path]:
    for name in _PACKAGES:
        spec = find_spec(name)
        yield from (Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ())


def _bindings(package: Path) -> list[Path]:
    beside = package.parent / _BINDINGS
    # As the library itself decides: beside an installed package it is somebody else's folder.
    return [beside] if (package.parent / "pyproject.toml").is_file() and beside.is_dir() else []


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        content = os.read(descriptor, size + 1)
        if len(content) == size:
            return content
        parts = [content]
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _walk(folder: str, *, top: bool = False) -> list[str]:
    """The names of the files and links in a folder and below it, sorted.

    Args:
        folder: The folder.
        top: Whether it is a project's own, where ``dist`` is what is made of it.
    """
    return sorted(_walked(folder, "", frozenset({"dist"}) if top else frozenset()))


def _walked(folder: str, prefix: str, passed_over: frozenset[str]) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                yield name
            elif entry.name not in passed_over and not _is_passed_over(entry.path):
                yield from _walked(entry.path, f"{name}/", frozenset())


def _is_passed_over(folder: str) -> bool:
    """Whether a folder holds what is no source: it is hidden, it is npm's or Python's, or a virtual environment."""
    name = os.path.basename(folder)  # noqa: PTH119
    return name in _PASSED_OVER or name.startswith(".") or os.path.exists(f"{folder}/pyvenv.cfg")  # noqa: PTH110
