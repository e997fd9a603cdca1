"""An indexed set of manifests: what rules look at.

Manifests may come from anywhere, so nothing about their shape is taken for granted: :func:`mapping`, :func:`sequence`
and :func:`string` read a field of the wrong type as empty (``unknown-field`` reports the type).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from constructs_lib.checks.model import Context
from constructs_lib.checks.schema import Known, known_with

GATEWAY_GROUP = "gateway.networking.k8s.io"


def mapping(value: Any) -> dict[str, Any]:
    """Gives the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """Gives the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def string(value: Any) -> str:
    """Gives the value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def dig(data: Any, *keys: str) -> Any:
    """Gives the field at the end of the keys, or None."""
    for key in keys:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data


def whole(value: Any, default: int) -> int:
    """Gives the value if it is a whole number, else the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


@dataclass(frozen=True, eq=False)
class Object:
    """One object of the set, or of the declared base.

    Attributes:
        data: The manifest.
        group: Its API group; empty for the core group.
        version: Its API version.
        kind: Its kind.
        namespace: Its namespace: the context's where it names none, empty where its kind has none.
        name: Its name.
        file: The YAML file that it comes from.
        document: The number of its document in that file, and of its item in a List.
        line: Where it starts in that file.
    """

    data: dict[str, Any]
    group: str
    version: str
    kind: str
    namespace: str
    name: str
    file: str | None = None
    document: tuple[int, int | None] = (0, None)
    line: int | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """Its spec."""
        return mapping(self.data.get("spec"))

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata."""
        return mapping(self.data.get("metadata"))

    @property
    def annotations(self) -> dict[str, Any]:
        """Its annotations."""
        return mapping(self.metadata.get("annotations"))

    @property
    def labels(self) -> dict[str, Any]:
        """Its labels."""
        return mapping(self.metadata.get("labels"))

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{where}"


@dataclass(frozen=True)
class Source:
    """A manifest and where it comes from."""

    data: Mapping[str, Any]
    file: str | None = None
    document: tuple[int, int | None] = (0, None)
    line: int | None = None


@dataclass(frozen=True, eq=False)
class Container:
    """A container of a pod template.

    Attributes:
        data: Its manifest.
        path: Its path in the object.
        init: True for an init container, also for one that keeps running (a sidecar).
    """

    data: dict[str, Any]
    path: str
    init: bool

    @property
    def name(self) -> str:
        """Its name."""
        return string(self.data.get("name"))

    @property
    def image(self) -> str:
        """Its image."""
        return string(self.data.get("image"))

    @property
    def sidecar(self) -> bool:
        """True for an init container that keeps running beside the others."""
        return self.init and self.data.get("restartPolicy") == "Always"

    @property
    def ports(self) -> list[dict[str, Any]]:
        """The ports that it declares."""
        return [mapping(port) for port in sequence(self.data.get("ports"))]

    @property
    def words(self) -> list[str]:
        """Its command and arguments."""
        return [string(word) for key in ("command", "args") for word in sequence(self.data.get(key))]


@dataclass(frozen=True, eq=False)
class Pod:
    """The pods that an object makes (or is).

    Attributes:
        owner: The object.
        path: Of the pod template in the object: ``spec.template``, empty for a Pod itself.
        template: The template: metadata and spec.
    """

    owner: Object
    path: str
    template: dict[str, Any]

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The pod's spec."""
        return mapping(self.template.get("spec"))

    @cached_property
    def spec_path(self) -> str:
        """The path of the pod's spec in the object."""
        return f"{self.path}.spec" if self.path else "spec"

    @cached_property
    def labels(self) -> dict[str, Any]:
        """The pod's labels."""
        return mapping(dig(self.template, "metadata", "labels"))

    @cached_property
    def annotations(self) -> dict[str, Any]:
        """The pod's annotations."""
        return mapping(dig(self.template, "metadata", "annotations"))

    @property
    def namespace(self) -> str:
        """The namespace it runs in."""
        return self.owner.namespace

    @cached_property
    def containers(self) -> list[Container]:
        """All containers, init containers first, as the kubelet starts them."""
        return [
            Container(mapping(data), f"{self.spec_path}.{key}[{number}]", key == "initContainers")
            for key in ("initContainers", "containers")
            for number, data in enumerate(sequence(self.spec.get(key)))
        ]

    @cached_property
    def serving(self) -> list[Container]:
        """The containers that keep running: the regular ones and the sidecars."""
        return [container for container in self.containers if not container.init or container.sidecar]

    @property
    def runs_to_its_end(self) -> bool:
        """True for the pods of Jobs and CronJobs."""
        return self.owner.kind in {"Job", "CronJob"}


_TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("apps", "Deployment"): ("spec", "template"),
    ("apps", "StatefulSet"): ("spec", "template"),
    ("apps", "DaemonSet"): ("spec", "template"),
    ("apps", "ReplicaSet"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
}
LONG_RUNNING = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"})


