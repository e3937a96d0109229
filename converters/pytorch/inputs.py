"""Which inputs does an export run with? The user's, or what the first layer takes, which is then said."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from converters.errors import MissingOption

__all__ = ["Inputs", "attempts", "from_example"]

Shape = Sequence[int | str]

_BATCH = 2
"""Not 1: exporters take a size of 1 for a constant."""
_SIZES = {1: (16, 64), 2: (64, 224, 32, 299), 3: (16, 32)}
"""Sizes to try for named dimensions behind the channel axis, by how many there are."""
_SEQUENCE = 8
_COUNT = 3
"""An input without axes that is a whole number: enough turns of a loop for it to be seen as one."""
_WAVE = 4096


@dataclass(frozen=True)
class Inputs:
    """Example arguments, and which of their axes the user wants to stay dynamic.

    `dynamic` holds one `{axis: name}` an argument, in the order of `args` followed by `kwargs`.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    dynamic: tuple[Mapping[int, str], ...] = ()
    note: str = ""


def from_example(module: Any, example: Any, shapes: Mapping[str, Shape]) -> Inputs:
    """The user's own example; axes named in `shapes` are dynamic, without any the first axis is."""
    kwargs = dict(example) if isinstance(example, Mapping) else {}
    args = () if kwargs else tuple(example) if isinstance(example, (tuple, list)) else (example,)
    names = (*parameter_names(module)[: len(args)], *kwargs)
    values = (*args, *kwargs.values())
    dynamic: list[Mapping[int, str]] = []
    for index, value in enumerate(values):
        name = names[index] if index < len(names) else f"input_{index}"
        shape = shapes.get(name) or (shapes.get("") if len(values) == 1 else None)
        if not isinstance(value, torch.Tensor):
            dynamic.append({})
        elif shape is not None:
            dynamic.append({axis: size for axis, size in enumerate(shape) if isinstance(size, str)})
        elif shapes or value.ndim == 0:
            dynamic.append({})
        else:
            dynamic.append({0: "batch"})
    widened = [_without_ones(value, axes) for value, axes in zip(values, dynamic, strict=True)]
    return Inputs(
        tuple(widened[: len(args)]),
        dict(zip(kwargs, widened[len(args) :], strict=True)),
        tuple(names),
        tuple(dynamic),
    )


def attempts(module: Any, shapes: Mapping[str, Shape]) -> list[Inputs]:
    """Example inputs to try in turn, for the shapes the user gave or, without any, for the first layer."""
    if shapes:
        return _from_shapes(module, shapes)
    guessed = [*_guess(module)]
    if not guessed:
        raise MissingOption(
            "the model does not say which input shape it expects, and its first layer does not show it. "
            "Pass it: `--input-shape batch,3,224,224` or input_shape=('batch', 3, 224, 224)."
        )
    return guessed


def parameter_names(module: Any) -> list[str]:
    """The names of the arguments of `forward`, without `self`."""
    if isinstance(module, torch.jit.ScriptModule):
        graph = getattr(module, "graph", None)
        return [value.debugName().split(".")[0] for value in list(graph.inputs())[1:]] if graph else []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(module.forward).parameters.values() if p.kind in kinds]


def _from_shapes(module: Any, shapes: Mapping[str, Shape]) -> list[Inputs]:
    names = parameter_names(module)
    unknown = [name for name in shapes if name and names and name not in names]
    if unknown:
        raise MissingOption(f"no input is called {unknown[0]!r}: the model takes {', '.join(names)}.")
    keys = list(shapes)
    if "" not in shapes and names:
        keys = [name for name in names if name in shapes]
    labels = [key or (names[0] if names else "input") for key in keys]
    positional = labels == names[: len(labels)] or not names
    found: list[Inputs] = []
    for dtype, scalar in _candidate_types(module, shapes.values()):
        for size in _candidate_sizes(shapes.values()):
            sizes: dict[str, int] = {}
            values = [
                _example(module, shapes[key], dtype if shapes[key] else scalar, size, sizes) for key in keys
            ]
            dynamic = tuple(
                {axis: dim for axis, dim in enumerate(shapes[key]) if isinstance(dim, str)} for key in keys
            )
            if positional:
                found.append(Inputs(tuple(values), {}, tuple(labels), dynamic))
            else:
                named = dict(zip(labels, values, strict=True))
                found.append(Inputs((), named, tuple(labels), dynamic))
    return found


def _candidate_types(module: Any, shapes: Iterable[Shape]) -> list[tuple[torch.dtype, torch.dtype]]:
    """Element types of inputs with axes and of those without: these are whole numbers before all else."""
    own = _dtypes(module)
    scalars = (torch.int64, own[-1]) if not all(shapes) else own[-1:]
    return [(dtype, scalar) for scalar in scalars for dtype in own]


