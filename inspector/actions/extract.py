"""Which part of the model is this? Cut it out as ONNX that runs on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector import graph
from inspector import model as models
from inspector.actions.parameters import OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import MissingOption

if TYPE_CHECKING:
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["Extraction", "extract"]


@dataclass(frozen=True, eq=False)
class Extraction(Result):
    """A part of a model, and where it was written."""

    model: Model
    path: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Ends, counts and notes."""
        part = self.model
        return {
            "name": part.name,
            "path": None if self.path is None else str(self.path),
            "inputs": [value.key for value in part.inputs],
            "outputs": [value.key for value in part.outputs],
            "nodes": len(part.nodes),
            "weights": len(part.weights),
            "runnable": part.runnable,
            "notes": list(part.notes),
        }

    def to_text(self) -> str:
        """Its ends and its size."""
        part = self.model
        where = f", written to {self.path}" if self.path is not None else ""
        lines = [f"{len(part.nodes)} nodes, {len(part.weights)} weights{where}."]
        for what, values in (("input", part.inputs), ("output", part.outputs)):
            lines += [f"{what}: {v.name} {v.dtype} {models.format_shape(v.shape)}" for v in values]
        return "\n".join([*lines, *(f"Note: {note}" for note in part.notes)])

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(
    examples=(
        "inspector extract net.onnx --begin relu1 --end relu3 -o part.onnx",
        "inspector extract net.onnx --nodes 'encoder/layers/3' -o layer3.onnx",
    ),
)
def extract(
    model: Model,
    path: OutputFile | None = None,
    *,
    begin: list[str] | None = None,
    end: list[str] | None = None,
    nodes: list[str] | None = None,
) -> Extraction:
    """Cut out a part of a model as ONNX that runs on its own and gives the same numbers.

    Args:
        model: The model file.
        path: The .onnx file to write.
        begin: Values where the part begins; by default the model's inputs. Repeatable.
        end: Values where it ends; by default the model's outputs. Repeatable.
        nodes: Keys, scopes, operators or patterns of the nodes to cut out instead. Repeatable.
    """
    if nodes and (begin or end):
        raise MissingOption("say either the nodes, or the values between which the part lies.")
    if nodes:
        begin, end = graph.boundary(model, [key for name in nodes for key in _named(model, name)])
    elif not (begin or end):
        raise MissingOption("which part? Give --begin and --end, or --nodes.")
    part = graph.extract(model, begin or [], end or [value.key for value in model.outputs])
    return Extraction(part, None if path is None else models.save_model(part, path))


def _named(model: Model, name: str) -> list[str]:
    """A key is itself, also where it reads like a pattern."""
    return [name] if name in model.nodes else graph.matching_nodes(model, name)
