"""What Helm remembers of its releases in a cluster: which objects each of them made. Pure.

A revision of a release is a Secret, or a ConfigMap where ``HELM_DRIVER`` says so, with the labels ``owner=helm`` and
``name``. As long as it is there, ``helm uninstall`` deletes what it names, and ``helm upgrade`` sets it back.
https://github.com/helm/helm/blob/main/pkg/storage/driver/util.go
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aphiria_deploy.bundle import Manifest
from aphiria_deploy.errors import AphiriaDeployError
from aphiria_deploy.kube import Kind, Ref

KINDS = (Kind("v1", "Secret"), Kind("v1", "ConfigMap"))
"""What Helm keeps its records in."""
SELECTOR = "owner=helm"

_KEY = "release"
_GZIP = b"\x1f\x8b"


class HelmRecordError(AphiriaDeployError):
    """A record of Helm's cannot be read."""


@dataclass(frozen=True)
class HelmRelease:
    """A release, as Helm remembers it.

    Attributes:
        namespace: Where it is remembered.
        name: Its name.
        records: Its revisions, without what they hold: values may be secret.
        made: What any of them made, hooks included; those without a namespace are in the release's, or the cluster's.
    """

    namespace: str
    name: str
    records: tuple[Manifest, ...] = field(repr=False)
    made: frozenset[Ref]

    def __str__(self) -> str:
        return f"the Helm release {self.namespace}/{self.name}"


def is_record(item: Mapping[str, Any]) -> bool:
    """Whether an object is a record of Helm's."""
    labels = item["metadata"].get("labels") or {}
    kinds = {(kind.api_version, kind.name) for kind in KINDS}
    return (item["apiVersion"], item["kind"]) in kinds and labels.get("owner") == "helm" and "name" in labels


def releases(items: Iterable[Manifest]) -> list[HelmRelease]:
    """Gives the releases that records are of.

    Raises:
        HelmRecordError: One cannot be read.
    """
    found: dict[tuple[str, str], list[Manifest]] = {}
    for item in filter(is_record, items):
        found.setdefault((item["metadata"]["namespace"], item["metadata"]["labels"]["name"]), []).append(item)
    return [_release(namespace, name, records) for (namespace, name), records in sorted(found.items())]


def _release(namespace: str, name: str, records: Sequence[Manifest]) -> HelmRelease:
    made = frozenset(ref for record in records for ref in _made(record))
    bare = [{key: record[key] for key in ("apiVersion", "kind", "metadata")} for record in records]
    return HelmRelease(namespace, name, tuple(sorted(bare, key=lambda record: record["metadata"]["name"])), made)


def _made(record: Manifest) -> Iterator[Ref]:
    from yaml import YAMLError  # noqa: PLC0415 - 50 ms, and hardly ever needed

    try:
        document = _decoded(record)
        texts = [document.get("manifest") or "", *(hook["manifest"] for hook in document.get("hooks") or ())]
        for item in (one for text in texts for one in _objects(text)):
            yield Ref.of(item)
    except (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, zlib.error, YAMLError) as error:
        what = f"{record['kind']} {record['metadata']['namespace']}/{record['metadata']['name']}"
        # Not what the error says: a line of the record may be in it.
        raise HelmRecordError(
            f"{what}: found no release of Helm's in it ({type(error).__name__}), expected one, by its labels: see what "
            "it is (helm get manifest), and delete it if it is of no use"
        ) from None


def _decoded(record: Manifest) -> dict[str, Any]:
    data = record["data"][_KEY]
    if record["kind"] == "Secret":
        data = base64.b64decode(data, validate=True)
    content = base64.b64decode(data, validate=True)
    # Very old ones are not compressed.
    document: dict[str, Any] = json.loads(gzip.decompress(content) if content.startswith(_GZIP) else content)
    return document


def _objects(text: str) -> Iterator[Manifest]:
    import yaml  # noqa: PLC0415 - 50 ms, and hardly ever needed

    for document in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if document:
            yield from document["items"] if document["kind"] == "List" else [document]
