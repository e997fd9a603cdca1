"""A picture of an environment: how requests reach it, what runs, and what that uses."""

from __future__ import annotations

from collections.abc import Mapping

from aphiria_deploy.bundle import Bundle
from aphiria_deploy.graph.layout import arrange
from aphiria_deploy.graph.model import network
from aphiria_deploy.graph.svg import draw
from aphiria_deploy.objects import ObjectKey

__all__ = ["picture"]


def picture(bundle: Bundle, states: Mapping[ObjectKey, str] | None = None) -> str:
    """Draws an environment as an SVG document, the same one for the same bundle.

    Args:
        bundle: The environment's bundle.
        states: How objects are: ``ready``, ``waiting`` or ``failed``, each with a colour of its own, or any other word.
            Without, it is a picture of what is asked for.
    """
    environment = bundle.environment
    title = f"{bundle.site}: {environment.name}"
    return draw(arrange(network(bundle), environment.namespace), title, f"bundle {bundle.hash}", states)
