"""What does a layer give for one picture after the other? Maps (units, h, w) from ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

from inspector.autograd.cutting import value_shapes
from inspector.autograd.network import to_torch
from inspector.errors import BadInput
from inspector.execution import (
    Preprocess,
    complete_feeds,
    picture_input,
    preprocess_of,
    select_values,
)
from inspector.execution.axes import axes_of_value, channel_axis
from inspector.execution.session import Session, Settings, open_session, run
from inspector.model import Model
from inspector.model.model import Value

__all__ = ["LayerMaps", "open_layers"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(eq=False)
class LayerMaps:
    """Maps of some layers, by key; the session is kept while pictures have one size."""

    model: Model
    entry: Value
    recipe: Preprocess
    keys: tuple[str, ...]
    device: str
    _ready: dict[tuple[int, ...], Session] = field(default_factory=dict)

    def feeds(self, picture: npt.NDArray[np.uint8]) -> dict[str, Array]:
        """The model's inputs for a picture."""
        fed, _ = complete_feeds(self.model, {self.entry.key: self.recipe.apply(picture)})
        return dict(fed)

    def maps(self, picture: npt.NDArray[np.uint8]) -> dict[str, Array]:
        """(units, h, w) of every layer; places are 1 × 1 where a layer has none."""
        feeds = self.feeds(picture)
        shape = feeds[self.entry.key].shape
        if shape not in self._ready:
            self._ready.clear()
            cut = _cut(self.model, self.keys)
            self._ready[shape] = open_session(self.model, cut, device=self.device, settings=Settings("all"))
        found = run(self._ready[shape], feeds, list(self.keys))
        return {key: self._first(key, np.asarray(value)) for key, value in zip(self.keys, found, strict=True)}

    def forget(self) -> None:
        """Let the session go, so that this can be sent to another process."""
        self._ready.clear()

    def shapes(self, picture: npt.NDArray[np.uint8]) -> dict[str, tuple[int, ...]]:
        """Shapes of every value for a picture."""
        net = to_torch(self.model)
        with torch.no_grad():
            return value_shapes(net, self.feeds(picture))

    def _first(self, key: str, value: Array) -> Array:
        if value.ndim < 2 or value.dtype.kind != "f":
            raise BadInput(f"layer {key!r} is {value.dtype} of {value.shape}: no maps of units.")
        axis = channel_axis(axes_of_value(self.model, key, value.shape), value.ndim)
        rows = np.moveaxis(value, axis, 1)[0] if axis else value
        rows = rows.reshape(len(rows), *(rows.shape[1:] or (1, 1)))
        return rows.reshape(len(rows), 1, -1) if rows.ndim != 3 else rows


def _cut(model: Model, keys: tuple[str, ...]) -> onnx.ModelProto:
    """The graph with these values as its only outputs, and without the nodes that they do not need."""
    inner = [key for key in keys if key not in model.producers or model.producers[key].body]
    if inner:
        raise BadInput(f"layer {inner[0]!r} lies in the body of a node; choose one at the top level.")
    cut = onnx.ModelProto()
    cut.CopyFrom(model.proto)
    makers = {name: node for node in cut.graph.node for name in node.output}
    if not any(a.HasField("g") or a.graphs for node in cut.graph.node for a in node.attribute):
        needed: set[str] = set()
        waiting = list(keys)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += makers[name].input if name in makers else ()
        kept = [node for node in cut.graph.node if needed.intersection(node.output)]
        weights = [tensor for tensor in cut.graph.initializer if tensor.name in needed]
        del cut.graph.node[:], cut.graph.initializer[:]
        cut.graph.node.extend(kept)
        cut.graph.initializer.extend(weights)
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.ValueInfoProto(name=key) for key in keys)
    return cut


def open_layers(
    model: Model, layers: list[str], preprocess: str | Preprocess | None = None, device: str = "cpu"
) -> LayerMaps:
    """The layers by names, nodes, scopes or patterns (of several values the last).

    Raises:
        UnknownName: a layer that the model does not have.
        BadInput: the model takes no picture.
    """
    entry = picture_input(model)
    keys = tuple(dict.fromkeys(select_values(model, layer)[-1] for layer in layers))
    return LayerMaps(model, entry, preprocess_of(model, preprocess, entry), keys, device)
