"""Validity against the schemas of Kubernetes and of the custom resources."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.checks import schema
from constructs_lib.checks.manifests import Manifests, Object
from constructs_lib.checks.model import Severity
from constructs_lib.checks.registry import Found, rule


@rule(
    "unknown-field",
    summary="an object is not valid against its kind's schema: a misspelt field, a wrong type, a missing one",
    why="Misspelt fields and wrong types reached the cluster, which drops an unknown field without a word unless it is "
    "asked to be strict.",
)
def unknown_field(manifests: Manifests) -> Iterator[Found]:
    """Finds where objects depart from their schemas. CEL rules of custom resources are left to the server."""
    for item in manifests.objects:
        if not item.kind or not item.version:
            missing = "kind" if not item.kind else "apiVersion"
            yield Found(item, missing, f"{missing} is missing", f"add {missing}: it says what the object is")
            continue
        kind = manifests.known.kind(item.group, item.version, item.kind)
        if kind is None:
            yield from _unknown_kind(manifests, item)
            continue
        if not item.name:
            yield Found(item, "metadata.name", "the object has no name", "add metadata.name")
        # Of a foreign cluster it is not known which version of a custom resource's definition it has.
        unsure = not manifests.closed and not manifests.known.is_certain(item.group, item.version, item.kind)
        other = "; or the cluster has another version of the CustomResourceDefinition" if unsure else ""
        for problem in schema.validate(item.data, kind):
            if not problem.path.startswith("status"):
                severity = Severity.WARNING if unsure else None
                yield Found(item, problem.path, problem.message, f"{problem.hint}{other}", severity)


def _unknown_kind(manifests: Manifests, item: Object) -> Iterator[Found]:
    version = f"{item.group}/{item.version}".strip("/")
    if schema.is_core_group(item.group):
        nearest = schema.nearest_core_kind(item.group, item.kind)
        yield Found(
            item,
            "apiVersion",
            f"found apiVersion {version}, kind {item.kind}, which Kubernetes {schema.kubernetes_version()} does not "
            "serve",
            f"use {nearest}" if nearest else "use a kind that it serves",
        )
    elif manifests.closed:
        yield Found(
            item,
            "apiVersion",
            f"no schema of {version} {item.kind} is known, so its fields are not checked",
            "add its CustomResourceDefinition to the CRDs of `make imports`",
            Severity.WARNING,
        )
