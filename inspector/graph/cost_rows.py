"""Where do parameters and multiply–accumulates sit? A table by block, equal blocks folded."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.graph.costing import Cost, Sizes, cost, settle
from inspector.graph.families import family
from inspector.graph.hierarchy import Block, blocks, static_nodes
from inspector.model import Model, Node
from inspector.model.shapes import format_shape

__all__ = ["CostRow", "cost_table"]

_ROWS = 60
"""Without a depth, levels open while the table has at most so many rows."""

_FEW = 12
"""A table with fewer rows tells too little: then single blocks of a level open too."""


@dataclass(frozen=True)
class CostRow:
    """One line: a block or a node at nesting level `depth`.

    `repeat` above 1 marks equal copies: the figures are of all copies together, and the rows below it show
    the first copy alone. `share` is the part of the model's multiply–accumulates (of its parameters where
    those are unknown), from 0 to 1. `nodes` counts operators, stored constants left out. `open` tells
    whether rows for the members follow.
    """

    depth: int
    key: str
    label: str
    kind: str
    operators: tuple[str, ...]
    output: str
    parameters: int
    macs: int | None
    share: float
    repeat: int
    nodes: int
    open: bool

    @property
    def operator(self) -> str:
        """The operators in one phrase: `Conv, Relu …`."""
        return ", ".join(self.operators[:3]) + (" …" if len(self.operators) > 3 else "")


def cost_table(
    model: Model,
    depth: int | None = None,
    *,
    sizes: Sizes | None = None,
    total: Cost | None = None,
    tree: Block | None = None,
) -> list[CostRow]:
    """Rows in graph order, blocks before their members, to nesting level `depth` (1: the outermost members).

    `total` and `tree` save work where the caller has them already.
    """
    total = total or cost(model, sizes)
    tree = tree or blocks(model)
    table = _Table(model, settle(model, sizes or {})[0], total, static_nodes(model))
    opened = {b.key for b in tree.walk() if b.depth < depth} if depth is not None else table.opened(tree)
    rows: list[CostRow] = []
    stack: list[tuple[str | Block, int]] = [(member, 0) for member in reversed(tree.members)]
    while stack:
        member, level = stack.pop()
        if isinstance(member, str):
            if member not in table.static:
                rows.append(table.row(member, (member,), level, False))
            continue
        if not any(key not in table.static for key in member.all_nodes):
            continue
        is_open = member.key in opened
        rows.append(table.row(member, member.all_nodes, level, is_open))
        if is_open:
            inner = member.children[0].members if member.kind == "repeat" else member.members
            stack.extend((child, level + 1) for child in reversed(inner))
    return rows


@dataclass(frozen=True)
class _Table:
    model: Model
    settled: Model
    total: Cost
    static: frozenset[str]

    def row(self, member: str | Block, keys: tuple[str, ...], level: int, is_open: bool) -> CostRow:
        costs = [self.total.nodes[key] for key in keys]
        nodes = [self.model.nodes[key] for key in keys if key not in self.static]
        parameters = sum(c.parameters for c in costs)
        unknown = any(c.macs is None for c in costs)
        macs = None if unknown else sum((c.macs or 0) * c.times for c in costs)
        whole, part = (self.total.macs, macs) if self.total.macs else (self.total.parameters, parameters)
        return CostRow(
            depth=level,
            key=member if isinstance(member, str) else member.key,
            label=member if isinstance(member, str) else member.label,
            kind="node" if isinstance(member, str) else member.kind,
            operators=_operators(nodes, member),
            output=self._output(nodes),
            parameters=parameters,
            macs=macs,
            share=(part or 0) / whole if whole else 0.0,
            repeat=1 if isinstance(member, str) else member.repeat,
            nodes=len(nodes),
            open=is_open,
        )

    def _output(self, nodes: list[Node]) -> str:
        keys = [key for node in nodes[-1:] for key in node.outputs if key]
        value = self.settled.values.get(keys[0]) if keys else None
        return format_shape(value.shape) if value is not None and value.shape is not None else ""

    def opened(self, tree: Block) -> set[str]:
        """Blocks to open, level by level, while the table stays readable.

        A level that does not fit is left closed as a whole, so that equal blocks look equal; only a table of
        a few rows takes what fits of it.
        """
        opened: set[str] = {tree.key}
        count = len(self._shown(tree))
        level = list(tree.children)
        while level:
            inner = {b.key: b.children[0] if b.kind == "repeat" else b for b in level}
            rows = {key: len(self._shown(block)) for key, block in inner.items()}
            if count + sum(rows.values()) > _ROWS:
                if count < _FEW:
                    _open_some(rows, _ROWS - count, opened)
                break
            opened.update(rows)
            count += sum(rows.values())
            level = [child for block in inner.values() for child in block.children]
        return opened

    def _shown(self, block: Block) -> list[str | Block]:
        return [member for member in block.members if isinstance(member, Block) or member not in self.static]


def _operators(nodes: list[Node], member: str | Block) -> tuple[str, ...]:
    if isinstance(member, str):
        return tuple(node.op for node in nodes)
    if member.source_class:
        return (member.source_class,)
    telling = [n.op for n in nodes if family(n.op, n.domain).name not in ("data", "arithmetic")]
    return tuple(dict.fromkeys(telling or [n.op for n in nodes]))


def _open_some(rows: dict[str, int], room: int, opened: set[str]) -> None:
    for key, count in rows.items():
        if count <= room:
            opened.add(key)
            room -= count
