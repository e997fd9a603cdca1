"""Bundles that are taken from the cache, and those that are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aphiria_deploy import bundle_cache
from aphiria_deploy.bundle import Bundle, Environment, EnvironmentKind, ManifestFile, encode
from aphiria_deploy.bundle_cache import Taken, cached_bundle, take
from aphiria_deploy.site import project_folder
from tests.aphiria_deploy.samples import config_map, make_bundle


class Making:
    """Makes bundles, and counts them."""

    def __init__(self, **changes: object) -> None:
        self.made = 0
        self._changes = changes

    def __call__(self) -> Bundle:
        self.made += 1
        return make_bundle(**self._changes)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "apps").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.aphiria-deploy]\nsite = "apps:site"\n')
    (folder / "apps/__init__.py").write_text("site = 1\n")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_the_same_is_made_once(project: Path, cache: Path) -> None:
    making = Making()
    first, second = (take(project, "pr-7", {"web": "web:1"}, making, folder=cache) for _ in range(2))
    assert (first.hit, second.hit, making.made) == (False, True, 1)
    assert first.bundle == second.bundle
    assert first.notes == second.notes == ()
    assert encode(first.bundle) == encode(second.bundle)


def test_what_a_hit_needs_is_only_the_bundle(project: Path, cache: Path) -> None:
    take(project, "pr-7", {}, Making(), folder=cache)

    def never() -> Bundle:
        raise AssertionError("it is in the cache")

    assert take(project, "pr-7", {}, never, folder=cache).hit


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda folder: (folder / "apps/__init__.py").write_text("site = 2\n"),
    "a new file": lambda folder: (folder / "apps/more.py").write_text(""),
    "a removed file": lambda folder: (folder / "apps/__init__.py").unlink(),
    "a package": lambda folder: (folder.parent / "installed/a-1.0.dist-info").rename(
        folder.parent / "installed/a-1.1.dist-info"
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_makes_it_anew(
    project: Path, cache: Path, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.parent / "installed/a-1.0.dist-info").mkdir(parents=True)
    (project.parent / "installed/a-1.0.dist-info/METADATA").write_text("Name: a\n")
    monkeypatch.syspath_prepend(project.parent / "installed")
    making = Making()
    take(project, "pr-7", {}, making, folder=cache)
    change(project)
    assert not take(project, "pr-7", {}, making, folder=cache).hit
    assert take(project, "pr-7", {}, making, folder=cache).hit
    assert making.made == 2


def test_other_images_and_another_environment_make_it_anew(project: Path, cache: Path) -> None:
    making = Making()
    take(project, "pr-7", {"web": "web:1"}, making, folder=cache)
    assert not take(project, "pr-7", {"web": "web:2"}, making, folder=cache).hit
    assert not take(project, "pr-8", {"web": "web:1"}, making, folder=cache).hit
    assert take(project, "pr-7", {"web": "web:1"}, making, folder=cache).hit


def tampered(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes().replace(b"https://7.example", b"https://evil.example"))


def of_another(entry: Path) -> None:
    environment = Environment(name="pr-8", kind=EnvironmentKind.PREVIEW, namespace="preview-pr-8", number=8)
    entry.write_bytes(encode(make_bundle(environment=environment)))


def replaced_by_a_folder(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


def replaced_by_a_device(entry: Path) -> None:
    entry.unlink()
    entry.symlink_to("/dev/zero")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "tampered with": (tampered, "it was changed after it was made"),
    "cut off": (lambda entry: entry.write_bytes(entry.read_bytes()[:100]), "not a bundle"),
    "empty": (lambda entry: entry.write_bytes(b""), "not a bundle"),
    "of a later format": (
        lambda entry: entry.write_bytes(entry.read_bytes().replace(b"bundle/v1", b"bundle/v9")),
        "found 'aphiria-deploy/bundle/v9'",
    ),
    "another environment's": (of_another, "found the bundle of pr-8, expected that of pr-7"),
    "another user's": (lambda entry: os.chown(entry, 12345, -1), "found a file of the user 12345, expected one of"),
    "a folder": (replaced_by_a_folder, "Is a directory"),
    "a device": (replaced_by_a_device, "something else than a bundle"),
}


@pytest.mark.parametrize(("breaking", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_the_bundle_is_not_used_and_the_reason_is_told(
    project: Path, cache: Path, breaking: Callable[[Path], object], reason: str
) -> None:
    making = Making()
    good = take(project, "pr-7", {}, making, folder=cache).bundle
    [entry] = entries(cache)
    try:
        breaking(entry)
    except PermissionError:
        pytest.skip("only root can give files away")
    taken = take(project, "pr-7", {}, making, folder=cache)
    assert (taken.hit, taken.bundle, making.made) == (False, good, 2)
    assert taken.notes[0].startswith("the cached bundle is not used: ")
    assert reason in taken.notes[0]
    if not entry.is_dir():
        assert take(project, "pr-7", {}, making, folder=cache) == Taken(good, hit=True), "it was made anew"


def test_what_changes_while_a_bundle_is_made_leaves_no_wrong_entry(project: Path, cache: Path) -> None:
    def make() -> Bundle:
        (project / "apps/__init__.py").write_text("site = 2\n")
        return make_bundle()

    taken = take(project, "pr-7", {}, make, folder=cache)
    assert taken.notes == ("the bundle is not cached: the sources changed while it was made",)
    (project / "apps/__init__.py").write_text("site = 1\n")
    assert not take(project, "pr-7", {}, Making(), folder=cache).hit


def test_a_failure_to_make_it_is_raised_and_leaves_nothing(project: Path, cache: Path) -> None:
    def make() -> Bundle:
        raise ValueError("environment: found 'pr-0'")

    with pytest.raises(ValueError, match="pr-0"):
        take(project, "pr-7", {}, make, folder=cache)
    assert not cache.exists()


def test_without_a_place_to_write_it_is_made_each_time(project: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    making = Making()
    for _ in range(2):
        taken = take(project, "pr-7", {}, making, folder=blocked / "cache")
        assert not taken.hit
        assert any("the bundle is not cached: " in note for note in taken.notes)
    assert making.made == 2


def test_a_project_that_cannot_be_read_is_made_each_time(tmp_path: Path, cache: Path) -> None:
    taken = take(tmp_path / "nowhere", "pr-7", {}, Making(), folder=cache)
    assert not taken.hit
    assert "no cache of bundles: " in taken.notes[0]
    assert not cache.exists()


def test_only_so_many_are_kept_those_that_were_used_last(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_cache, "ENTRIES", 3)
    (cache / "somebody's folder").mkdir(parents=True)
    (cache / ".unfinished-old").write_text("")
    (cache / ".unfinished-new").write_text("")
    os.utime(cache / ".unfinished-old", (0, 0))
    making = Making()
    for number in range(5):
        take(project, "pr-7", {"web": f"web:{number}"}, making, folder=cache)
        for entry in cache.glob("*.json"):
            # An hour passes.
            os.utime(entry, (entry.stat().st_atime, entry.stat().st_mtime - 3600))
        assert take(project, "pr-7", {"web": "web:0"}, making, folder=cache).hit, "it is used all the time"
    assert making.made == 5
    assert len(list(cache.glob("*.json"))) == 3
    assert take(project, "pr-7", {"web": "web:4"}, making, folder=cache).hit
    assert not take(project, "pr-7", {"web": "web:1"}, making, folder=cache).hit
    others = {path.name for path in cache.iterdir() if path.suffix != ".json"}
    assert others == {"somebody's folder", ".unfinished-new"}


def test_many_at_once_never_read_what_is_half_written(project: Path, cache: Path) -> None:
    large = [ManifestFile(name="10-base", manifests=[config_map(f"c{number}", {}) for number in range(300)])]
    making = Making(files=large)

    def one(number: int) -> Taken:
        if number % 3 == 0:
            for entry in cache.glob("*.json"):
                entry.unlink(missing_ok=True)
        return take(project, "pr-7", {}, making, folder=cache)

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(one, range(60)))
    assert {one.bundle.hash for one in taken} == {make_bundle(files=large).hash}
    assert [one.notes for one in taken] == [()] * 60
    assert [path.suffix for path in entries(cache)] in ([".json"], [])
    assert sum(not one.hit for one in taken) == making.made


def test_the_users_own_cache_is_where_others_keep_theirs(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    making = Making()
    assert cached_bundle(project, "pr-7", {}, making) == cached_bundle(project, "pr-7", {}, making)
    assert making.made == 1
    folder = tmp_path / "xdg/aphiria-deploy/bundles"
    assert len(entries(folder)) == 1
    assert folder.stat().st_mode & 0o077 == 0, "nobody else can put a bundle there"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        cached_bundle(project, "pr-7", {}, making)
    assert making.made == 2
    assert len(entries(tmp_path / "home/.cache/aphiria-deploy/bundles")) == 1


def test_the_folder_of_a_project_is_found_without_importing_the_site(project: Path) -> None:
    (project / "apps/__init__.py").write_text("raise AssertionError\n")
    assert project_folder(project / "apps") == project
