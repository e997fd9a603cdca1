"""The end-to-end tests on a cluster that is given: they run there, and leave it as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from tests.crds import load_crds
from tests.e2e.assets import ASSETS, missing_binaries
from tests.e2e.control_plane import ControlPlane, names
from tests.e2e.objects import config_map, deployment

pytestmark = pytest.mark.xdist_group("given-cluster")

ROOT = Path(__file__).parents[2]
A_DEPLOY = "tests/e2e/test_deploy.py::test_a_first_deploy_brings_everything_and_a_second_writes_nothing"
A_REQUEST = "tests/e2e/test_kube_verbs.py::test_somebody_else_may_be_acted_as"
AN_END = "tests/e2e/test_kube_watch.py::test_a_watch_outlives_the_api_server"
NODE = "worker-1"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster with a node that is not the tests' own: new until a test makes it one that is in use."""
    if missing := missing_binaries():
        pytest.skip(f"no cluster to give: {', '.join(missing)} not in {ASSETS} (KUBEBUILDER_ASSETS)")
    with ControlPlane(tmp_path_factory.mktemp("given")) as plane:
        plane.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        yield plane


def _pytest(given: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", f"--kubeconfig={given.kubeconfig}", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_tests_run_on_a_cluster_that_is_given_and_leave_nothing_behind(given: ControlPlane) -> None:
    load_crds()
    with Client.load(given.kubeconfig) as client:
        deadline = Deadline.after(120, "the test")
        client.apply(config_map("default", "theirs", kept="as it is"), deadline)
        before = {kind: names(given.get(kind, "default")) for kind in _KINDS}
        done = _pytest(given, A_DEPLOY, A_REQUEST, AN_END)
        assert done.returncode == 0, done.stdout
        assert "2 passed, 1 skipped" in done.stdout
        assert {kind: names(given.get(kind, "default")) for kind in _KINDS} == before
        assert "theirs" in names(given.get("configmaps", "default"))
        node = client.get(Ref(Kind("v1", "Node"), NODE), deadline)
        assert not node["spec"].get("unschedulable"), "it takes pods again"


_KINDS = (
    "services deployments persistentvolumeclaims secrets namespaces nodes persistentvolumes "
    "customresourcedefinitions clusterroles clusterrolebindings validatingadmissionpolicies"
).split()


def test_a_cluster_is_for_one_worker(given: ControlPlane) -> None:
    done = _pytest(given, "-n", "2", A_REQUEST)
    assert done.returncode == 4
    assert "expected one: leave out -n" in done.stderr


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "theirs"}}, "Namespace theirs"),
        (deployment("default", "theirs"), "Deployment default/theirs"),
    ],
)
def test_a_cluster_that_is_in_use_is_refused_and_left_alone(
    given: ControlPlane, item: dict[str, Any], told: str
) -> None:
    given.apply(item)
    done = _pytest(given, A_DEPLOY, A_REQUEST)
    assert done.returncode == 4
    assert told in done.stdout + done.stderr
    assert "expected a new cluster" in done.stdout + done.stderr
    assert "theirs" in names(given.get(item["kind"], "default"))
    assert not any("aphiria" in name for name in names(given.get("namespaces", "default")))
