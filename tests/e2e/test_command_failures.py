"""The command on a real API server where something is wrong: exit codes, reports, and the next run works."""

from __future__ import annotations

import json
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import msgspec
import pytest

from aphiria_deploy.bundle import Bundle, Contract, Environment, EnvironmentKind, ManifestFile
from aphiria_deploy.engine import marker
from aphiria_deploy.engine.lease import Holder, held
from aphiria_deploy.engine.releases import Result
from aphiria_deploy.kube import Cancellation, Kind, Ref
from apps import site
from tests.aphiria_deploy.cli.schemas import DEPLOY, UNBEGUN
from tests.e2e.command import Commands, wait_for_line
from tests.e2e.controllers import GATEWAY_CONTROLLER
from tests.e2e.engine import OUTPUTS, Cluster, digest, mark, preview, soon
from tests.e2e.pod_status import Behaviour

pytestmark = pytest.mark.xdist_group("site-cluster")

LEASE = Kind("coordination.k8s.io/v1", "Lease")


@pytest.fixture(scope="module")
def commands(site_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    return Commands(tmp_path_factory.mktemp("failures"), site_cluster.plane.kubeconfig, OUTPUTS)


@pytest.fixture(scope="module")
def gateway_class(site_cluster: Cluster) -> None:
    """What a local cluster has of the controller of its Gateways."""
    made = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "nginx"}}
    site_cluster.plane.apply(made | {"spec": {"controllerName": GATEWAY_CONTROLLER}})


def results(cluster: Cluster, bundle: Bundle) -> list[Result]:
    """How the releases of an environment ended, the newest first."""
    return [header.result for header in cluster.remembered(bundle.environment.name).headers]


def test_what_crashes_is_diagnosed_and_the_next_run_converges(site_cluster: Cluster, commands: Commands) -> None:
    bundle = preview()
    name, namespace = bundle.environment.name, bundle.environment.namespace
    with site_cluster.behaving(namespace, php=Behaviour.CRASH_LOOP):
        ended = commands.deploy(bundle)
        before = commands.ask("logs", name, "php", "--previous")

    assert (ended.code, ended.data["result"]) == (1, "failed"), ended
    jsonschema.validate(ended.data, DEPLOY)
    diagnosis = ended.data["diagnosis"]
    assert (diagnosis["kind"], diagnosis["reason"]) == ("Deployment", "CrashLoopBackOff")
    assert ["it failed"] in [log["lines"] for log in diagnosis["logs"]]
    assert (before.code, before.out.partition(" | ")[2]) == (0, "it failed\n")
    status = commands.ask("status", name)
    assert status.code == 1
    assert "NOT HEALTHY, revision 1 failed" in status.out
    assert "Revision 1, the newest, failed: " in status.out
    again = commands.deploy(bundle)
    assert (again.code, again.data["revision"]) == (0, 2), again
    assert results(site_cluster, bundle) == [Result.DEPLOYED, Result.FAILED]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_deploy_and_the_next_run_converges(
    site_cluster: Cluster, commands: Commands, number: signal.Signals
) -> None:
    bundle = preview()
    with site_cluster.behaving(bundle.environment.namespace, web=Behaviour.NEVER_READY):
        with commands.start(*commands.deploying(bundle), "--output", "json") as process:
            wait_for_line(process, "web: ")
            lines = wait_for_line(process, "/web: ")
            begun = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 1, (out, err, lines)
        assert time.monotonic() - begun < 10
    said = json.loads(out)
    jsonschema.validate(said, DEPLOY)
    assert (said["result"], said["error"]["kind"]) == ("failed", "CancelledError")
    assert number.name in said["error"]["message"]
    assert "Traceback" not in err
    assert site_cluster.client.find(Ref(LEASE, bundle.environment.name, marker.NAMESPACE), soon()) is None
    assert results(site_cluster, bundle) == [Result.FAILED]
    assert commands.deploy(bundle).code == 0
    assert results(site_cluster, bundle) == [Result.DEPLOYED, Result.FAILED]


def test_who_comes_second_is_told_who_is_at_work(site_cluster: Cluster, commands: Commands) -> None:
    bundle = preview()
    holder = Holder("deploy", "somebody@elsewhere/1")
    with held(site_cluster.client, bundle.environment.name, holder, soon(), Cancellation()):
        ended = commands.deploy(bundle)
        assert ended.code == 4, ended
        jsonschema.validate(ended.data, UNBEGUN)
        assert ended.data["error"]["kind"] == "LockedError"
        assert "found somebody@elsewhere/1 at work (deploy) since" in ended.err
    assert results(site_cluster, bundle) == []


@pytest.mark.usefixtures("gateway_class")
def test_another_clusters_environment_is_refused_before_anything_is_written(
    site_cluster: Cluster, commands: Commands
) -> None:
    images = {name: f"ghcr.io/aphiria/aphiria.com-{name}@{digest('a')}" for name in ("web", "api")}
    before = site_cluster.leftovers("production")
    for environment in ("production", "local"):
        bundle = commands.bundle(site.bundle(environment, images))
        outputs = commands.settled if environment == "production" else ()
        ended = commands.run(environment, "--bundle", bundle, "--yes", *commands.named, *outputs)
        assert (ended.code, ended.out) == (2, ""), ended
        assert "found the cluster of aphiria.com's stack preview-base, expected that of" in ended.err
        assert "nothing was changed" in ended.err
    assert site_cluster.leftovers("production") == before


