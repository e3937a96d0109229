"""Which value is explained? An input, or the embedding that reads token ids, and how its axes lie."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from inspector.autograd.network import Network
from inspector.errors import BadInput, UnknownName
from inspector.execution import Inputs
from inspector.methods.channels import channel_axis
from inspector.model import Model

__all__ = ["assumed_recipes", "channels_last", "entry_of", "is_numeric", "reaches", "run_only_entry"]


def channels_last(model: Model, read: Inputs, entry: str, x: Tensor) -> bool:
    """Whether an input is pictures (n, h, w, c) or signals (n, t, c).

    The recipe of pictures says so, else the operators behind it, else the size of the axes: few channels,
    many steps.
    """
    if entry in read.recipes:
        return read.recipes[entry].layout == "NHWC"
    known = channel_axis(model, entry, x.ndim) if x.ndim in (3, 4) else None
    if known is not None:
        return known != 1
    if x.ndim == 3:
        return x.shape[2] <= 4 and x.shape[1] >= 8 * x.shape[2]
    return x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3, 4)


def assumed_recipes(read: Inputs) -> tuple[str, ...]:
    """A note where nothing says how the pictures are prepared: a wrong recipe gives a wrong answer."""
    return tuple(
        f"{name}: {recipe.describe()}. If the model was trained otherwise, say so with preprocess=…."
        for name, recipe in read.recipes.items()
        if recipe.source.startswith("assumed")
    )


def is_numeric(array: np.ndarray[Any, Any]) -> bool:
    """Whether an array holds numbers or truth values."""
    return array.dtype.kind in "fiub"


def reaches(model: Model, start: str, ends: Collection[str]) -> bool:
    """Whether any path leads from a value to one of `ends`; what a body reads counts as leading there."""
    waiting, seen = [start], {start}
    while waiting:
        key = waiting.pop()
        if key in ends:
            return True
        for node in model.consumers.get(key, ()):
            if node.body:
                return True
            new = [name for name in node.outputs if name and name not in seen]
            seen.update(new)
            waiting += new
    return False


def run_only_entry(model: Model, feeds: Mapping[str, np.ndarray[Any, Any]], name: str | None) -> str:
    """The named input, the largest float input that is used, or the largest of integers (token ids)."""
    if name is not None:
        if name not in feeds:
            raise UnknownName.among("input", name, feeds)
        return name
    numeric = {k: v for k, v in feeds.items() if is_numeric(v)}
    numeric = {k: v for k, v in numeric.items() if _is_used(model, k)} or numeric
    floating = {k: v for k, v in numeric.items() if v.dtype.kind == "f" and v.size > 1}
    chosen = floating or numeric
    if not chosen:
        raise BadInput(f"no input holds numbers: {', '.join(feeds) or 'the model has none'}.")
    return max(chosen, key=lambda k: chosen[k].size)


def entry_of(model: Model, net: Network, feeds: Mapping[str, Any], name: str | None) -> str:
    """The value that is explained: the named input, the first picture or float input, or an embedding."""
    if name is not None:
        if name not in feeds and name not in net.value_names:
            raise UnknownName.among("input or value", name, [*feeds, *net.value_names])
        if name not in feeds or feeds[name].is_floating_point():
            return name
    floating = [
        k for k, v in feeds.items() if isinstance(v, Tensor) and v.is_floating_point() and v.numel() > 1
    ]
    floating = [k for k in floating if _is_used(model, k)] or floating
    if floating and name is None:
        return max(floating, key=lambda k: feeds[k].numel())
    wanted = [name] if name is not None else list(feeds)
    for node in model.nodes.values():
        if node.op in ("Gather", "Embedding") and not node.body and node.inputs[1] in wanted:
            weight = model.weight_behind(node.inputs[0])
            if weight is not None and len(weight.shape) == 2:
                return node.outputs[0]
    raise BadInput(
        f"nothing differentiable to explain: inputs are {', '.join(map(str, model.inputs))}, and no "
        "embedding (Gather from a stored matrix) reads them. Methods of the family `perturbation` need none."
    )


def _is_used(model: Model, key: str) -> bool:
    return reaches(model, key, [value.name for value in model.outputs])
