"""What changes the hash of a bundle's sources, and what does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aphiria_deploy import sources
from aphiria_deploy.sources import fingerprint

DIGEST = f"sha256:{'0' * 64}"
FILES = {
    "pyproject.toml": '[tool.aphiria-deploy]\nsite = "apps:site"\n',
    ".gitignore": "dist/\nnode_modules/\n__pycache__/\n.venv/\n*.secret\n",
    "apps/__init__.py": "site = 1\n",
    "apps/data/értékek.bin": "\x00\x01",
    "absent": "absent",
}
Change = Callable[[Path], object]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def make_project(folder: Path, *, in_git: bool) -> Path:
    for name, text in FILES.items():
        write(folder, name, text)
    if in_git:
        if shutil.which("git") is None:
            pytest.skip("needs git (apt-get install git)")
        git(folder, "init", "-q")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "all")
    return folder


@pytest.fixture(params=[True, False], ids=["git", "no-git"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_project(tmp_path / "site", in_git=request.param)


def of(project: Path, environment: str = "pr-7", **images: str) -> str:
    return fingerprint(project, environment, images)


def same_time(path: Path, text: str) -> None:
    """Writes a file so that neither its size nor its times tell."""
    before = path.stat()
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def steps(*changes: Change) -> Change:
    def all_of_them(folder: Path) -> None:
        for change in changes:
            change(folder)

    return all_of_them


CHANGES: dict[str, Change] = {
    "a byte": lambda folder: same_time(folder / "apps/__init__.py", "site = 2\n"),
    "a byte of a file that is no text": lambda folder: same_time(folder / "apps/data/értékek.bin", "\x00\x02"),
    "a longer file": lambda folder: write(folder, "apps/__init__.py", "site = 11\n"),
    "an empty file": lambda folder: write(folder, "apps/__init__.py", ""),
    "a new file": lambda folder: write(folder, "apps/more.py", ""),
    "a new file in a new folder": lambda folder: write(folder, "more/__init__.py", ""),
    "a new hidden file": lambda folder: write(folder, ".more", ""),
    "a removed file": lambda folder: (folder / "apps/__init__.py").unlink(),
    "a removed file whose content is a word": lambda folder: (folder / "absent").unlink(),
    "a renamed file": lambda folder: (folder / "absent").rename(folder / "other"),
    "a moved file": lambda folder: (folder / "absent").rename(folder / "apps/absent"),
    "two files that change places": steps(
        lambda folder: write(folder, "absent", FILES["pyproject.toml"]),
        lambda folder: write(folder, "pyproject.toml", "absent"),
    ),
    "a folder in place of a file": steps(
        lambda folder: (folder / "absent").unlink(), lambda folder: write(folder, "absent/a", "absent")
    ),
    "a link in place of a file": steps(
        lambda folder: (folder / "absent").rename(folder / "apps/x"),
        lambda folder: (folder / "absent").symlink_to("apps/x"),
    ),
    "a dist that is not the project's own": lambda folder: write(folder, "apps/dists/a.py", ""),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_never_missed(project: Path, change: Change) -> None:
    before = of(project)
    change(project)
    assert of(project) != before


LEAVES: dict[str, Change] = {
    "another time": lambda folder: os.utime(folder / "apps/__init__.py", (0, 0)),
    "what is made": lambda folder: write(folder, "dist/a.yaml", ""),
    "what npm installs": lambda folder: write(folder, "apps/node_modules/a/index.js", ""),
    "what Python compiles": lambda folder: write(folder, "apps/__pycache__/a.pyc", ""),
    "a virtual environment": steps(
        lambda folder: write(folder, ".venv/pyvenv.cfg", ""), lambda folder: write(folder, ".venv/a.py", "")
    ),
    "an empty folder": lambda folder: (folder / "empty").mkdir(),
    "who may read": lambda folder: (folder / "absent").chmod(0o600),
}


@pytest.mark.parametrize("change", LEAVES.values(), ids=LEAVES)
def test_what_makes_no_other_bundle_makes_no_other_hash(project: Path, change: Change) -> None:
    before = of(project)
    change(project)
    assert of(project) == before


def test_another_question_has_another_hash(project: Path) -> None:
    asked = [
        of(project),
        of(project, "pr-8"),
        of(project, web="r/web@a"),
        of(project, web="r/web@b"),
        of(project, api="r/web@a"),
        of(project, web="r/web@a", api="r/api@a"),
        of(project, web="r/api@a", api="r/web@a"),
    ]
    assert len(set(asked)) == len(asked)
    assert of(project, api="r/api@a", web="r/web@a") == asked[5], "the order of the images does not count"


def test_another_python_has_another_hash(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(project)
    monkeypatch.setattr("sys.version", "3.99.0")
    assert of(project) != before


def test_a_copy_of_a_project_has_the_same_hash(tmp_path: Path) -> None:
    one, other = (make_project(tmp_path / name, in_git=True) for name in ("one", "other"))
    assert of(one) == of(other)


# With git


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_project(tmp_path / "site", in_git=True)


def test_what_git_ignores_does_not_count_and_what_it_tracks_all_the_same_does(checkout: Path) -> None:
    before = of(checkout)
    write(checkout, "password.secret", "hunter2")
    assert of(checkout) == before
    git(checkout, "add", "--force", "password.secret")
    tracked = of(checkout)
    assert tracked != before
    write(checkout, "password.secret", "hunter3")
    assert of(checkout) != tracked


def test_it_is_the_content_that_counts_and_not_what_git_was_told(checkout: Path) -> None:
    write(checkout, "apps/__init__.py", "site = 2\n")
    write(checkout, "apps/more.py", "")
    changed = of(checkout)
    git(checkout, "add", ".")
    assert of(checkout) == changed
    git(checkout, "commit", "-qm", "more")
    assert of(checkout) == changed
    git(checkout, "update-index", "--assume-unchanged", "apps/__init__.py")
    write(checkout, "apps/__init__.py", "site = 3\n")
    assert of(checkout) != changed


def test_a_project_may_be_a_part_of_a_repository(tmp_path: Path) -> None:
    project = make_project(tmp_path / "site", in_git=False)
    write(tmp_path, "elsewhere.py", "")
    git(tmp_path, "init", "-q")
    before = of(project)
    write(tmp_path, "elsewhere.py", "1")
    assert of(project) == before
    write(project, "apps/more.py", "")
    assert of(project) != before


def test_a_project_that_a_repository_around_it_ignores_is_looked_through(tmp_path: Path) -> None:
    project = make_project(tmp_path / "site", in_git=False)
    write(tmp_path, ".gitignore", "site/\n")
    git(tmp_path, "init", "-q")
    before = of(project)
    write(project, "apps/__init__.py", "site = 2\n")
    assert of(project) != before


def test_a_hooks_variables_lead_nowhere_else(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_project(tmp_path / "other", in_git=True)
    before = of(checkout)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert of(checkout) == before


def test_without_git_everything_counts(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    before = of(checkout)
    write(checkout, "password.secret", "hunter2")
    assert of(checkout) != before


@pytest.mark.parametrize("link", [False, True], ids=["a repository in the repository", "a link out of the repository"])
def test_what_git_lists_nothing_of_is_looked_through(checkout: Path, tmp_path: Path, *, link: bool) -> None:
    inner = make_project(tmp_path / "inner" if link else checkout / "inner", in_git=True)
    if link:
        (checkout / "inner").symlink_to(inner)
    before = of(checkout)
    write(inner, "apps/__init__.py", "site = 2\n")
    changed = of(checkout)
    assert changed != before
    git(inner, "commit", "-qam", "more")
    assert of(checkout) == changed


@pytest.mark.parametrize("name", ["node_modules", "environment", ".hidden"])
def test_a_link_to_what_is_no_source_is_not_looked_through(checkout: Path, tmp_path: Path, name: str) -> None:
    write(tmp_path, "elsewhere/pyvenv.cfg" if name == "environment" else "elsewhere/index.js", "")
    target = tmp_path / "elsewhere"
    (checkout / name).symlink_to(target.rename(tmp_path / name))
    before = of(checkout)
    write(tmp_path / name, "more.js", "")
    assert of(checkout) == before


def test_links_that_lead_nowhere_or_round_and_round_are_links(project: Path) -> None:
    hashes = [of(project)]
    for number, target in enumerate(("nowhere", "round", ".", "/dev/null")):
        (project / ("round" if target == "round" else f"link{number}")).symlink_to(target)
        hashes.append(of(project))
    assert len(set(hashes)) == len(hashes)
    os.mkfifo(project / "pipe")
    of(project)


def test_what_cannot_be_read_is_an_error(project: Path) -> None:
    # What root cannot read either: https://man7.org/linux/man-pages/man5/proc_pid_mem.5.html.
    memory = Path("/proc/self/mem")
    if not memory.exists():
        pytest.skip("needs /proc")
    (project / "unreadable").symlink_to(memory)
    with pytest.raises(OSError, match="Input/output error"):
        of(project)


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        of(tmp_path / "nowhere")


# Packages


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that modules are imported from, with a distribution in it."""
    folder = tmp_path / "installed"
    write(folder, "thing-1.0.dist-info/METADATA", "Name: thing\nVersion: 1.0\n")
    write(folder, "thing-1.0.dist-info/RECORD", "thing.py,sha256=a,1\n")
    monkeypatch.syspath_prepend(folder)
    return folder


