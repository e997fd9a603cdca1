"""Where everything in the picture is: columns from left to right, namespaces one below the other.

The way of Sugiyama, Tagawa and Toda (1981), in small: ranks by the longest path, places held free for edges that pass a
column, an order with few crossings by barycentres, and positions as near to their neighbours as their order allows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from unicodedata import east_asian_width

from aphiria_deploy.graph.model import Edge, Network, Node, Sort
from aphiria_deploy.objects import ObjectKey

FONT = 12.0
SMALL = 10.0
NODE_HEIGHT = 50.0
PASSAGE_HEIGHT = 12.0
GAP = 14.0
CHANNEL = 56.0
PADDING = 10.0
LANE_PADDING = 14.0
LANE_TITLE = 22.0
LANE_GAP = 18.0
LONGEST = 34
"""Characters of a text; what is longer is cut in the middle."""

_WIDTH = 0.61
"""Of a character of a monospaced font, of its size."""
_SWEEPS = 12
_FIRST_RANKS = {
    Sort.HOST: 0,
    Sort.GATEWAY: 1,
    Sort.ROUTE: 2,
    Sort.SERVICE: 3,
    Sort.WORKLOAD: 4,
    Sort.JOB: 5,
    Sort.USED: 5,
}


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Arrangement:
    """Where everything is.

    Attributes:
        nodes: The boxes of the nodes.
        edges: The points that each edge goes through.
        lanes: The boxes of the namespaces; the empty one is of what belongs to the whole cluster.
        width: Of everything.
        height: Of everything.
    """

    nodes: list[tuple[Node, Box]]
    edges: list[tuple[Edge, list[tuple[float, float]]]]
    lanes: list[tuple[str, Box]]
    width: float
    height: float


@dataclass(eq=False)
class _Slot:
    """A place in a column: of a node, or held free for an edge."""

    rank: int
    lane: str | None
    height: float
    node: Node | None = None
    before: list[_Slot] = field(default_factory=list)
    after: list[_Slot] = field(default_factory=list)
    y: float = 0.0
    """Of its middle."""

    @property
    def neighbours(self) -> list[_Slot]:
        return [slot for slot in (*self.before, *self.after) if slot.lane == self.lane]


def arrange(network: Network, namespace: str) -> Arrangement:
    """Arranges what is in a picture.

    Args:
        network: What is in it.
        namespace: The environment's own, which comes after that of its Gateway and before all others.
    """
    ranks = _ranks(network)
    slots = {
        key: _Slot(ranks[key], None if node.sort is Sort.HOST else key.namespace, NODE_HEIGHT, node)
        for key, node in network.nodes.items()
    }
    chains = {edge: _chain(slots[edge.source], slots[edge.target]) for edge in network.edges}
    every = list(dict.fromkeys([*slots.values(), *(slot for chain in chains.values() for slot in chain)]))
    columns = _order(every)
    lanes = _place(columns, _lane_names(network, namespace))
    lefts, widths = _columns(every)
    boxes = {slot: Box(lefts[slot.rank], slot.y - slot.height / 2, widths[slot.rank], slot.height) for slot in every}
    return Arrangement(
        nodes=[(slot.node, boxes[slot]) for slot in slots.values() if slot.node],
        edges=[(edge, _points([boxes[slot] for slot in chain])) for edge, chain in chains.items()],
        lanes=[
            (name, _around([boxes[slot] for slot in every if slot.lane == name and slot.node], top, height))
            for name, (top, height) in lanes.items()
        ],
        width=max((box.x + box.width for box in boxes.values()), default=0.0) + 2 * LANE_PADDING,
        height=max((slot.y + slot.height / 2 for slot in every), default=0.0) + LANE_PADDING,
    )


def cut(text: str) -> str:
    """A text that is not too long, cut in its middle: names differ at their ends."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 1]}…{text[-(LONGEST // 2) :]}"


