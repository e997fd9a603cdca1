"""A preview cluster: its base, a victim that is deployed as its own account, and an attacker that has one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from aphiria_deploy import access
from aphiria_deploy.access import preview_access
from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.engine.applyset import Parent, as_member
from aphiria_deploy.engine.deploying import Report
from aphiria_deploy.engine.releases import ENVIRONMENT, SITE, Release, Result, record
from aphiria_deploy.engine.wanted import wanted
from aphiria_deploy.errors import ForbiddenError
from aphiria_deploy.kube import Client, Deadline, Kind, Manners, Ref
from aphiria_deploy.kube.credentials import Fixed, bearer
from apps import site
from tests.e2e.control_plane import eventually
from tests.e2e.controllers import Controllers
from tests.e2e.engine import Cluster, prepare
from tests.e2e.planes import node, plane

STATE, ACCOUNTS, ISSUERS, BESIDE = "aphiria-deploy", "aphiria-deploy-previews", "aphiria-deploy-issuer", "default"
ISSUER = "preview-issuer"
VICTIM, ATTACKER, OTHER = "pr-107", "pr-7", "pr-5"
LEASE = Kind("coordination.k8s.io/v1", "Lease")
SECRET = Kind("v1", "Secret")
JOB = Kind("batch/v1", "Job")
POLICIES = ("aphiria-deploy-previews", "aphiria-deploy-issuer")
BINDING = Kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding")


@dataclass
class PreviewCluster:
    """The cluster, and who is in it.

    Attributes:
        cluster: The cluster.
        admin: Its administrator.
        prober: The administrator, who does not try again what fails.
        issuer: The account that makes accounts.
        victim: The account of `VICTIM`, which is deployed.
        attacker: The account of `ATTACKER`, which is deployed too, but for its Secret beside the database.
    """

    cluster: Cluster
    admin: Client
    prober: Client
    issuer: Client
    victim: Client
    attacker: Client

    def deploy(self, client: Client, environment: str) -> Report:
        """Deploys a preview as somebody."""
        return self.cluster.deploy(bundle(environment), client=client)


@cache
def bundle(environment: str) -> Bundle:
    """A preview's bundle."""
    return site.bundle(environment, {})


def objects(environment: str) -> list[Manifest]:
    """A preview's objects as a deploy applies them, its Secrets aside."""
    return wanted(bundle(environment), [], parent(environment).id, {}).manifests


def parent(environment: str) -> Parent:
    """The parent of a preview's set."""
    return Parent(name=f"applyset.{environment}", namespace=STATE)


def parent_manifest(environment: str) -> Manifest:
    """The parent as it is applied."""
    manifest = parent(environment).holding(bundle(environment).manifests).manifest("1.0")
    manifest["metadata"]["labels"] |= {ENVIRONMENT: environment, SITE: bundle(environment).site}
    return manifest


def release(environment: str, revision: int) -> Manifest:
    """The record of a release."""
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    result = Result.DEPLOYED
    return record(
        Release(revision=revision, result=result, bundle=bundle(environment), started=started, author="me", tool="1.0"),
        STATE,
    )


def lease(environment: str, holder: str) -> Manifest:
    """A lease."""
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.name,
        "metadata": {"name": environment, "namespace": STATE},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }


def database_job(environment: str) -> Manifest:
    """The Job that makes a preview's database, as a deploy applies it; a copy."""
    jobs = [item for item in objects(environment) if item["kind"] == "Job"]
    return copy.deepcopy(next(job for job in jobs if job["metadata"]["namespace"] == BESIDE))


def drop_job(environment: str) -> Manifest:
    """The Job that drops it; a copy."""
    destruction = bundle(environment).destruction
    assert destruction
    return as_destroyed(copy.deepcopy(destruction.jobs[0]), environment)


def as_destroyed(job: Manifest, environment: str) -> Manifest:
    """A Job as a destruction applies it."""
    metadata = job["metadata"] | {"labels": {**job["metadata"]["labels"], ENVIRONMENT: environment}}
    return as_member(job | {"metadata": metadata}, parent(environment).id)