INSTALLING: dict[str, Change] = {
    "another version": steps(
        lambda folder: (folder / "thing-1.0.dist-info").rename(folder / "thing-1.1.dist-info"),
        lambda folder: write(folder, "thing-1.1.dist-info/METADATA", "Name: thing\nVersion: 1.1\n"),
    ),
    "another version in a folder of the same name": lambda folder: write(
        folder, "thing-1.0.dist-info/METADATA", "Name: thing\nVersion: 1.1\n"
    ),
    "other files of the same version": lambda folder: write(
        folder, "thing-1.0.dist-info/RECORD", "thing.py,sha256=b,1\n"
    ),
    "one more": lambda folder: write(folder, "other-1.0.dist-info/METADATA", "Name: other\nVersion: 1.0\n"),
    "one more of the old kind": lambda folder: write(folder, "other.egg-info", "Name: other\nVersion: 1.0\n"),
    "one less": lambda folder: shutil.rmtree(folder / "thing-1.0.dist-info"),
}


@pytest.mark.parametrize("change", INSTALLING.values(), ids=INSTALLING)
def test_what_is_installed_counts(checkout: Path, installed: Path, change: Change) -> None:
    before = of(checkout)
    change(installed)
    assert of(checkout) != before


def test_an_archive_that_modules_come_from_counts(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "site.zip"
    archive.write_bytes(b"1")
    monkeypatch.syspath_prepend(archive)
    before = of(checkout)
    archive.write_bytes(b"2")
    assert of(checkout) != before


@pytest.mark.parametrize("in_git", [True, False])
def test_the_sources_of_what_is_installed_in_editable_mode_count(
    checkout: Path, installed: Path, tmp_path: Path, *, in_git: bool
) -> None:
    editable = make_project(tmp_path / "a lib", in_git=in_git)
    said = {"url": editable.as_uri(), "dir_info": {"editable": True}}
    write(installed, "thing-1.0.dist-info/direct_url.json", json.dumps(said))
    before = of(checkout)
    write(editable, "apps/__init__.py", "site = 2\n")
    assert of(checkout) != before


@pytest.mark.parametrize(
    "said",
    [
        {"url": "https://example.com/thing.whl", "archive_info": {}},
        {"url": "file:///nowhere", "dir_info": {"editable": True}},
        {"url": "file:///usr", "dir_info": {}},
    ],
)
def test_what_is_installed_otherwise_has_no_sources(
    checkout: Path, installed: Path, said: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    roots: list[Path] = []
    listed = sources._Listing.files

    def remembered(listing: sources._Listing) -> list[str]:
        roots.append(listing.folder)
        return listed(listing)

    monkeypatch.setattr(sources._Listing, "files", remembered)
    of(checkout)
    expected = list(roots)
    write(installed, "thing-1.0.dist-info/direct_url.json", json.dumps(said))
    of(checkout)
    assert roots == expected * 2


@pytest.fixture(params=["beside the project", "in a folder of it that git ignores"])
def library(request: pytest.FixtureRequest, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library and an engine that are installed, as wheels are."""
    folder = tmp_path / "lib" if "beside" in request.param else checkout / ".venv/lib"
    write(folder, "sample_lib/__init__.py", "")
    write(folder, "sample_lib/schemas/core.json", "{}")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sources, "_PACKAGES", ("sample_lib",))
    return folder


def test_the_files_of_the_library_count_wherever_they_are(checkout: Path, library: Path) -> None:
    hashes = [of(checkout)]
    for name, text in (("__init__.py", "1"), ("schemas/core.json", "[]"), ("more.py", "")):
        write(library, f"sample_lib/{name}", text)
        hashes.append(of(checkout))
    assert len(set(hashes)) == len(hashes)
    write(library, "sample_lib/__pycache__/a.pyc", "")
    assert of(checkout) == hashes[-1]


def test_the_bindings_beside_a_librarys_sources_count_and_beside_an_installed_one_do_not(
    checkout: Path, library: Path
) -> None:
    write(library, "imports/a.py", "1")
    before = of(checkout)
    write(library, "imports/a.py", "2")
    assert of(checkout) == before
    write(library, "pyproject.toml", "")
    before = of(checkout)
    write(library, "imports/a.py", "3")
    assert of(checkout) != before


def test_the_real_packages_are_found() -> None:
    assert {folder.name for folder in sources._package_folders()} == {"constructs_lib", "aphiria_deploy"}
