"""Where do time and memory go when the model runs?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution, graph
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from inspector.execution import Profile
    from inspector.execution.profiling import BlockTime
    from inspector.graph import Block
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Timing", "profile"]

_LISTED = 20

_DEPTH = 2
"""Levels of blocks that are told apart."""

_WRAPPING = ("repeat", "control", "body")
"""Kinds of blocks that are no level of their own."""


@dataclass(frozen=True)
class Timing(Result):
    """Times by node, block and operator; `overlay` gives milliseconds by node key for drawings."""

    model: str
    profile: Profile
    blocks: tuple[BlockTime, ...]
    notes: tuple[str, ...]

    @property
    def overlay(self) -> Mapping[str, float]:
        """Milliseconds by node key."""
        return self.profile.overlay

    def to_dict(self) -> dict[str, Any]:
        """Everything measured."""
        blocks = [asdict(block) for block in self.blocks]
        return {"model": self.model} | self.profile.to_dict() | {"blocks": blocks, "notes": list(self.notes)}

    def to_text(self) -> RenderableType:
        """Totals, the slowest blocks, operators and nodes."""
        found = self.profile
        peak = "" if found.peak_bytes is None else f", {_bytes(found.peak_bytes)} in use at most"
        head = (
            f"{self.model} on {found.device}, {found.graph} graph, median of {found.runs} runs: "
            f"{found.wall_ms:.2f} ms a run, {found.total_ms:.2f} ms in {len(found.rows)} nodes{peak}"
        )
        blocks = Table(
            "block", "nodes", "ms", "share", "output", "weights", "alive", box=None, pad_edge=False
        )
        for block in self.blocks[:_LISTED]:
            blocks.add_row(
                block.block,
                str(block.nodes),
                f"{block.ms:.3f}",
                f"{block.share:.1%}",
                _bytes(block.output_bytes),
                _bytes(block.weight_bytes),
                _bytes(block.live_bytes),
            )
        operators = Table("operator", "nodes", "ms", "share", box=None, pad_edge=False)
        for op, count, ms in found.operators()[:_LISTED]:
            operators.add_row(op, str(count), f"{ms:.3f}", f"{ms / (found.total_ms or 1):.1%}")
        nodes = Table(
            "node", "operator", "ms", "share", "output", "weights", "alive", box=None, pad_edge=False
        )
        for row in sorted(found.rows, key=lambda row: -row.ms)[:_LISTED]:
            nodes.add_row(
                row.key,
                row.op,
                f"{row.ms:.3f}",
                f"{row.share:.1%}",
                _bytes(row.output_bytes),
                _bytes(row.weight_bytes),
                _bytes(row.live_bytes),
            )
        rest = f"The {_LISTED} slowest of {len(found.rows)} nodes; --json lists all."
        lines: list[RenderableType] = [head, "", blocks, "", operators, "", nodes]
        lines += [rest] * (len(found.rows) > _LISTED) + [f"Note: {note}" for note in self.notes]
        return Group(*lines)

    def figures(self) -> Mapping[str, Figure]:
        """None; `draw` colours the graph by the overlay."""
        return {}


@action(
    group="Run", examples=("inspector profile net.onnx", "inspector profile net.onnx --input cat.png --json")
)
def profile(
    model: Model,
    input: list[str] | None = None,
    *,
    preprocess: str | None = None,
    device: Literal["cpu", "cuda", "auto"] = "cpu",
    mode: Literal["exact", "fused"] = "exact",
    runs: int = 5,
    threads: int = 0,
    seed: int = 0,
) -> Timing:
    """Measure time, bytes and memory of every node, mapped to blocks and source layers.

    Alive are the bytes of all values that are needed when a node, or the fullest node of a block, has run.

    Args:
        model: The model file.
        input: What to feed, as for predict; by default random numbers.
        preprocess: How pictures are prepared.
        device: Where to run; auto takes CUDA where it works.
        mode: exact keeps every node of the file, fused shows what an optimised run costs.
        runs: How many runs to measure, after one to warm up.
        threads: Threads within an operator; 0 leaves it to ONNX Runtime.
        seed: Seed of random inputs.
    """
    inputs = execution.read_inputs(
        model, ["random"] if input is None else input, preprocess=preprocess, seed=seed
    )
    found = execution.profile(model, inputs.feeds, device=device, mode=mode, runs=runs, threads=threads)
    blocks = found.blocks(_homes(graph.blocks(model), _DEPTH))
    return Timing(model.name, found, blocks, (*inputs.describe(), *found.notes))


def _homes(root: Block, depth: int) -> dict[str, str]:
    """The block of every node, at most `depth` levels down; a node outside of all blocks stands alone."""
    return {key: block or key for key, block in _places(root, depth).items()}


def _places(block: Block, depth: int) -> dict[str, str]:
    found = dict.fromkeys(block.all_nodes, block.key)
    for child in block.children if depth else ():
        found |= _places(child, depth - (child.kind not in _WRAPPING))
    return found


def _bytes(number: int | None) -> str:
    if number is None:
        return "–"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} B"
