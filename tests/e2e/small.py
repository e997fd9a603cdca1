"""A small preview, made without Node: one object of each kind that a deploy treats in its own way."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any

from aphiria_deploy.bundle import (
    Bundle,
    Contract,
    Destruction,
    Environment,
    EnvironmentKind,
    Generated,
    Gone,
    Image,
    Manifest,
    ManifestFile,
    Output,
    ScramVerifier,
    SecretSpec,
)
from aphiria_deploy.engine.jobs import CLASS, INPUT, RUNS_AGAIN_WITH
from aphiria_deploy.engine.waves import DEPENDS_ON

SITE = "aphiria.com"
SHARED = "default"
"""The namespace beside the previews, in which their databases' Jobs run."""

_NUMBERS = itertools.count(1000)


@dataclass(frozen=True)
class Small:
    """What a small preview is made of: whatever is changed here is another version of it.

    Attributes:
        number: Its number.
        image: What its pods run.
        config: What its ConfigMap says.
        migration: What its migration is.
        workload: What its Deployment has beside what it must have: fields of the pod's spec.
        container: The same, of its container.
        job_container: The same, of the containers of its Jobs.
        job_seconds: How long its Jobs may run.
        server: The claim whose UID its database's Job goes by.
        more: Further objects.
        with_jobs: Whether it has Jobs, each of which takes its controller a second.
        with_pods: Whether it has other pods than theirs.
    """

    number: int = field(default_factory=lambda: next(_NUMBERS))
    image: str = "registry.example/api:1"
    config: str = "1"
    migration: str = "1"
    workload: dict[str, Any] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    job_container: dict[str, Any] = field(default_factory=dict)
    job_seconds: int = 60
    server: str = ""
    more: tuple[Manifest, ...] = ()
    with_jobs: bool = True
    with_pods: bool = True

    @property
    def environment(self) -> str:
        return f"pr-{self.number}"

    @property
    def namespace(self) -> str:
        return f"preview-pr-{self.number}"

    @property
    def migration_job(self) -> str:
        return f"migrate-{_hashed(self.image, self.migration)}"

    @property
    def database_job(self) -> str:
        return f"database-{self.environment}-{_hashed(self.environment)}"

    def bundle(self) -> Bundle:
        return Bundle(
            site=SITE,
            environment=Environment(
                name=self.environment,
                kind=EnvironmentKind.PREVIEW,
                namespace=self.namespace,
                number=self.number,
                stack="preview-base",
            ),
            files=[
                ManifestFile(name="10-base", manifests=[self._namespace(), self._config(), *self.more]),
                ManifestFile(name="20-jobs", manifests=[self._database(), self._migration()] if self.with_jobs else []),
                ManifestFile(
                    name="30-workloads", manifests=[self._service(), *([self._workload()] if self.with_pods else [])]
                ),
            ],
            images={"api": Image(ref=self.image)},
            secrets=self._secrets(),
            base=[],
            urls={},
            checks=[],
            outputs={},
            contract=Contract(),
            destruction=Destruction(
                jobs=[self._job(f"drop-{self.environment}", SHARED, f"drop-{self.number}", {CLASS: "always"})],
                absent=[Gone(kind="database", name=f"db_{self.number}"), Gone(kind="role", name=f"db_{self.number}")],
            ),
        )

    def object(self, kind: str, name: str, *, api: str = "v1", namespace: str = "", **rest: Any) -> Manifest:
        """An object of it."""
        metadata = {"name": name, "namespace": namespace or self.namespace}
        metadata["labels"] = {"app.kubernetes.io/managed-by": "aphiria-deploy"}  # type: ignore[assignment]
        return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}

    def _namespace(self) -> Manifest:
        item = self.object("Namespace", self.namespace)
        del item["metadata"]["namespace"]
        return item

    def _config(self) -> Manifest:
        return self.object("ConfigMap", "settings", data={"said": self.config})

    def _secrets(self) -> list[SecretSpec]:
        return [
            SecretSpec(
                namespace=self.namespace,
                name="passwords",
                keys={"database": Generated(), "token": Output("ghcrToken")},
            ),
            SecretSpec(
                namespace=SHARED,
                name=f"role-{self.environment}",
                keys={"verifier": ScramVerifier(namespace=self.namespace, secret="passwords", key="database")},
            ),
        ]

    def _job(self, name: str, namespace: str, container: str, annotations: dict[str, str], **pod: Any) -> Manifest:
        item = self.object("Job", name, api="batch/v1", namespace=namespace)
        item["metadata"]["annotations"] = annotations
        spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, **pod}
        spec["containers"] = [
            {"name": container, "image": self.image, **pod.get("containers", [{}])[0], **self.job_container}
        ]
        item["spec"] = {"backoffLimit": 0, "activeDeadlineSeconds": self.job_seconds, "template": {"spec": spec}}
        return item

    def _database(self) -> Manifest:
        secret = {"name": "VERIFIER", "valueFrom": {"secretKeyRef": {"name": f"role-{self.environment}", "key": "v"}}}
        annotations = {CLASS: "ensure"}
        if self.server:
            annotations[RUNS_AGAIN_WITH] = f"/namespaces/{SHARED}/PersistentVolumeClaim/{self.server}"
        # Its image is the server's, which stays what it is.
        pod = {"containers": [{"image": "registry.example/db:1", "env": [secret]}]}
        return self._job(self.database_job, SHARED, f"database-{self.number}", annotations, **pod)

    def _migration(self) -> Manifest:
        annotations = {
            CLASS: "once",
            INPUT: _hashed(self.image, self.migration),
            DEPENDS_ON: f"batch/namespaces/{SHARED}/Job/{self.database_job}",
        }
        pod = {"containers": [{"args": [self.migration]}]}
        return self._job(self.migration_job, self.namespace, "migrate", annotations, **pod)

    def _service(self) -> Manifest:
        return self.object("Service", "api", spec={"selector": {"app": "api"}, "ports": [{"port": 80}]})

    def _workload(self) -> Manifest:
        password = {"name": "passwords", "key": "database"}
        container = {
            "name": "api",
            "image": self.image,
            "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": password}}],
            **self.container,
        }
        template = {
            "metadata": {"labels": {"app": "api"}, "annotations": {"checksum/config": _hashed(self.config)}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **self.workload},
        }
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "api"}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template,
        }
        item = self.object("Deployment", "api", api="apps/v1", spec=spec)
        if self.with_jobs:
            after = f"batch/namespaces/{self.namespace}/Job/{self.migration_job}"
            item["metadata"]["annotations"] = {DEPENDS_ON: after}
        return item


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]
