"""The join of a cluster and its site: the real program by the Automation API, a real API server, a real name server.

What stands in: the program `pulumi`, which is not to be had here, and with it DigitalOcean; nodes and controllers.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aphiria_deploy import prerequisites
from aphiria_deploy.cli.connecting import Where
from aphiria_deploy.cli.joining import prepare_local
from aphiria_deploy.cluster_access import access_of
from aphiria_deploy.engine import marker
from aphiria_deploy.engine.deploying import Report
from aphiria_deploy.engine.marking import mark
from aphiria_deploy.errors import InputError
from aphiria_deploy.gateway_address import wait_for_address
from aphiria_deploy.joining import AddressChangesError, How, Joined, Parts, join, preview
from aphiria_deploy.kube import Client, Deadline, Kind, Ref
from aphiria_deploy.prerequisites import MissingPrerequisitesError, missing
from aphiria_deploy.resolving import authoritative
from aphiria_deploy.stacks import StackFailedError
from aphiria_deploy.stacks.automation import Stacks
from aphiria_deploy.stacks.runs import Runner
from apps import site
from cluster import releases
from tests.aphiria_deploy.name_server import name_server, records
from tests.aphiria_deploy.stacks.stand_in import ROOT, Pulumi
from tests.e2e.controllers import Controllers
from tests.e2e.engine import Cluster, Heard, prepare
from tests.e2e.plane import Plane
from tests.e2e.planes import node, plane

pytestmark = pytest.mark.xdist_group("join")

STACK = "preview-base"
DNS = "preview-base-dns"
FIRST, SECOND = "203.0.113.7", "203.0.113.8"


@pytest.fixture(scope="module")
def bare(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A cluster on which there is nothing: tests that want one come before those that prepare it."""
    with plane(pytestconfig, tmp_path_factory.mktemp("join")) as running:
        yield running


