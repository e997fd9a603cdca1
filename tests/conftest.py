"""How the tests run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from constructs_lib._node import use_supported_node

# Before any test module imports jsii, in whatever order its imports are.
use_supported_node()

# No deadline: on a busy machine the first example pays for everything that is loaded. In CI always the same examples.
settings.register_profile("tests", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the end-to-end tests may be given."""
    group = parser.getgroup("end-to-end tests")
    group.addoption(
        "--kubeconfig",
        metavar="FILE",
        help="run them against this cluster, a new one (kind create cluster), and not against one of their own",
    )
    group.addoption(
        "--node-address",
        metavar="ADDRESS",
        help="where the API server of that cluster reaches this machine, if not by the address of the way to it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """One cluster is for one test at a time."""
    if config.getoption("--kubeconfig") and (config.getoption("numprocesses", None) or hasattr(config, "workerinput")):
        raise pytest.UsageError("--kubeconfig: found several workers, expected one: leave out -n")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What must run in one worker does: a pytest that the groups do not reach would start a cluster in each."""
    if hasattr(config, "workerinput") and config.getvalue("loadgroup"):
        lost = [item.nodeid for item in items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
        assert not lost, f"pytest-xdist could not mark the group of {lost[0]}: this version of pytest is none for it"
