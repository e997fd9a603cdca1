"""The DNS records of a cluster's sites, in a stack of their own: they need the Gateway's address, which comes late."""

from __future__ import annotations

import pulumi_digitalocean as digitalocean

from cluster.options import Options
from cluster.settings import DnsSettings


def add_records(settings: DnsSettings, provider: digitalocean.Provider, options: Options) -> None:
    """Adds an A record for each name."""
    for name in settings.records:
        digitalocean.DnsRecord(
            name,
            digitalocean.DnsRecordArgs(
                domain=settings.zone, type="A", name=name, value=settings.address, ttl=settings.ttl
            ),
            options.of(name, provider, precious=True),
        )
