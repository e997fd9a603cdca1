"""Aphiria's site: one definition, four environments as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aphiria_deploy.bundle import Bundle
from apps import environments


class AphiriaSite:
    """The entry point of the site, as the command sees it. Loads the constructs only when it has to make a bundle."""

    name = environments.SITE
    environments: Sequence[str] = environments.ENVIRONMENTS

    def bundle(self, environment: str, images: Mapping[str, str]) -> Bundle:
        """Makes an environment's bundle.

        Args:
            environment: ``local``, ``preview-base``, ``production`` or ``pr-N``.
            images: References for ``web`` and ``api``, and for the images of others where they are to be different.

        Raises:
            ValueError: The environment, a name or a reference is not one.
        """
        from apps.bundling import make_bundle  # noqa: PLC0415 - starts Node.js

        return make_bundle(environment, images)


site = AphiriaSite()
