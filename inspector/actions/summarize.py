"""What is inside this model? Header, a table of blocks, and what the numbers count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspector import graph
from inspector.actions.parameters import Flag
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import MissingOption

if TYPE_CHECKING:
    from inspector.graph import Cost, CostRow
    from inspector.model import Model, Value
    from inspector.views import Figure

__all__ = ["Summary", "summarize"]


@dataclass(frozen=True)
class Summary(Result):
    """Everything a first look should tell about a model.

    `rows` are blocks and nodes in graph order; `cost` holds the totals and every node's own figures.
    """

    name: str
    digest: str
    origin: Mapping[str, str]
    producer: str
    ir_version: int
    opsets: Mapping[str, int]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: int
    weights: int
    operators: Mapping[str, int]
    cost: Cost
    rows: tuple[CostRow, ...]
    runnable: bool
    notes: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Trainable numbers, shared ones once, running statistics not among them."""
        return self.cost.parameters

    @property
    def macs(self) -> int | None:
        """Multiply–accumulates of one run, None while open sizes hide them."""
        return self.cost.macs

    def to_dict(self) -> dict[str, Any]:
        """Header, totals and rows."""
        cost = self.cost
        return {
            "name": self.name,
            "digest": self.digest,
            "origin": dict(self.origin),
            "producer": self.producer,
            "ir_version": self.ir_version,
            "opsets": {domain or "ai.onnx": version for domain, version in self.opsets.items()},
            "inputs": [_value(v) for v in self.inputs],
            "outputs": [_value(v) for v in self.outputs],
            "nodes": self.nodes,
            "weights": self.weights,
            "operators": dict(self.operators),
            "parameters": cost.parameters,
            "statistics": cost.statistics,
            "bytes_by_dtype": dict(cost.bytes_by_dtype),
            "macs": cost.macs,
            "flops": None if cost.macs is None else 2 * cost.macs,
            "activation_bytes": cost.activations,
            "sizes": dict(cost.sizes),
            "counted_operators": dict(cost.counted),
            "uncounted_operators": dict(cost.uncounted),
            "blocks": [_row(row) for row in self.rows],
            "runnable": self.runnable,
            "notes": list(self.notes),
        }

    def to_text(self) -> RenderableType:
        """Header, table, notes."""
        parts: list[RenderableType] = [self._header(), ""]
        if self.rows:
            parts += [self._table(), ""]
        parts += [f"Note: {note}" for note in self.notes]
        return Group(*parts)

    def figures(self) -> Mapping[str, Figure]:
        """None; `draw` makes the picture."""
        return {}

    def _header(self) -> Table:
        table = Table.grid(padding=(0, 2))
        opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in self.opsets.items())
        made = " ".join(filter(None, (self.producer, f"({self.origin['format']})")))
        table.add_row(
            "model", Text.assemble((self.name, "bold"), f"  {made}, IR {self.ir_version}, opset {opsets}")
        )
        for word, values in (("input", self.inputs), ("output", self.outputs)):
            for value in values:
                table.add_row(word, f"{value.name}: {value}")
        table.add_row("size", self._size())
        if not self.nodes:
            return table
        table.add_row("work", self._work())
        common = sorted(self.operators.items(), key=lambda pair: -pair[1])
        listed = ", ".join(f"{op} × {count}" for op, count in common[:8])
        table.add_row("nodes", f"{self.nodes:,}: {listed}{', …' if len(common) > 8 else ''}")
        return table

    def _size(self) -> str:
        stored = ", ".join(f"{kind} {_bytes(count)}" for kind, count in self.cost.bytes_by_dtype.items())
        statistics = f" + {self.cost.statistics:,} running statistics" if self.cost.statistics else ""
        counts = f"{self.cost.parameters:,} parameters{statistics} in {self.weights:,} weights"
        return f"{counts}; {stored or 'no bytes'}"

    def _work(self) -> str:
        cost = self.cost
        sizes = ", ".join(f"{name} = {size}" for name, size in cost.sizes.items())
        at = f" at {sizes}" if sizes else ""
        memory = "" if cost.activations is None else f"; activations {_bytes(cost.activations)}"
        if cost.macs is None:
            return f"multiply–accumulates unknown{at}{memory}: give open sizes with --size"
        return f"{_count(cost.macs)} MACs ({_count(2 * cost.macs)} FLOPs){at}{memory}"

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        words = ("block", "operator", "output") if self.nodes else ("weights", "dtype", "shape")
        for word in words:
            table.add_column(word, overflow="fold")
        for column in ("parameters", "MACs" if self.nodes else "", "share"):
            table.add_column(column, justify="right")
        for row in self.rows:
            label = "  " * row.depth + row.label + (f"  × {row.repeat}" if row.repeat > 1 else "")
            macs = "?" if row.macs is None else _count(row.macs) if row.macs else ""
            share = f"{row.share:.1%}" if row.share else ""
            table.add_row(
                label,
                row.operator,
                row.output,
                f"{row.parameters:,}" if row.parameters else "",
                macs,
                share,
            )
        return table


