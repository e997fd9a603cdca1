"""The images of the site.

The site's own have no default: whoever deploys says which. Those of others are pinned to the digest of their
multi-platform index, and the tag says what the digest is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from constructs_lib.errors import InvalidValueError
from constructs_lib.values import ImageRef

REGISTRY = "ghcr.io"
"""The registry of the site's own images: private, so pulling from it needs a Secret."""

REPOSITORIES = {"web": "ghcr.io/aphiria/aphiria.com-web", "api": "ghcr.io/aphiria/aphiria.com-api"}
"""The site's own images."""

LOCAL = {"web": "aphiria.com-web:latest", "api": "aphiria.com-api:latest"}
"""The site's own images as they are built on a developer's machine."""

THIRD_PARTY = {
    "nginx": (
        "docker.io/library/nginx:1.29-alpine@sha256:5616878291a2eed594aee8db4dade5878cf7edcb475e59193904b198d9b830de"
    ),
    "postgresql": (
        "docker.io/library/postgres:16.14-alpine"
        "@sha256:57c72fd2a128e416c7fcc499958864df5301e940bca0a56f58fddf30ffc07777"
    ),
    "rclone": (
        "docker.io/rclone/rclone:1.75.1@sha256:45401ad7410db1d67ffdb58e19059ad20b0d8e0285a60e38bbec55cc1019c7a5"
    ),
}
"""The images of others."""


def settle(given: Mapping[str, str], *, local: bool) -> tuple[dict[str, ImageRef], frozenset[str]]:
    """Gives the reference of every image, and the names of those that nobody chose and a sample stands for.

    Args:
        given: What somebody chose, by name.
        local: Whether images that were built on the machine stand for those that nobody chose. Elsewhere every image
            must be pinned to its digest.

    Raises:
        InvalidValueError: A name is not one of an image, a reference is not one, or is not pinned where it must be.
    """
    defaults = THIRD_PARTY | (
        LOCAL if local else {name: _sample(repository) for name, repository in REPOSITORIES.items()}
    )
    if unknown := sorted(given.keys() - defaults.keys()):
        raise InvalidValueError("images", unknown[0], f"one of {', '.join(sorted(defaults))}")
    settled = {}
    for name, ref in (defaults | dict(given)).items():
        try:
            settled[name] = ImageRef.parse(ref)
        except InvalidValueError as error:
            raise InvalidValueError(f"images: {name}", ref, str(error).partition("expected ")[2]) from error
        if settled[name].digest is None and not local:
            raise InvalidValueError(f"images: {name}", ref, "a reference with its digest, @sha256: and 64 hex digits")
    samples = frozenset() if local else frozenset(REPOSITORIES) - given.keys()
    return settled, samples


def _sample(repository: str) -> str:
    return f"{repository}@sha256:{hashlib.sha256(f'sample of {repository}'.encode()).hexdigest()}"
