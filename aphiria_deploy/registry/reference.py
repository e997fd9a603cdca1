"""References to images, read as container runtimes read them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self

from aphiria_deploy.errors import InputError

DOCKER_HUB: Final = "docker.io"

# Docker Hub's names, and the one of these that answers the API.
_HUB_NAMES: Final = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_API: Final = "registry-1.docker.io"

# https://github.com/distribution/reference: the grammar at the top of reference.go.
_FORM: Final = re.compile(r"(?P<name>[^@]+?)(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(@(?P<digest>[^@]+))?")
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(:[0-9]{{1,5}})?")
_COMPONENT: Final = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: object) -> bool:
    """Whether it is ``sha256:`` and 64 hex digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True)
class Reference:
    """A reference with everything that its short form leaves out.

    Attributes:
        registry: The registry's host, and port where one is given.
        repository: The path there.
        tag: The tag, where there is one.
        digest: ``sha256:`` and 64 hex digits, where there is one.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, ref: str, where: str = "image") -> Self:
        """Reads a reference.

        Args:
            ref: The reference, ``[registry/]repository[:tag][@digest]``.
            where: What to call it in an error.

        Raises:
            InputError: It is not one; a digest that was cut is not one.
        """
        match = _FORM.fullmatch(ref) if len(ref) <= 512 else None
        if match is not None:
            registry, repository = _parted(match["name"])
            valid = (
                _HOST.fullmatch(registry)
                and len(repository) <= 255
                and all(map(_COMPONENT.fullmatch, repository.split("/")))
                and (match["digest"] is None or is_digest(match["digest"]))
            )
            if valid:
                return cls(registry, repository, match["tag"], match["digest"])
        raise InputError(
            f"{where}: found {ref!r}, expected [registry/]repository[:tag][@sha256:<64 hex digits>], such as "
            "ghcr.io/example/site-web:1.2"
        )

    @property
    def target(self) -> str:
        """What is asked for: the digest, or else the tag; ``latest`` where there is neither."""
        return self.digest or self.tag or "latest"

    @property
    def api(self) -> str:
        """The address of the registry's API: HTTPS, and HTTP on this machine alone."""
        host = _HUB_API if self.registry == DOCKER_HUB else self.registry
        return f"{'http' if is_loopback(host) else 'https'}://{host}/v2/{self.repository}"

    def pinned(self, digest: str) -> str:
        """The reference to a digest. Without the tag: it would change what is written, and not what runs."""
        return f"{self.registry}/{self.repository}@{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def is_loopback(host: str) -> bool:
    """Whether a host, with its port or without, is this machine."""
    name = (
        re.sub(r":[0-9]+$", "", host).strip("[]") if not re.fullmatch(r"[0-9A-Fa-f:]+::?[0-9A-Fa-f:]*", host) else host
    )
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _parted(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    # The first component is a registry when it cannot be a path: it has a dot or a port, or is localhost.
    if not slash or not (set(".:[") & set(first) or first == "localhost"):
        first, rest = DOCKER_HUB, name
    if first not in _HUB_NAMES:
        return first, rest
    return DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