@action(
    group="Look inside",
    examples=("inspector summarize net.onnx", "inspector summarize net.onnx --depth 2 --size height=224"),
)
def summarize(
    model: Model,
    *,
    depth: int | None = None,
    size: Annotated[list[str] | None, Flag(("--size",))] = None,
) -> Summary:
    """Show what a model holds: inputs, outputs, blocks, parameters, work and memory.

    Args:
        model: The model file.
        depth: How many levels of blocks to open; by default until about 60 rows.
        size: A dynamic size, as in height=224; the batch is 1 unless given. Repeatable.
    """
    sizes = _sizes(size or [])
    total = graph.cost(model, sizes)
    bare = not model.nodes
    rows = (
        graph.weight_table(model, depth) if bare else graph.cost_table(model, depth, sizes=sizes, total=total)
    )
    operators: dict[str, int] = {}
    for node in model.nodes.values():
        if node.op != "Constant":
            operators[node.op] = operators.get(node.op, 0) + 1
    proto = model.proto
    notes = [*model.notes, *(f"Not runnable: {why}." for why in model.obstacles), *_cost_notes(total)]
    if model.inference_note:
        notes.append(model.inference_note)
    return Summary(
        name=model.name,
        digest=model.digest,
        origin={k: str(getattr(model.origin, k)) for k in ("format", "framework", "version", "file")},
        producer=f"{proto.producer_name} {proto.producer_version}".strip(),
        ir_version=proto.ir_version,
        opsets=dict(model.opsets),
        inputs=model.inputs,
        outputs=model.outputs,
        nodes=len(model.nodes),
        weights=len(model.weights),
        operators=operators,
        cost=total,
        rows=tuple(rows),
        runnable=model.runnable,
        notes=tuple(notes),
    )


def _sizes(given: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in given:
        name, _, number = text.partition("=")
        if not name or not number.isdigit():
            raise MissingOption(
                f"--size {text!r}: expected the name of a dynamic size and a number, as in height=224."
            )
        found[name] = int(number)
    return found


def _cost_notes(cost: Cost) -> list[str]:
    counted = ", ".join(f"{op} × {count}" for op, count in cost.counted.items())
    notes = [f"MACs count {counted}; FLOPs = 2 × MACs."] if counted else []
    if cost.uncounted:
        listed = ", ".join(f"{op} × {count}" for op, count in cost.uncounted.items())
        notes.append(f"Operators that work but are in no total: {listed}.")
    return notes


def _value(value: Value) -> dict[str, Any]:
    shape = None if value.shape is None else list(value.shape)
    return {"name": value.name, "dtype": value.dtype, "shape": shape, "kind": value.kind}


def _row(row: CostRow) -> dict[str, Any]:
    return {
        "depth": row.depth,
        "key": row.key,
        "label": row.label,
        "kind": row.kind,
        "operators": list(row.operators),
        "output": row.output,
        "parameters": row.parameters,
        "macs": row.macs,
        "share": row.share,
        "repeat": row.repeat,
        "nodes": row.nodes,
    }


def _count(number: int) -> str:
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} B"
