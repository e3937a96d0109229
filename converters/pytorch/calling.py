"""How is a PyTorch model called with the arrays of a graph's inputs? By their names where it knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from converters.errors import ConversionFailed
from converters.pytorch.dynamo import quiet
from converters.pytorch.inputs import parameter_names

__all__ = ["run_model"]


def run_model(model: Any, names: Sequence[str], values: Sequence[torch.Tensor]) -> list[np.ndarray[Any, Any]]:
    """The flat outputs of a model in evaluation mode; `names` are those of the graph's inputs.

    Raises:
        ConversionFailed: the model takes no such inputs.
    """
    with quiet(), torch.no_grad():
        if isinstance(model, torch.export.ExportedProgram):
            args, kwargs = _program_arguments(model, dict(zip(names, values, strict=True)))
            out = model.module()(*args, **kwargs)
        else:
            if hasattr(model, "training"):
                model.eval()
            args, kwargs = _arguments(model, names, _plain_numbers(model, values))
            out = model(*args, **kwargs)
    return [leaf.detach().cpu().numpy() for leaf in _tensors(out)]


def _plain_numbers(model: Any, values: Sequence[torch.Tensor]) -> list[Any]:
    """The values, those as Python numbers that a TorchScript signature wants so."""
    schema = getattr(getattr(model, "forward", None), "schema", None)
    if not isinstance(model, torch.jit.ScriptModule) or schema is None:
        return list(values)
    kinds = [str(argument.type) for argument in schema.arguments[1:]] + ["Tensor"] * len(values)
    return [
        value.item() if kind in _NUMBERS and value.ndim == 0 else value
        for value, kind in zip(values, kinds, strict=False)
    ]


_NUMBERS = frozenset({"int", "float", "bool"})


def _arguments(
    model: Any, names: Sequence[str], values: Sequence[Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """By name where the model's own parameters are called like the inputs, else in order."""
    own = set(parameter_names(model))
    if all(name in own for name in names):
        return (), dict(zip(names, values, strict=True))
    return tuple(values), {}


def _program_arguments(
    program: torch.export.ExportedProgram, given: Mapping[str, torch.Tensor]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The nested arguments that the program was captured with, its tensors replaced by name."""
    wanted = [str(name) for name in program.graph_signature.user_inputs]
    if program.example_inputs is None:
        return tuple(given[name] for name in wanted), {}
    leaves, spec = pytree.tree_flatten(program.example_inputs)
    if len(leaves) != len(wanted):
        raise ConversionFailed(f"the program takes {len(wanted)} inputs, its example has {len(leaves)}.")
    args, kwargs = pytree.tree_unflatten(
        [given.get(name, leaf) for name, leaf in zip(wanted, leaves, strict=True)], spec
    )
    return tuple(args), dict(kwargs)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
