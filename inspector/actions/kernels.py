"""What did a layer's kernels learn to look for?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from inspector import execution, views
from inspector.actions.parameters import OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, UnknownName

if TYPE_CHECKING:
    import numpy as np

    from inspector.model import Model, Node, Weight
    from inspector.views import Figure

__all__ = ["Kernels", "kernels"]

_CONVOLUTIONS = ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger")
_KERNEL_INPUT = {"QLinearConv": 3}
_MATRICES = ("Gemm", "MatMul")

LARGEST_KERNEL = 11
"""Cells a side; a larger axis of a weight counts channels."""


@dataclass(frozen=True)
class Kernels(Result):
    """The kernels (out, in, *space) of one layer and their picture."""

    layer: str
    weight: str
    array: np.ndarray[Any, np.dtype[Any]]
    figure: Figure
    path: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Names, shape and range."""
        facts = execution.measure(self.array).to_dict()
        return {"layer": self.layer, "weight": self.weight, "file": str(self.path or "") or None} | facts

    def to_text(self) -> str:
        """One line."""
        shape = "×".join(map(str, self.array.shape))
        where = f", drawn in {self.path}" if self.path else ""
        space = " × space" if self.array.ndim > 2 else ""
        return f"{self.layer}: {self.weight}, {shape} (out × in{space}){where}"

    def figures(self) -> Mapping[str, Figure]:
        """The picture."""
        return {"kernels": self.figure}


@action(
    group="Weights",
    examples=(
        "inspector kernels net.onnx -o kernels.png",
        "inspector kernels net.onnx -o k.svg --layer conv1",
    ),
)
def kernels(
    model: Model,
    output: OutputFile | None = None,
    *,
    layer: str | None = None,
    preprocess: str | None = None,
    limit: int | None = None,
    scale: Literal["shared", "own"] | None = None,
) -> Kernels:
    """Draw the kernels of a convolution: colour tiles where it reads a colour picture, else by input channel.

    Args:
        model: The model file.
        output: Picture to write, .png or .svg.
        layer: Name of the node, layer, weight or output value; by default the first convolution.
        preprocess: How pictures are prepared, for the order of colours; by default what the model says.
        limit: How many kernels to draw at most.
        scale: One scale for all kernels, or each its own; by default shared, but own for colour tiles.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"limit={limit}: at least one kernel must be asked for.")
    node, weight = _find(model, layer)
    array = weight.array() if node is not None else _outputs_first(weight.array())
    if node is not None and node.op == "ConvTranspose":
        array = array.swapaxes(0, 1)
    elif node is not None and _is_matrix(node, array):
        array = array.T  # (in, out) as the product wants it; rows become outputs
    media = views.media_for(output) if output is not None else "image/png"
    layer_name = (node.scope or node.key) if node is not None else weight.name
    figure = views.draw_kernels(
        array,
        title=f"Kernels of {layer_name}",
        note=f"Weight {weight.name}",
        order="bgr" if _reads_bgr(model, node, preprocess) else "rgb",
        limit=limit,
        shared=None if scale is None else scale == "shared",
        media=media,
    )
    path = figure.save(output) if output is not None else None
    return Kernels(layer_name, weight.name, array, figure, path)


def _find(model: Model, layer: str | None) -> tuple[Node | None, Weight]:
    candidates = [(node, weight) for node in model.nodes.values() if (weight := _kernel_of(model, node))]
    if layer is None:
        if not candidates:
            return None, _looks_like_kernels(model)
        convolutions = [pair for pair in candidates if pair[0].op in _CONVOLUTIONS]
        return (convolutions or candidates)[0]
    if layer in model.weights:
        readers = [pair for pair in candidates if pair[1].key == layer]
        return readers[0] if readers else (None, model.weights[layer])
    made = {layer, *execution.layer_values(model, layer)}
    hits = [pair for pair in candidates if made.intersection(pair[0].outputs)]
    if not hits:
        known = [*(node.scope or node.key for node, _ in candidates), *(w.name for _, w in candidates)]
        raise UnknownName.among("layer with kernels", layer, dict.fromkeys(known))
    return hits[0]


def _looks_like_kernels(model: Model) -> Weight:
    """The first weight of a file without layers whose shape is that of a picture's kernels."""
    for weight in model.weights.values():
        if len(weight.shape) == 4 and 1 < max(_space(weight.shape)) <= LARGEST_KERNEL:
            return weight
    raise BadInput(
        f"{model.name} has no convolution and no matrix product with a stored weight. Name a weight with "
        "--layer; `inspector export-weights` lists them."
    )


def _space(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The two axes of space of a bare weight: the first ones as Keras stores kernels, else the last."""
    return shape[:2] if _is_keras(shape) else shape[2:]


def _is_keras(shape: tuple[int, ...]) -> bool:
    """Whether (h, w, in, out) is likelier than (out, in, h, w)."""
    return len(shape) == 4 and shape[0] == shape[1] < shape[3] != shape[2]


def _outputs_first(array: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """A bare weight as (out, in, *space)."""
    return array.transpose(3, 2, 0, 1) if _is_keras(array.shape) else array


def _kernel_of(model: Model, node: Node) -> Weight | None:
    place = _KERNEL_INPUT.get(node.op, 1)
    if node.op not in (*_CONVOLUTIONS, *_MATRICES) or len(node.inputs) <= place:
        return None
    return model.weight_behind(node.inputs[place])


def _is_matrix(node: Node, array: np.ndarray[Any, np.dtype[Any]]) -> bool:
    return array.ndim == 2 and node.op in _MATRICES and not node.attributes.get("transB", 0)


def _reads_bgr(model: Model, node: Node | None, preprocess: str | None) -> bool:
    """Whether the layer looks at a picture whose channels the model's recipe puts in BGR order."""
    if node is None or not model.inputs or not any(execution.is_picture(v) for v in model.inputs):
        return False
    if node.inputs[0] in model.producers and model.producers[node.inputs[0]].op != "Transpose":
        return False
    return execution.preprocess_of(model, preprocess).channels == "BGR"
