"""Deploys on a real API server: from nothing, again, with changes."""

from __future__ import annotations

import pytest

from aphiria_deploy.destroying import Request, destroy
from aphiria_deploy.kube import Cancellation, Deadline, Kind, Ref
from aphiria_deploy.rolling_back import roll_back
from tests.e2e.engine import Cluster, Heard, preview

pytestmark = pytest.mark.xdist_group("site-cluster")


def test_a_first_deploy_brings_everything_and_a_second_changes_nothing(site_cluster: Cluster) -> None:
    bundle = preview()
    first = site_cluster.deploy(bundle)
    assert (first.result, first.revision, first.error) == ("deployed", 1, None)
    second = site_cluster.deploy(bundle)
    assert second.result == "unchanged"


def test_an_image_is_changed_rolled_back_and_all_of_it_destroyed(site_cluster: Cluster) -> None:
    first = preview()
    number = first.environment.number
    assert site_cluster.deploy(first).result == "deployed"
    report = site_cluster.deploy(preview(number, web="c"))
    assert report.result == "deployed", report.error
    back = roll_back(site_cluster.client, first.environment.name, Heard(), Cancellation())
    assert back.result == "deployed", back.error
    assert back.revision == 3
    gone = destroy(site_cluster.client, Request(environment=first.environment.name), Heard(), Cancellation())
    assert gone.result == "destroyed", gone.error
    again = destroy(site_cluster.client, Request(environment=first.environment.name), Heard(), Cancellation())
    assert again.result == "absent"


def test_a_preview_whose_namespace_is_being_deleted_is_made_anew(site_cluster: Cluster) -> None:
    bundle = preview()
    assert site_cluster.deploy(bundle).result == "deployed"
    namespace = Ref(Kind("v1", "Namespace"), bundle.environment.namespace)
    going = site_cluster.client.delete(namespace, Deadline.after(10, "the test"))
    assert going
    report = site_cluster.deploy(bundle)
    assert report.result == "deployed", report.error
    made = site_cluster.get("v1", "Namespace", bundle.environment.namespace)
    assert made
    assert made["metadata"]["uid"] != going["metadata"]["uid"]
    assert site_cluster.deploy(bundle).result == "unchanged"