def text_width(text: str, size: float) -> float:
    """How wide a text is in a monospaced font."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text) * size * _WIDTH


def _ranks(network: Network) -> dict[ObjectKey, int]:
    """The column of each node: right of all that leads to it. Jobs that wait for each other share theirs."""
    ranks = {key: _FIRST_RANKS[node.sort] for key, node in network.nodes.items()}
    leading: dict[ObjectKey, list[ObjectKey]] = defaultdict(list)
    for edge in network.edges:
        if not network.nodes[edge.source].sort is network.nodes[edge.target].sort is Sort.JOB:
            leading[edge.source].append(edge.target)
    for source, target in _without_circles(network.nodes, leading):
        ranks[target] = max(ranks[target], ranks[source] + 1)
    numbers = {rank: number for number, rank in enumerate(sorted(set(ranks.values())))}
    return {key: numbers[rank] for key, rank in ranks.items()}


def _without_circles(
    nodes: Iterable[ObjectKey], leading: Mapping[ObjectKey, Sequence[ObjectKey]]
) -> list[tuple[ObjectKey, ObjectKey]]:
    """Edges in an order in which all that lead to a node come before those that lead on; without those that go back."""
    done: dict[ObjectKey, bool] = {}
    kept: list[tuple[ObjectKey, ObjectKey]] = []

    def visit(key: ObjectKey) -> None:
        done[key] = False
        forward = []
        for target in leading.get(key, ()):
            if target not in done:
                visit(target)
            if done[target]:
                forward.append((key, target))
        done[key] = True
        kept.extend(reversed(forward))

    for key in nodes:
        if key not in done:
            visit(key)
    return kept[::-1]


def _chain(source: _Slot, target: _Slot) -> list[_Slot]:
    """The slots that an edge goes through, with a free one in each column that it passes."""
    passages = [_Slot(rank, target.lane, PASSAGE_HEIGHT) for rank in range(source.rank + 1, target.rank)]
    chain = [source, *passages, target]
    if source.rank < target.rank:
        for one, next_one in pairwise(chain):
            one.after.append(next_one)
            next_one.before.append(one)
    return chain


_Columns = dict[str | None, dict[int, list[_Slot]]]


def _order(slots: Sequence[_Slot]) -> _Columns:
    """The slots of each lane by columns, ordered so that few edges cross."""
    columns: _Columns = {}
    for slot in slots:
        columns.setdefault(slot.lane, {}).setdefault(slot.rank, []).append(slot)
    for lane in columns.values():
        for sweep in range(_SWEEPS):
            for rank in sorted(lane, reverse=bool(sweep % 2)):
                where = {slot: number / len(column) for column in lane.values() for number, slot in enumerate(column)}
                lane[rank].sort(key=lambda slot: _mean([where[one] for one in slot.neighbours], where[slot]))
    return columns


def _place(columns: _Columns, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Gives each slot its height, and each lane its top and its height."""
    lanes: dict[str, tuple[float, float]] = {}
    top = LANE_PADDING
    for name in names:
        lane = columns[name]
        for column in lane.values():
            _stack(column, [0.0] * len(column))
        for sweep in range(_SWEEPS):
            for rank in sorted(lane, reverse=bool(sweep % 2)):
                _stack(lane[rank], [_mean([one.y for one in slot.neighbours], slot.y) for slot in lane[rank]])
        inside = [slot for column in lane.values() for slot in column]
        first = min(slot.y - slot.height / 2 for slot in inside)
        last = max(slot.y + slot.height / 2 for slot in inside)
        for slot in inside:
            slot.y += top + LANE_TITLE - first
        lanes[name] = (top, last - first + LANE_TITLE + LANE_PADDING)
        top += lanes[name][1] + LANE_GAP
    for column in columns.get(None, {}).values():
        _stack(column, [_mean([one.y for one in slot.after], 0.0) for slot in column])
        outside = min(slot.y - slot.height / 2 for slot in column) - LANE_PADDING
        for slot in column:
            slot.y -= min(0.0, outside)
    return lanes


def _stack(column: Sequence[_Slot], wanted: Sequence[float]) -> None:
    """Places slots one below the other, as near to where they are wanted as that allows: by pooling neighbours."""
    offsets = [0.0]
    for one, next_one in pairwise(column):
        offsets.append(offsets[-1] + (one.height + next_one.height) / 2 + GAP)
    pools: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        mean, size = place - offset, 1
        while pools and pools[-1][0] >= mean:
            before, number = pools.pop()
            mean, size = (before * number + mean * size) / (number + size), number + size
        pools.append((mean, size))
    places = [mean for mean, size in pools for _ in range(size)]
    for slot, place, offset in zip(column, places, offsets, strict=True):
        slot.y = place + offset


def _lane_names(network: Network, namespace: str) -> list[str]:
    found = dict.fromkeys(node.key.namespace for node in network.nodes.values() if node.sort is not Sort.HOST)
    gateways = {node.key.namespace for node in network.nodes.values() if node.sort is Sort.GATEWAY}
    return sorted(found, key=lambda name: (name not in gateways - {namespace}, name != namespace, name))


def _columns(slots: Iterable[_Slot]) -> tuple[dict[int, float], dict[int, float]]:
    """The left and the width of each column."""
    widths: dict[int, float] = defaultdict(float)
    for slot in slots:
        widths[slot.rank] = max(widths[slot.rank], _width(slot.node) if slot.node else 0.0)
    lefts, left = {}, LANE_PADDING * 2
    for rank in sorted(widths):
        lefts[rank] = left
        left += widths[rank] + CHANNEL
    return lefts, dict(widths)


def _width(node: Node) -> float:
    small = max(text_width(cut(node.detail), SMALL), text_width(node.key.group_kind.kind, SMALL) + 80)
    return max(text_width(cut(node.key.name), FONT), small) + 2 * PADDING


def _around(boxes: Sequence[Box], top: float, height: float) -> Box:
    left = min(box.x for box in boxes) - LANE_PADDING
    right = max(box.x + box.width for box in boxes) + LANE_PADDING
    return Box(left, top, right - left, height)


def _points(boxes: Sequence[Box]) -> list[tuple[float, float]]:
    """Where an edge goes: out on the right of its source, through what is free, into its target on the left."""
    source, *passages, target = boxes
    points = [(source.x + source.width, source.middle)]
    for box in passages:
        points += [(box.x, box.middle), (box.x + box.width, box.middle)]
    # In the same column, or back to one before, it ends where it began: on the right.
    points.append((target.x if target.x > source.x else target.x + target.width, target.middle))
    return points


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
