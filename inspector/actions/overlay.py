"""Where in the graph is much of something? One number a node, for a drawing's colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table

from inspector import comparison, execution, graph, methods, weights
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import InspectorError, MissingOption
from inspector.progress import track

if TYPE_CHECKING:
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Overlay", "overlay"]

Quantity = Literal[
    "parameters", "macs", "time", "memory", "sparsity", "spread", "zeros", "relevance", "difference"
]

_LISTED = 20

_UNITS: Mapping[str, str] = {
    "parameters": "numbers",
    "macs": "multiply-adds",
    "time": "ms",
    "memory": "bytes of outputs",
    "sparsity": "share of zero weights",
    "spread": "standard deviation of the output",
    "zeros": "share of zeros in the output",
    "relevance": "sum of |activation × gradient|",
    "difference": "relative change of the output",
}


@dataclass(frozen=True)
class Overlay(Result):
    """Numbers by node key; a node without one is not listed."""

    model: str
    of: str
    unit: str
    nodes: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All of them."""
        return {
            "model": self.model,
            "of": self.of,
            "unit": self.unit,
            "nodes": dict(self.nodes),
            "notes": list(self.notes),
        }

    def to_text(self) -> RenderableType:
        """The largest."""
        table = Table("node", self.unit, box=None, pad_edge=False)
        for key, number in sorted(self.nodes.items(), key=lambda row: -row[1])[:_LISTED]:
            table.add_row(key, f"{number:.4g}")
        return Group(table, *(f"Note: {note}" for note in self.notes))

    def figures(self) -> Mapping[str, Figure]:
        """None; the page colours its drawing by them."""
        return {}


@action(
    examples=(
        "inspector overlay net.onnx --of time",
        "inspector overlay net.onnx --of relevance --input cat.png --json",
        "inspector overlay a.onnx --of difference --other b.onnx",
    ),
)
def overlay(
    model: Model,
    input: list[str] | None = None,
    *,
    of: Quantity = "parameters",
    other: Model | None = None,
    target: str | None = None,
    seed: int = 0,
) -> Overlay:
    """Give every node one number: what it costs, holds or computes, or how it differs from another model.

    `relevance` is the sum over the node's first output of |activation × gradient of the target's score|
    (arXiv:1605.01713); `difference` is the relative change of the matched node's output in the other model.

    Args:
        model: The model file.
        input: What to feed for time, memory, spread, zeros and relevance; by default random numbers.
        of: Which number.
        other: The model to compare with, for difference.
        target: What relevance explains: a class index, a label, or top.
        seed: Seed of random inputs.
    """
    fed = ["random"] if input is None else input
    if of == "difference":
        if other is None:
            raise MissingOption("difference needs another model: --other b.onnx.")
        found, notes = _difference(model, other, input, seed)
    elif of == "relevance":
        found, notes = _relevance(model, fed, target, seed)
    elif of in ("time", "memory", "spread", "zeros"):
        inputs = execution.read_inputs(model, fed, seed=seed)
        measure = _measured if of in ("time", "memory") else _computed
        found, notes = measure(model, inputs.feeds, of), inputs.describe()
    else:
        found, notes = _held(model, of), ()
    return Overlay(model.name, of, _UNITS[of], found, tuple(notes))


def _held(model: Model, of: str) -> dict[str, float]:
    if of == "sparsity":
        return _sparsity(model)
    found: dict[str, float] = {}
    for key, row in graph.cost(model).nodes.items():
        number = row.parameters if of == "parameters" else row.macs
        if number is not None:
            found[key] = float(number)
    return found


def _sparsity(model: Model) -> dict[str, float]:
    """The share of zeros among all elements of the weights that a node reads."""
    zeros: dict[str, float] = {}
    found: dict[str, float] = {}
    for node in track(list(model.nodes.values()), "Counting zeros"):
        read = [weight for key in node.inputs if key and (weight := model.weight_behind(key)) is not None]
        read = [weight for weight in read if weight.size > 1 and weight.dtype != "string"]
        for weight in read:
            if weight.key not in zeros:
                zeros[weight.key] = weights.statistics_of(weight.array()).zeros * weight.size
        if read:
            found[node.key] = sum(zeros[w.key] for w in read) / sum(w.size for w in read)
    return found


def _measured(model: Model, feeds: Mapping[str, Any], of: str) -> dict[str, float]:
    rows = execution.profile(model, feeds).rows
    return {row.key: row.ms if of == "time" else float(row.output_bytes) for row in rows}


def _computed(model: Model, feeds: Mapping[str, Any], of: str) -> dict[str, float]:
    moments = execution.capture(model, feeds).statistics
    found: dict[str, float] = {}
    for node in track(list(model.nodes.values()), "Measuring activations"):
        try:
            row = moments[node.outputs[0]]
        except InspectorError:  # a branch not taken, or a value that holds text
            continue
        number = row.std if of == "spread" else row.zeros
        if number is not None:
            found[node.key] = number
    return found


def _relevance(
    model: Model, fed: list[str], target: str | None, seed: int
) -> tuple[dict[str, float], list[str]]:
    subject = methods.prepare(model, fed, target=target, seed=seed)
    return methods.relevance_by_node(subject), [f"Explains {subject.target}.", *subject.notes]


def _difference(
    model: Model, other: Model, input: list[str] | None, seed: int
) -> tuple[dict[str, float], list[str]]:
    made = comparison.compare(model, other, input, seed=seed)
    producers = model.producers
    found = {
        producers[change.a].key: change.difference.relative
        for change in made.activations
        if change.a in producers and change.difference is not None
    }
    return found, [made.verdict, *made.notes]
