"""What a bundle wants to be in the cluster: its objects as they are applied."""

from __future__ import annotations

import copy
from typing import Any

from aphiria_deploy.bundle import Generated, ManifestFile, SecretSpec
from aphiria_deploy.engine.applyset import PART_OF
from aphiria_deploy.engine.jobs import IDENTITY, RUNS_AGAIN_WITH
from aphiria_deploy.engine.wanted import needed_identities, wanted
from aphiria_deploy.objects import GroupKind, ObjectKey
from aphiria_deploy.secrets import CHECKSUM, MadeSecret, SecretInputs, make_secrets
from tests.aphiria_deploy.samples import config_map, make_bundle

CLAIM = ObjectKey(GroupKind("", "PersistentVolumeClaim"), "default", "data")


def _workload(kind: str, **more: Any) -> dict[str, Any]:
    source = {"secretKeyRef": {"name": "passwords", "key": "p"}}
    pod = {"containers": [{"name": "c", "env": [{"name": "P", "valueFrom": source}]}]}
    api = "batch/v1" if kind == "Job" else "apps/v1"
    metadata = {"namespace": "preview-pr-7", "name": kind.lower(), **more}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": {"template": {"spec": pod}}}


def _made() -> list[MadeSecret]:
    spec = SecretSpec(namespace="preview-pr-7", name="passwords", keys={"p": Generated()})
    return make_secrets([spec], SecretInputs(), [])


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "preview-pr-7"}}


def test_every_object_says_whose_it_is_and_what_is_given_stays_as_it_is() -> None:
    labelled = config_map("a", {}) | {"metadata": {"name": "a", "labels": {"app": "x"}}}
    bundle = make_bundle(files=[ManifestFile(name="10-base", manifests=[labelled, config_map("b", {})])])
    before = copy.deepcopy(bundle)
    manifests = wanted(bundle, _made(), "SET", {}).manifests
    mine = {"deploy.aphiria.com/environment": "pr-7", "deploy.aphiria.com/site": "shop.example", PART_OF: "SET"}
    labels = {item["metadata"]["name"]: item["metadata"]["labels"] for item in manifests}
    assert labels == {"a": {"app": "x", **mine}, "b": mine, "passwords": mine}
    assert bundle == before


def test_secrets_come_after_their_namespace_and_before_what_uses_them() -> None:
    files = [
        ManifestFile(name="10-base", manifests=[NAMESPACE]),
        ManifestFile(name="30-workloads", manifests=[_workload("Deployment")]),
    ]
    want = wanted(make_bundle(files=files), _made(), "SET", {})
    assert [[item["kind"] for item in wave.manifests] for wave in want.waves] == [
        ["Namespace"],
        ["Secret"],
        ["Deployment"],
    ]
    assert [str(key) for key in want.secrets] == ["Secret preview-pr-7/passwords"]
    alone = wanted(make_bundle(files=[]), _made(), "SET", {})
    assert [item["kind"] for item in alone.manifests] == ["Secret"]


def test_pods_that_use_a_secret_say_its_version_and_never_its_value() -> None:
    jobs = [
        _workload("Job", annotations={"deploy.aphiria.com/job-class": "ensure"}),
        _workload("Job", annotations={"deploy.aphiria.com/job-class": "once"}),
    ]
    jobs[1]["metadata"]["name"] = "once"
    files = [ManifestFile(name="all", manifests=[NAMESPACE, _workload("Deployment"), *jobs])]
    made = _made()
    manifests = wanted(make_bundle(files=files), made, "SET", {}).manifests
    said = {
        item["metadata"]["name"]: (item["spec"]["template"].get("metadata") or {}).get("annotations")
        for item in manifests
        if "spec" in item
    }
    assert said == {"deployment": {CHECKSUM: "passwords:1"}, "job": {CHECKSUM: "passwords:1"}, "once": None}


def test_jobs_say_on_which_server_they_work() -> None:
    annotations = {RUNS_AGAIN_WITH: "/namespaces/default/PersistentVolumeClaim/data"}
    job = _workload("Job", annotations=annotations)
    bundle = make_bundle(files=[ManifestFile(name="all", manifests=[NAMESPACE, job, config_map("a", {})])])
    assert needed_identities(bundle.manifests) == [CLAIM]
    manifests = wanted(bundle, [], "SET", {CLAIM: "u"}).manifests
    (made,) = (item for item in manifests if item["kind"] == "Job")
    assert made["spec"]["template"]["metadata"]["annotations"] == {IDENTITY: "u"}
