"""A module of stock `torch.nn` layers, built again from a plan instead of a pickle: no code from the file.

A plan is JSON: `{"class": "torch.nn.modules.conv.Conv2d", "attributes": {name: value}, "parameters":
{name: tensor name or null}, "buffers": {…}, "children": {name: plan}}`. Values are numbers, strings,
booleans, null, lists, `{"tuple": [values]}` and `{"function": "torch.nn.functional.relu"}`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from converters.errors import BadFile

__all__ = ["FUNCTIONS", "is_stock", "rebuild"]

FUNCTIONS = frozenset(
    f"torch.nn.functional.{name}"
    for name in ("relu", "gelu", "silu", "tanh", "sigmoid", "elu", "leaky_relu", "hardtanh", "selu", "mish")
)
"""Plain functions that stock layers keep as attributes."""

_MODULES = tuple(
    f"torch.nn.modules.{name}"
    for name in (
        "activation", "adaptive", "batchnorm", "channelshuffle", "container", "conv", "distance", "dropout",
        "flatten", "fold", "instancenorm", "linear", "normalization", "padding", "pixelshuffle", "pooling",
        "rnn", "sparse", "transformer", "upsampling", "module",
    )
)  # fmt: skip
_MACHINERY = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"})
_DEEPEST = 200


def is_stock(path: str) -> bool:
    """Whether a class path names a layer of torch itself."""
    module, _, name = path.rpartition(".")
    if module == "torch.nn":
        return isinstance(getattr(nn, name, None), type)
    return module in _MODULES and isinstance(getattr(importlib.import_module(module), name, None), type)


def rebuild(plan: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], depth: int = 0) -> nn.Module:
    """The module that a plan describes.

    Raises:
        BadFile: the plan names a class that is not torch's own, or nests without end.
    """
    path = str(plan["class"])
    if not is_stock(path) or depth > _DEEPEST:
        raise BadFile(f"cannot rebuild {path!r}: only layers of torch.nn itself are rebuilt.")
    where, _, name = path.rpartition(".")
    kind = getattr(importlib.import_module(where), name)
    if not issubclass(kind, nn.Module):
        raise BadFile(f"cannot rebuild {path!r}: it is no layer.")
    layer = kind.__new__(kind)
    nn.Module.__init__(layer)
    for key, value in plan.get("attributes", {}).items():
        if key.isidentifier() and not key.startswith("__") and key not in _MACHINERY and "hook" not in key:
            object.__setattr__(layer, key, _value(value))
    for key, source in plan.get("parameters", {}).items():
        held = None if source is None else nn.Parameter(tensors[source], requires_grad=False)
        layer.register_parameter(key, held)
    for key, source in plan.get("buffers", {}).items():
        layer.register_buffer(key, None if source is None else tensors[source])
    for key, child in plan.get("children", {}).items():
        layer.add_module(key, None if child is None else rebuild(child, tensors, depth + 1))
    if isinstance(layer, nn.RNNBase):
        _flatten(layer)
    return layer.eval()


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, Mapping):
        if "tuple" in value:
            return tuple(_value(item) for item in value["tuple"])
        if value.get("function") in FUNCTIONS:
            return getattr(nn.functional, str(value["function"]).rpartition(".")[2])
        return {str(key): _value(item) for key, item in value.items()}
    return value


def _flatten(layer: nn.RNNBase) -> None:
    """Recurrent layers keep a second list of their weights, which a pickle leaves out."""
    names = [name for group in layer.__dict__.get("_all_weights", []) for name in group]
    layer.__dict__["_flat_weights_names"] = names
    layer.__dict__["_flat_weights"] = [getattr(layer, name) for name in names]
