"""``aphiria-deploy synth``: what it writes, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from aphiria_deploy.bundle import read
from aphiria_deploy.cli import main, options, synthesizing
from tests.aphiria_deploy.samples import SampleSite
from tests.aphiria_deploy.test_files import contents
from tests.apps.made import DIGEST

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs the command in this process, for a site that needs no Node, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(synthesizing, "load_site", lambda _: SampleSite())

    def command(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["aphiria-deploy", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return command


SAMPLES = (
    "pr-7: samples stand for web: nobody said which images to run (--images); these manifests can be read, not "
    "deployed\n"
)


def test_it_writes_the_environments_that_are_named(run: Command, tmp_path: Path) -> None:
    ended = run("synth", "pr-7", "--images", "web=web:1")

    assert (ended.code, ended.err) == (0, "")
    assert sorted(contents(tmp_path)) == ["dist/pr-7/10-base.k8s.yaml", "dist/pr-7/30-workloads.k8s.yaml"]
    assert ended.out.startswith("dist/pr-7: 3 objects in 2 files, sha256:")


def test_it_writes_all_of_the_sites_when_none_is_named(run: Command, tmp_path: Path) -> None:
    ended = run("synth", "--out", "here", "--images", "web=web:1")

    assert ended.code == 0
    assert {path.split("/")[1] for path in contents(tmp_path)} == {"pr-7", "pr-8"}
    assert [line.partition(":")[0] for line in ended.out.splitlines()] == ["here/pr-7", "here/pr-8"]


def test_one_that_is_named_twice_is_made_once(run: Command) -> None:
    ended = run("synth", "pr-7", "pr-7", "--images", "web=web:1")

    assert ended.out.count("pr-7") == 1


def test_what_nobody_chose_is_said_beside_the_report(run: Command) -> None:
    ended = run("synth", "pr-7")

    assert (ended.code, ended.err) == (0, SAMPLES)
    assert "samples" not in ended.out


def test_json_is_one_document_and_nothing_else(run: Command, tmp_path: Path) -> None:
    ended = run("synth", "pr-7", "--output", "json", "--bundle", "b.json")

    assert ended.code == 0
    assert json.loads(ended.out) == {
        "environments": [
            {
                "environment": "pr-7",
                "hash": read(tmp_path / "b.json").hash,
                "objects": 3,
                "files": ["dist/pr-7/10-base.k8s.yaml", "dist/pr-7/30-workloads.k8s.yaml"],
                "sampleImages": ["web"],
            }
        ]
    }


def test_the_bundle_is_what_was_written(run: Command, tmp_path: Path) -> None:
    ended = run("synth", "pr-7", "--bundle", "b.json", "--images", "web=web:1")

    bundle = read(tmp_path / "b.json")
    assert ended.code == 0
    assert bundle.environment.name == "pr-7"
    assert bundle.images["web"].ref == "web:1"
    assert bundle.hash in ended.out
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["b.json"]


BAD: list[tuple[list[str], str]] = [
    (["pr-9"], "environment: found 'pr-9', expected pr-7 or pr-8"),
    (["pr-7", "pr-9"], "environment: found 'pr-9', expected pr-7 or pr-8"),
    (["pr-7", "--images", "wbe=x"], "images: found 'wbe', expected web"),
    (
        ["pr-7", "--images", "web"],
        "--images: found 'web', expected NAME=REF, such as web=ghcr.io/example/web@sha256:…",
    ),
    (["pr-7", "--images", "web="], "--images: found 'web=', expected NAME=REF"),
    (["pr-7", "--images", "=x"], "--images: found '=x', expected NAME=REF"),
    (["pr-7", "--images", "web=a,web=b"], "--images: found 'web' twice, expected each image once"),
    (
        ["--bundle", "b.json"],
        "--bundle: found 0 environments, expected one, such as: synth pr-107 --bundle FILE",
    ),
    (["pr-7", "pr-8", "--bundle", "b.json"], "--bundle: found 2 environments, expected one"),
    (
        ["pr-7", "--bundle", "nowhere/b.json"],
        "--bundle: found 'nowhere/b.json', expected a file in a folder that exists",
    ),
    (["pr-7", "--bundle", "."], "--bundle: found '.', expected a file in a folder that exists"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_message_and_nothing_written(
    run: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    run("synth")
    before = contents(tmp_path)

    ended = run("synth", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {message}")
    assert ended.err.count("\n") == 1
    assert contents(tmp_path) == before


@pytest.mark.parametrize("arguments", [["synth", "--unheard"], ["synth", "--output", "xml"], ["unheard"]])
def test_an_option_that_nobody_knows_is_bad_input_too(run: Command, tmp_path: Path, arguments: list[str]) -> None:
    ended = run(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert "Usage: " in ended.err
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_place_that_cannot_be_written_to_is_named(run: Command, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("in the way")

    ended = run("synth", "pr-7", "--out", out)

    assert ended.code == 2
    assert ended.err.startswith(f"error: {out}: ")
    assert ended.err.endswith("; expected a place that can be written to\n")
    assert contents(tmp_path) == {"file": b"in the way"}


def test_a_bundle_that_could_not_be_written_leaves_nothing_half(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.json").write_text("before")
    real = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == "b.json":
            raise OSError(30, "Read-only file system", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", refuse)

    ended = run("synth", "pr-7", "--bundle", "b.json")

    assert ended.code == 2
    assert ended.err.startswith("error: b.json: Read-only file system; expected a place")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["b.json"]
    assert (tmp_path / "b.json").read_text() == "before"


def test_a_traceback_is_shown_to_who_asks_for_it(run: Command) -> None:
    ended = run("synth", "pr-9", "--verbose")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Traceback (most recent call last)")
    assert ended.err.splitlines()[-1].startswith("error: environment: found 'pr-9'")


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("", {}),
        ("web=a", {"web": "a"}),
        ("web=a,api=b", {"web": "a", "api": "b"}),
        ("web=a,", {"web": "a"}),
        ("web=a@sha256:0=1", {"web": "a@sha256:0=1"}),
    ],
)
def test_images_are_read_from_pairs(text: str, images: dict[str, str]) -> None:
    assert options.parse_images(text) == images


def as_installed(
    *arguments: str, folder: Path = ROOT, program: str = "", variables: Mapping[str, str | None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command as its script does, in a process of its own; a variable that is None is not there."""
    command = [sys.executable, "-c", program + "from aphiria_deploy.cli.main import run; run()", *arguments]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    env = {name: value for name, value in {**given, **(variables or {})}.items() if value is not None}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


