"""What pods use: ConfigMaps, Secrets, claims and accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from constructs_lib.checks.manifests import Container, Pod, dig, mapping, sequence, string


@dataclass(frozen=True)
class Use:
    """A pod uses an object of its namespace.

    Attributes:
        path: Where it says so.
        kind: The object's kind.
        name: Its name.
        key: The key that is asked for, or None for all of them.
        optional: True where the pod starts without it too.
        frozen: True where a running container never sees a change (variables, and mounts of a subPath).
    """

    path: str
    kind: str
    name: str
    key: str | None
    optional: bool
    frozen: bool


def uses(pod: Pod) -> Iterator[Use]:
    """Gives everything that a pod uses."""
    for container in pod.containers:
        yield from _in_environment(container)
    for number, volume in enumerate(map(mapping, sequence(pod.spec.get("volumes")))):
        yield from _in_volume(pod, volume, f"{pod.spec_path}.volumes[{number}]")
    account = string(pod.spec.get("serviceAccountName"))
    if account:
        yield Use(f"{pod.spec_path}.serviceAccountName", "ServiceAccount", account, None, optional=False, frozen=True)


def _use(path: str, kind: str, source: dict[str, Any], key: str | None, *, frozen: bool) -> Iterator[Use]:
    name = string(source.get("name") or source.get("secretName") or source.get("claimName"))
    if name:
        yield Use(path, kind, name, key, source.get("optional") is True, frozen)


def _in_environment(container: Container) -> Iterator[Use]:
    for number, variable in enumerate(map(mapping, sequence(container.data.get("env")))):
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            source = mapping(dig(variable, "valueFrom", field))
            path = f"{container.path}.env[{number}].valueFrom.{field}"
            yield from _use(path, kind, source, string(source.get("key")) or None, frozen=True)
    for number, source in enumerate(map(mapping, sequence(container.data.get("envFrom")))):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            path = f"{container.path}.envFrom[{number}].{field}"
            yield from _use(path, kind, mapping(source.get(field)), None, frozen=True)


def _in_volume(pod: Pod, volume: dict[str, Any], path: str) -> Iterator[Use]:
    mounts = [mapping(one) for container in pod.containers for one in sequence(container.data.get("volumeMounts"))]
    frozen = any(one.get("name") == volume.get("name") and one.get("subPath") for one in mounts)
    parts = [(path, volume)]
    projected = sequence(dig(volume, "projected", "sources"))
    parts += [(f"{path}.projected.sources[{number}]", mapping(part)) for number, part in enumerate(projected)]
    for place, part in parts:
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            source = mapping(part.get(field))
            yield from _use(f"{place}.{field}", kind, source, None, frozen=frozen)
            for number, item in enumerate(map(mapping, sequence(source.get("items")))):
                named = {**item, **source}
                key = string(item.get("key"))
                yield from _use(f"{place}.{field}.items[{number}].key", kind, named, key, frozen=frozen)
    claim = mapping(volume.get("persistentVolumeClaim"))
    yield from _use(f"{path}.persistentVolumeClaim", "PersistentVolumeClaim", claim, None, frozen=True)
