"""Whether the manifests of a bundle that comes from a file are built as the engine takes for granted.

What else is wrong with them is told by the preflight rules, and by the API server. Nothing here reads or writes a
cluster.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aphiria_deploy.bundle import Bundle, BundleError, Manifest
from aphiria_deploy.errors import Errors

_WITH_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})


class _Metadata(msgspec.Struct):
    name: str
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Object(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    metadata: _Metadata


class _Ref(msgspec.Struct):
    name: str


class _SecretVolume(msgspec.Struct, rename="camel"):
    secret_name: str


class _Projection(msgspec.Struct):
    secret: _Ref | None = None


class _Projected(msgspec.Struct):
    sources: list[_Projection] | None = None


class _Volume(msgspec.Struct):
    secret: _SecretVolume | None = None
    projected: _Projected | None = None


class _ValueFrom(msgspec.Struct, rename="camel"):
    secret_key_ref: _Ref | None = None


class _Variable(msgspec.Struct, rename="camel"):
    name: str
    value_from: _ValueFrom | None = None


class _Variables(msgspec.Struct, rename="camel"):
    secret_ref: _Ref | None = None


class _Container(msgspec.Struct, rename="camel"):
    name: str
    image: str
    env: list[_Variable] | None = None
    env_from: list[_Variables] | None = None


class _Pod(msgspec.Struct, rename="camel"):
    containers: list[_Container]
    init_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None


class _TemplateMetadata(msgspec.Struct):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Template(msgspec.Struct):
    spec: _Pod
    metadata: _TemplateMetadata = msgspec.field(default_factory=_TemplateMetadata)


class _Selector(msgspec.Struct, rename="camel"):
    match_labels: dict[str, str] = {}


class _Spec(msgspec.Struct):
    template: _Template
    selector: _Selector = msgspec.field(default_factory=_Selector)


class _Workload(_Object):
    spec: _Spec


def require_shapes(bundle: Bundle, where: str) -> None:
    """Checks how a bundle's manifests are built, its Jobs of the destruction too.

    Args:
        bundle: The bundle.
        where: What to call it in an error.

    Raises:
        BundleError: One is built otherwise.
        CombinedError: Several are.
    """
    errors = Errors()
    lists = {f"files {file.name}": file.manifests for file in bundle.files}
    lists["destruction"] = bundle.destruction.jobs if bundle.destruction else []
    for place, manifests in lists.items():
        for number, manifest in enumerate(manifests):
            with errors.collected():
                _require(manifest, f"{where}: {place}: {_called(manifest, number)}")
    errors.raise_all()


def _require(manifest: Manifest, where: str) -> None:
    kind = manifest.get("kind")
    try:
        msgspec.convert(manifest, _Workload if isinstance(kind, str) and kind in _WITH_PODS else _Object)
    except msgspec.ValidationError as error:
        raise BundleError(f"{where}: {error}; expected a manifest as Kubernetes takes it") from None


def _called(manifest: Manifest, number: int) -> str:
    kind, metadata = manifest.get("kind"), manifest.get("metadata")
    name: Any = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{kind} {name}" if isinstance(kind, str) and isinstance(name, str) else f"manifest {number}"
