"""The namespace of what the deploy command remembers, with the marker that says which cluster this is.

The names are an interface: ``aphiria-deploy`` reads the marker before its first write.
"""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import ConfigMap, ConfigMapInitArgs, Namespace, NamespaceInitArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from cluster import names
from cluster.options import Options

NAMESPACE: Final = "aphiria-deploy"
MARKER: Final = "cluster"
_LABELS: Final = {"app.kubernetes.io/managed-by": "pulumi", "app.kubernetes.io/part-of": "aphiria-deploy"}


def add_state(site: str, stack: str, provider: k8s.Provider, options: Options) -> list[pulumi.Resource]:
    """Adds the namespace and the marker."""
    namespace = Namespace(
        names.STATE_NAMESPACE,
        NamespaceInitArgs(metadata=ObjectMetaArgs(name=NAMESPACE, labels=_LABELS)),
        # It holds the record of every environment of the cluster.
        options.of(names.STATE_NAMESPACE, provider, precious=True),
    )
    system = Namespace.get("kube-system", "kube-system", pulumi.ResourceOptions(provider=provider))
    marker = ConfigMap(
        names.MARKER,
        ConfigMapInitArgs(
            metadata=ObjectMetaArgs(name=MARKER, namespace=namespace.metadata.name, labels=_LABELS),
            data={"site": site, "stack": stack, "kube-system-uid": system.metadata.uid},
        ),
        options.of(names.MARKER, provider, precious=True, delete_before_replace=True),
    )
    return [namespace, marker]
