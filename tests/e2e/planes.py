"""Which cluster the tests get: one of their own, or the one of ``--kubeconfig``; and its node."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from aphiria_deploy.kube import Client
from tests.e2e.assets import ASSETS, missing_binaries
from tests.e2e.control_plane import ControlPlane
from tests.e2e.given_plane import GivenPlane
from tests.e2e.kubelet import Kubelet
from tests.e2e.plane import Plane, run_kubectl


def plane(config: pytest.Config, folder: Path) -> Plane:
    """A cluster, which is there while it is entered; the test is skipped where none is to be had."""
    if given := config.getoption("--kubeconfig"):
        path = Path(given).absolute()
        return GivenPlane(path, folder, config.getoption("--node-address") or _own_address(path, folder))
    if missing := missing_binaries():
        pytest.skip(
            f"no API server to test against: {', '.join(missing)} not in {ASSETS} (KUBEBUILDER_ASSETS), and no cluster "
            "given (--kubeconfig)"
        )
    return ControlPlane(folder)


def node(of: Plane, client: Client, folder: Path) -> Kubelet:
    """What stands in for the cluster's node."""
    return Kubelet(client, folder, address=of.node_address, schedules=not of.has_scheduler)


def _own_address(kubeconfig: Path, folder: Path) -> str:
    """This machine's address on the way to the API server."""
    told = run_kubectl(kubeconfig, folder, "config", "view", "--minify", "--output=json")
    assert told.returncode == 0, told.stderr
    server = urlsplit(json.loads(told.stdout)["clusters"][0]["cluster"]["server"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server.hostname, server.port or 443))
        address: str = probe.getsockname()[0]
    return address
