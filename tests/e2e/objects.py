"""Small objects for tests of the client."""

from __future__ import annotations

from typing import Any

from aphiria_deploy.kube import Kind

CONFIG_MAP = Kind("v1", "ConfigMap")
DEPLOYMENT = Kind("apps/v1", "Deployment")
POD = Kind("v1", "Pod")


def config_map(namespace: str, name: str, *, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def pod_spec(**container: Any) -> dict[str, Any]:
    """A pod's spec with a container."""
    return {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "site/web:1", **container}]}


def deployment(
    namespace: str, name: str, *, replicas: int = 1, annotations: dict[str, str] | None = None, **container: Any
) -> dict[str, Any]:
    """A Deployment."""
    template = {"metadata": {"labels": {"app": name}, "annotations": annotations or {}}, "spec": pod_spec(**container)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def job(namespace: str, name: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A Job that tries once."""
    template = {"metadata": {"annotations": annotations or {}}, "spec": {"restartPolicy": "Never", **pod_spec()}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }
