"""Rules about the set as a whole: what is in it, and what must not be."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.checks.manifests import Manifests, Object
from constructs_lib.checks.model import PREVIEW
from constructs_lib.checks.registry import RULES, Found, rule

_BUILTIN = ("default", "kube-system", "kube-public", "kube-node-lease")
_BESIDE_A_DATABASE = {"Job", "ConfigMap", "ServiceAccount", "NetworkPolicy"}


@rule(
    "duplicate-object",
    summary="two objects of a set have the same kind, namespace and name",
    why="Two components wrote one Secret's name: the one that was applied last won, and each apply undid the other.",
)
def duplicate_object(manifests: Manifests) -> Iterator[Found]:
    """Finds the second of two objects with one identity."""
    first: dict[tuple[str, str, str, str], Object] = {}
    for item in manifests.objects:
        key = (item.group, item.kind, item.namespace, item.name)
        if not item.name or not item.kind or "generateName" in item.metadata:
            continue
        other = first.setdefault(key, item)
        if other is not item:
            where = f" at {other.file}:{other.line}" if other.file else ""
            yield Found(
                item,
                "metadata.name",
                f"{item} is in the set twice; the other one stands{where or ' before it'}",
                "remove one of them, or give it a name of its own",
            )


@rule(
    "cluster-scope",
    summary="a preview's set holds something outside of its own namespace",
    why="Every preview installed cluster-wide objects: previews fought over them, and removing one broke the others.",
)
def cluster_scope(manifests: Manifests) -> Iterator[Found]:
    """Finds what is cluster-wide, or in a foreign namespace, in a preview."""
    context = manifests.context
    if context.environment != PREVIEW:
        return
    databases = {item.namespace for item in manifests.base if item.kind == "Service"}
    for item in manifests.objects:
        cluster_wide = manifests.known.is_cluster_wide(item.group, item.kind)
        if item.kind == "Namespace" and item.name == context.namespace:
            continue
        if cluster_wide:
            yield Found(
                item,
                "kind" if item.kind != "Namespace" else "metadata.name",
                f"{item.kind} {item.name} is cluster-wide; a preview holds its Namespace {context.namespace} and what "
                "is in it",
                "move it to the base that all previews share",
            )
        elif item.namespace != context.namespace and not (
            item.namespace in databases and item.kind in _BESIDE_A_DATABASE
        ):
            yield Found(
                item,
                "metadata.namespace",
                f"found namespace {item.namespace or '(none)'}, expected {context.namespace}; only what a database Job "
                f"needs ({', '.join(sorted(_BESIDE_A_DATABASE))}) may stand beside the database",
                f"set metadata.namespace to {context.namespace}",
            )


@rule(
    "no-builtin-namespace",
    summary="a set emits a namespace that Kubernetes itself makes",
    why="The set created the namespace `default` and raced with the cluster; removing the set would have deleted it.",
)
def no_builtin_namespace(manifests: Manifests) -> Iterator[Found]:
    """Finds Namespace objects of the built-in namespaces."""
    for item in manifests.of("Namespace"):
        if item.name in _BUILTIN:
            yield Found(
                item,
                "metadata.name",
                f"Namespace {item.name} is Kubernetes' own: it exists in every cluster, and pruning would delete it",
                "remove the Namespace from the set; objects may be in it all the same",
            )


@rule(
    "silence-needs-reason",
    summary="an annotation silences a rule without a reason, or a rule that does not exist",
    why="A silence that nobody explained hides the next incident: the reason is what a reviewer can judge.",
)
def silence_needs_reason(manifests: Manifests) -> Iterator[Found]:
    """Finds silences without a reason, and those of unknown rules."""
    prefix = "deploy.aphiria.com/silence."
    for item in manifests.objects:
        for key, reason in item.annotations.items():
            if not isinstance(key, str) or not key.startswith(prefix):
                continue
            name, path = key.removeprefix(prefix), f'metadata.annotations["{key}"]'
            if name not in RULES:
                yield Found(
                    item, path, f"there is no rule {name!r}", "correct the rule's name, or remove the annotation"
                )
            elif not (isinstance(reason, str) and reason.strip()):
                yield Found(
                    item,
                    path,
                    f"found {reason!r}, expected the reason why {name} does not matter here",
                    "write the reason as the annotation's value, or mend what the rule finds",
                )