def test_production_is_not_deployed_without_somebody_who_agrees(site_cluster: Cluster, commands: Commands) -> None:
    bundle = site.bundle("preview-base", {})
    changed = msgspec.structs.replace(bundle, urls={"changed": "https://pr.aphiria.com"}, hash="")
    ended = commands.run(
        "preview-base", "--bundle", commands.bundle(changed), "--skip-health-check", *commands.named, *commands.settled
    )
    assert (ended.code, ended.out) == (2, ""), ended
    assert "preview-base: found nobody to ask, expected --yes" in ended.err


def _own() -> Bundle:
    """A local environment of nothing but a ConfigMap."""
    labels = {"app.kubernetes.io/managed-by": "aphiria-deploy"}
    place = {"name": "here", "labels": labels}
    manifests = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": place},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "here"}, "data": {"a": "1"}},
    ]
    return Bundle(
        site=site.name,
        environment=Environment(name="local", kind=EnvironmentKind.LOCAL, namespace="here"),
        files=[ManifestFile(name="10-base", manifests=manifests)],
        images={},
        secrets=[],
        base=[],
        urls={},
        checks=[],
        outputs={},
        contract=Contract(),
    )


@pytest.fixture
def unmarked(site_cluster: Cluster) -> Iterator[None]:
    """The cluster without its marker, as one of the user's own is at first."""
    ref = Ref(Kind("v1", "ConfigMap"), marker.NAME, marker.NAMESPACE)
    found = site_cluster.client.get(ref, soon())
    site_cluster.client.delete(ref, soon(), uid=found["metadata"]["uid"])
    yield
    mark(site_cluster.client)


def _kubeconfig(cluster: Cluster, folder: Path, context: str) -> str:
    """The cluster's kubeconfig, with another name for its context."""
    config = json.loads(cluster.plane.kubeconfig.read_text())
    config["contexts"][0]["name"] = config["current-context"] = context
    path = folder / f"{context}.kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


@pytest.mark.usefixtures("gateway_class", "unmarked")
def test_a_cluster_of_ones_own_is_marked_and_no_other_is_touched(
    site_cluster: Cluster, commands: Commands, tmp_path: Path
) -> None:
    given = ("local", "--bundle", commands.bundle(_own()), "--output", "json")
    foreign = {"KUBECONFIG": _kubeconfig(site_cluster, tmp_path, "do-nyc3-production")}
    refused = commands.run(*given, variables=foreign)
    assert refused.code == 2
    assert "found a cluster that is not known to be local" in refused.err
    assert marker.find(site_cluster.client, soon())[0] is None

    own = {"KUBECONFIG": _kubeconfig(site_cluster, tmp_path, "kind-test")}
    done = commands.run(*given, variables=own)
    assert (done.code, done.data["result"]) == (0, "deployed"), done
    found, uid = marker.find(site_cluster.client, soon())
    assert found == marker.Marker(site.name, "local", uid)
    assert commands.run(*given, "--context", "do-nyc3-production", variables=foreign).data["result"] == "unchanged"
    # A preview is not at home here.
    assert commands.deploy(preview()).code == 2


def test_what_kubectl_applied_is_taken_over_only_when_asked(site_cluster: Cluster, commands: Commands) -> None:
    bundle = preview()
    name, namespace = bundle.environment.name, bundle.environment.namespace
    objects = [item for file in bundle.files if file.name != "20-jobs" for item in file.manifests]
    site_cluster.plane.apply(*objects)
    made = commands.run(
        "secrets", "apply", name, "--bundle", commands.bundle(bundle), *commands.named, *commands.settled
    )
    assert made.code == 0, made
    assert f"{namespace}/env-var-secrets: create, version 1 (DB_PASSWORD)" in made.out
    again = commands.run(
        "secrets", "apply", name, "--bundle", commands.bundle(bundle), *commands.named, *commands.settled, "--output",
        "json",
    )  # fmt: skip
    assert {one["action"] for one in again.data["secrets"]} == {"nothing"}, again.data
    password = site_cluster.secret("env-var-secrets", namespace)

    refused = commands.deploy(bundle)
    assert refused.code == 1, refused
    assert "--take-over" in refused.err
    assert results(site_cluster, bundle) == []
    taken = commands.deploy(bundle, "--take-over")
    assert (taken.code, taken.data["result"]) == (0, "deployed"), taken
    assert [what for what in taken.data["notLookedFor"] if "Ingress" in what and what.endswith(f" in {namespace}")]
    assert site_cluster.secret("env-var-secrets", namespace) == password
    assert commands.deploy(bundle).data["result"] == "unchanged"


def test_logs_are_followed_until_they_are_stopped(site_cluster: Cluster, commands: Commands) -> None:
    bundle = preview()
    name, namespace = bundle.environment.name, bundle.environment.namespace
    assert commands.deploy(bundle).code == 0
    token = secrets.token_hex(4)
    with commands.start("logs", name, "web", "--follow", "--tail", "5", *commands.named) as process:
        assert process.stdout
        assert process.stdout.readline().endswith("/web | web has started\n")
        site_cluster.kubelet.logs["web"] = ["web has started", f"GET /{token}"]
        assert process.stdout.readline().endswith(f"/web | GET /{token}\n")
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=20)
    del site_cluster.kubelet.logs["web"]
    assert (process.returncode, rest, err) == (0, "", "")
    before = commands.ask("logs", name, "web", "--previous")
    assert before.code == 0
    assert "previous terminated container" in before.out
    nothing = commands.ask("logs", name, "nginx-of-another")
    assert (nothing.code, nothing.out) == (2, "")
    with commands.start("logs", name, "--follow", *commands.named) as process:
        assert process.stdout
        process.stdout.readline()
        # As `| head -1` does; what is followed goes on for ever.
        process.stdout.close()
        site_cluster.kubelet.logs["php"] = ["php has started", "one", "two"]
        assert process.wait(timeout=20) in {0, 1}
    del site_cluster.kubelet.logs["php"]
    assert namespace
