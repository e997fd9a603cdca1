from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from apps import site
from tests.e2e.control_plane import ASSETS, ControlPlane, missing_binaries
from tests.e2e.controllers import Controllers
from tests.e2e.engine import Cluster, prepare
from tests.e2e.kubelet import Kubelet


def _need_binaries() -> None:
    if missing := missing_binaries():
        pytest.skip(f"no API server to test against: {', '.join(missing)} not in {ASSETS} (KUBEBUILDER_ASSETS)")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    _need_binaries()
    folder: Path = tmp_path_factory.mktemp("control-plane")
    with ControlPlane(folder) as running:
        yield running


@pytest.fixture
def deadline() -> Deadline:
    """More than a test takes."""
    return Deadline.after(120, "the test")


@pytest.fixture(scope="session")
def client(control_plane: ControlPlane) -> Iterator[Client]:
    """The client, as the administrator."""
    with Client.load(control_plane.kubeconfig) as loaded:
        yield loaded


_NUMBERS = itertools.count(1)


@pytest.fixture
def namespace(client: Client, deadline: Deadline) -> Iterator[str]:
    """A namespace of the test's own; that it is gone afterwards is not waited for."""
    name = f"test-{next(_NUMBERS)}"
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, deadline)
    yield name
    client.delete(Ref(Kind("v1", "Namespace"), name), Deadline.after(30, "the end of the test"))


@contextmanager
def _cluster(tmp_path_factory: pytest.TempPathFactory, stack: str) -> Iterator[Cluster]:
    """A cluster as a stack leaves it, with what stands in for its nodes and controllers."""
    _need_binaries()
    with (
        ControlPlane(tmp_path_factory.mktemp(stack)) as plane,
        Client.load(plane.kubeconfig) as administrator,
    ):
        prepare(plane, administrator, stack)
        with (
            Kubelet(administrator, tmp_path_factory.mktemp("kubelet"), schedules=not plane.has_scheduler) as kubelet,
            Controllers(administrator) as controllers,
        ):
            yield Cluster(plane, administrator, kubelet, controllers)


@contextmanager
def with_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in which the base of the site's previews is deployed."""
    with _cluster(tmp_path_factory, "preview-base") as running:
        report = running.deploy(site.bundle("preview-base", {}))
        assert report.result == "deployed", report.error
        yield running


@pytest.fixture(scope="session")
def site_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the base of previews, which many tests share."""
    with with_base(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the base of previews, in which nothing is but what a module's tests deploy."""
    with with_base(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def production_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Production's cluster, in which nothing of the site is yet."""
    with _cluster(tmp_path_factory, "production") as running:
        yield running
