"""A cluster that is given by ``--kubeconfig``: lent to one module of tests at a time, and left as it was.

It is to be a new one: whatever comes into it while the tests have it is taken away again.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import pytest

from tests.e2e.kubelet import NAME as NODE
from tests.e2e.plane import Plane, run_kubectl, write_kubeconfig

_NEW = {"default", "kube-system", "kube-public", "kube-node-lease", "local-path-storage"}
"""The namespaces of a new cluster; the last is kind's."""
_WORKLOADS = "deployments,statefulsets,daemonsets,cronjobs,jobs,pods,persistentvolumeclaims"
_OURS = "aphiria-deploy-tests"
_ADMINISTRATOR = "administrator"
_CHURN = {
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    # These come and go with Services and CustomResourceDefinitions, and no owner reference says so.
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "ipaddresses.networking.k8s.io",
    "apiservices.apiregistration.k8s.io",
}
_OF_EVERY_NAMESPACE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_GONE_SECONDS = 180
_SCHEDULER_SECONDS = 15
_DEFINITIONS = "CustomResourceDefinition"


class _Found(NamedTuple):
    kind: str
    group: str
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class GivenPlane(Plane):
    """A cluster that somebody else started.

    Its nodes take no new pods while it is entered: those of the tests go where `tests.e2e.kubelet` stands in.

    Args:
        given: A kubeconfig of its administrator, of whom the tests get a token.
        folder: For what the tests write down.
        node_address: Where its API server reaches this machine.
    """

    _lent: ClassVar[bool] = False

    def __init__(self, given: Path, folder: Path, node_address: str) -> None:
        super().__init__(folder, node_address)
        self._given = given
        self._before: set[_Found] = set()
        self._labels: dict[str, dict[str, str]] = {}
        self._cordoned: list[str] = []
        self._has_scheduler = False

    @property
    def has_scheduler(self) -> bool:
        return self._has_scheduler

    def api_server_down(self) -> AbstractContextManager[None]:
        pytest.skip("ends the API server, which the cluster of --kubeconfig is not for")

    def compact(self) -> None:
        pytest.skip("compacts etcd, which the cluster of --kubeconfig is not for")

    def __enter__(self) -> Self:
        if GivenPlane._lent:
            pytest.skip("wants a second cluster, and --kubeconfig gives one")
        if in_use := self._in_use():
            pytest.exit(
                f"--kubeconfig {self._given}: found {', '.join(in_use)}, expected a new cluster: what comes into it "
                "while the tests run is deleted; make one, for example with kind create cluster",
                returncode=4,
            )
        # Before anything that ends in cleaning: what is not known to have been there is deleted then.
        self._before = set(self._everything())
        self._labels = self._labelled()
        GivenPlane._lent = True
        try:
            self._make_administrator()
            self._cordoned = [
                node["metadata"]["name"] for node in self._listed("nodes") if not node["spec"].get("unschedulable")
            ]
            self._cordon("cordon")
            self._has_scheduler = self._is_scheduled()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._clean()
            self._label()
        finally:
            self._cordon("uncordon")
            GivenPlane._lent = False

    def _in_use(self) -> list[str]:
        """What a new cluster does not have."""
        namespaces = {item["metadata"]["name"] for item in self._listed("namespaces")}
        workloads = [item for item in self._listed(_WORKLOADS) if item["metadata"]["namespace"] == "default"]
        return [
            *(f"Namespace {name}" for name in sorted(namespaces - _NEW)),
            *(f"{item['kind']} default/{item['metadata']['name']}" for item in workloads),
        ]

    def _make_administrator(self) -> None:
        subject = {"kind": "ServiceAccount", "name": _ADMINISTRATOR, "namespace": _OURS}
        api = "rbac.authorization.k8s.io"
        role = {"apiGroup": api, "kind": "ClusterRole", "name": "cluster-admin"}
        objects: list[dict[str, Any]] = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _OURS}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ADMINISTRATOR, "namespace": _OURS}},
            {
                "apiVersion": f"{api}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": _OURS},
                "roleRef": role,
                "subjects": [subject],
            },
        ]
        self._told("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        token = self._told("create", "token", _ADMINISTRATOR, f"--namespace={_OURS}", "--duration=24h").strip()
        config = json.loads(self._told("config", "view", "--minify", "--flatten", "--raw", "--output=json"))
        cluster = dict(config["clusters"][0]["cluster"])
        if authority := cluster.pop("certificate-authority-data", ""):
            path = self.folder / "authority.crt"
            path.write_bytes(base64.b64decode(authority))
            cluster["certificate-authority"] = str(path)
        write_kubeconfig(self.kubeconfig, cluster, token)

    def _cordon(self, command: str) -> None:
        if self._cordoned:
            self._told(command, *self._cordoned)

    def _is_scheduled(self) -> bool:
        """Whether somebody says of a pod that no node takes it."""
        name = f"scheduled-{secrets.token_hex(3)}"
        container = {"name": "none", "image": "none.invalid/none"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
        # Without that account no pod is taken.
        self._told("wait", "--for=create", "serviceaccount/default", f"--namespace={_OURS}", "--timeout=30s")
        self._told("create", f"--namespace={_OURS}", "-f", "-", stdin=json.dumps(pod))
        condition = "--for=condition=PodScheduled=False"
        seconds = f"--timeout={_SCHEDULER_SECONDS}s"
        done = self._kubectl("wait", condition, f"pod/{name}", f"--namespace={_OURS}", seconds)
        self._told("delete", "pod", name, f"--namespace={_OURS}", "--grace-period=0", "--force")
        return done.returncode == 0

    def _labelled(self) -> dict[str, dict[str, str]]:
        return {item["metadata"]["name"]: item["metadata"]["labels"] for item in self._listed("namespaces")}

    def _label(self) -> None:
        """Gives the namespaces that were there the labels that they had."""
        for name, labels in self._labelled().items():
            before = self._labels.get(name, labels)
            if labels != before:
                patch = {"metadata": {"labels": dict.fromkeys(labels.keys() - before.keys()) | before}}
                self._told("patch", "namespace", name, f"--patch={json.dumps(patch)}")

    def _clean(self) -> None:
        """Deletes what came, and sees it gone: definitions after what they define, the node that stood in last."""
        assert self._before, "nobody looked at what was there, so nothing is known to be the tests' own"
        end = time.monotonic() + _GONE_SECONDS
        while found := set(self._everything()) - self._before:
            assert time.monotonic() < end, f"still there: {', '.join(map(str, sorted(found)))}"
            objects = {one for one in found if one.kind not in {_DEFINITIONS, "Node"}}
            definitions = {one for one in found if one.kind == _DEFINITIONS}
            self._delete(objects or definitions or found)
            # Nobody is there any more who would say that they have ended.
            of_node = f"--field-selector=spec.nodeName={NODE}"
            self._told("delete", "pods", "--all-namespaces", of_node, "--grace-period=0", "--force", "--wait=false")
            time.sleep(0.5)

    def _delete(self, found: Collection[_Found]) -> None:
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        namespaces = {one.name for one in found if one.kind == "Namespace"}
        for one in found:
            if one.namespace not in namespaces:
                groups[f"{one.kind}.{one.group}" if one.group else one.kind, one.namespace].append(one.name)
        for (kind, namespace), names in groups.items():
            where = [f"--namespace={namespace}"] if namespace else []
            self._told("delete", kind, *names, *where, "--ignore-not-found", "--wait=false")

    def _everything(self) -> Iterator[_Found]:
        """What is in the cluster, but for what others own and what comes and goes by itself."""
        kinds = self._told("api-resources", "--verbs=list,delete", "--output=name", "--cached=false").split()
        for item in self._listed(",".join(kind for kind in kinds if kind not in _CHURN)):
            metadata = item["metadata"]
            of_every_namespace = (item["kind"], metadata["name"]) in _OF_EVERY_NAMESPACE
            if not metadata.get("ownerReferences") and not of_every_namespace:
                group = item["apiVersion"].rpartition("/")[0]
                yield _Found(item["kind"], group, metadata.get("namespace", ""), metadata["name"], metadata["uid"])

    def _listed(self, kinds: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(
            self._told("get", kinds, "--all-namespaces", "--ignore-not-found", "--output=json") or '{"items": []}'
        )["items"]
        return items

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return run_kubectl(self._given, self.folder, *arguments, stdin=stdin)

    def _told(self, *arguments: str, stdin: str | None = None) -> str:
        done = self._kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments[:3])}: {done.stderr}"
        return done.stdout
