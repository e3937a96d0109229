"""What does the model look like? A picture of the collapsed graph in SVG, PNG, PDF, DOT or JSON."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, get_args

from inspector.errors import BadInput, InspectorError, TooLarge
from inspector.graph.collapsing import View, breadth_first, collapse
from inspector.graph.costing import Cost, cost
from inspector.graph.dot import Look, to_dot
from inspector.graph.graphviz import Engine, find_engine
from inspector.graph.hierarchy import Block, blocks, static_nodes
from inspector.graph.labels import count_text
from inspector.graph.pdf import to_pdf
from inspector.graph.scopes import places
from inspector.graph.selecting import Selection, select_nodes
from inspector.graph.structure_json import to_json
from inspector.model import Model

__all__ = ["Drawing", "Media", "draw"]

Media = Literal["svg", "png", "pdf", "dot", "json"]

_READABLE = 56
"""Without a depth, blocks open breadth first until about so many boxes show."""

_MOST = 1500
"""More visible boxes than this are never given to Graphviz."""

_LARGEST_SIDE = 30_000
"""Pixels: what readers of PNG files and Graphviz itself still take."""


@dataclass(frozen=True)
class Drawing:
    """A picture of a model.

    `data` is the file's content, `engine` who laid it out. `note` tells what the picture leaves out, "" when
    it shows all that was asked. `boxes` and `edges` count what is visible.
    """

    data: bytes
    media: Media
    note: str
    engine: str
    boxes: int
    edges: int


def draw(
    model: Model,
    media: Media = "svg",
    *,
    depth: int | None = None,
    select: str | None = None,
    seconds: float = 20.0,
) -> Drawing:
    """Draw a model, blocks open to nesting level `depth` (0: the outermost blocks closed).

    Without `depth`, blocks open outermost first while the picture stays readable. `select` draws the nodes
    whose key, scope or operator matches a glob (or, after `re:`, a regular expression) with their neighbours.
    What cannot be laid out within `seconds` is drawn coarser, and the note says so.

    Raises:
        UnknownName: nothing matches `select`.
        TooLarge: not even the coarsest view can be laid out, or a PNG would be too large to open.
    """
    if media not in get_args(Media):
        raise BadInput(f"{media!r} is no drawing format. Formats: {', '.join(get_args(Media))}.")
    tree = blocks(model)
    selection = Selection(tree, frozenset())
    if select is not None:
        selection = select_nodes(model, tree, select)
    total = cost(model)
    hidden = static_nodes(model)
    engine = find_engine()
    notes: list[str] = []
    for opened in _levels(selection.tree, hidden, depth, 3 * _READABLE if select else _READABLE):
        view = collapse(model, selection.tree, opened)
        if media == "json":
            return Drawing(to_json(model, view, total), "json", "", "", len(view.boxes), len(view.edges))
        if len(view.boxes) > _MOST:
            notes = [f"{len(view.boxes):,} boxes are too many for one picture; drawn coarser."]
            continue
        try:
            data = _render(model, view, total, selection, media, engine, seconds, notes)
        except TooLarge as fact:
            if media == "png" and "pixels" in str(fact):
                raise
            notes = [f"{fact} Drawn coarser."]
            continue
        name = engine.name if engine is not None and media != "dot" else "pydot"
        return Drawing(data, media, " ".join(notes), name, len(view.boxes), len(view.edges))
    raise TooLarge(
        f"{model.name}: no view of the graph could be laid out within {seconds:g} s. "
        "Draw a part of it with select, or write DOT or JSON."
    )


def _levels(tree: Block, hidden: Collection[str], depth: int | None, readable: int) -> list[set[str]]:
    """Sets of open blocks, from what was asked to ever coarser ones."""
    found: list[set[str]] = []
    if depth is not None:
        for level in range(min(depth, 64), -1, -1):
            opened = {tree.key} | {b.key for b in tree.walk() if _level(b, tree) <= level}
            if opened not in found:
                found.append(opened)
    for limit in (readable, readable // 2, readable // 4, 1):
        opened = breadth_first(tree, hidden, limit)
        if opened not in found and (not found or len(opened) < len(found[-1])):
            found.append(opened)
    return found


def _level(block: Block, tree: Block) -> int:
    return block.depth - tree.depth


def _render(
    model: Model,
    view: View,
    total: Cost,
    selection: Selection,
    media: Media,
    engine: Engine | None,
    seconds: float,
    notes: list[str],
) -> bytes:
    look = Look(model.name, _header(model, view, total, notes), selection.neighbours)
    names = _short_names(model, view)
    graph = to_dot(model, view, total, names, look)
    if media == "dot":
        return graph.to_string().encode()
    if engine is None:
        raise InspectorError(
            "no Graphviz was found. `pip install graphviz-pure` brings one; DOT and JSON need none."
        )
    vector = engine.render(graph.to_string(), "svg", seconds)
    if media == "svg":
        return vector
    if media == "pdf":
        return to_pdf(vector)
    _check_side(vector, 2.0)
    sharp = to_dot(model, view, total, names, replace(look, dpi=144))
    return engine.render(sharp.to_string(), "png", seconds)


def _check_side(svg: bytes, scale: float) -> None:
    found = re.search(rb'<svg width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    sides = [float(side) * scale for side in found.groups()] if found else [0.0]
    if max(sides) > _LARGEST_SIDE:
        raise TooLarge(
            f"the PNG would be {max(sides):,.0f} pixels long; readers stop at {_LARGEST_SIDE:,}. "
            "Write SVG or PDF, or draw less with depth or select."
        )


def _header(model: Model, view: View, total: Cost, notes: list[str]) -> tuple[str, ...]:
    proto = model.proto
    maker = " ".join(part for part in (proto.producer_name, proto.producer_version) if part)
    first = [part for part in (f"from {maker}" if maker else "", f"opset {model.opset}") if part]
    shown = len(model.nodes) - len(view.hidden)
    facts = [f"{shown:,} operators", f"{count_text(total.parameters)} parameters"]
    if total.macs:
        facts.append(f"{count_text(total.macs)} MACs")
    lines = [" · ".join(first), " · ".join(facts)]
    if total.sizes:
        lines.append("counted with " + ", ".join(f"{k} = {v}" for k, v in list(total.sizes.items())[:4]))
    return tuple(line for line in (*lines, *notes) if line)


def _short_names(model: Model, view: View) -> dict[str, str]:
    """The last step of a node's own scope, where the frame around it does not say it already."""
    found = places(model)
    around: dict[str, set[str]] = {"": set()}
    for frame in view.frames:
        around[frame.id] = around[frame.parent] | set(frame.block.label.split("/"))
    names: dict[str, str] = {}
    for box in view.boxes:
        place = found.get(box.key) if box.kind == "node" else None
        if place is None or not place.path:
            continue
        last = place.path[-1]
        if last not in around[box.frame] and not last.isdigit():
            names[box.key] = last
    return names
