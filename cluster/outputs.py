"""What a stack hands on to the deploy command, under the names that both sides know."""

from __future__ import annotations

import pulumi

from cluster.kubernetes import Cluster
from cluster.settings import ClusterSettings, DnsSettings, LocalSettings


def export_local(settings: LocalSettings) -> None:
    """Exports what is known of a cluster on the machine."""
    pulumi.export("gatewayName", settings.gateway_name)
    pulumi.export("gatewayNamespace", settings.gateway_namespace)


def export_cluster(settings: ClusterSettings, cluster: Cluster) -> None:
    """Exports the cluster, and what its configuration says to those who deploy on it; secrets stay secret."""
    pulumi.export("clusterId", cluster.id)
    pulumi.export("clusterName", cluster.name)
    pulumi.export("clusterEndpoint", cluster.endpoint)
    pulumi.export("kubeconfig", cluster.kubeconfig)
    pulumi.export("gatewayName", settings.gateway_name)
    pulumi.export("gatewayNamespace", settings.gateway_namespace)
    pulumi.export("postgresqlHost", settings.postgresql_host)
    pulumi.export("postgresqlPort", settings.postgresql_port)
    pulumi.export("postgresqlAdminUser", settings.postgresql_admin_user)
    pulumi.export("postgresqlAdminPassword", settings.postgresql_admin_password.value)
    pulumi.export("ghcrUsername", settings.ghcr_username)
    pulumi.export("ghcrToken", settings.ghcr_token.value)
    pulumi.export("digitaloceanDnsToken", settings.digitalocean_dns_token.value)
    if settings.backup_access_key_id and settings.backup_secret_access_key:
        pulumi.export("backupAccessKeyId", settings.backup_access_key_id.value)
        pulumi.export("backupSecretAccessKey", settings.backup_secret_access_key.value)


def export_records(settings: DnsSettings) -> None:
    """Exports the names, for whoever waits until they lead to the address."""
    pulumi.export("zone", settings.zone)
    pulumi.export("address", settings.address)
    pulumi.export("names", [settings.zone if name == "@" else f"{name}.{settings.zone}" for name in settings.records])
