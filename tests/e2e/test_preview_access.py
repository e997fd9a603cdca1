"""The accounts of previews on a real API server: what a deploy needs they may do, and whatever else is tried, not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from aphiria_deploy.access import TEMPLATE, NotSetUp, destruction_jobs, preview_access, revoke
from aphiria_deploy.engine.destroying import Request as Destroy
from aphiria_deploy.engine.destroying import destroy
from aphiria_deploy.engine.rolling_back import roll_back
from aphiria_deploy.errors import (
    AphiriaDeployError,
    CredentialError,
    DeadlineExceededError,
    ForbiddenError,
    InputError,
)
from aphiria_deploy.kube import Cancellation, Change, Client, Deadline, Kind, Ref, Watched, concurrently, watch
from aphiria_deploy.kube.credentials import Impersonating
from tests.e2e import attempts_beside, attempts_of_issuers, attempts_of_previews
from tests.e2e.attempts import KINDS, REPORTED, Attempt, Stops, edited
from tests.e2e.control_plane import eventually
from tests.e2e.engine import Heard, preview
from tests.e2e.pod_status import Behaviour
from tests.e2e.previews import (
    BESIDE,
    BINDING,
    POLICIES,
    SECRET,
    STATE,
    VICTIM,
    PreviewCluster,
    account,
    account_of,
    as_destroyed,
    database_job,
    drop_job,
    policies_are_absent,
    policies_count,
    preview_cluster,
)

pytestmark = pytest.mark.xdist_group("preview-access")

_NAMESPACE = Kind("v1", "Namespace")
_GATEWAY = Ref(Kind("gateway.networking.k8s.io/v1", "Gateway"), "nginx-gateway", "nginx-gateway")
_READ = [
    Ref(_NAMESPACE, "kube-system"),
    Ref(_NAMESPACE, "default"),
    Ref(_NAMESPACE, f"preview-{VICTIM}"),
    Ref(Kind("v1", "ConfigMap"), "cluster", STATE),
    Ref(Kind("v1", "PersistentVolumeClaim"), "db-pv-claim", BESIDE),
    _GATEWAY,
]
OF_PREVIEWS = [*attempts_beside.ATTEMPTS, *attempts_of_previews.ATTEMPTS]
OF_ISSUERS = attempts_of_issuers.ATTEMPTS


@pytest.fixture(scope="module")
def cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreviewCluster]:
    deadline = Deadline.after(180, "the preview cluster")
    with preview_cluster(pytestconfig, tmp_path_factory.mktemp("previews"), deadline) as running:
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
    # These are the control plane's and the nodes' own.
    own = ("Lease kube-system/", "Lease kube-node-lease/")
    return {key: metadata for key, metadata in found.items() if not key.startswith(own)}


@pytest.fixture(scope="module")
def settled(cluster: PreviewCluster) -> dict[str, Any]:
    """All that is there, once nodes and controllers have done what they do."""
    deadline = Deadline.after(60, "the cluster to settle")

    seen: list[dict[str, Any]] = []

    def is_settled() -> bool:
        seen.append(_everything(cluster, deadline))
        return len(seen) > 10 and all(one == seen[-1] for one in seen[-10:])

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


def test_a_preview_is_deployed_changed_rolled_back_and_destroyed_as_its_own_account(
    cluster: PreviewCluster, deadline: Deadline
) -> None:
    engine = cluster.cluster
    with account(cluster.issuer, "pr-11", deadline) as own:
        first = engine.deploy(preview(11), client=own)
        assert (first.result, first.revision, first.error) == ("deployed", 1, None)
        assert engine.deploy(preview(11), client=own).result == "unchanged"
        second = engine.deploy(preview(11, web="c", api="d"), client=own)
        assert (second.result, second.error) == ("deployed", None)
        assert second.plan
        assert second.plan.prune.delete, "the migration of before"
        back = roll_back(own, "pr-11", Heard(), Cancellation())
        assert (back.result, back.revision, back.error) == ("deployed", 3, None)

    ender = preview_access(cluster.issuer, "pr-11", deadline, makes_namespace=False)
    assert isinstance(ender, Client)
    jobs = destruction_jobs(cluster.issuer, "pr-11", deadline)
    for result in ("destroyed", "absent"):
        gone = destroy(ender, Destroy(environment="pr-11", jobs=jobs), Heard(), Cancellation())
        assert (gone.result, gone.error) == (result, None)
    removed = revoke(cluster.issuer, "pr-11", deadline)
    assert [ref.kind.name for ref in removed] == ["ServiceAccount", "Role", "RoleBinding"]
    assert revoke(cluster.issuer, "pr-11", deadline) == []
    assert [item for item in account_of("pr-11") if cluster.admin.find(Ref.of(item), deadline)] == []
    # An ended account's token is nobody's; the API server may know it for some seconds more.
    eventually(30, "the token has ended", lambda: _is_nobody(ender, deadline))


def test_what_was_made_for_a_deploy_that_was_never_recorded_is_destroyed(
    cluster: PreviewCluster, deadline: Deadline
) -> None:
    with account(cluster.issuer, "pr-17", deadline) as own:
        jobs = destruction_jobs(cluster.issuer, "pr-17", deadline)
        gone = destroy(own, Destroy(environment="pr-17", jobs=jobs), Heard(), Cancellation())
    assert (gone.result, gone.error) == ("destroyed", None)
    assert {(one.kind, one.name) for one in gone.receipt} >= {
        ("database", "aphiria_pr_17"),
        ("role", "aphiria_pr_17"),
        ("Namespace", "preview-pr-17"),
    }
    assert cluster.admin.find(Ref(_NAMESPACE, "preview-pr-17"), deadline) is None


def test_a_first_plan_needs_no_namespace_and_makes_none(cluster: PreviewCluster, deadline: Deadline) -> None:
    own = preview_access(cluster.issuer, "pr-12", deadline, makes_namespace=False)
    assert isinstance(own, Client)
    report = cluster.cluster.deploy(preview(12), client=own, plan_only=True)
    assert (report.result, report.error) == ("planned", None)
    assert cluster.admin.find(Ref(_NAMESPACE, "preview-pr-12"), deadline) is None


def test_why_a_deploy_fails_is_seen_as_the_account_too(cluster: PreviewCluster, deadline: Deadline) -> None:
    kubelet = cluster.cluster.kubelet
    kubelet.rule = lambda _, container: Behaviour.FAIL if container == "db-migration" else None
    kubelet.logs["db-migration"] = ["SQLSTATE[42P01]: no such table"]
    try:
        with account(cluster.issuer, "pr-16", deadline) as own:
            report = cluster.cluster.deploy(preview(16), client=own)
    finally:
        kubelet.rule = lambda *_: None
        kubelet.logs.clear()
    assert report.result == "failed"
    assert report.diagnosis, report.error
    assert report.diagnosis.kind == "Job"
    assert "no such table" in str(report.diagnosis)


def test_what_a_deploy_reads_the_account_may_read(cluster: PreviewCluster, deadline: Deadline) -> None:
    assert cluster.victim.probe(deadline).git_version.startswith("v1.")
    for ref in _READ:
        cluster.victim.get(ref, deadline)
    gateways = cluster.victim.list(_GATEWAY.kind, deadline, namespace=_GATEWAY.namespace)
    assert [item["metadata"]["name"] for item in gateways.items] == [_GATEWAY.name]
    # One Secret of a known name may be seen to go.
    known = Watched(SECRET, BESIDE, fields=f"metadata.name=db-role-{VICTIM}")
    assert next(watch(cluster.victim, known, deadline)).change is Change.ADDED


def test_what_was_deployed_before_the_base_changed_is_dropped_as_the_base_says(
    cluster: PreviewCluster, deadline: Deadline
) -> None:
    (drop,) = destruction_jobs(cluster.issuer, VICTIM, deadline) or []
    assert drop["spec"] == drop_job(VICTIM)["spec"]
    assert destruction_jobs(cluster.victim, VICTIM, deadline) == [drop]
    cluster.victim.apply(as_destroyed(drop, VICTIM), deadline, dry_run=True)


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


def _is_nobody(client: Client, deadline: Deadline) -> bool:
    try:
        client.review({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, deadline)
    except CredentialError:
        return True
    return False