LOADED = "import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr)); "


@pytest.mark.parametrize("arguments", [["--help"], ["synth", "--help"], ["synth", "pr-1", "--images", "x"]])
def test_help_and_mistakes_in_options_start_no_node(arguments: list[str]) -> None:
    ended = as_installed(*arguments, program=LOADED)

    assert ended.returncode in {0, 2}
    modules = set(ended.stderr.splitlines()[-1].split())
    assert "aphiria_deploy.cli.synth" in modules
    assert modules.isdisjoint({"jsii", "cdk8s", "constructs", "apps.definition"})


def test_help_loads_nothing_that_takes_time() -> None:
    heavy = ("jsii", "yaml", "msgspec", "constructs_lib.checks", "http.client")
    code = "import sys; from aphiria_deploy.cli import main; print(*set(sys.argv[1:]) & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code, *heavy], check=True, capture_output=True, text=True)

    assert ended.stdout.strip() == ""


def test_help_says_what_there_is() -> None:
    ended = as_installed("synth", "--help")

    assert ended.returncode == 0
    assert all(
        option in ended.stdout for option in ("--out", "--bundle", "--images", "--output", "--verbose", "[ENV]...")
    )


def test_outside_of_a_site_it_says_so(tmp_path: Path) -> None:
    ended = as_installed("synth", folder=tmp_path)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: {tmp_path}: found no pyproject.toml with [tool.aphiria-deploy] here or")


def test_aphirias_site_is_synthesized_with_the_images_that_were_given(tmp_path: Path) -> None:
    images = ",".join(f"{name}=ghcr.io/aphiria/aphiria.com-{name}@{DIGEST}" for name in ("web", "api"))
    bundle = tmp_path / "bundle.json"

    ended = as_installed(
        "synth", "pr-107", "--images", images, "--out", str(tmp_path / "dist"), "--bundle", str(bundle)
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert read(bundle).hash in ended.stdout
    assert read(bundle).sample_images == []
    assert DIGEST in (tmp_path / "dist" / "pr-107" / "30-workloads.k8s.yaml").read_text(encoding="utf-8")


@pytest.mark.skipif(find_spec("constructs_lib._node") is None, reason="nothing chooses a Node here but JSII_NODE")
def test_whatever_node_is_on_path_a_supported_one_runs_and_nobody_is_told(tmp_path: Path) -> None:
    wrong = tmp_path / "bin" / "node"
    wrong.parent.mkdir()
    wrong.write_text("#!/bin/sh\necho end of life >&2\nexit 1\n", encoding="utf-8")
    wrong.chmod(0o755)
    variables = {"JSII_NODE": None, "PATH": f"{wrong.parent}{os.pathsep}{os.environ['PATH']}"}

    ended = as_installed("synth", "preview-base", "--out", str(tmp_path / "dist"), variables=variables)

    assert (ended.returncode, ended.stderr) == (0, "")
