"""How a preview differs from production: what a reviewer cannot try out in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aphiria_deploy.bundle import Bundle, Manifest, Output, RegistryLogin, Variable
from aphiria_deploy.fields import at, mapping, mappings, name, text

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "CronJob"})
_NONE = "—"


@dataclass(frozen=True)
class Departure:
    """One thing that is not as in production.

    Attributes:
        what: What it is about.
        preview: How it is in the preview.
        production: How it is in production.
    """

    what: str
    preview: str
    production: str


def departures(preview: Bundle, production: Bundle) -> list[Departure]:
    """Compares a preview with production: replicas, resources, what is only there, integrations, settings.

    Args:
        preview: The preview's bundle.
        production: Production's.
    """
    return [
        *_workloads(preview, production),
        *_only_there(preview, production),
        *_integrations(preview, production),
        *_settings(preview, production),
    ]


def _workloads(preview: Bundle, production: Bundle) -> Iterator[Departure]:
    here, there = _by_title(preview), _by_title(production)
    for title, manifest in there.items():
        if manifest.get("kind") not in _WORKLOADS or title not in here:
            continue
        yield from _unequal(f"{title}: replicas", _replicas(here[title]), _replicas(manifest))
        ours, theirs = _containers(here[title]), _containers(manifest)
        for container in dict.fromkeys((*theirs, *ours)):
            for level in ("requests", "limits"):
                yield from _unequal(
                    f"{title}: {container} {level}",
                    _resources(ours.get(container, {}), level),
                    _resources(theirs.get(container, {}), level),
                )


def _only_there(preview: Bundle, production: Bundle) -> Iterator[Departure]:
    here, there = _by_title(preview), _by_title(production)
    shared = {name(item) for item in preview.base if item.get("kind") == "Service"}
    for title, manifest in there.items():
        if title not in here and manifest.get("kind") in {*_WORKLOADS, "PodDisruptionBudget"}:
            yield Departure(title, "shared by all previews" if name(manifest) in shared else _NONE, "its own")
    for title, manifest in here.items():
        if title not in there and manifest.get("kind") in {*_WORKLOADS, "ResourceQuota", "NetworkPolicy"}:
            yield Departure(title, "its own", _NONE)


def _integrations(preview: Bundle, production: Bundle) -> Iterator[Departure]:
    """Credentials from outside: what the one can reach and the other cannot."""
    here, there = _sources(preview), _sources(production)
    for source in sorted(here ^ there):
        yield Departure(f"integration: {source}", *(("yes", "no") if source in here else ("no", "yes")))


def _settings(preview: Bundle, production: Bundle) -> Iterator[Departure]:
    here, there = _config(preview), _config(production)
    for key in sorted({*here, *there}):
        yield from _unequal(f"setting {key}", here.get(key, _NONE), there.get(key, _NONE))


def _unequal(what: str, here: str, there: str) -> Iterator[Departure]:
    if here != there:
        yield Departure(what, here, there)


def _by_title(bundle: Bundle) -> dict[str, Manifest]:
    # Without the namespace, which always differs.
    return {f"{item.get('kind')} {name(item)}": item for item in bundle.manifests}


def _replicas(manifest: Manifest) -> str:
    found = at(manifest, "spec", "replicas")
    return str(found) if found is not None else "1"


def _containers(manifest: Manifest) -> dict[str, Mapping[str, Any]]:
    spec = mapping(manifest.get("spec"))
    pod = mapping(at(spec, "jobTemplate", "spec", "template", "spec") or at(spec, "template", "spec"))
    return {text(one.get("name")): one for key in ("initContainers", "containers") for one in mappings(pod.get(key))}


def _resources(container: Mapping[str, Any], level: str) -> str:
    found = mapping(at(container, "resources", level))
    return " / ".join(str(found[key]) for key in ("cpu", "memory") if key in found) or _NONE


def _sources(bundle: Bundle) -> set[str]:
    found = set()
    for secret in bundle.secrets:
        for source in secret.keys.values():
            if isinstance(source, (Output, Variable)):
                found.add(source.name)
            elif isinstance(source, RegistryLogin):
                found |= {source.username, source.token}
    return found


def _config(bundle: Bundle) -> dict[str, str]:
    """The settings that the site declares as required, by name."""
    declared = {one.config_map: one.required for one in bundle.contract.environment_variables}
    return {
        key: text(value)
        for item in bundle.manifests
        if item.get("kind") == "ConfigMap" and name(item) in declared
        for key, value in mapping(item.get("data")).items()
        if key in declared[name(item)]
    }
