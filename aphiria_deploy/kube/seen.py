"""How new what was seen of each kind is, so that nothing older is taken for the present."""

from __future__ import annotations

import threading

from aphiria_deploy.kube.mapping import Kind


class Seen:
    """The newest resource version of each kind that was read or written. Any number of threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[tuple[str, str], int] = {}

    def newest(self, kind: Kind) -> int:
        """The newest of a kind; 0 where there was none."""
        with self._lock:
            return self._newest.get((kind.group, kind.name), 0)

    def saw(self, kind: Kind, resource_version: str) -> None:
        """Remembers one: no list of the kind may be older from now on."""
        key, number = (kind.group, kind.name), _number(resource_version)
        with self._lock:
            self._newest[key] = max(self._newest.get(key, 0), number)


def older(resource_version: str, newest: int) -> bool:
    """Whether a resource version is older than a known one; false where they cannot be compared.

    They are comparable as numbers, of one kind: a promise since Kubernetes 1.35 (KEP 5504), a fact before.
    """
    number = _number(resource_version)
    return 0 < number < newest


def _number(resource_version: str) -> int:
    return int(resource_version) if resource_version.isascii() and resource_version.isdecimal() else 0
