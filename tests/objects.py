"""Finding one's way in manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Object = dict[str, Any]


def one(objects: Iterable[Object], kind: str, name: str | None = None) -> Object:
    """The one object of a kind, or the one of that name."""
    found = [item for item in objects if item["kind"] == kind and name in {None, item["metadata"]["name"]}]
    assert len(found) == 1, f"{kind} {name or ''}: found {len(found)}, expected one"
    return found[0]


def names(objects: Iterable[Object], kind: str) -> list[str]:
    """The names of all objects of a kind, in their order."""
    return [item["metadata"]["name"] for item in objects if item["kind"] == kind]


def key(item: Object) -> tuple[str, str, str, str]:
    """What no two objects of a set share."""
    metadata = item["metadata"]
    return item["apiVersion"], item["kind"], metadata.get("namespace", ""), metadata["name"]


def pod_template(item: Object) -> Object | None:
    """The template of an object that makes pods."""
    spec = item.get("spec", {})
    template = spec["jobTemplate"]["spec"]["template"] if item["kind"] == "CronJob" else spec.get("template")
    return template if isinstance(template, dict) else None


def pod_spec(item: Object) -> Object:
    """The spec of the pods that an object makes."""
    template = pod_template(item)
    assert template, f"{item['kind']} makes no pods"
    spec: Object = template["spec"]
    return spec


def container(item: Object, name: str) -> Object:
    """A container, or init container, of the pods that an object makes."""
    spec = pod_spec(item)
    containers = {part["name"]: part for part in [*spec.get("initContainers", []), *spec["containers"]]}
    found: Object = containers[name]
    return found


def environment(part: Object) -> dict[str, Any]:
    """The environment of a container: values, and references as they stand."""
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in part.get("env", [])}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything that is neither an object nor an array with members, by its path."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not members:
        yield path, value
    for name, member in members:
        yield from leaves(member, f"{path}.{name}" if path else str(name))
