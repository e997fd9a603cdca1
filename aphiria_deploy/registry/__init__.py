"""What image registries know: the digests that tags lead to, and what is behind a digest.

By the OCI distribution API (https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md), which
Docker's registries speak too. The functions here take images by name, ask for all of them at once, and tell all that
is wrong together. What a name means to the caller (``web``, ``api``) is only used in errors.
"""

from __future__ import annotations

from collections.abc import Mapping

from aphiria_deploy.registry.content import ImageContent, PlatformImage, digest_of_image_id
from aphiria_deploy.registry.login import Login
from aphiria_deploy.registry.reference import Reference

__all__ = [
    "ImageContent",
    "Login",
    "PlatformImage",
    "Reference",
    "digest_of_image_id",
    "inspect",
    "resolve",
]

TIMEOUT = 60.0
"""Seconds within which the registries have to have answered everything."""


def resolve(
    images: Mapping[str, str], logins: Mapping[str, Login] | None = None, *, timeout: float = TIMEOUT
) -> dict[str, str]:
    """Gives images pinned to their digests: ``<registry>/<repository>@sha256:…``.

    Of a reference with a digest it is checked that the registry has it.

    Args:
        images: References, by name.
        logins: Logins, by the registry's host (``ghcr.io``, ``docker.io``).
        timeout: Seconds for everything.

    Raises:
        InputError: A reference is not one.
        ImageNotFoundError: A registry has no such image.
        RegistryUnavailableError: A registry did not answer in time.
        RegistryAccessError: A registry refuses the login, or there is none.
        RegistryContentError: A registry's answer contradicts itself.
        CombinedError: Several of these.
    """
    # Here, because most runs ask no registry, and these take a tenth of a second to import.
    from aphiria_deploy.registry import client  # noqa: PLC0415

    return client.run(images, logins or {}, client.Registry.pinned, timeout)


def inspect(
    images: Mapping[str, str], logins: Mapping[str, Login] | None = None, *, timeout: float = TIMEOUT
) -> dict[str, ImageContent]:
    """Gives what is behind images: every digest that a running pod may report, and the recorded revisions.

    Args:
        images: References, by name.
        logins: Logins, by the registry's host.
        timeout: Seconds for everything.

    Raises:
        ImageContentError: A reference leads to something that is no container image.
        AphiriaDeployError: As for ``resolve``.
    """
    from aphiria_deploy.registry import client  # noqa: PLC0415

    return client.run(images, logins or {}, client.Registry.content, timeout)
