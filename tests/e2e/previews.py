"""A preview cluster: the base, a victim that was deployed as its own account, and an attacker that has one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from aphiria_deploy import access
from aphiria_deploy.access import preview_access
from aphiria_deploy.applyset import Parent, as_member
from aphiria_deploy.bundle import Bundle, Manifest
from aphiria_deploy.errors import ForbiddenError
from aphiria_deploy.kube import Client, Deadline, Kind, Manners, Ref
from aphiria_deploy.kube.credentials import Fixed, bearer
from aphiria_deploy.masked import SecretValue
from aphiria_deploy.releases import ENVIRONMENT, SITE, Release, Result, record
from aphiria_deploy.secrets import SecretInputs, SecretRef, make_secrets, with_secret_versions
from aphiria_deploy.waves import waves
from apps import site
from tests.crds import load_crds
from tests.e2e.control_plane import ControlPlane, eventually
from tests.e2e.kubelet import Kubelet

STATE, ACCOUNTS, ISSUERS, BESIDE = "aphiria-deploy", "aphiria-deploy-previews", "aphiria-deploy-issuer", "default"
ISSUER = "preview-issuer"
VICTIM, ATTACKER, OTHER = "pr-107", "pr-7", "pr-5"
LEASE = Kind("coordination.k8s.io/v1", "Lease")
SECRET = Kind("v1", "Secret")
JOB = Kind("batch/v1", "Job")
POLICIES = ("aphiria-deploy-previews", "aphiria-deploy-issuer")
BINDING = Kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding")

INPUTS = SecretInputs(outputs={name: SecretValue(f"the {name}") for name in ("ghcrUsername", "ghcrToken")})


@dataclass
class PreviewCluster:
    """The cluster, and who is in it.

    Attributes:
        plane: The control plane.
        admin: Its administrator.
        issuer: The account that makes accounts.
        prober: The administrator, who does not try again what fails.
        attacker: The account of `ATTACKER`, whose objects are all there but those beside the database.
        victim: The account of `VICTIM`, which is deployed.
    """

    plane: ControlPlane
    admin: Client
    issuer: Client
    prober: Client
    attacker: Client = field(init=False)
    victim: Client = field(init=False)


@cache
def bundle(environment: str) -> Bundle:
    """A preview's bundle."""
    return site.bundle(environment, {})


def objects(environment: str, *, given: list[Manifest] | None = None) -> list[list[Manifest]]:
    """A preview's objects as a deploy applies them, wave by wave; its Secrets, which are given, are not among them."""
    made = bundle(environment)
    versions = {SecretRef(one["metadata"]["namespace"], one["metadata"]["name"]): 1 for one in given or ()}
    member_of = parent(environment).id
    return [
        [finished(with_secret_versions(item, versions), made, member_of) for item in wave.manifests]
        for wave in waves(made.files)
    ]


def finished(item: Manifest, made: Bundle, member_of: str) -> Manifest:
    """An object with the labels that a deploy adds."""
    labels = item["metadata"].get("labels", {}) | {ENVIRONMENT: made.environment.name, SITE: made.site}
    return as_member(item | {"metadata": item["metadata"] | {"labels": labels}}, member_of)


def parent(environment: str) -> Parent:
    """The parent of a preview's set."""
    return Parent(name=f"applyset.{environment}", namespace=STATE)


def parent_manifest(environment: str) -> Manifest:
    """The parent as it is applied."""
    manifest = parent(environment).holding(bundle(environment).manifests).manifest("1.0")
    manifest["metadata"]["labels"] |= {ENVIRONMENT: environment, SITE: bundle(environment).site}
    return manifest


def secrets(environment: str) -> list[Manifest]:
    """A preview's Secrets as a deploy applies them."""
    made = bundle(environment)
    return [
        finished(secret.manifest, made, parent(environment).id) for secret in make_secrets(made.secrets, INPUTS, [])
    ]


def release(environment: str, revision: int, result: Result = Result.DEPLOYED) -> Manifest:
    """The record of a release."""
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return record(
        Release(revision=revision, result=result, bundle=bundle(environment), started=started, author="me", tool="1.0"),
        STATE,
    )


def lease(environment: str, holder: str = "me") -> Manifest:
    """A lease."""
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.name,
        "metadata": {"name": environment, "namespace": STATE},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }


