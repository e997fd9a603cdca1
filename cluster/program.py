"""The program as a story: settings, then the cluster with its releases and its state, or the DNS records."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
from pulumi.runtime import config

from cluster.dns import add_records
from cluster.kubernetes import Cluster, digitalocean_cluster, local_cluster
from cluster.options import Options
from cluster.outputs import export_cluster, export_local, export_records
from cluster.reading import SettingsError, keys, read
from cluster.releases import add_releases
from cluster.settings import KINDS, ClusterSettings, DnsSettings, LocalSettings, Settings
from cluster.state import add_state


def run() -> None:
    """Runs the program for the stack that Pulumi has chosen."""
    project, stack = pulumi.get_project(), pulumi.get_stack()
    try:
        settings = settings_of(stack, *given(project))
    except SettingsError as error:
        # Without a traceback: it is about the configuration, not about the program.
        raise pulumi.RunError(str(error)) from None
    build(settings, stack)


def given(project: str) -> tuple[dict[str, Any], set[str]]:
    """Gives the project's configuration without its prefix, and which keys of it are encrypted."""
    found = {**config.get_config_env(), **config.CONFIG.get()}
    encrypted = {*config.get_config_secret_keys_env(), *config._SECRET_KEYS.get()}
    prefix = f"{project}:"
    return (
        {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)},
        {key.removeprefix(prefix) for key in encrypted if key.startswith(prefix)},
    )


def settings_of(stack: str, found: Mapping[str, Any], encrypted: Collection[str]) -> Settings:
    """Reads the settings of a stack, whatever its kind.

    Raises:
        SettingsError: They cannot be used.
    """
    kind = KINDS.get(str(found.get("kind")))
    if kind is None:
        raise SettingsError(stack, [f"kind: found {found.get('kind')!r}, expected one of {', '.join(KINDS)}"])
    # An ESC environment serves a cluster and its DNS records: what is the other's is let be.
    elsewhere = set() if kind is not DnsSettings else keys(ClusterSettings) - keys(DnsSettings)
    return read(kind, {key: value for key, value in found.items() if key not in elsewhere}, encrypted, stack)


def build(settings: Settings, stack: str) -> None:
    """Adds what a stack consists of."""
    match settings:
        case LocalSettings():
            options = Options(settings.imports, protect=False)
            cluster = local_cluster(settings)
            _add_to_cluster(settings, cluster, options, stack)
            export_local(settings)
        case ClusterSettings():
            options = Options(settings.imports, protect=settings.protect)
            cluster = digitalocean_cluster(settings, _digitalocean(), options, stack)
            _add_to_cluster(settings, cluster, options, stack)
            export_cluster(settings, cluster)
        case DnsSettings():
            add_records(settings, _digitalocean(), Options(settings.imports, protect=settings.protect))
            export_records(settings)


def _digitalocean() -> digitalocean.Provider:
    # Its token is DIGITALOCEAN_TOKEN, of the environment or of ESC: as an input it would be in the stack's state.
    return digitalocean.Provider("digitalocean")


def _add_to_cluster(settings: LocalSettings | ClusterSettings, cluster: Cluster, options: Options, stack: str) -> None:
    add_releases(settings, cluster.provider, options)
    add_state(settings.site, stack, cluster.provider, options)
