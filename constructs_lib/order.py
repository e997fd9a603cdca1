"""The order of a deploy, as annotations that any tool can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DEPENDS_ON = "config.kubernetes.io/depends-on"
"""The annotation that names what must be there, or complete, first (kpt's, and cli-utils')."""


@dataclass(frozen=True, kw_only=True)
class ObjectRef:
    """An object that another one waits for.

    Attributes:
        group: Its API group; empty for the core group.
        kind: Its kind.
        namespace: Its namespace; empty for an object of the whole cluster.
        name: Its name.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f"namespaces/{self.namespace}/" if self.namespace else ""
        return f"{self.group}/{where}{self.kind}/{self.name}"


def depends_on(refs: Sequence[ObjectRef]) -> dict[str, str]:
    """Gives the annotation of an object that waits for others; none where it waits for nothing."""
    return {DEPENDS_ON: ",".join(map(str, refs))} if refs else {}
