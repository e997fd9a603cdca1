"""Where the control plane's binaries are, where they are to be had.

They count where envtest looks for them: in ``KUBEBUILDER_ASSETS``, or in ``/usr/local/kubebuilder/bin``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ASSETS = Path(os.environ.get("KUBEBUILDER_ASSETS", "/usr/local/kubebuilder/bin"))
REQUIRED = ("etcd", "kube-apiserver", "kube-controller-manager")


def find(name: str) -> str | None:
    """Where one is; etcd may also be the system's."""
    return shutil.which(name, path=str(ASSETS)) or (shutil.which(name) if name == "etcd" else None)


def missing_binaries() -> list[str]:
    """What is not there of what the tests need."""
    return [name for name in REQUIRED if find(name) is None]
