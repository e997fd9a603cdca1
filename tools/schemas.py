"""Writes the schemas that the rule ``unknown-field`` compares manifests with.

Those of Kubernetes come from the package kubernetes-validate (a development dependency, never loaded at run time),
those of custom resources from the CRDs in `cdk8s.yaml`. The same input gives the same bytes.

    python -m tools.schemas [--crds FOLDER]
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from constructs_lib.checks.structural import OBJECT_META, Schema, schemas_of_crd
from tools.crds import Crd, CrdError
from tools.imports import CONFIG, load_releases, read_release

KUBERNETES = "1.34"
"""The version whose schemas are carried: the newest that DigitalOcean is expected to offer."""

TARGET = Path(__file__).parent.parent / "constructs_lib" / "checks" / "schemas"

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
_LEAVES = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    f"{_META}Time": "date-time",
    f"{_META}MicroTime": "date-time",
    f"{_META}FieldsV1": "any",
    f"{_META}Patch": "any",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    f"{_EXTENSIONS}JSON": "any",
    f"{_EXTENSIONS}JSONSchemaPropsOrArray": "any",
    f"{_EXTENSIONS}JSONSchemaPropsOrBool": "any",
    f"{_EXTENSIONS}JSONSchemaPropsOrStringArray": "any",
    f"{_EXTENSIONS}CustomResourceSubresourceStatus": "any",
}
_NOT_MANIFESTS = {"DeleteOptions", "WatchEvent", "Status", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions"}

_CLUSTER_WIDE = {
    *("Namespace", "Node", "PersistentVolume", "ComponentStatus", "ClusterRole", "ClusterRoleBinding"),
    *("CustomResourceDefinition", "APIService", "StorageClass", "CSIDriver", "CSINode", "VolumeAttachment"),
    *("VolumeAttributesClass", "PriorityClass", "RuntimeClass", "IngressClass", "IPAddress", "ServiceCIDR"),
    *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy"),
    *("ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
    *("CertificateSigningRequest", "ClusterTrustBundle", "FlowSchema", "PriorityLevelConfiguration", "DeviceClass"),
    *("ResourceSlice", "DeviceTaintRule", "StorageVersion", "StorageVersionMigration", "TokenReview"),
    *("SelfSubjectReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"),
}
"""The JSON schemas do not say which kinds have no namespace."""

_PORT = {"type": "int32", "minimum": 1, "maximum": 65535}
_PROTOCOL = ["TCP", "UDP", "SCTP"]
_CORE = "io.k8s.api.core.v1."
_APPS = "io.k8s.api.apps.v1."
_VALUES: dict[str, dict[str, Any]] = {
    f"{_CORE}Container": {
        "imagePullPolicy": ["Always", "IfNotPresent", "Never"],
        "terminationMessagePolicy": ["File", "FallbackToLogsOnError"],
    },
    f"{_CORE}ContainerPort": {"protocol": _PROTOCOL, "containerPort": _PORT},
    f"{_CORE}PodSpec": {
        "restartPolicy": ["Always", "OnFailure", "Never"],
        "dnsPolicy": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
        "preemptionPolicy": ["PreemptLowerPriority", "Never"],
    },
    f"{_CORE}SeccompProfile": {"type": ["RuntimeDefault", "Unconfined", "Localhost"]},
    f"{_CORE}ServicePort": {"protocol": _PROTOCOL, "port": _PORT},
    f"{_CORE}ServiceSpec": {
        "type": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"],
        "sessionAffinity": ["ClientIP", "None"],
        "externalTrafficPolicy": ["Cluster", "Local"],
        "internalTrafficPolicy": ["Cluster", "Local"],
        "ipFamilyPolicy": ["SingleStack", "PreferDualStack", "RequireDualStack"],
    },
    f"{_CORE}PersistentVolumeClaimSpec": {
        "accessModes": [
            {"type": "string", "enum": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]}
        ],
        "volumeMode": ["Block", "Filesystem"],
    },
    f"{_CORE}NodeSelectorRequirement": {"operator": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]},
    f"{_CORE}Toleration": {"operator": ["Exists", "Equal"], "effect": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
    f"{_META}LabelSelectorRequirement": {"operator": ["In", "NotIn", "Exists", "DoesNotExist"]},
    f"{_APPS}DeploymentStrategy": {"type": ["Recreate", "RollingUpdate"]},
    f"{_APPS}StatefulSetUpdateStrategy": {"type": ["RollingUpdate", "OnDelete"]},
    f"{_APPS}DaemonSetUpdateStrategy": {"type": ["RollingUpdate", "OnDelete"]},
    f"{_APPS}StatefulSetSpec": {"podManagementPolicy": ["OrderedReady", "Parallel"]},
    "io.k8s.api.batch.v1.CronJobSpec": {"concurrencyPolicy": ["Allow", "Forbid", "Replace"]},
    "io.k8s.api.batch.v1.JobSpec": {"completionMode": ["NonIndexed", "Indexed"]},
    "io.k8s.api.networking.v1.NetworkPolicySpec": {"policyTypes": [{"type": "string", "enum": ["Ingress", "Egress"]}]},
    "io.k8s.api.networking.v1.NetworkPolicyPort": {"protocol": _PROTOCOL},
    "io.k8s.api.networking.v1.HTTPIngressPath": {"pathType": ["Exact", "Prefix", "ImplementationSpecific"]},
}
"""What the server's validation adds to the schemas: they say ``string`` where only a few values are allowed."""


