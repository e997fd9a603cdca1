"""What the tests need of a cluster, whoever started it: a kubeconfig of its administrator, and kubectl."""

from __future__ import annotations

import abc
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from tests.e2e.assets import ASSETS


class Plane(abc.ABC):
    """A control plane, while it is entered.

    Attributes:
        folder: For what the tests write down of it.
        kubeconfig: Of its administrator: one cluster, one user with a token, one context; in JSON.
        node_address: Where its API server reaches what the tests listen on.
    """

    def __init__(self, folder: Path, node_address: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self.node_address = node_address

    @abc.abstractmethod
    def __enter__(self) -> Self: ...

    @abc.abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @property
    @abc.abstractmethod
    def has_scheduler(self) -> bool:
        """Whether pods are given a node."""

    @abc.abstractmethod
    def api_server_down(self) -> AbstractContextManager[None]:
        """While in the block, no API server answers; it has forgotten what it kept in memory when it is back."""

    @abc.abstractmethod
    def compact(self) -> None:
        """Has etcd forget every revision but the present one."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs kubectl as the administrator."""
        return run_kubectl(self.kubeconfig, self.folder, *arguments, stdin=stdin)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Applies what a test needs to be there."""
        stream = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        done = self.kubectl("apply", "--server-side", "-f", "-", stdin=stream)
        assert done.returncode == 0, done.stderr

    def get(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        """Lists the objects of a kind."""
        done = self.kubectl("get", kind, "--namespace", namespace, "--output", "json")
        assert done.returncode == 0, done.stderr
        items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return items


def run_kubectl(
    kubeconfig: Path, folder: Path, *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs kubectl, which keeps its cache in a folder."""
    kubectl = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{ASSETS}")
    assert kubectl, "kubectl is a dependency of the development environment"
    command = [kubectl, f"--kubeconfig={kubeconfig}", f"--cache-dir={folder / 'cache'}", *arguments]
    return subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)


def write_kubeconfig(path: Path, cluster: Mapping[str, Any], token: str) -> None:
    """Writes a kubeconfig that nobody else may read."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config), encoding="utf-8")