def secret(namespace: str, name: str, **data: str) -> Manifest:
    """A Secret."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def token_secret(name: str, namespace: str, account_name: str) -> Manifest:
    """A Secret into which the cluster writes a token of an account, one that never ends."""
    manifest = secret(namespace, name) | {"type": "kubernetes.io/service-account-token"}
    annotations = {"kubernetes.io/service-account.name": account_name}
    manifest["metadata"] |= {"labels": {ENVIRONMENT: ATTACKER}, "annotations": annotations}
    return manifest


@cache
def account_of(environment: str) -> list[Manifest]:
    """What an account consists of, as the preview base says."""
    base = site.bundle("preview-base", {}).manifests
    template = next(item for item in base if item["metadata"]["name"] == "account" and item["kind"] == "ConfigMap")
    return access.objects(template, int(environment.removeprefix("pr-")))


def account(maker: Client, environment: str, deadline: Deadline) -> Client:
    """A preview's account."""
    made = preview_access(maker, environment, deadline)
    assert isinstance(made, Client), made
    return made


def issuer(admin: Client, deadline: Deadline) -> Client:
    """The account that makes accounts, as a pipeline holds it."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    ref = Ref(Kind("v1", "ServiceAccount"), ISSUER, ISSUERS)
    token = admin.ask_of(ref, "token", request, deadline)["status"]["token"]
    return admin.as_another(Fixed(bearer(token)), ISSUER)


@contextmanager
def preview_cluster(config: pytest.Config, folder: Path, deadline: Deadline) -> Iterator[PreviewCluster]:
    """Starts a preview cluster, whose base an administrator has deployed."""
    with ExitStack() as stack:
        started = stack.enter_context(plane(config, folder))
        admin = stack.enter_context(Client.load(started.kubeconfig))
        prepare(started, admin)
        kubelet = stack.enter_context(node(started, admin, folder))
        cluster = Cluster(started, admin, kubelet, stack.enter_context(Controllers(admin)))
        base = cluster.deploy(site.bundle("preview-base", {}))
        assert base.result == "deployed", base.error
        admin.apply(secret("nginx-gateway", "tls", key="a2V5"), deadline)
        maker = stack.enter_context(issuer(admin, deadline))
        running = PreviewCluster(
            cluster=cluster,
            admin=admin,
            prober=stack.enter_context(Client.load(started.kubeconfig, manners=Manners(patience_seconds=0.1))),
            issuer=maker,
            victim=stack.enter_context(account(maker, VICTIM, deadline)),
            attacker=stack.enter_context(account(maker, ATTACKER, deadline)),
        )
        eventually(30, "the policies count", lambda: policies_count(running, deadline))
        _deploy_all(running, deadline)
        account(maker, OTHER, deadline).close()
        yield running


def _deploy_all(running: PreviewCluster, deadline: Deadline) -> None:
    for client, environment in ((running.victim, VICTIM), (running.attacker, ATTACKER)):
        report = running.deploy(client, environment)
        assert report.result == "deployed", report.error
    # So that the attacker can choose what it is.
    running.admin.delete(Ref(SECRET, f"db-role-{ATTACKER}", BESIDE), deadline, propagation="Background")
    # One whose name is known, whatever it runs; and the lease of somebody who is at work.
    job = database_job(VICTIM)
    running.admin.apply(job | {"metadata": job["metadata"] | {"name": f"db-init-{VICTIM}-0123456789"}}, deadline)
    running.admin.apply(lease(VICTIM, "somebody"), deadline)


def policies_count(cluster: PreviewCluster, deadline: Deadline) -> bool:
    """Whether the API server has heard of both policies: they deny what roles allow."""
    return all(_denied(client, manifest, deadline) for client, manifest in _policed(cluster))


def policies_are_absent(cluster: PreviewCluster, deadline: Deadline) -> bool:
    """Whether the API server has heard that neither policy is bound any more."""
    return not any(_denied(client, manifest, deadline) for client, manifest in _policed(cluster))


def _policed(cluster: PreviewCluster) -> list[tuple[Client, Manifest]]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "preview"}}
    return [(cluster.issuer, namespace), (cluster.attacker, secret(STATE, "anything"))]


def _denied(client: Client, manifest: Manifest, deadline: Deadline) -> bool:
    try:
        client.apply(manifest, deadline, dry_run=True)
    except ForbiddenError as error:
        return "ValidatingAdmissionPolicy" in str(error)
    return False