def database_job(environment: str) -> Manifest:
    """The Job that makes a preview's database, as a deploy applies it; a copy."""
    jobs = [item for wave in objects(environment) for item in wave if item["kind"] == "Job"]
    return copy.deepcopy(next(job for job in jobs if job["metadata"]["namespace"] == BESIDE))


def drop_job(environment: str) -> Manifest:
    """The Job that drops it; a copy."""
    destruction = bundle(environment).destruction
    assert destruction
    return copy.deepcopy(finished(destruction.jobs[0], bundle(environment), parent(environment).id))


def deploy(client: Client, environment: str, deadline: Deadline, *, beside: bool = True) -> None:
    """Writes what a deploy writes, all of it tried before.

    Args:
        client: Who deploys.
        environment: What.
        deadline: By when.
        beside: Whether also what is beside the database.
    """
    client.create(lease(environment), deadline)
    client.apply(parent_manifest(environment), deadline, force=True)
    client.apply(release(environment, 1, Result.PENDING), deadline, force=True)
    given = secrets(environment)
    first, *rest = objects(environment, given=given)
    for wave in [first, given, *rest]:
        for item in wave:
            if beside or item["metadata"].get("namespace") != BESIDE:
                client.apply(item, deadline, dry_run=True)
                client.apply(item, deadline)
    client.apply(release(environment, 1), deadline, force=True)


@contextmanager
def preview_cluster(folder: Path, deadline: Deadline) -> Iterator[PreviewCluster]:
    """Starts a preview cluster, whose base an administrator has deployed."""
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(folder))
        admin = stack.enter_context(Client.load(plane.kubeconfig))
        _deploy_base(admin, deadline)
        stack.enter_context(Kubelet(admin, folder, schedules=not plane.has_scheduler))
        prober = stack.enter_context(Client.load(plane.kubeconfig, manners=Manners(patience_seconds=0.1)))
        cluster = PreviewCluster(plane, admin, stack.enter_context(issuer(admin, deadline)), prober)
        cluster.victim = stack.enter_context(account(cluster.issuer, VICTIM, deadline))
        cluster.attacker = stack.enter_context(account(cluster.issuer, ATTACKER, deadline))
        stack.enter_context(account(cluster.issuer, OTHER, deadline))
        eventually(30, "the policies count", lambda: policies_count(cluster, deadline))
        deploy(cluster.victim, VICTIM, deadline)
        deploy(cluster.attacker, ATTACKER, deadline, beside=False)
        # One whose name is known, whatever it runs.
        job = database_job(VICTIM)
        admin.apply(job | {"metadata": job["metadata"] | {"name": f"db-init-{VICTIM}-0123456789"}}, deadline)
        yield cluster


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


def _deploy_base(admin: Client, deadline: Deadline) -> None:
    for crd in load_crds():
        admin.apply(crd, deadline)
    for name in (STATE, "nginx-gateway", "cert-manager"):
        admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, deadline)
    marker = {"name": "cluster", "namespace": STATE}
    admin.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": marker, "data": {"site": "x"}}, deadline)
    for namespace, name in ((BESIDE, "db-admin"), ("cert-manager", "digitalocean-dns-token"), ("nginx-gateway", "tls")):
        admin.apply(secret(namespace, name, password="dGhlIGFkbWluaXN0cmF0b3IncyBvd24="), deadline)
    base = site.bundle("preview-base", {})
    for item in base.manifests:
        eventually(30, "the kind is served", lambda item=item: admin.serves(Kind.of(item), deadline))
        admin.apply(item, deadline)


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


def policies_count(cluster: PreviewCluster, deadline: Deadline) -> bool:
    """Whether the API server has heard of both policies: they deny what roles allow."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "preview"}}
    tries = ((cluster.issuer, namespace), (cluster.attacker, secret(STATE, "anything")))
    return all(_denied(client, manifest, deadline) for client, manifest in tries)


def policies_are_absent(cluster: PreviewCluster, deadline: Deadline) -> bool:
    """Whether the API server has heard that neither policy is bound any more."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "preview"}}
    tries = ((cluster.issuer, namespace), (cluster.attacker, secret(STATE, "anything")))
    return not any(_denied(client, manifest, deadline) for client, manifest in tries)


def _denied(client: Client, manifest: Manifest, deadline: Deadline) -> bool:
    try:
        client.apply(manifest, deadline, dry_run=True)
    except ForbiddenError as error:
        return "ValidatingAdmissionPolicy" in str(error)
    return False