def _candidate_sizes(shapes: Iterable[Shape]) -> tuple[int, ...]:
    free = max((sum(isinstance(dim, str) for dim in shape[1:]) for shape in shapes), default=0)
    return _SIZES.get(free, (16,)) if free else (_SEQUENCE,)


def _example(module: Any, shape: Shape, dtype: torch.dtype, size: int, sizes: dict[str, int]) -> torch.Tensor:
    concrete: list[int] = []
    for axis, dim in enumerate(shape):
        if isinstance(dim, int):
            concrete.append(dim)
        else:
            concrete.append(
                sizes.setdefault(dim, _BATCH if dim == "batch" or (axis == 0 and dim != "sequence") else size)
            )
    return random_tensor(module, concrete, dtype)


def random_tensor(module: Any, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Seeded values: normal for floats, valid indices of the smallest embedding for integers."""
    generator = torch.Generator().manual_seed(0)
    if not shape and not dtype.is_floating_point:
        return torch.tensor(_COUNT, dtype=dtype)
    if dtype.is_floating_point:
        return torch.randn(tuple(shape), generator=generator).to(dtype)
    return torch.randint(0, _vocabulary(module), tuple(shape), generator=generator, dtype=dtype)


def _vocabulary(module: Any) -> int:
    sizes = [
        int(parameter.shape[0])
        for layer in module.modules()
        if _kind(layer) == "Embedding"
        for parameter in layer.parameters(recurse=False)
    ]
    return min(sizes, default=2)


def _dtypes(module: Any) -> tuple[torch.dtype, ...]:
    floating = next(
        (p.dtype for p in module.parameters() if p.dtype.is_floating_point), torch.get_default_dtype()
    )
    if any(_kind(layer) == "Embedding" for layer in module.modules()):
        return (torch.int64, floating)
    return (floating,)


def _kind(layer: Any) -> str:
    """The class of a layer, also of one inside a TorchScript archive."""
    return str(getattr(layer, "original_name", type(layer).__name__))


def _guess(module: Any) -> Iterable[Inputs]:
    """One input, in the shape that the first layer with weights takes."""
    names = parameter_names(module)
    name = names[0] if names else "input"
    for path, layer in module.named_modules():
        for shape, dtype in _accepted(_kind(layer), layer):
            sizes: dict[str, int] = {}
            value = _example(module, shape, dtype or _dtypes(module)[-1], _SEQUENCE, sizes)
            text = ", ".join(map(str, shape))
            yield Inputs(
                (value,),
                {},
                (name,),
                ({axis: dim for axis, dim in enumerate(shape) if isinstance(dim, str)},),
                f"the input shape ({text}) was guessed from the first layer {path!r}; "
                "pass --input-shape if the model expects another one.",
            )
        if any(True for _ in layer.parameters(recurse=False)):
            return


def _accepted(kind: str, layer: Any) -> list[tuple[Shape, torch.dtype | None]]:
    weights = dict(layer.named_parameters(recurse=False))
    weight = weights.get("weight", weights.get("weight_ih_l0"))
    if weight is None or kind not in _FIRST_LAYERS:
        return []
    channels = int(weight.shape[1]) if weight.ndim > 1 else int(weight.shape[0])
    groups = getattr(layer, "groups", 1)
    channels *= int(groups) if isinstance(groups, int) else 1
    integer = torch.int64 if kind == "Embedding" else None
    shapes = _FIRST_LAYERS[kind]
    if getattr(layer, "batch_first", False):
        shapes = [(shape[1], shape[0], *shape[2:]) for shape in shapes]
    return [(tuple(channels if dim == "c" else dim for dim in shape), integer) for shape in shapes]


_FIRST_LAYERS: dict[str, list[tuple[int | str, ...]]] = {
    "Conv2d": [
        ("batch", "c", 224, 224),
        ("batch", "c", 32, 32),
        ("batch", "c", 28, 28),
        ("batch", "c", 64, 64),
    ],
    "Conv1d": [("batch", "c", _WAVE), ("batch", "c", 128)],
    "Conv3d": [("batch", "c", 16, 64, 64), ("batch", "c", 8, 32, 32)],
    "BatchNorm2d": [("batch", "c", 224, 224), ("batch", "c", 32, 32)],
    "Linear": [("batch", "c"), ("batch", _SEQUENCE, "c")],
    "LSTM": [("sequence", "batch", "c")],
    "GRU": [("sequence", "batch", "c")],
    "RNN": [("sequence", "batch", "c")],
    "Embedding": [("batch", "sequence")],
}
"""What a first layer of each class accepts; `c` stands for its input channels."""


def _without_ones(value: Any, axes: Mapping[int, str]) -> Any:
    """Repeat a dynamic axis of size 1, which exporters would take for a constant."""
    if not isinstance(value, torch.Tensor):
        return value
    repeats = [2 if axis in axes and size == 1 else 1 for axis, size in enumerate(value.shape)]
    return value.repeat(repeats) if any(count > 1 for count in repeats) else value