def build(crds: Iterable[Crd]) -> dict[str, str]:
    """Gives the schema files by name: ``core.json``, and one for each group of custom resources."""
    groups: dict[str, dict[str, Any]] = defaultdict(lambda: {"kinds": {}, "cluster": []})
    for crd in crds:
        for name, schema, cluster in schemas_of_crd(crd.document):
            group = groups[crd.group]
            group["kinds"][name] = schema
            if cluster:
                group["cluster"].append(name)
    files = {"core.json": _core()} | {f"{group}.json": _shared(content) for group, content in groups.items()}
    return {name: _dump(content) for name, content in files.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files, and removes those of groups that are no more; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make imports", description=__doc__)
    parser.add_argument("--crds", type=Path, metavar="FOLDER", help="files of CRDs, instead of downloads")
    folder: Path | None = parser.parse_args(arguments).crds
    try:
        crds = [crd for release in load_releases(CONFIG) for crd in read_release(release, folder)]
    except CrdError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    files = build(crds)
    TARGET.mkdir(exist_ok=True)
    for stale in TARGET.glob("*.json"):
        if stale.name not in files:
            stale.unlink()
    for name, text in files.items():
        (TARGET / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}  {len(text) / 1000:.0f} kB\n")
    return 0


def _core() -> dict[str, Any]:
    package = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    source = package / f"v{KUBERNETES}.0-local" / "_definitions.json"
    definitions: dict[str, Any] = json.loads(source.read_text())["$defs"]
    names = sorted(name for name in definitions if name not in _LEAVES)
    index = {name: number for number, name in enumerate(names)}
    converted = [_definition(name, definitions[name], index) for name in names]
    kinds: dict[str, int] = {}
    cluster: list[str] = []
    for name in names:
        for gvk in definitions[name].get("x-kubernetes-group-version-kind", []):
            if gvk["kind"] in _NOT_MANIFESTS:
                continue
            key = f"{gvk['group']}/{gvk['version']}/{gvk['kind']}"
            kinds[key] = index[name]
            if gvk["kind"] in _CLUSTER_WIDE:
                cluster.append(key)
    return {
        "kubernetes": KUBERNETES,
        "metadata": index[OBJECT_META],
        "kinds": dict(sorted(kinds.items())),
        "cluster": sorted(cluster),
        "definitions": converted,
    }


def _definition(name: str, schema: dict[str, Any], index: dict[str, int]) -> Schema:
    if "properties" not in schema:
        return "any"
    properties = {key: _property(value, index) for key, value in schema["properties"].items()}
    for key, values in _VALUES.get(name, {}).items():
        only = isinstance(values, list) and isinstance(values[0], str)
        # To the server, an empty string is an absent field.
        optional = [] if key in schema.get("required", ()) else [""]
        properties[key] = {"type": "string", "enum": [*values, *optional]} if only else values
    result: dict[str, Any] = {"properties": properties}
    if schema.get("required"):
        result["required"] = schema["required"]
    return result


def _property(schema: dict[str, Any], index: dict[str, int]) -> Schema:
    reference = schema.get("$ref")
    if reference:
        name = reference.rsplit("/", 1)[1]
        return _LEAVES.get(name) or index[name]
    kind = schema.get("type", "any")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "array":
        return [_property(schema.get("items", {}), index)]
    if kind == "object":
        values = schema.get("additionalProperties")
        return {"values": _property(values, index)} if isinstance(values, dict) else "any"
    return schema["format"] if schema.get("format") in {"int32", "int64", "byte", "date-time"} else kind


def _shared(content: dict[str, Any]) -> dict[str, Any]:
    """Writes sub-schemas that occur more than once (a whole pod spec does) once, as definitions."""
    seen: dict[str, int] = {}
    _count(list(content["kinds"].values()), seen)
    definitions: list[Schema] = []
    numbers: dict[str, int] = {}
    kinds = {name: _replace(schema, seen, numbers, definitions) for name, schema in sorted(content["kinds"].items())}
    return {"kinds": kinds, "cluster": sorted(content["cluster"]), "definitions": definitions}


_WORTH_SHARING = 120


def _parts(schema: Schema) -> list[Schema]:
    """Gives the schemas inside of a schema."""
    if isinstance(schema, list):
        return schema
    if not isinstance(schema, dict):
        return []
    return [
        *schema.get("properties", {}).values(),
        *(schema[name] for name in ("items", "values", "not") if name in schema),
        *(part for name in ("anyOf", "oneOf", "allOf") for part in schema.get(name, [])),
    ]


def _count(schemas: list[Schema], seen: dict[str, int]) -> None:
    for schema in schemas:
        if isinstance(schema, dict):
            key = json.dumps(schema, sort_keys=True)
            seen[key] = seen.get(key, 0) + 1
        _count(_parts(schema), seen)


def _replace(schema: Schema, seen: dict[str, int], numbers: dict[str, int], definitions: list[Schema]) -> Schema:
    if isinstance(schema, list):
        return [_replace(part, seen, numbers, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    key = json.dumps(schema, sort_keys=True)
    if key in numbers:
        return numbers[key]
    replaced = dict(schema)
    for name in ("items", "values"):
        if name in schema:
            replaced[name] = _replace(schema[name], seen, numbers, definitions)
    if "properties" in schema:
        replaced["properties"] = {
            name: _replace(value, seen, numbers, definitions) for name, value in schema["properties"].items()
        }
    if seen[key] > 1 and len(key) > _WORTH_SHARING:
        numbers[key] = len(definitions)
        definitions.append(replaced)
        return numbers[key]
    return replaced


def _dump(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.exit(main())
