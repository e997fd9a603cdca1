"""Deploys on a real API server: from nothing, again, with changes."""

from __future__ import annotations

import pytest

from tests.e2e.engine import Cluster, preview

pytestmark = pytest.mark.xdist_group("control-plane")


def test_a_first_deploy_brings_everything_and_a_second_changes_nothing(site_cluster: Cluster) -> None:
    bundle = preview()
    first = site_cluster.deploy(bundle)
    assert (first.result, first.revision, first.error) == ("deployed", 1, None)
    second = site_cluster.deploy(bundle)
    print(second.plan and [(s.key, s.action, s.changes, s.why) for s in second.plan.steps if s.action != "nothing"])
    assert second.result == "unchanged"
