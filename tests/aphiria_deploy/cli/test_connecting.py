"""Which cluster a command works on: the one that was named, and never whichever happens to be the current one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aphiria_deploy.cli.connecting import Stack, Where, connect
from aphiria_deploy.errors import InputError, KubeconfigError
from tests.aphiria_deploy.cli.test_bad_input import kubeconfig

UNNAMED = Where(None, "", None)


@pytest.fixture
def current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kubeconfig that everybody's kubectl would take."""
    path = tmp_path / "current"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def _write(path: Path, server: str, context: str) -> Path:
    path.write_text(json.dumps(kubeconfig(server, context)))
    return path


def test_nothing_is_done_in_whatever_cluster_is_the_current_one(current: Path) -> None:
    _write(current, "https://127.0.0.1:6443", "kind-here")
    with pytest.raises(InputError, match=r"^the cluster: found none named, expected --kubeconfig FILE, --context NAME"):
        connect(UNNAMED, Stack(UNNAMED, None))


def test_a_context_is_named(current: Path) -> None:
    _write(current, "https://prod.example:6443", "production")
    where = Where(None, "production", None)
    assert connect(where, Stack(where, None)).url == "https://prod.example:6443"
    with pytest.raises(KubeconfigError, match="found no context 'other'; expected one of production"):
        connect(Where(None, "other", None), None)


def test_a_file_is_named(current: Path, tmp_path: Path) -> None:
    _write(current, "https://prod.example:6443", "production")
    other = _write(tmp_path / "other", "https://preview.example:6443", "preview")
    assert connect(Where(other, "", None), None).url == "https://preview.example:6443"
    with pytest.raises(KubeconfigError, match="found no context 'production'; expected one of preview"):
        connect(Where(other, "production", None), None)


def test_a_stack_names_its_cluster_and_the_command_line_comes_first(current: Path, tmp_path: Path) -> None:
    _write(current, "https://current.example:6443", "production")
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"kubeconfig": json.dumps(kubeconfig("https://stack.example:6443"))}))
    where = Where(None, "", outputs)
    found = connect(where, Stack(where, "preview-base"))
    assert (found.url, str(outputs) in found.where) == ("https://stack.example:6443", True)
    named = Where(None, "production", outputs)
    assert connect(named, Stack(named, "preview-base")).url == "https://current.example:6443"


LOCAL = [
    ("kind-here", "https://127.0.0.1:41237"),
    ("minikube", "https://192.168.49.2:8443"),
    ("docker-desktop", "https://kubernetes.docker.internal:6443"),
    ("k3d-a", "https://0.0.0.0:40001"),
    ("colima", "https://localhost:6443"),
    ("orbstack", "https://[::1]:26443"),
]
FOREIGN = [
    ("do-nyc3-aphiria-com-cluster", "https://127.0.0.1:6443"),
    ("kind-of-production", "https://104.16.0.1:6443"),
    ("minikube-is-what-we-call-production", "https://abc.k8s.ondigitalocean.com"),
    ("", "https://127.0.0.1:6443"),
    ("my-kind-here", "https://127.0.0.1:6443"),
    ("kind-here", "https://127.0.0.1.example.com:6443"),
]


@pytest.mark.parametrize(("context", "server"), LOCAL)
def test_the_current_context_serves_for_a_cluster_of_ones_own(current: Path, context: str, server: str) -> None:
    _write(current, server, context)
    assert connect(UNNAMED, Stack(UNNAMED, None), local=True).context == context


@pytest.mark.parametrize(("context", "server"), FOREIGN)
def test_a_name_alone_makes_no_cluster_ones_own(current: Path, context: str, server: str) -> None:
    _write(current, server, context)
    with pytest.raises(InputError, match=r"found a cluster that is not known to be local|current-context: found none"):
        connect(UNNAMED, Stack(UNNAMED, None), local=True)


@pytest.mark.parametrize(("context", "server"), FOREIGN[:3])
def test_what_is_named_may_be_anywhere(current: Path, context: str, server: str) -> None:
    _write(current, server, context)
    assert connect(Where(None, context, None), None, local=True).url.startswith(server)
