"""What is behind a digest: manifests, indexes and configurations, read from documents that a registry gave.

https://github.com/opencontainers/image-spec/tree/v1.1.0, and its predecessor,
https://distribution.github.io/distribution/spec/manifest-v2-2/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aphiria_deploy.errors import ImageContentError
from aphiria_deploy.registry.reference import is_digest

INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
CONFIGS: Final = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
REVISION: Final = "org.opencontainers.image.revision"
"""The label of an image's configuration with the commit that it was built from."""

# How BuildKit marks what it says about an image, beside the images of an index: no pod runs it.
_ABOUT: Final = "vnd.docker.reference.type"


class MalformedError(Exception):
    """A document of a registry is not what its media type says. It is told as a RegistryContentError."""


@dataclass(frozen=True)
class PlatformImage:
    """The image for one platform.

    Attributes:
        platform: ``linux/amd64``, ``linux/arm/v7``; empty where nothing says it.
        manifest: The digest of its manifest.
        config: The digest of its configuration.
        revision: The commit that it says it was built from.
    """

    platform: str
    manifest: str
    config: str
    revision: str | None


@dataclass(frozen=True)
class ImageContent:
    """What a reference leads to.

    Attributes:
        ref: The reference, pinned to its digest.
        digest: The digest: of the index where there is one.
        digests: Every digest under which a running pod may report it: the index's, the manifests', their
            configurations'.
        platforms: The images, in the index's order. A platform whose manifest the registry does not hold (a mirror
            of one platform alone) is not among them.
    """

    ref: str
    digest: str
    digests: frozenset[str] = field(repr=False)
    platforms: tuple[PlatformImage, ...]

    def is_reported_as(self, image_id: str) -> bool:
        """Whether a container with this ``imageID`` runs it."""
        return digest_of_image_id(image_id) in self.digests

    def require_revision(self, commit: str, where: str = "image") -> None:
        """Checks that the images of all platforms were built from a commit.

        Raises:
            ImageContentError: One says another, or none.
        """
        for image in self.platforms:
            if image.revision != commit:
                found = f"built from {image.revision!r}" if image.revision else f"without the label {REVISION}"
                raise ImageContentError(
                    f"{where}: {self.ref} ({image.platform or 'unknown platform'}): found an image {found}, expected "
                    f"one that was built from {commit}: build the images of that commit, or approve the other one"
                )


def digest_of_image_id(image_id: str) -> str | None:
    """Gives the digest in a container status's ``imageID``; None where there is none.

    Runtimes write ``ghcr.io/a/b@sha256:…``, ``docker-pullable://a/b@sha256:…``, ``sha256:…``, or 64 hex digits alone.
    """
    last = re.split(r"@|//", image_id)[-1]
    digest = last if ":" in last else f"sha256:{last}"
    return digest if is_digest(digest) else None


@dataclass(frozen=True)
class Document:
    """A manifest or an index.

    Attributes:
        digest: The SHA-256 of its bytes.
        media_type: One of ``INDEXES`` and ``MANIFESTS``.
        data: Its JSON object.
    """

    digest: str
    media_type: str
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, digest: str, content_type: str, data: object) -> Document:
        """Reads a document.

        Raises:
            MalformedError: It is none, or can be read as two different things (CVE-2021-41190).
        """
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type not in INDEXES + MANIFESTS:
            raise MalformedError(f"found the media type {media_type!r}, expected an OCI or Docker v2 manifest or index")
        if not isinstance(data, dict):
            raise MalformedError("found no JSON object, expected a manifest or an index")
        if data.get("mediaType", media_type) != media_type:
            raise MalformedError(f"found mediaType {data['mediaType']!r} in a document of type {media_type!r}")
        if "manifests" in data and ("layers" in data or "config" in data):
            raise MalformedError("found an index that is a manifest too, expected one of them")
        wanted = "manifests" if media_type in INDEXES else "config"
        if not isinstance(data.get(wanted), list if media_type in INDEXES else dict):
            raise MalformedError(f"found no {wanted}, expected them in {media_type}")
        return cls(digest, media_type, data)

    @property
    def is_index(self) -> bool:
        """Whether it lists others."""
        return self.media_type in INDEXES

    def children(self) -> list[Descriptor]:
        """The images and indexes that an index lists.

        Raises:
            MalformedError: One is not described.
        """
        listed = [_descriptor(entry, f"manifests[{number}]") for number, entry in enumerate(self.data["manifests"])]
        return [each for each in listed if each.media_type in INDEXES + MANIFESTS and not each.is_about]

    def config(self) -> Descriptor:
        """The configuration of a manifest.

        Raises:
            MalformedError: It is not described.
        """
        return _descriptor(self.data["config"], "config")


@dataclass(frozen=True)
class Descriptor:
    """What a document says about another one.

    Attributes:
        digest: Its digest.
        media_type: Its type.
        platform: The platform that it is for; empty where nothing says it.
        is_about: Whether it only says something about an image.
    """

    digest: str
    media_type: str
    platform: str
    is_about: bool


def revision_and_platform(config: object) -> tuple[str | None, str]:
    """Gives the recorded revision and the platform of an image's configuration.

    Raises:
        MalformedError: It is no configuration.
    """
    if not isinstance(config, dict):
        raise MalformedError("found no JSON object, expected an image's configuration")
    inner = config.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    revision = labels.get(REVISION) if isinstance(labels, dict) else None
    return revision if isinstance(revision, str) and revision else None, _platform(config)


def _descriptor(entry: object, where: str) -> Descriptor:
    data = entry if isinstance(entry, dict) else {}
    digest, media_type = data.get("digest"), data.get("mediaType")
    if not isinstance(digest, str) or not is_digest(digest) or not isinstance(media_type, str):
        raise MalformedError(f"{where}: found no mediaType and digest, expected both, the digest with sha256")
    annotations, platform = data.get("annotations"), data.get("platform")
    return Descriptor(
        digest,
        media_type,
        _platform(platform) if isinstance(platform, dict) else "",
        isinstance(annotations, dict) and _ABOUT in annotations,
    )


def _platform(data: Mapping[str, Any]) -> str:
    parts = [data.get(name) for name in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if isinstance(part, str) and part)