@pytest.fixture(scope="module")
def fresh(bare: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster as the Pulumi program leaves it: nothing of the site is there."""
    with Client.load(bare.kubeconfig) as administrator:
        prepare(bare, administrator)
        with (
            node(bare, administrator, tmp_path_factory.mktemp("kubelet")) as kubelet,
            Controllers(administrator) as controllers,
        ):
            yield Cluster(bare, administrator, kubelet, controllers)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: Plane) -> Pulumi:
    installed = Pulumi.install(tmp_path / "pulumi")
    for name, value in {**installed.environment, "STAND_IN_KUBECONFIG": str(bare.kubeconfig)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    return installed


@pytest.fixture
def pulumi(stand_in: Pulumi, fresh: Cluster) -> Pulumi:
    fresh.controllers.address = FIRST
    return stand_in


@dataclass
class Joining:
    """A join with its parts.

    Attributes:
        asked: Is called whenever a name is asked for.
    """

    cluster: Cluster
    pulumi: Pulumi
    heard: Heard = field(default_factory=Heard)
    asked: Callable[[], None] = lambda: None
    deploys: int = 0

    def written(self) -> dict[str, str]:
        """The records, as the DNS stack has written them."""
        self.asked()
        if not self.pulumi.remembers(DNS):
            return {}
        found = self.pulumi.state(DNS)["resources"].values()
        inputs = [resource["inputs"] for resource in found if "domain" in resource["inputs"]]
        return {f"{each['name']}.{each['domain']}": each["value"] for each in inputs}

    def parts(self, server: Any, deadline: Deadline) -> Parts:
        def deploy(outputs: Mapping[str, Any]) -> Report:
            self.deploys += 1
            with Client(access_of(outputs, "the stack")) as client:
                return self.cluster.deploy(site.bundle(STACK, {}), self.heard, client, timeout=25.0)

        def address(outputs: Mapping[str, Any], until: Deadline) -> str:
            with Client(access_of(outputs, "the stack")) as client:
                return wait_for_address(client, outputs["gatewayName"], outputs["gatewayNamespace"], until)

        stacks = Stacks(ROOT / "cluster", deadline)
        return Parts(
            runner=Runner(stacks, deadline, lambda _: None, pauses=(0.1, 0.2)),
            approve=lambda _: True,
            deploy=deploy,
            address=address,
            lookup=lambda zone: authoritative(zone, [server]),
        )

    def run(self, **how: Any) -> Joined:
        deadline = Deadline.after(150, "the join")
        with name_server(records(self.written)) as server:
            return join(STACK, self.parts(server, deadline), How(**how), deadline, self.heard)


@pytest.fixture
def joining(fresh: Cluster, pulumi: Pulumi) -> Joining:
    return Joining(fresh, pulumi)


def changes(joined: Joined) -> list[tuple[str, bool]]:
    return [(digest.stack, digest.changed) for digest in joined.digests]


def test_a_local_cluster_that_lacks_everything_is_told_what_brings_it(
    bare: Plane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = Where(bare.kubeconfig, "", None)
    with pytest.raises(MissingPrerequisitesError) as caught:
        prepare_local(where, skip_cluster=True)
    assert caught.value.exit_code == 2
    lines = [line for line in str(caught.value).splitlines() if line.startswith("  - ")]
    assert [line.partition(":")[0] for line in lines] == [
        "  - the Gateway API's CRDs",
        "  - cert-manager",
        "  - NGINX Gateway Fabric",
    ]
    assert all("kubectl apply" in line or "helm upgrade --install" in line for line in lines)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisitesError, match="the program pulumi: found none on PATH"):
        prepare_local(where, skip_cluster=False)


def test_what_a_local_cluster_lacks_is_brought_by_its_stack(bare: Plane, stand_in: Pulumi) -> None:
    prepare_local(Where(bare.kubeconfig, "test", None), skip_cluster=False)
    resources = stand_in.state("local")["resources"]
    # To the very cluster that was looked at, and no other.
    provider = resources["pulumi:providers:kubernetes::cluster"]["inputs"]
    assert provider["kubeconfig"] == str(bare.kubeconfig)
    assert provider["context"] == "test"
    assert "kubernetes:yaml/v2:ConfigFile::gateway-api-crds" in resources


def test_from_nothing_to_names_and_a_second_run_changes_nothing(joining: Joining, fresh: Cluster) -> None:
    # The load balancer takes its time.
    fresh.controllers.address = None
    late = threading.Timer(6.0, fresh.controllers.move, [FIRST])
    late.start()
    joined = joining.run()
    late.join()
    assert joined.report is not None
    assert joined.report.result == "deployed", joined.report.error
    assert changes(joined) == [(STACK, True), (DNS, True)]
    assert joined.address == FIRST
    assert joined.names == ("*.pr.aphiria.com", "*.pr-api.aphiria.com")
    assert joining.written() == {"*.pr.aphiria.com": FIRST, "*.pr-api.aphiria.com": FIRST}

    before = versions(fresh.client)
    again = joining.run()
    assert again.report is not None
    assert again.report.result == "unchanged"
    assert changes(again) == [(STACK, False), (DNS, False)]
    assert versions(fresh.client) == before, "nothing was written"


def versions(client: Client) -> dict[str, str]:
    """The versions of what the site and the command have in the cluster."""
    deadline = Deadline.after(30, "the test")
    kinds = [Kind("apps/v1", "Deployment"), Kind("v1", "Secret"), Kind("v1", "ConfigMap"), Kind("v1", "Service")]
    found = [item for kind in kinds for item in client.list(kind, deadline).items]
    return {
        f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"][
            "resourceVersion"
        ]
        for item in found
        if item["metadata"]["namespace"] in {"default", "nginx-gateway", "cert-manager", marker.NAMESPACE}
        # The control plane's own.
        and not item["metadata"]["name"].startswith("kube-root-ca")
    }


def test_an_address_that_changes_under_way_is_written_again(joining: Joining, fresh: Cluster) -> None:
    def once() -> None:
        if fresh.controllers.address == FIRST:
            fresh.controllers.move(SECOND)

    fresh.controllers.move(FIRST)
    joining.asked = once
    joined = joining.run()
    assert joined.address == SECOND
    assert set(joining.written().values()) == {SECOND}
    assert "the Gateway's address has changed from 203.0.113.7 to 203.0.113.8" in joining.heard.notes


def test_an_address_that_never_stays_is_an_error(joining: Joining, fresh: Cluster) -> None:
    numbers = itertools.count(10)
    joining.asked = lambda: fresh.controllers.move(f"203.0.113.{next(numbers)}")
    with pytest.raises(AddressChangesError, match="found another one 3 times"):
        joining.run()


def test_an_address_that_never_comes_writes_no_record(joining: Joining, fresh: Cluster, pulumi: Pulumi) -> None:
    fresh.controllers.move(None)
    joined = joining.run()
    assert joined.report is not None
    assert joined.report.result == "failed"
    assert "Gateway" in str(joined.report.error)
    assert not pulumi.remembers(DNS)
    fresh.controllers.move(FIRST)


def test_a_run_that_failed_goes_on_where_it_was(joining: Joining, pulumi: Pulumi) -> None:
    pulumi.fail({}, {"diagnostic": "POST https://api.example/v2/domains: 422 invalid record"})
    with pytest.raises(StackFailedError, match="422 invalid record"):
        joining.run()
    assert not joining.written()
    joined = joining.run()
    assert changes(joined) == [(STACK, False), (DNS, True)]
    assert joined.report is not None
    assert joined.report.result == "unchanged"
    assert set(joining.written().values()) == {FIRST}


def test_a_deploy_that_fails_leaves_the_names_alone(joining: Joining, pulumi: Pulumi, fresh: Cluster) -> None:
    joining.run()
    live = fresh.get("v1", "ConfigMap", marker.NAME, marker.NAMESPACE)
    assert live is not None
    deadline = Deadline.after(20, "the test")
    client, ref = fresh.client, Ref(Kind("v1", "ConfigMap"), marker.NAME, marker.NAMESPACE)
    client.patch(ref, {"data": {"stack": "production"}}, deadline)
    before = pulumi.state(DNS)
    try:
        with pytest.raises(marker.WrongClusterError, match="nothing was changed"):
            joining.run()
    finally:
        client.patch(ref, {"data": {"stack": STACK}}, deadline)
    assert pulumi.state(DNS) == before


def test_steps_can_be_left_out(joining: Joining, pulumi: Pulumi) -> None:
    with pytest.raises(InputError, match="aphiria-deploy cluster up preview-base"):
        joining.run(skip_cluster=True)
    assert changes(joining.run(skip_dns=True)) == [(STACK, True)]
    assert not pulumi.remembers(DNS)
    joining.asked = lambda: pytest.fail("a name was asked for")
    assert changes(joining.run(skip_cluster=True, skip_dns_wait=True)) == [(DNS, True)]


def test_a_preview_of_it_changes_nothing(joining: Joining, pulumi: Pulumi) -> None:
    deadline = Deadline.after(60, "the preview")
    with name_server(records(joining.written)) as server:
        shown = preview(STACK, joining.parts(server, deadline), joining.heard)
    assert changes(shown) == [(STACK, True)]
    assert shown.report is None
    assert joining.deploys == 0
    assert pulumi.state(STACK)["resources"] == {}
    assert any("the cluster is not there yet" in note for note in joining.heard.notes)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command, as a user does."""
    code = "from aphiria_deploy.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=150
    )


