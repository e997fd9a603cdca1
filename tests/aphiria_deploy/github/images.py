"""Images in OCI archives, as buildx writes them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REVISION = "org.opencontainers.image.revision"


class Blobs(dict[str, bytes]):
    """Content by its digest."""

    def add(self, content: bytes | Mapping[str, Any], media_type: str) -> dict[str, Any]:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}


def image(blobs: Blobs, revision: str | None, architecture: str = "amd64", note: str = "") -> dict[str, Any]:
    """An image for one platform, with a layer."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        entry = tarfile.TarInfo("note")
        entry.size = len(note)
        layer.addfile(entry, io.BytesIO(note.encode()))
    raw = content.getvalue()
    packed = blobs.add(gzip.compress(raw, mtime=0), LAYER)
    labels = {REVISION: revision} if revision else {}
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(raw).hexdigest()}"]},
    }
    made = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs.add(config, CONFIG), "layers": [packed]}
    return blobs.add(made, MANIFEST) | {"platform": {"architecture": architecture, "os": "linux"}}


def index(blobs: Blobs, manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An index, as buildx makes for one platform with provenance."""
    return blobs.add({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}, INDEX)


def provenance(blobs: Blobs, of: Mapping[str, Any]) -> dict[str, Any]:
    """What buildx says about an image, beside it."""
    statement = blobs.add({"_type": "https://in-toto.io/Statement/v0.1"}, "application/vnd.in-toto+json")
    config = {
        "architecture": "unknown",
        "os": "unknown",
        "rootfs": {"type": "layers", "diff_ids": [statement["digest"]]},
    }
    made = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs.add(config, CONFIG), "layers": [statement]}
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of["digest"]}
    platform = {"architecture": "unknown", "os": "unknown"}
    return blobs.add(made, MANIFEST) | {"annotations": about, "platform": platform}


def write(path: Path, blobs: Blobs, top: Mapping[str, Any], **more: bytes) -> str:
    """Writes the archive; gives the image's digest."""
    files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}).encode(),
        **{f"blobs/{digest.replace(':', '/')}": content for digest, content in blobs.items()},
        **{name.replace("__", "/"): content for name, content in more.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return str(top["digest"])


def build(folder: Path, name: str, revision: str | None, note: str = "") -> str:
    """Builds an image as build-images.yml does: one platform, with provenance; gives its digest."""
    blobs = Blobs()
    made = image(blobs, revision, note=f"{name} {note}")
    return write(folder / f"{name}.oci.tar", blobs, index(blobs, [made, provenance(blobs, made)]))
