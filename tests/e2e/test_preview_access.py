"""The accounts of previews on a real API server: what a deploy needs they may do, and whatever else is tried, not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from aphiria_deploy.access import TEMPLATE, NotSetUp, destruction_jobs, preview_access, revoke
from aphiria_deploy.applyset import PART_OF
from aphiria_deploy.errors import (
    AphiriaDeployError,
    CredentialError,
    DeadlineExceededError,
    ForbiddenError,
    InputError,
)
from aphiria_deploy.kube import Change, Client, Deadline, Kind, Ref, Watched, concurrently, watch
from aphiria_deploy.kube.credentials import Impersonating
from tests.e2e import attempts_beside, attempts_of_issuers, attempts_of_previews
from tests.e2e.attempts import KINDS, REPORTED, Attempt, Stops, edited
from tests.e2e.control_plane import ASSETS, eventually, missing_binaries
from tests.e2e.previews import (
    BESIDE,
    BINDING,
    JOB,
    LEASE,
    POLICIES,
    SECRET,
    STATE,
    VICTIM,
    PreviewCluster,
    account,
    account_of,
    bundle,
    database_job,
    deploy,
    drop_job,
    finished,
    objects,
    parent,
    policies_are_absent,
    policies_count,
    preview_cluster,
    secrets,
)

pytestmark = pytest.mark.xdist_group("preview-access")

_NAMESPACE = Kind("v1", "Namespace")
_GATEWAY = Ref(Kind("gateway.networking.k8s.io/v1", "Gateway"), "nginx-gateway", "nginx-gateway")
_READ = [
    Ref(_NAMESPACE, "kube-system"),
    Ref(_NAMESPACE, "default"),
    Ref(_NAMESPACE, "preview-pr-11"),
    Ref(Kind("v1", "ConfigMap"), "cluster", STATE),
    Ref(Kind("v1", "PersistentVolumeClaim"), "db-pv-claim", BESIDE),
    _GATEWAY,
]
OF_PREVIEWS = [*attempts_beside.ATTEMPTS, *attempts_of_previews.ATTEMPTS]
OF_ISSUERS = attempts_of_issuers.ATTEMPTS


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreviewCluster]:
    if missing := missing_binaries():
        pytest.skip(f"no API server to test against: {', '.join(missing)} not in {ASSETS} (KUBEBUILDER_ASSETS)")
    with preview_cluster(tmp_path_factory.mktemp("previews"), Deadline.after(180, "the preview cluster")) as running:
        yield running


def _everything(cluster: PreviewCluster, deadline: Deadline) -> dict[str, Any]:
    """All that attempts could change: what is asked of it, not what controllers and nodes report of it."""
    lists = [partial(cluster.admin.list, Kind(*kind), deadline, metadata_only=True) for kind in KINDS]
    found = {}
    for kind, outcome in zip(KINDS, concurrently(lists), strict=True):
        for item in outcome.get().items:
            metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
            if kind in REPORTED:
                del metadata["resourceVersion"]
            found[str(Ref.of(item))] = metadata
    # These are the API server's own.
    return {key: metadata for key, metadata in found.items() if not key.startswith("Lease kube-system/")}


@pytest.fixture(scope="module")
def settled(cluster: PreviewCluster) -> dict[str, Any]:
    """All that is there, once nodes and controllers have done what they do."""
    deadline = Deadline.after(60, "the cluster to settle")

    def jobs_are_done() -> bool:
        return all(job["status"].get("succeeded") for job in cluster.admin.list(JOB, deadline).items)

    eventually(60, "the Jobs are done", jobs_are_done)
    seen: list[dict[str, Any]] = []

    def is_settled() -> bool:
        seen.append(_everything(cluster, deadline))
        return len(seen) > 5 and all(one == seen[-1] for one in seen[-5:])

    eventually(60, "nothing changes", is_settled)
    return seen[-1]


def _is_refused(cluster: PreviewCluster, client: Client, attempt: Attempt, deadline: Deadline) -> None:
    with pytest.raises(ForbiddenError) as raised:
        attempt.send(client, deadline)
    by_policy = "ValidatingAdmissionPolicy" in str(raised.value)
    assert by_policy == (attempt.stops is Stops.POLICY), raised.value
    # And it is no nonsense, which anybody would be refused.
    if attempt.tried_dry:
        attempt.send(cluster.prober, deadline, dry_run=True)
    else:
        assert _status(cluster.prober, attempt, deadline) != 403


def _status(client: Client, attempt: Attempt, deadline: Deadline) -> int | None:
    try:
        attempt.send(client, deadline, dry_run=True)
    except AphiriaDeployError as error:
        return getattr(error, "status", None)
    return 200


@pytest.mark.parametrize("attempt", OF_PREVIEWS, ids=str)
def test_a_preview_reaches_nothing_but_what_is_its_own(
    cluster: PreviewCluster, settled: dict[str, Any], attempt: Attempt, deadline: Deadline
) -> None:
    _is_refused(cluster, cluster.attacker, attempt, deadline)
    assert _everything(cluster, deadline) == settled


@pytest.mark.parametrize("attempt", OF_ISSUERS, ids=str)
def test_who_makes_accounts_makes_these_alone_and_is_none_itself(
    cluster: PreviewCluster, settled: dict[str, Any], attempt: Attempt, deadline: Deadline
) -> None:
    _is_refused(cluster, cluster.issuer, attempt, deadline)
    assert _everything(cluster, deadline) == settled


def test_nothing_that_a_policy_denies_is_denied_without_it(cluster: PreviewCluster, deadline: Deadline) -> None:
    """So the policies are what denies it: a test of the tests, too."""
    bindings = [cluster.admin.get(Ref(BINDING, name), deadline) for name in POLICIES]
    for binding in bindings:
        cluster.admin.delete(Ref.of(binding), deadline, uid=binding["metadata"]["uid"])
    try:
        eventually(30, "the policies are absent", lambda: policies_are_absent(cluster, deadline))
        for client, attempts in ((cluster.attacker, OF_PREVIEWS), (cluster.issuer, OF_ISSUERS)):
            policed = [attempt for attempt in attempts if attempt.stops is Stops.POLICY]
            assert policed
            for attempt in policed:
                attempt.send(client, deadline, dry_run=True)
    finally:
        for binding in bindings:
            metadata = {key: binding["metadata"][key] for key in ("name", "labels")}
            cluster.admin.apply({**binding, "metadata": metadata}, deadline)
        eventually(30, "the policies count", lambda: policies_count(cluster, deadline))


def test_a_deploy_needs_nothing_more(cluster: PreviewCluster, deadline: Deadline) -> None:
    with account(cluster.issuer, "pr-11", deadline) as own:
        assert own.probe(deadline).git_version.startswith("v1.")
        for ref in _READ:
            own.get(ref, deadline)
        gateways = own.list(_GATEWAY.kind, deadline, namespace=_GATEWAY.namespace)
        assert [item["metadata"]["name"] for item in gateways.items] == [_GATEWAY.name]
        assert next(watch(own, Watched(_GATEWAY.kind, _GATEWAY.namespace), deadline)).change is Change.ADDED

        deploy(own, "pr-11", deadline)

        live = own.get(Ref(LEASE, "pr-11", STATE), deadline)
        own.replace(live | {"spec": live["spec"] | {"holderIdentity": "another"}}, deadline)
        assert {item["metadata"]["name"] for item in _remembered(own, "pr-11", deadline)} == {
            "applyset.pr-11",
            "release.pr-11.v1",
        }
        for item in (item for wave in objects("pr-11") for item in wave):
            kind, namespace = Kind.of(item), item["metadata"].get("namespace")
            members = own.list(kind, deadline, namespace=namespace, labels=f"{PART_OF}={parent('pr-11').id}").items
            assert Ref.of(item) in {Ref.of(member) for member in members}
            event = next(
                watch(own, Watched(kind, namespace, fields=f"metadata.name={item['metadata']['name']}"), deadline)
            )
            assert event.change is Change.ADDED
        for item in secrets("pr-11"):
            assert own.get(Ref.of(item), deadline)["data"].keys() == item["data"].keys()


def test_a_deploy_sees_how_it_goes(cluster: PreviewCluster, deadline: Deadline) -> None:
    home = f"preview-{VICTIM}"
    (job,) = (
        item
        for wave in objects(VICTIM)
        for item in wave
        if item["kind"] == "Job" and item["metadata"]["namespace"] == BESIDE
    )
    eventually(
        30, "the Job is done", lambda: cluster.victim.get(Ref.of(job), deadline).get("status", {}).get("succeeded")
    )
    for namespace in (home, BESIDE):
        pods = cluster.victim.list(Kind("v1", "Pod"), deadline, namespace=namespace).items
        finished = next(pod for pod in pods if pod["metadata"]["name"].startswith("db-"))
        assert isinstance(list(cluster.victim.logs(finished["metadata"]["name"], namespace, deadline)), list)
        assert cluster.victim.events(finished, deadline) is not None
        for kind in (Kind("v1", "Pod"), Kind("v1", "Event")):
            events = watch(cluster.victim, Watched(kind, namespace), deadline)
            assert next(events).change in {Change.ADDED, Change.SYNCED}
    assert cluster.victim.list(Kind("apps/v1", "ReplicaSet"), deadline, namespace=home).items


def test_a_second_deploy_finds_nothing_to_do(cluster: PreviewCluster, deadline: Deadline) -> None:
    again = [item for wave in objects(VICTIM, given=secrets(VICTIM)) for item in wave if item["kind"] != "Job"]
    for item in again:
        before = cluster.admin.get(Ref.of(item), deadline, metadata_only=True)["metadata"]["resourceVersion"]
        assert cluster.victim.apply(item, deadline)["metadata"]["resourceVersion"] == before


def test_a_destroyed_preview_leaves_nothing_and_its_account_ends_with_it(
    cluster: PreviewCluster, deadline: Deadline
) -> None:
    own = account(cluster.issuer, "pr-12", deadline)
    deploy(own, "pr-12", deadline)
    home = Ref(_NAMESPACE, "preview-pr-12")

    drop = own.apply(drop_job("pr-12"), deadline)
    eventually(30, "dropped", lambda: own.get(Ref.of(drop), deadline).get("status", {}).get("succeeded"))
    for item in [drop, *own.list(JOB, deadline, namespace=BESIDE, labels=f"{PART_OF}={parent('pr-12').id}").items]:
        own.delete(Ref.of(item), deadline)
    own.delete(Ref(SECRET, "db-role-pr-12", BESIDE), deadline)
    own.delete(home, deadline)
    eventually(60, "the namespace is gone", lambda: own.find(home, deadline) is None)
    for item in _remembered(own, "pr-12", deadline):
        own.delete(Ref.of(item), deadline)
    own.delete(Ref(LEASE, "pr-12", STATE), deadline)

    assert [ref.kind.name for ref in revoke(cluster.issuer, "pr-12", deadline)] == [
        "ServiceAccount",
        "Role",
        "RoleBinding",
    ]
    assert revoke(cluster.issuer, "pr-12", deadline) == []
    assert [item for item in account_of("pr-12") if cluster.admin.find(Ref.of(item), deadline)] == []
    # An ended account's token is nobody's; the API server may know it for some seconds more.
    eventually(30, "the token has ended", lambda: _is_nobody(own, deadline))


def test_what_was_deployed_before_the_base_changed_is_dropped_as_the_base_says(
    cluster: PreviewCluster, deadline: Deadline
) -> None:
    (drop,) = destruction_jobs(cluster.issuer, VICTIM, deadline) or []
    assert drop["spec"] == drop_job(VICTIM)["spec"]
    assert destruction_jobs(cluster.victim, VICTIM, deadline) == [drop]
    finished_drop = finished(drop, bundle(VICTIM), parent(VICTIM).id)
    assert cluster.victim.apply(finished_drop, deadline, dry_run=True)["spec"]["backoffLimit"] == 2


def test_an_image_of_the_database_may_be_another_of_its_repository(cluster: PreviewCluster, deadline: Deadline) -> None:
    image = {"spec template spec containers 0 image": f"docker.io/library/postgres:17@sha256:{'0' * 64}"}
    other = {"metadata name": f"db-init-{VICTIM}-abcdef0123"}
    cluster.victim.apply(edited(database_job(VICTIM), **image, **other), deadline, dry_run=True)


def test_a_preview_is_its_own_account_and_no_other(cluster: PreviewCluster, deadline: Deadline) -> None:
    assert preview_access(cluster.victim, VICTIM, deadline) is cluster.victim
    assert revoke(cluster.victim, VICTIM, deadline) == []
    with pytest.raises(InputError, match="found the account of pr-107, expected that of pr-7"):
        preview_access(cluster.victim, "pr-7", deadline)


def test_an_administrator_makes_accounts_too(cluster: PreviewCluster, deadline: Deadline) -> None:
    with account(cluster.admin, "pr-13", deadline) as own:
        assert preview_access(own, "pr-13", deadline) is own


def test_making_an_account_again_writes_nothing(cluster: PreviewCluster, deadline: Deadline) -> None:
    before = _everything(cluster, deadline)
    account(cluster.issuer, VICTIM, deadline).close()
    assert _everything(cluster, deadline) == before


def test_who_may_not_make_accounts_is_told_so(cluster: PreviewCluster, deadline: Deadline) -> None:
    credentials = Impersonating(cluster.admin.access.credentials, {"Impersonate-User": "nobody"})
    nobody = cluster.admin.as_another(credentials, "nobody")
    with pytest.raises(ForbiddenError, match='User "nobody" cannot get resource "configmaps"'):
        preview_access(nobody, VICTIM, deadline)


def test_a_namespace_is_made_isolated_and_not_to_be_destroyed(cluster: PreviewCluster, deadline: Deadline) -> None:
    home = Ref(_NAMESPACE, "preview-pr-14")
    made = preview_access(cluster.issuer, "pr-14", deadline, makes_namespace=False)
    assert isinstance(made, Client)
    assert made.find(home, deadline) is None
    # What is outside of it can be removed all the same.
    made.delete(Ref(SECRET, "db-role-pr-14", BESIDE), deadline)

    with account(cluster.issuer, "pr-14", deadline) as own:
        isolation = Ref(Kind("networking.k8s.io/v1", "NetworkPolicy"), "preview-isolation", home.name)
        assert own.get(isolation, deadline)["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert own.get(home, deadline)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_namespace_that_is_going_is_waited_for(cluster: PreviewCluster, deadline: Deadline) -> None:
    home = Ref(_NAMESPACE, "preview-pr-15")
    account(cluster.issuer, "pr-15", deadline).close()
    before = cluster.admin.get(home, deadline)["metadata"]["uid"]
    stuck = Ref(Kind("v1", "ConfigMap"), "held", home.name)
    held = {"name": stuck.name, "namespace": home.name, "finalizers": ["example.com/held"]}
    cluster.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}, deadline)
    cluster.admin.delete(home, deadline)

    with pytest.raises(DeadlineExceededError):
        preview_access(cluster.issuer, "pr-15", Deadline.after(2, "the account"))
    release_it = threading.Timer(0.5, lambda: cluster.admin.patch(stuck, {"metadata": {"finalizers": None}}, deadline))
    release_it.start()
    with account(cluster.issuer, "pr-15", deadline) as own:
        assert own.get(home, deadline)["metadata"]["uid"] != before
    release_it.join()


def test_a_cluster_without_accounts_says_so(cluster: PreviewCluster, deadline: Deadline) -> None:
    template = cluster.admin.get(TEMPLATE, deadline)
    cluster.admin.delete(TEMPLATE, deadline, propagation="Background")
    try:
        made = preview_access(cluster.issuer, VICTIM, deadline)
        assert isinstance(made, NotSetUp)
        assert "deploy preview-base" in made.why
        assert revoke(cluster.issuer, VICTIM, deadline) == []
    finally:
        metadata = {"name": TEMPLATE.name, "namespace": TEMPLATE.namespace, "labels": template["metadata"]["labels"]}
        cluster.admin.apply({**template, "metadata": metadata}, deadline)


def test_nobody_else_is_looked_at(cluster: PreviewCluster, deadline: Deadline) -> None:
    """The policies ask whose request it is, and no more: what they deny an account, others may do."""
    nobodys = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": BESIDE}}
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "y", "uid": "0-0"}
    made = cluster.admin.apply(edited(nobodys, **{"metadata ownerReferences": [reference]}), deadline, dry_run=True)
    assert made["metadata"]["ownerReferences"] == [reference]


def _remembered(client: Client, environment: str, deadline: Deadline) -> list[dict[str, Any]]:
    labels = f"deploy.aphiria.com/environment={environment}"
    return client.list(SECRET, deadline, namespace=STATE, labels=labels).items


def _is_nobody(client: Client, deadline: Deadline) -> bool:
    try:
        client.review({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, deadline)
    except CredentialError:
        return True
    return False
