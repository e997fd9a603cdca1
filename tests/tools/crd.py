"""CRDs of the size that a test needs."""

from typing import Any

from tools.crds import Crd

Json = dict[str, Any]


def crd_document(
    spec: Json, *, kind: str = "Widget", group: str = "example.test", versions: list[Json] | None = None
) -> Json:
    """A CRD of a kind, whose objects have that schema as their spec."""
    plural = f"{kind.lower()}s"
    schema = {
        "type": "object",
        "description": "A widget.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": {"example.test/channel": "standard"}},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": versions
            or [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def crd(spec: Json, *, kind: str = "Widget", group: str = "example.test") -> Crd:
    return Crd("test.yaml", crd_document(spec, kind=kind, group=group))