def test_the_command_does_all_of_it_and_says_so(pulumi: Pulumi, fresh: Cluster) -> None:
    refused = command(STACK)
    assert refused.returncode == 2
    assert "expected --yes" in refused.stderr
    assert not pulumi.remembers(STACK)

    done = command(STACK, "--yes", "--skip-dns-wait", "--skip-health-check", "--output", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["result"] in {"deployed", "unchanged"}
    assert [(each["stack"], each["changed"]) for each in told["stacks"]] == [(STACK, True), (DNS, True)]
    assert (told["address"], told["names"]) == (FIRST, ["*.pr.aphiria.com", "*.pr-api.aphiria.com"])
    assert "KubernetesCluster cluster: created" in done.stderr

    again = command(STACK, "--yes", "--skip-dns-wait", "--skip-health-check")
    assert again.returncode == 0, again.stderr
    assert f"stack {STACK}: up: 8 unchanged" in again.stdout
    assert f"stack {DNS}: up: 2 unchanged" in again.stdout
    assert f"{STACK}: unchanged" in again.stdout


def test_a_preview_s_command_asks_the_stack_when_nothing_names_the_cluster(pulumi: Pulumi) -> None:
    found = command("diff", STACK)
    assert found.returncode == 2
    assert "make it with `aphiria-deploy cluster up preview-base`" in found.stderr
    assert command("cluster", "up", STACK).returncode == 0
    assert command("diff", STACK).returncode in {0, 3}


def test_a_cluster_is_marked_once_and_for_one_stack(fresh: Cluster) -> None:
    deadline = Deadline.after(30, "the test")
    assert not mark(fresh.client, site.name, STACK, deadline)
    with pytest.raises(marker.WrongClusterError, match=r"found the marker of aphiria\.com's stack preview-base"):
        mark(fresh.client, site.name, "production", deadline)
    ref = Ref(Kind("v1", "ConfigMap"), marker.NAME, marker.NAMESPACE)
    fresh.client.delete(ref, deadline)
    where = ["--kubeconfig", str(fresh.plane.kubeconfig)]
    marked = command("cluster", "mark", STACK, *where)
    assert marked.returncode == 0, marked.stderr
    assert "marked as aphiria.com's stack preview-base" in marked.stdout
    assert "was marked already" in command("cluster", "mark", STACK, *where).stdout
    other = command("cluster", "mark", "production", *where)
    assert other.returncode == 2
    assert "kubectl delete configmap --namespace aphiria-deploy cluster" in other.stderr
    found, uid = marker.find(fresh.client, deadline)
    assert found == marker.Marker(site.name, STACK, uid)


def test_crds_without_a_controller_are_not_enough(fresh: Cluster) -> None:
    deadline = Deadline.after(30, "the test")
    [lacking] = missing(fresh.client, deadline)
    assert lacking.what == "NGINX Gateway Fabric", "there are CRDs, and no class of Gateways"
    with pytest.raises(MissingPrerequisitesError, match=r"--version 2\.6\.7 --namespace nginx-gateway"):
        prepare_local(Where(fresh.plane.kubeconfig, "", None), skip_cluster=True)
    gateway_class = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "nginx"},
        "spec": {"controllerName": "gateway.nginx.org/nginx-gateway-controller"},
    }
    fresh.client.apply(gateway_class, deadline)
    assert missing(fresh.client, deadline) == []
    prepare_local(Where(fresh.plane.kubeconfig, "", None), skip_cluster=True)


def test_what_the_command_names_is_what_the_program_installs() -> None:
    assert prerequisites.CERT_MANAGER_VERSION == releases.CERT_MANAGER_VERSION
    assert prerequisites.NGINX_GATEWAY_FABRIC_VERSION == releases.NGINX_GATEWAY_FABRIC_VERSION
    assert prerequisites.GATEWAY_API_VERSION == releases.GATEWAY_API_VERSION
