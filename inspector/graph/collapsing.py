"""What is visible when some blocks are open? Boxes, frames around them, lifted edges, portals for hubs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from inspector.graph.digraph import INPUT, OUTPUT, links
from inspector.graph.hierarchy import Block, static_nodes
from inspector.model import Model

__all__ = ["Box", "Edge", "Frame", "Portal", "View", "breadth_first", "collapse", "shown_members"]


@dataclass(frozen=True)
class Box:
    """One visible element. `id` is generated (`n0`, `n1`, …); `key` names the node, block or value."""

    id: str
    kind: Literal["node", "block", "input", "output"]
    key: str
    frame: str
    block: Block | None = None


@dataclass(frozen=True)
class Frame:
    """An open block. Of an open repeat the first copy stands for all `block.repeat`."""

    id: str
    block: Block
    parent: str


@dataclass(frozen=True)
class Edge:
    """Values going from one box to another, by box id."""

    source: str
    target: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Portal:
    """A value with many readers, drawn as a stub at its source and at each reader instead of edges."""

    value: str
    source: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """What is drawn. `hidden` are nodes left out because they only prepare stored constants."""

    boxes: tuple[Box, ...]
    frames: tuple[Frame, ...]
    edges: tuple[Edge, ...]
    portals: tuple[Portal, ...]
    hidden: frozenset[str]


def collapse(
    model: Model,
    tree: Block,
    opened: Collection[str],
    *,
    fold: bool = True,
    constants: bool = False,
    hub: int = 6,
) -> View:
    """The graph with the blocks in `opened` (keys) open and all others closed to one box each.

    A closed block inside a closed block does not show. With `fold` an open repeat shows its first copy only,
    and edges from copy to copy are left out. Without `constants` nodes that depend on stored constants alone
    are left out. A value with more than `hub` readers becomes a portal. With everything open, `fold` off,
    `constants` on and `hub` large the view is the flat graph.
    """
    hidden = frozenset() if constants else static_nodes(model)
    layout = _Layout(frozenset(opened) | {tree.key}, fold, hidden)
    inside = set(tree.all_nodes)
    wires = [
        link
        for link in links(model)
        if (link.source in inside or link.source.startswith(INPUT))
        and (link.target in inside or link.target.startswith(OUTPUT))
        and (link.source in inside or link.target in inside or len(inside) == 0)
    ]
    used = {link.source for link in wires} | {link.target for link in wires}
    whole = len(inside) == len(model.nodes)
    for value in model.inputs:
        if whole or INPUT + value.key in used:
            layout.add("input", INPUT + value.key, value.key)
    layout.visit(tree, "", ())
    for value in model.outputs:
        if whole or OUTPUT + value.key in used:
            layout.add("output", OUTPUT + value.key, value.key)
    wiring = ((link.source, link.target, link.value) for link in wires)
    edges, portals = _wired(layout, wiring, hub)
    return View(tuple(layout.boxes), tuple(layout.frames), edges, portals, hidden)


@dataclass
class _Layout:
    """Box and frame of each node while the tree is walked; later copies share those of the first."""

    opened: frozenset[str]
    fold: bool
    hidden: frozenset[str]
    boxes: list[Box] = field(default_factory=list[Box])
    frames: list[Frame] = field(default_factory=list[Frame])
    place: dict[str, str] = field(default_factory=dict[str, str])
    copies: dict[str, tuple[tuple[str, int], ...]] = field(
        default_factory=dict[str, tuple[tuple[str, int], ...]]
    )

    def add(
        self,
        kind: Literal["node", "block", "input", "output"],
        place: str,
        key: str,
        frame: str = "",
        block: Block | None = None,
    ) -> str:
        box = Box(f"n{len(self.boxes)}", kind, key, frame, block)
        self.boxes.append(box)
        self.place[place] = box.id
        return box.id

    def visit(self, block: Block, frame: str, copy: tuple[tuple[str, int], ...]) -> None:
        for member in block.members:
            if isinstance(member, str):
                if member not in self.hidden:
                    self.add("node", member, member, frame)
                    if copy:
                        self.copies[member] = copy
                continue
            shown = [key for key in member.all_nodes if key not in self.hidden]
            if not shown:
                continue
            if member.key not in self.opened:
                box = self.add("block", shown[0], member.key, frame, member)
                for key in shown:
                    self.place[key] = box
                    if copy:
                        self.copies[key] = copy
                continue
            inner = Frame(f"cluster_{len(self.frames)}", member, frame)
            self.frames.append(inner)
            if member.kind == "repeat" and self.fold:
                self._visit_first(member, inner.id, copy)
            else:
                self.visit(member, inner.id, copy)

    def _visit_first(self, group: Block, frame: str, copy: tuple[tuple[str, int], ...]) -> None:
        first, *others = group.children
        self.visit(first, frame, (*copy, (group.key, 0)))
        for index, other in enumerate(others, 1):
            for mine, theirs in zip(first.all_nodes, other.all_nodes, strict=True):
                if mine in self.place:
                    self.place[theirs] = self.place[mine]
                    inner = self.copies[mine][len(copy) + 1 :]
                    self.copies[theirs] = (*copy, (group.key, index), *inner)

    def repeats(self, source: str, target: str) -> bool:
        """Whether a wire runs between copies of an open repeat, or inside another copy than the first."""
        pairs = zip(self.copies.get(source, ()), self.copies.get(target, ()), strict=False)
        for (a, i), (b, j) in pairs:
            if a != b:
                return False
            if i != j or i:
                return True
        return False


def _wired(
    layout: _Layout, wires: Iterable[tuple[str, str, str]], hub: int
) -> tuple[tuple[Edge, ...], tuple[Portal, ...]]:
    lifted: dict[tuple[str, str], dict[str, None]] = {}
    reach: dict[tuple[str, str], dict[str, None]] = {}
    for source, target, value in wires:
        start, stop = layout.place.get(source), layout.place.get(target)
        if start is None or stop is None or start == stop or layout.repeats(source, target):
            continue
        lifted.setdefault((start, stop), {})[value] = None
        reach.setdefault((start, value), {})[stop] = None
    portals = {key: tuple(stops) for key, stops in reach.items() if len(stops) > hub}
    edges: list[Edge] = []
    for (start, stop), values in lifted.items():
        left = tuple(value for value in values if (start, value) not in portals)
        if left:
            edges.append(Edge(start, stop, left))
    return tuple(edges), tuple(Portal(value, start, stops) for (start, value), stops in portals.items())


_ALIKE = 4
"""A group of more blocks that are alike, but for sizes, says more closed: it is opened on demand."""


_FEW = 15
"""A picture of fewer elements tells too little: then single blocks of a level open too."""


def shown_members(block: Block, hidden: Collection[str]) -> list[str | Block]:
    """The members that an open block shows; of a repeat, those of its first copy."""
    inner = block.children[0] if block.kind == "repeat" else block
    return [m for m in inner.members if isinstance(m, Block) or m not in hidden]


def breadth_first(tree: Block, hidden: Collection[str], limit: int) -> set[str]:
    """Keys of blocks to open, outermost first, so that about `limit` elements show."""
    return _opened(tree, lambda block: len(shown_members(block, hidden)), limit)


def _opened(tree: Block, count: Callable[[Block], int], limit: int) -> set[str]:
    """Level by level; one that does not fit stays closed as a whole, so that equal blocks look equal."""
    opened = {tree.key}
    total = count(tree)
    level = [member for member in tree.members if isinstance(member, Block)]
    while level:
        fitting = [b for b in level if not (b.kind == "similar" and len(b.members) > _ALIKE)]
        if total + sum(count(block) - 1 for block in fitting) > limit:
            if total >= _FEW:
                break
            fitting = _some(fitting, count, limit - total)
        opened.update(block.key for block in fitting)
        total += sum(count(block) - 1 for block in fitting)
        level = [c for b in fitting for c in (b.children[0] if b.kind == "repeat" else b).children]
    return opened


def _some(blocks: list[Block], count: Callable[[Block], int], room: int) -> list[Block]:
    """What fits of a level, blocks that show little but hold much first."""
    found: list[Block] = []
    for block in sorted(blocks, key=lambda b: (count(b) > 12, -len(b.all_nodes))):
        if count(block) - 1 <= room:
            found.append(block)
            room -= count(block) - 1
    return found
