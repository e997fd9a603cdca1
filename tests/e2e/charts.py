"""Objects as they are deployed without this tool: by Helm as a chart, by kubectl as a kustomization."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.files import to_yaml

_ROOT = Path(__file__).parent.parent.parent
_HELM = Path(os.environ.get("HELM") or _ROOT / ".cache" / "helm" / "helm")


class Helm:
    """Installs releases, with the folders of a user who has none.

    Args:
        kubeconfig: The cluster.
        folder: Where its charts are.
        driver: What it keeps its records in.
    """

    def __init__(self, kubeconfig: Path, folder: Path, driver: str = "secret") -> None:
        if not _HELM.exists():
            pytest.skip(f"no helm to test with: not at {_HELM}; `make helm` brings it, HELM=FILE names another")
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "HELM_DRIVER": driver}

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs helm, whatever comes of it."""
        command = [str(_HELM), *map(str, arguments), f"--kubeconfig={self._kubeconfig}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)

    def install(
        self, release: str, namespace: str, objects: Sequence[Manifest], values: Mapping[str, Any], *more: str
    ) -> None:
        """Installs objects as a chart; texts in them that are templates get their values.

        Args:
            release: The name of the release.
            namespace: Its namespace.
            objects: The objects.
            values: The values.
            more: Further options.
        """
        chart = self._folder / release
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        head = {"apiVersion": "v2", "name": "site", "version": "0.1.0"}
        (chart / "Chart.yaml").write_text(json.dumps(head), encoding="utf-8")
        (chart / "templates" / "objects.yaml").write_text(to_yaml(objects), encoding="utf-8")
        given = self._folder / f"{release}.values.json"
        given.write_text(json.dumps(values), encoding="utf-8")
        where = (f"--namespace={namespace}", f"--values={given}")
        done = self.run("install", release, chart, *where, *more)
        assert done.returncode == 0, done.stderr

    def releases(self, namespace: str) -> list[str]:
        """The names of all releases that it knows in a namespace."""
        done = self.run("list", f"--namespace={namespace}", "--short")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()


def kustomization(folder: Path, objects: Iterable[Manifest], settings: Mapping[str, Any]) -> Path:
    """Writes a kustomization of objects, and gives its folder."""
    folder.mkdir(parents=True)
    (folder / "objects.yaml").write_text(to_yaml(objects), encoding="utf-8")
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["objects.yaml"]}
    (folder / "kustomization.yaml").write_text(json.dumps({**head, **settings}), encoding="utf-8")
    return folder
