"""The cluster at DigitalOcean, and how the rest of the program reaches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as k8s

from cluster import names
from cluster.options import Options
from cluster.settings import ClusterSettings, LocalSettings

# What the autoscaler and DigitalOcean write themselves: the number of nodes, the patch version.
_WRITTEN_BY_OTHERS = ["nodePool.nodeCount"]
_VERSION = "version"


@dataclass(frozen=True)
class Cluster:
    """A cluster, and who makes things on it.

    Attributes:
        provider: Makes what is on it.
        id: Its ID at DigitalOcean; none for one that was there.
        name: Its name there.
        endpoint: Its API's URL.
        kubeconfig: Access to it, made anew in each run; secret.
    """

    provider: k8s.Provider
    id: pulumi.Output[str] | None = None
    name: pulumi.Output[str] | None = None
    endpoint: pulumi.Output[str] | None = None
    kubeconfig: pulumi.Output[str] | None = None


def local_cluster(settings: LocalSettings) -> Cluster:
    """A cluster that is there already: the kubeconfig's of the machine."""
    # What is on it may be older than this stack's state, which somebody's next machine does not have.
    return Cluster(
        k8s.Provider(
            names.CLUSTER,
            k8s.ProviderArgs(kubeconfig=settings.kubeconfig, context=settings.context, upsert_existing_objects=True),
        )
    )


def digitalocean_cluster(
    settings: ClusterSettings, provider: digitalocean.Provider, options: Options, stack: str
) -> Cluster:
    """The cluster at DigitalOcean."""
    cluster = digitalocean.KubernetesCluster(
        names.CLUSTER,
        digitalocean.KubernetesClusterArgs(
            name=settings.cluster_name,
            region=settings.region,
            version=_offered_version(settings, provider, stack),
            vpc_uuid=settings.vpc_uuid,
            cluster_subnet=settings.cluster_subnet,
            service_subnet=settings.service_subnet,
            ha=settings.high_availability,
            auto_upgrade=True,
            surge_upgrade=True,
            destroy_all_associated_resources=settings.destroy_volumes,
            maintenance_policy=digitalocean.KubernetesClusterMaintenancePolicyArgs(
                day=settings.maintenance_day, start_time=settings.maintenance_start
            ),
            node_pool=digitalocean.KubernetesClusterNodePoolArgs(
                name=settings.node_pool or f"{settings.cluster_name}-pool",
                size=settings.node_size,
                auto_scale=True,
                min_nodes=settings.min_nodes,
                max_nodes=settings.max_nodes,
            ),
        ),
        options.of(
            names.CLUSTER,
            provider,
            precious=True,
            ignore_changes=[*_WRITTEN_BY_OTHERS, *([] if settings.upgrade_kubernetes else [_VERSION])],
        ),
    )
    kubeconfig = _fresh_kubeconfig(cluster, provider)
    return Cluster(
        k8s.Provider(names.CLUSTER, k8s.ProviderArgs(kubeconfig=kubeconfig, cluster_identifier=cluster.id)),
        cluster.id,
        cluster.name,
        cluster.endpoint,
        kubeconfig,
    )


def _offered_version(settings: ClusterSettings, provider: digitalocean.Provider, stack: str) -> pulumi.Output[str]:
    """The newest patch of the wanted version that DigitalOcean offers: it withdraws a patch when the next one comes."""
    offers = digitalocean.get_kubernetes_versions_output(opts=pulumi.InvokeOutputOptions(provider=provider))
    return offers.valid_versions.apply(lambda versions: newest_patch(settings.kubernetes_version, versions, stack))


def newest_patch(minor: str, offered: Sequence[str], stack: str) -> str:
    """Chooses a version.

    Args:
        minor: The minor version that is wanted: ``1.34``.
        offered: What the provider offers, such as ``1.34.2-do.0``.
        stack: The stack's name, for the message.

    Raises:
        pulumi.RunError: No patch of it is offered.
    """
    patches = [version for version in offered if version.startswith(f"{minor}.")]
    if not patches:
        raise pulumi.RunError(
            f"{stack}: kubernetesVersion: found {minor}, expected a version that DigitalOcean offers: "
            f"{', '.join(offered)}; to upgrade a cluster that exists, set upgradeKubernetes for one run too"
        )
    return max(patches, key=lambda version: [int(part) for part in version.replace("-do", "").split(".")])


def _fresh_kubeconfig(cluster: digitalocean.KubernetesCluster, provider: digitalocean.Provider) -> pulumi.Output[str]:
    """Credentials made in this run: those in the cluster's own state die after 7 days."""
    # By way of the ID: as long as there is no cluster nothing is asked.
    name = pulumi.Output.all(cluster.id, cluster.name).apply(lambda pair: str(pair[1]))
    found = digitalocean.get_kubernetes_cluster_output(
        name=name, opts=pulumi.InvokeOutputOptions(provider=provider, depends_on=[cluster])
    )
    return pulumi.Output.secret(found.kube_configs.apply(_raw))


def _raw(configs: Sequence[Any]) -> str:
    return str(configs[0].raw_config)
