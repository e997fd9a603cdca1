"""What the steps of a workflow work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aphiria_deploy.github.archives import Archive, push
from aphiria_deploy.github.client import GitHub
from aphiria_deploy.github.engine import Engine
from aphiria_deploy.github.job import Job
from aphiria_deploy.registry import ImageContent, inspect
from aphiria_deploy.registry.login import Login


class Push(Protocol):
    """Pushes an image."""

    def __call__(self, archive: Archive, ref: str, login: Login | None) -> None:
        """Pushes an archive to where a reference says."""


class Look(Protocol):
    """Looks at a registry for images."""

    def __call__(self, images: Mapping[str, str], logins: Mapping[str, Login] | None = None) -> dict[str, ImageContent]:
        """Gives what is behind references."""


@dataclass(frozen=True)
class Work:
    """What the steps of a workflow work with.

    Attributes:
        github: GitHub.
        engine: The deploy engine.
        job: The workflow's job.
        push: Pushes an image.
        look: Looks at a registry for images.
    """

    github: GitHub
    engine: Engine
    job: Job
    push: Push = push
    look: Look = inspect
