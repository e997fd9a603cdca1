"""The order in which objects are applied: ``config.kubernetes.io/depends-on``, in kpt's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from constructs_lib.checks.manifests import Object, string

DEPENDS_ON = "config.kubernetes.io/depends-on"
RUNS_AGAIN_WITH = "deploy.aphiria.com/runs-again-with"
_CLUSTER_PARTS = 3
_NAMESPACED_PARTS = 5


@dataclass(frozen=True)
class Reference:
    """An object that another one waits for."""

    group: str
    kind: str
    namespace: str
    name: str


def dependencies(item: Object, annotation: str = DEPENDS_ON) -> list[tuple[str, Reference | None]]:
    """Gives what an object waits for: each entry of the annotation, and the object that it names, if it is well formed.

    The format is ``GROUP/namespaces/NAMESPACE/KIND/NAME``, or ``GROUP/KIND/NAME`` for an object of the whole cluster;
    the group of core kinds is empty.

    Args:
        item: The object.
        annotation: Which annotation; others have the same format.
    """
    entries = [entry.strip() for entry in string(item.annotations.get(annotation)).split(",")]
    return [(entry, _parse(entry)) for entry in entries if entry]


def stages(items: Sequence[Object]) -> list[list[Object]]:
    """Sorts objects into stages: each waits only for objects of earlier stages. Within a stage the order is kept.

    Objects that wait for each other in a circle share the last stage.
    """
    by_reference = {Reference(item.group, item.kind, item.namespace, item.name): item for item in items}
    waits = {
        item: {by_reference[ref] for _, ref in dependencies(item) if ref is not None and ref in by_reference} - {item}
        for item in items
    }
    result: list[list[Object]] = []
    done: set[Object] = set()
    rest = list(items)
    while rest:
        stage = [item for item in rest if waits[item] <= done] or rest
        result.append(stage)
        done.update(stage)
        rest = [item for item in rest if item not in done]
    return result


def _parse(entry: str) -> Reference | None:
    parts = entry.split("/")
    if len(parts) == _NAMESPACED_PARTS and parts[1] == "namespaces" and all(parts[2:]):
        return Reference(parts[0], parts[3], parts[2], parts[4])
    if len(parts) == _CLUSTER_PARTS and all(parts[1:]):
        return Reference(parts[0], parts[1], "", parts[2])
    return None
