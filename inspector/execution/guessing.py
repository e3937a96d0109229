"""How does the model itself say its pictures are prepared? Metadata, its first layers, names and dims."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np

from inspector.errors import BadInput, NotRunnable
from inspector.execution.preprocess import PRESETS, Layout, Preprocess, parse_preprocess
from inspector.model import Model, Value

__all__ = ["METADATA_KEY", "is_picture", "preprocess_of"]

METADATA_KEY = "inspector.preprocess"
"""Model metadata: a JSON object of `Preprocess` fields, or `{"preset": "imagenet-caffe"}` with changes."""

_PASSING = frozenset(("Transpose", "Cast", "Identity", "Resize", "Unsqueeze", "Squeeze", "Reshape", "Pad"))
_SCALING = frozenset(("Mul", "Div", "Sub", "Add"))
_LOOK_AHEAD = 8


def preprocess_of(
    model: Model, spec: str | Preprocess | None = None, value: Value | None = None
) -> Preprocess:
    """The recipe for a picture input: the given one, else what the model says, else an assumption.

    Size and layout of a fixed input replace the recipe's. `source` tells which of these it was.
    """
    value = value or picture_input(model)
    recipe = parse_preprocess(spec) if spec is not None else _from_model(model, value)
    return _fitted(recipe, value)


def picture_input(model: Model) -> Value:
    """The first input that can hold a picture.

    Raises:
        BadInput: no input has the axes of a picture.
        NotRunnable: the model has no inputs at all.
    """
    for value in model.inputs:
        if is_picture(value):
            return value
    if not model.inputs:
        why = "; ".join(model.obstacles) or "it has no inputs"
        raise NotRunnable(f"{model.name} cannot be executed: {why}.")
    listed = ", ".join(f"{v.key} ({v})" for v in model.inputs)
    raise BadInput(f"{model.name} takes no picture; its inputs: {listed}. Feed an array, a .npy or a .wav.")


def is_picture(value: Value) -> bool:
    """Whether an input has the axes of a picture: a channel axis of 1, 3 or 4 beside two larger ones."""
    return value.kind == "tensor" and value.dtype not in ("string", "bool") and bool(_layout(value))


def _layout(value: Value) -> Layout | None:
    shape = value.shape
    if shape is None:
        return None
    if len(shape) == 4:
        first, last = shape[1] in (1, 3, 4), shape[3] in (1, 3, 4)
        if not first and not last:
            return "NCHW" if shape[1] is None and shape[3] is None else None
        return "NCHW" if first else "NHWC"
    if len(shape) == 3:
        if shape[0] in (3, 4) and shape[1] not in (1, 3, 4):
            return "CHW"
        return "HWC" if shape[2] in (3, 4) and shape[1] not in (1, 3, 4) else None
    return None


def _fitted(recipe: Preprocess, value: Value) -> Preprocess:
    """The recipe with layout, size and channels as the input demands."""
    layout = recipe.layout or _layout(value) or "NCHW"
    shape = value.shape or ()
    changes: dict[str, Any] = {"layout": layout}
    if len(shape) == len(layout):
        height, width = (shape[layout.index(axis)] for axis in "HW")
        if isinstance(height, int) and isinstance(width, int):
            changes["size"] = (height, width)
        channels = shape[layout.index("C")] if "C" in layout else 1
        if channels == 1 and recipe.channels != "GRAY":
            changes["channels"] = "GRAY"
            changes |= {k: (float(np.mean(getattr(recipe, k))),) for k in ("mean", "std")}
        if channels == 4 and recipe.channels != "RGBA" and recipe.mean == (0.0,):
            changes["channels"] = "RGBA"
        if channels == 3 and recipe.channels not in ("RGB", "BGR"):
            raise BadInput(f"input {value.key!r} takes 3 channels; the recipe makes {recipe.channels}.")
    return replace(recipe, **changes)


def _from_model(model: Model, value: Value) -> Preprocess:
    recorded = next((p.value for p in model.proto.metadata_props if p.key == METADATA_KEY), "")
    if recorded:
        try:
            record = json.loads(recorded)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise BadInput(f"{model.name}: metadata {METADATA_KEY!r} is not a JSON object.")
        return Preprocess.from_dict(record, source="stated in the model's metadata")
    if value.dtype.startswith(("uint8", "int")):
        return replace(PRESETS["raw255"], source=f"guessed: the input holds {value.dtype}")
    said = _from_layers(model, value)
    if said is not None:
        return said
    if re.search(r"0_?255|raw|uint8", value.key, re.IGNORECASE):
        return replace(PRESETS["raw255"], source=f"guessed from the input's name {value.key!r}")
    shape = value.shape or ()
    layout = _layout(value) or "NCHW"
    if len(shape) == len(layout) and "C" in layout and shape[layout.index("C")] == 1:
        return replace(PRESETS["gray-unit"], source="assumed: one channel, nothing else says how")
    name = "imagenet-tf" if layout in ("NHWC", "HWC") else "imagenet-torch"
    recipe = replace(PRESETS[name], source="assumed: nothing in the model says how its pictures are prepared")
    order = re.search(r"bgr|rgb", value.key, re.IGNORECASE)
    return replace(recipe, channels=order[0].upper()) if order else recipe  # pyright: ignore[reportArgumentType]  # "BGR" or "RGB"


def _from_layers(model: Model, value: Value) -> Preprocess | None:
    """Rescaling or normalisation that the graph itself begins with."""
    key, seen = value.key, list[str]()
    for _ in range(_LOOK_AHEAD):
        readers = model.consumers.get(key, ())
        if len(readers) != 1:
            break
        node = readers[0]
        layer = node.source_class.rpartition(".")[2]
        if layer in ("Rescaling", "Normalization"):
            return replace(PRESETS["raw255"], source=f"guessed: the model begins with a {layer} layer")
        if node.op in _SCALING and len(node.inputs) == 2:
            other = next((name for name in node.inputs if name != key), "")
            weight = model.weight_behind(other)
            if weight is None or weight.size > 4:
                break
            numbers = np.abs(np.asarray(weight.array(), np.float64))
            seen.append(node.op)
            if _expects_bytes(node.op, numbers):
                what = ", ".join(f"{number:.4g}" for number in numbers.reshape(-1))
                return replace(
                    PRESETS["raw255"], source=f"guessed: the model begins with {node.op} by {what}"
                )
        elif node.op not in _PASSING:
            break
        key = node.outputs[0]
    if seen:
        return replace(PRESETS["unit"], source="guessed: the model normalises pixels of 0 … 1 itself")
    return None


def _expects_bytes(op: str, numbers: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    """Whether a first scaling by these numbers only makes sense for pixels of 0 … 255."""
    if op == "Mul":
        return bool((numbers < 0.02).all() and (numbers > 0).all())
    if op == "Div":
        return bool((numbers > 30).all())
    return bool((numbers > 2).all())
