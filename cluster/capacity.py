"""Whether a cluster has room for what it is for: a count of nodes, before anything is paid for."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from constructs_lib.checks.quantity import parse, show_bytes, show_cpu

Pair = tuple[str, str]
"""CPU and memory."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What nodes offer, and what is asked of them.

    Attributes:
        min_nodes: How many nodes there are at least.
        max_nodes: How many at most.
        allocatable: What pods of one node may ask for.
        daemons: What is asked for on each node anyway.
        base: What is asked for once.
        previews: How many previews there must be room for.
        preview: What one asks for. Its pods may be on several nodes; it is counted as if they were on one, since
            what is left over on nodes adds up to nothing.
    """

    min_nodes: int
    max_nodes: int
    allocatable: Pair
    daemons: Pair
    base: Pair
    previews: int
    preview: Pair

    def nodes_needed(self) -> int | None:
        """Gives the nodes for the base and all previews; None where not even one preview fits on a node."""
        free = [offered - taken for offered, taken in zip(_pair(self.allocatable), _pair(self.daemons), strict=True)]
        base, preview = _pair(self.base), _pair(self.preview)
        if any(amount <= 0 for amount in free):
            return None
        base_nodes = max(1, *(-(-asked // offered) for asked, offered in zip(base, free, strict=True)))
        if not self.previews:
            return int(base_nodes)
        per_node = min(int(offered // asked) for asked, offered in zip(preview, free, strict=True) if asked > 0)
        return int(base_nodes) + -(-self.previews // per_node) if per_node else None

    def problems(self) -> list[str]:
        """Tells what does not fit, with the sum."""
        if not 1 <= self.min_nodes <= self.max_nodes:
            return [
                f"maxNodes: found {self.min_nodes} to {self.max_nodes} nodes, expected from 1 up to as many or more"
            ]
        if self.previews and any(amount <= 0 for amount in _pair(self.preview)):
            return ["previewCpu, previewMemory: found none, expected what a preview asks for"]
        needed = self.nodes_needed()
        cpu, memory = _pair(self.preview)
        asked = f"{self.previews} previews of {show_cpu(cpu)} and {show_bytes(memory)} beside the base"
        if needed is None:
            return [f"nodeSize: found nodes on which no preview fits, expected larger ones for {asked}"]
        if needed > self.max_nodes:
            return [f"maxNodes: found {self.max_nodes}, expected {needed} or more for {asked}"]
        return []


def _pair(pair: Pair) -> tuple[Fraction, Fraction]:
    return parse(pair[0]), parse(pair[1])
