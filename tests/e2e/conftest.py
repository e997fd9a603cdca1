from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest

from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from apps import site
from tests.e2e.controllers import Controllers
from tests.e2e.engine import Cluster, prepare
from tests.e2e.plane import Plane
from tests.e2e.planes import node, plane


def _scope(fixture_name: str, config: pytest.Config) -> Literal["session", "module"]:
    """A cluster of the tests' own is for all of them; one that is given is lent to one module after the other."""
    return "module" if config.getoption("--kubeconfig") else "session"


@pytest.fixture(scope=_scope)
def control_plane(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with plane(pytestconfig, tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def deadline() -> Deadline:
    """More than a test takes."""
    return Deadline.after(120, "the test")


@pytest.fixture(scope=_scope)
def client(control_plane: Plane) -> Iterator[Client]:
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
def _cluster(config: pytest.Config, folders: pytest.TempPathFactory, stack: str) -> Iterator[Cluster]:
    """A cluster as a stack leaves it, with what stands in for its nodes and controllers."""
    with plane(config, folders.mktemp(stack)) as running, Client.load(running.kubeconfig) as administrator:
        prepare(running, administrator, stack)
        with (
            node(running, administrator, folders.mktemp("kubelet")) as kubelet,
            Controllers(administrator) as controllers,
        ):
            yield Cluster(running, administrator, kubelet, controllers)


@contextmanager
def with_base(config: pytest.Config, folders: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster in which the base of the site's previews is deployed."""
    with _cluster(config, folders, "preview-base") as running:
        report = running.deploy(site.bundle("preview-base", {}))
        assert report.result == "deployed", report.error
        yield running


@pytest.fixture(scope=_scope)
def site_cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the base of previews, which many tests share."""
    with with_base(pytestconfig, tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def own_cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the base of previews, in which nothing is but what a module's tests deploy."""
    with with_base(pytestconfig, tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def production_cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Production's cluster, in which nothing of the site is yet."""
    with _cluster(pytestconfig, tmp_path_factory, "production") as running:
        yield running
