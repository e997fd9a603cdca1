"""An arrangement as an SVG document: readable in the light and in the dark, and by those who do not see it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from aphiria_deploy.graph.layout import (
    FONT,
    NODE_HEIGHT,
    PADDING,
    SMALL,
    Arrangement,
    Box,
    cut,
    text_width,
)
from aphiria_deploy.graph.model import Edge, Leads, Node, Sort
from aphiria_deploy.objects import ObjectKey

_HEAD = 52.0
_FOOT = 34.0
_STATES = {"ready": "✓", "waiting": "…", "failed": "✕"}
# What XML 1.0 cannot hold, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Colours by what they are for; those for the dark are of the same hue. Contrasts of texts are 4.5 to 1 and more.
_STYLE = """
svg { --ground: #ffffff; --lane: #f3f5f8; --node: #ffffff; --line: #8c96a3; --text: #1c2430; --small: #556070;
  --host: #6b4fbb; --gateway: #0b6bcb; --route: #0b6bcb; --service: #0f7a6c; --workload: #3a5a1c; --job: #9a4b00;
  --used: #6b7280; --ready: #1a7f37; --waiting: #8a5a00; --failed: #c21f2c;
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace }
@media (prefers-color-scheme: dark) { svg { --ground: #14181f; --lane: #1c222c; --node: #252d39; --line: #7b8796;
  --text: #e8ecf1; --small: #aab4c0; --host: #b39dff; --gateway: #6cb6ff; --route: #6cb6ff; --service: #4fd1bd;
  --workload: #a5cf7a; --job: #ffab5e; --used: #a3acb8; --ready: #57d177; --waiting: #f0b849; --failed: #ff7b85 } }
.ground { fill: var(--ground) } .lane { fill: var(--lane); stroke: var(--line); stroke-opacity: .5 }
.node { fill: var(--node); stroke: var(--line) } .beside { stroke-dasharray: 4 3 }
text { fill: var(--text) } .small { fill: var(--small) } .name { font-weight: 600 }
.edge { fill: none; stroke: var(--line); stroke-width: 1.4 } .waits { stroke-dasharray: 6 4 }
.uses { stroke-width: 1; stroke-dasharray: 1.5 3 } .tip { fill: var(--line) }
"""
_EDGES = {Leads.REQUESTS: "edge", Leads.WAITS: "edge waits", Leads.USES: "edge uses"}


def draw(arrangement: Arrangement, title: str, subtitle: str, states: Mapping[ObjectKey, str] | None = None) -> str:
    """Draws an arrangement.

    Args:
        arrangement: Where everything is.
        title: What it is a picture of.
        subtitle: A second line below the title.
        states: How objects are, where that is to be shown.
    """
    legend = 460.0
    width = max(arrangement.width, text_width(title, 18) + 40, text_width(subtitle, SMALL) + 40, legend)
    height = _HEAD + arrangement.height + _FOOT
    size = {"width": _number(width), "height": _number(height), "viewBox": f"0 0 {_number(width)} {_number(height)}"}
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size})
    svg.set("aria-labelledby", "picture-title picture-description")
    _text(SubElement(svg, "title", {"id": "picture-title"}), title)
    _text(SubElement(svg, "desc", {"id": "picture-description"}), _description(arrangement, states))
    SubElement(svg, "style").text = _STYLE
    tip = {"id": "tip", "viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerWidth": "7", "markerHeight": "7"}
    marker = SubElement(SubElement(svg, "defs"), "marker", {**tip, "orient": "auto"})
    SubElement(marker, "path", {"class": "tip", "d": "M0 0L8 4L0 8Z"})
    SubElement(svg, "rect", {"class": "ground", "width": "100%", "height": "100%"})
    _line(svg, (20, 26), title, 18, "name")
    _line(svg, (20, 42), subtitle, SMALL, "small")
    picture = SubElement(svg, "g", {"transform": f"translate(0 {_number(_HEAD)})"})
    for name, box in arrangement.lanes:
        SubElement(picture, "rect", {"class": "lane", "rx": "8", **_rectangle(box)})
        _line(picture, (box.x + PADDING, box.y + 16), f"namespace {name}" if name else "the cluster", SMALL, "small")
    for edge, points in arrangement.edges:
        _edge(picture, edge, points)
    for node, box in arrangement.nodes:
        _node(picture, node, box, (states or {}).get(node.key))
    _legend(svg, height - 14)
    indent(svg, " ")
    return tostring(svg, encoding="unicode") + "\n"


def _node(parent: Element, node: Node, box: Box, state: str | None) -> None:
    kind, name = node.key.group_kind.kind, node.key.name
    group = SubElement(parent, "g")
    said = f"{node.key}{f', {node.detail}' if node.detail else ''}{f': {state}' if state else ''}"
    _text(SubElement(group, "title"), said)
    look = f"node{' beside' if node.beside else ''}"
    SubElement(group, "rect", {"class": look, "rx": "5", **_rectangle(box)})
    stripe = {"x": _number(box.x), "y": _number(box.y + 6), "width": "4", "height": _number(NODE_HEIGHT - 12)}
    SubElement(group, "rect", {**stripe, "style": f"fill: var(--{node.sort.value})"})
    left = box.x + PADDING + 2
    if node.sort is Sort.HOST:
        _line(group, (left, box.middle + 4), cut(name), FONT, "name")
        return
    _line(group, (left, box.y + 14), kind, SMALL, "small")
    _line(group, (left, box.y + 29), cut(name), FONT, "name")
    if node.detail:
        _line(group, (left, box.y + 43), cut(node.detail), SMALL, "small")
    if state:
        shown = f"{_STATES.get(state, '')} {state[:12]}".strip()
        line = _line(group, (box.x + box.width - PADDING, box.y + 14), shown, SMALL, "small name")
        line.set("text-anchor", "end")
        if state in _STATES:
            line.set("style", f"fill: var(--{state})")


def _edge(parent: Element, edge: Edge, points: Sequence[tuple[float, float]]) -> None:
    path = SubElement(parent, "path", {"class": _EDGES[edge.leads], "marker-end": "url(#tip)", "d": _curve(points)})
    word = "sends requests to" if edge.leads is Leads.REQUESTS else edge.leads.value
    _text(SubElement(path, "title"), f"{edge.source} {word} {edge.target}")


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """Curves between columns, lines through them; both ends horizontal."""
    (x, y), *_ = points
    parts = [f"M{_number(x)} {_number(y)}"]
    for (x, y), (to_x, to_y) in pairwise(points):
        if y == to_y:
            parts.append(f"H{_number(to_x)}")
        elif to_x > x and points[-1][0] > points[0][0]:
            half = (x + to_x) / 2
            parts.append(
                f"C{_number(half)} {_number(y)} {_number(half)} {_number(to_y)} {_number(to_x)} {_number(to_y)}"
            )
        else:
            # Within a column, or back: around on the right.
            out = max(x, to_x) + 34
            parts.append(f"C{_number(out)} {_number(y)} {_number(out)} {_number(to_y)} {_number(to_x)} {_number(to_y)}")
    return "".join(parts)


def _legend(svg: Element, y: float) -> None:
    x = 20.0
    for leads, look in _EDGES.items():
        SubElement(svg, "path", {"class": look, "marker-end": "url(#tip)", "d": f"M{_number(x)} {_number(y - 3)}h34"})
        _line(svg, (x + 42, y), leads.value, SMALL, "small")
        x += 60 + text_width(leads.value, SMALL)
    box = {"class": "node beside", "rx": "3", "x": _number(x), "y": _number(y - 9), "width": "20", "height": "12"}
    SubElement(svg, "rect", box)
    _line(svg, (x + 28, y), "exists beside it", SMALL, "small")


def _description(arrangement: Arrangement, states: Mapping[ObjectKey, str] | None) -> str:
    kinds = Counter(node.key.group_kind.kind for node, _ in arrangement.nodes)
    said = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    if states is not None:
        shown = Counter(states[node.key] for node, _ in arrangement.nodes if node.key in states)
        said += "; " + ", ".join(f"{number} {state}" for state, number in sorted(shown.items()))
    return said


def _line(parent: Element, at: tuple[float, float], text: str, size: float, look: str) -> Element:
    place = {"class": look, "x": _number(at[0]), "y": _number(at[1]), "font-size": _number(size)}
    line = SubElement(parent, "text", place)
    _text(line, text)
    return line


def _text(element: Element, text: str) -> None:
    """Sets a text, which is escaped when it is written."""
    element.text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _rectangle(box: Box) -> dict[str, str]:
    names = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    return {name: _number(value) for name, value in names.items()}


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