class Manifests:
    """A set of objects, the declared base beside it, and the context."""

    def __init__(self, sources: Sequence[Source], context: Context) -> None:
        self.context = context
        raw = [source for source in sources if isinstance(source.data, dict)]
        crds = [data for data in [*(source.data for source in raw), *context.base] if _is_crd(data)]
        self.known: Known = known_with(crds)
        self.objects: tuple[Object, ...] = tuple(self._object(source) for source in raw)
        self.base: tuple[Object, ...] = tuple(
            self._object(Source(data)) for data in context.base if isinstance(data, dict)
        )
        self._emitted = frozenset(self.objects)
        self._of_set = _by_kind(self.objects)
        self._of_base = _by_kind(self.base)
        self._by_name: dict[tuple[str, str, str], Object] = {}
        for item in (*self.objects, *self.base):
            self._by_name.setdefault((_index_name(item), item.namespace, item.name), item)

    @property
    def closed(self) -> bool:
        """True where what is not found here is missing."""
        return self.context.closed

    def emits(self, item: Object | None) -> bool:
        """Says whether an object is in the set itself, and not in the declared base."""
        return item in self._emitted

    def of(self, *kinds: str) -> Iterator[Object]:
        """Gives the objects of the set of these kinds, in order."""
        for kind in kinds:
            yield from self._of_set.get(kind, ())

    def everywhere(self, *kinds: str) -> Iterator[Object]:
        """Gives the objects of these kinds of the set and of the declared base."""
        for kind in kinds:
            yield from self._of_set.get(kind, ())
            yield from self._of_base.get(kind, ())

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """Gives an object of the set or of the declared base."""
        return self._by_name.get((kind, namespace, name))

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods that the set's objects make."""
        return tuple(_pods(self.objects))

    @cached_property
    def base_pods(self) -> tuple[Pod, ...]:
        """The pods that the declared base's objects make."""
        return tuple(_pods(self.base))

    def pods_in(self, namespace: str, *, with_base: bool = False) -> Iterator[Pod]:
        """Gives the pods of a namespace."""
        yield from self._pods_by_namespace.get(namespace, ())
        if with_base:
            yield from (pod for pod in self.base_pods if pod.namespace == namespace)

    def namespace_labels(self, namespace: str) -> dict[str, Any]:
        """Gives a namespace's labels, with the one that Kubernetes sets."""
        item = self.find("Namespace", "", namespace)
        return {**(item.labels if item else {}), "kubernetes.io/metadata.name": namespace}

    @cached_property
    def _pods_by_namespace(self) -> dict[str, list[Pod]]:
        result: dict[str, list[Pod]] = defaultdict(list)
        for pod in self.pods:
            result[pod.namespace].append(pod)
        return result

    def _object(self, source: Source) -> Object:
        data = dict(source.data)
        group, _, version = string(data.get("apiVersion")).rpartition("/")
        kind = string(data.get("kind"))
        metadata = mapping(data.get("metadata"))
        namespace = string(metadata.get("namespace"))
        cluster_wide = self.known.is_cluster_wide(group, kind)
        if cluster_wide:
            namespace = ""
        elif not namespace and cluster_wide is False:
            namespace = self.context.namespace
        name = string(metadata.get("name")) or string(metadata.get("generateName"))
        return Object(data, group, version, kind, namespace, name, source.file, source.document, source.line)


_GROUPS = {
    **dict.fromkeys(("Service", "ConfigMap", "Secret", "Namespace", "ServiceAccount"), ""),
    **dict.fromkeys(("PersistentVolumeClaim", "ResourceQuota", "LimitRange"), ""),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), "apps"),
    **dict.fromkeys(("Job", "CronJob"), "batch"),
    **dict.fromkeys(("Ingress", "NetworkPolicy"), "networking.k8s.io"),
    **dict.fromkeys(("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"), "rbac.authorization.k8s.io"),
    "PodDisruptionBudget": "policy",
    "HorizontalPodAutoscaler": "autoscaling",
    **dict.fromkeys(("Gateway", "HTTPRoute", "GRPCRoute", "ReferenceGrant"), GATEWAY_GROUP),
    **dict.fromkeys(("Certificate", "Issuer", "ClusterIssuer"), "cert-manager.io"),
}
"""Kinds that rules ask for: another group's kind of the same name (a Knative Service) is another kind."""


def _index_name(item: Object) -> str:
    return item.kind if _GROUPS.get(item.kind, item.group) == item.group else f"{item.group}/{item.kind}"


def _by_kind(objects: Sequence[Object]) -> dict[str, list[Object]]:
    result: dict[str, list[Object]] = defaultdict(list)
    for item in objects:
        result[_index_name(item)].append(item)
    return result


def _pods(objects: Sequence[Object]) -> Iterator[Pod]:
    for item in objects:
        keys = _TEMPLATES.get((item.group, item.kind))
        if keys is not None:
            template = mapping(dig(item.data, *keys))
            if isinstance(template.get("spec"), dict):
                yield Pod(item, ".".join(keys), template)


def _is_crd(data: Any) -> bool:
    return isinstance(data, dict) and data.get("kind") == "CustomResourceDefinition"


def selects(selector: Any, labels: Mapping[str, Any]) -> bool:
    """Says whether a label selector (matchLabels, matchExpressions) selects the labels. An empty one selects all."""
    selector = mapping(selector)
    if any(labels.get(key) != value for key, value in mapping(selector.get("matchLabels")).items()):
        return False
    return all(_expression(mapping(part), labels) for part in sequence(selector.get("matchExpressions")))


def _expression(part: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, values = string(part.get("key")), sequence(part.get("values"))
    match part.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
