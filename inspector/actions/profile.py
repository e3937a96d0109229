"""Where do time and memory go when the model runs?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import execution
from inspector.actions.registry import action
from inspector.actions.result import Result

if TYPE_CHECKING:
    from inspector.execution import Profile
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Timing", "profile"]

_LISTED = 20


@dataclass(frozen=True)
class Timing(Result):
    """Times by node, block and operator; `overlay` gives milliseconds by node key for drawings."""

    model: str
    profile: Profile
    notes: tuple[str, ...]

    @property
    def overlay(self) -> Mapping[str, float]:
        """Milliseconds by node key."""
        return self.profile.overlay

    def to_dict(self) -> dict[str, Any]:
        """Everything measured."""
        return {"model": self.model} | self.profile.to_dict() | {"notes": list(self.notes)}

    def to_text(self) -> RenderableType:
        """Totals, the slowest blocks, operators and nodes."""
        found = self.profile
        peak = "" if found.peak_bytes is None else f", {_bytes(found.peak_bytes)} in use at most"
        head = (
            f"{self.model} on {found.device}, {found.graph} graph, median of {found.runs} runs: "
            f"{found.wall_ms:.2f} ms a run, {found.total_ms:.2f} ms in {len(found.rows)} nodes{peak}"
        )
        blocks = Table("block", "nodes", "ms", "share", "output", box=None, pad_edge=False)
        for block in found.blocks()[:_LISTED]:
            blocks.add_row(
                block.scope,
                str(block.nodes),
                f"{block.ms:.3f}",
                f"{block.share:.1%}",
                _bytes(block.output_bytes),
            )
        operators = Table("operator", "nodes", "ms", "share", box=None, pad_edge=False)
        for op, count, ms in found.operators()[:_LISTED]:
            operators.add_row(op, str(count), f"{ms:.3f}", f"{ms / (found.total_ms or 1):.1%}")
        nodes = Table("node", "operator", "ms", "share", "output", "weights", box=None, pad_edge=False)
        for row in sorted(found.rows, key=lambda row: -row.ms)[:_LISTED]:
            nodes.add_row(
                row.key,
                row.op,
                f"{row.ms:.3f}",
                f"{row.share:.1%}",
                _bytes(row.output_bytes),
                _bytes(row.weight_bytes),
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
    return Timing(model.name, found, (*inputs.describe(), *found.notes))


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} B"
