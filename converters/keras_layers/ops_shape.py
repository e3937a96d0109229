"""How do `keras.ops` that move, reduce or combine axes become ONNX?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from converters.keras_layers.ops_elementwise import as_tensors, option
from converters.keras_layers.registry import operation
from converters.keras_layers.reshaping import resize
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor, Value

__all__: list[str] = []


def _axes(x: Tensor, axis: Any) -> list[int]:
    """Keras axes as a list of axes of the ONNX value; all where none is named."""
    if axis is None:
        return list(range(x.rank))
    return [x.axis(a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])]


def _reduced(call: Call, kind: str, x: Tensor, axis: Any, keep: bool) -> Tensor:
    if not keep:
        kept = [i for i in range(x.rank) if i not in [a % x.rank for a in _logical(x, axis)]]
        if x.moved and not (kept in ([0], [0, x.rank - 1]) or not kept):
            x = Tensor(call.plain(x))
    value = call.g.op(kind, x.value, call.g.ints(*_axes(x, axis)), keepdims=int(keep))
    return Tensor(value, x.moved and keep)


def _logical(x: Tensor, axis: Any) -> list[int]:
    if axis is None:
        return list(range(x.rank))
    return list(axis) if isinstance(axis, (list, tuple)) else [axis]


def _reduce(kind: str, square: bool = False) -> Callable[..., Any]:
    def made(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        axis = option(call, args, kwargs, 0, "axis", None)
        keep = bool(option(call, args, kwargs, 1, "keepdims", False))
        if kind == "ReduceMean" and not x.value.is_float:
            x = x.like(call.cast(x.value, "float32"))
        return _reduced(call, kind, x, axis, keep)

    return made


for _name, _kind in {
    "Mean": "ReduceMean",
    "Sum": "ReduceSum",
    "Max": "ReduceMax",
    "Min": "ReduceMin",
    "Prod": "ReduceProd",
    "Logsumexp": "ReduceLogSumExp",
}.items():
    operation(_name)(_reduce(_kind))


@operation("Any", "All")
def any_all(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """ReduceMax or ReduceMin of truth values."""
    axis = option(call, args, kwargs, 0, "axis", None)
    keep = bool(option(call, args, kwargs, 1, "keepdims", False))
    number = x.like(call.cast(call.cast(x.value, "bool"), "int32"))
    kind = "ReduceMax" if call.spec.class_name == "Any" else "ReduceMin"
    made = _reduced(call, kind, number, axis, keep)
    return made.like(call.cast(made.value, "bool"))


@operation("Var", "Std")
def variance(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Mean squared distance from the mean."""
    axis = option(call, args, kwargs, 0, "axis", None)
    keep = bool(option(call, args, kwargs, 1, "keepdims", False))
    mean = _reduced(call, "ReduceMean", x, axis, True)
    centred = call.g.op("Sub", x.value, mean.value)
    made = _reduced(call, "ReduceMean", x.like(call.g.op("Mul", centred, centred)), axis, keep)
    return made.like(call.g.op("Sqrt", made.value)) if call.spec.class_name == "Std" else made


@operation("Argmax", "Argmin")
def argmax(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """ArgMax or ArgMin as int32."""
    axis = option(call, args, kwargs, 0, "axis", None)
    keep = bool(option(call, args, kwargs, 1, "keepdims", False))
    value = call.plain(x)
    kind = "ArgMax" if call.spec.class_name == "Argmax" else "ArgMin"
    if axis is None:
        value, axis = call.g.op("Reshape", value, call.g.ints(-1)), 0
    return Tensor(call.cast(call.g.op(kind, value, axis=axis, keepdims=int(keep)), "int32"))


@operation("Concatenate")
def concatenate(call: Call, xs: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Concat."""
    axis = int(option(call, args, kwargs, 0, "axis", 0))
    values, moved = as_tensors(call, *xs)
    return Tensor(call.g.op("Concat", *values, axis=Tensor(values[0], moved).axis(axis)), moved)


@operation("Stack")
def stack(call: Call, xs: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Unsqueeze and Concat."""
    axis = int(option(call, args, kwargs, 0, "axis", 0))
    values, _ = as_tensors(call, *(Tensor(call.plain(x)) for x in xs))
    grown = [call.g.op("Unsqueeze", v, call.g.ints(axis)) for v in values]
    return Tensor(call.g.op("Concat", *grown, axis=axis))


@operation("Split")
def split(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> list[Tensor]:
    """Split in equal parts or at positions."""
    where = option(call, args, kwargs, 0, "indices_or_sections", 2)
    axis = int(option(call, args, kwargs, 1, "axis", 0))
    g = call.g
    if isinstance(where, int):
        parts = g.ops("Split", x.value, outputs=where, axis=x.axis(axis), num_outputs=where)
    else:
        edges = [0, *where, call.size(x, axis)]
        sizes = [b - a for a, b in pairwise(edges)]
        parts = g.ops("Split", x.value, g.ints(*sizes), outputs=len(sizes), axis=x.axis(axis))
    return [x.like(p) for p in parts]


@operation("Reshape")
def reshape(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Reshape."""
    shape = option(call, args, kwargs, 0, "newshape", call.config.get("shape"))
    value = call.plain(x)
    sizes = [
        int(s) if s is not None else -1 for s in (shape if isinstance(shape, (list, tuple)) else [shape])
    ]
    known = [s if s != -1 else None for s in sizes]
    if sizes and sizes[0] == -1 and None not in known[1:] and _same_batch(value, sizes[1:]):
        known[0] = None
        return Tensor(call.reshape(value, [(value, 0), *sizes[1:]]))
    return Tensor(call.g.op("Reshape", value, call.g.ints(*sizes), shape=known))


def _same_batch(value: Value, sizes: list[int]) -> bool:
    inner = [d for d in (value.shape or ())[1:] if isinstance(d, int)]
    return len(inner) == value.rank - 1 and int(np.prod(inner)) == int(np.prod(sizes))


@operation("Transpose")
def transpose(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Transpose."""
    axes = option(call, args, kwargs, 0, "axes", None)
    order = list(axes) if axes is not None else list(range(x.rank))[::-1]
    return Tensor(call.transpose(call.plain(x), order))


@operation("Swapaxes", "Moveaxis")
def swap(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Transpose of two axes, or of one to another place."""
    swapped = call.spec.class_name == "Swapaxes"
    names = ("axis1", "axis2") if swapped else ("source", "destination")
    first, second = (option(call, args, kwargs, i, n, 0) for i, n in enumerate(names))
    call.need(isinstance(first, int) and isinstance(second, int), "it moves several axes")
    first, second = first % x.rank, second % x.rank
    order = list(range(x.rank))
    if swapped:
        order[first], order[second] = order[second], order[first]
    else:
        order.insert(second, order.pop(first))
    return Tensor(call.transpose(call.plain(x), order))


@operation("ExpandDims")
def expand_dims(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Unsqueeze."""
    axis = option(call, args, kwargs, 0, "axis", -1)
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    return Tensor(call.g.op("Unsqueeze", call.plain(x), call.g.ints(*axes)))


@operation("Squeeze")
def squeeze(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Squeeze."""
    axis = option(call, args, kwargs, 0, "axis", None)
    if axis is None:
        axis = [i for i, d in enumerate(x.shape) if d == 1]
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    return Tensor(call.g.op("Squeeze", call.plain(x), call.g.ints(*axes)))


@operation("Flip")
def flip(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Slice backwards."""
    g, axes = call.g, _axes(x, option(call, args, kwargs, 0, "axis", None))
    starts, ends = [-1] * len(axes), [-(2**62)] * len(axes)
    value = g.op(
        "Slice", x.value, g.ints(*starts), g.ints(*ends), g.ints(*axes), g.ints(*starts), shape=x.value.shape
    )
    return x.like(value)


@operation("Roll")
def roll(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The end of each axis moves before its start."""
    shift, axis = (option(call, args, kwargs, i, n, None) for i, n in enumerate(("shift", "axis")))
    call.need(axis is not None, "it rolls the flattened tensor")
    shifts = list(shift) if isinstance(shift, (list, tuple)) else [shift]
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    g, value = call.g, x.value
    for amount, name in zip(shifts, axes, strict=True):
        where, size = g.ints(x.axis(name)), call.size(x, name)
        cut = size - amount % size
        head = g.op("Slice", value, g.ints(0), g.ints(cut), where)
        tail = g.op("Slice", value, g.ints(cut), g.ints(size), where)
        value = g.op("Concat", tail, head, axis=x.axis(name))
    return x.like(value)


@operation("Repeat")
def repeat(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Gather with repeated positions."""
    repeats: Any = option(call, args, kwargs, 0, "repeats", None)
    axis: Any = option(call, args, kwargs, 1, "axis", None)
    call.need(isinstance(repeats, int) and axis is not None, "it repeats unevenly or the flattened tensor")
    axis = axis or 0
    order = np.repeat(np.arange(call.size(x, axis)), repeats)
    return x.like(call.g.op("Gather", x.value, call.g.const(order, "int64"), axis=x.axis(axis)))


@operation("Tile")
def tile(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Tile."""
    repeats = option(call, args, kwargs, 0, "repeats", 1)
    times = list(repeats) if isinstance(repeats, (list, tuple)) else [repeats]
    call.need(len(times) <= x.rank, "it adds axes")
    times = [1] * (x.rank - len(times)) + times
    return Tensor(call.g.op("Tile", call.plain(x), call.g.ints(*times)))


@operation("BroadcastTo")
def broadcast_to(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Expand."""
    shape = [1 if s is None else int(s) for s in option(call, args, kwargs, 0, "shape", [])]
    return Tensor(call.g.op("Expand", call.plain(x), call.g.ints(*shape)))


@operation("Pad")
def pad(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Pad."""
    width = np.asarray(option(call, args, kwargs, 0, "pad_width", 0))
    mode = str(option(call, args, kwargs, 1, "mode", "constant"))
    fill = option(call, args, kwargs, 2, "constant_values", 0)
    kinds = {"constant": "constant", "reflect": "reflect", "edge": "edge"}
    call.need(mode in kinds, f"the padding {mode!r} has no ONNX counterpart")
    pairs = np.broadcast_to(width, (x.rank, 2))
    order = [0, x.rank - 1, *range(1, x.rank - 1)] if x.moved else list(range(x.rank))
    pads = [int(pairs[i][0]) for i in order] + [int(pairs[i][1]) for i in order]
    value = call.g.scalar(fill or 0, x.value) if mode == "constant" else None
    return x.like(call.g.op("Pad", x.value, call.g.ints(*pads), value, mode=kinds[mode]))


@operation("GetItem")
def get_item(call: Call, x: Tensor, key: Any) -> Tensor:
    """Slice, Gather, Squeeze and Unsqueeze for each part of an index."""
    keys = list(key) if isinstance(key, (list, tuple)) else [key]
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        used = sum(1 for k in keys if k is not None and k is not Ellipsis)
        keys[at : at + 1] = [slice(None)] * (x.rank - used)
    g, value, axis = call.g, call.plain(x), 0
    for part in keys:
        if part is None:
            value = g.op("Unsqueeze", value, g.ints(axis))
        elif isinstance(part, int):
            value = g.op("Gather", value, g.const(part, "int64"), axis=axis)
            continue
        elif isinstance(part, slice):
            value = _sliced(call, value, part, axis)
        else:
            call.need(False, f"it is indexed by {type(part).__name__}")
        axis += 1
    return Tensor(value)


def _sliced(call: Call, value: Value, part: slice, axis: int) -> Value:
    call.need(
        all(v is None or isinstance(v, int) for v in (part.start, part.stop, part.step)),
        "it is cut by tensors",
    )
    if part == slice(None):
        return value
    g, step = call.g, part.step or 1
    start = part.start if part.start is not None else (0 if step > 0 else -1)
    stop = part.stop if part.stop is not None else (2**62 if step > 0 else -(2**62))
    return g.op("Slice", value, g.ints(start), g.ints(stop), g.ints(axis), g.ints(step))


@operation("Take")
def take(call: Call, x: Any, indices: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Gather."""
    axis: Any = option(call, args, kwargs, 0, "axis", None)
    call.need(isinstance(x, Tensor) and axis is not None, "it takes from the flattened tensor")
    axis = axis or 0
    if isinstance(indices, Tensor):
        chosen = call.cast(call.plain(indices), "int64")
    else:
        chosen = call.g.const(np.asarray(indices, np.int64))
    return Tensor(call.g.op("Gather", call.plain(x), chosen, axis=int(axis)))


@operation("TakeAlongAxis")
def take_along(call: Call, x: Tensor, indices: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """GatherElements."""
    axis: Any = option(call, args, kwargs, 0, "axis", None)
    call.need(axis is not None, "it takes from the flattened tensor")
    chosen = call.cast(call.plain(indices), "int64")
    return Tensor(call.g.op("GatherElements", call.plain(x), chosen, axis=int(axis)))


@operation("OneHot")
def one_hot(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """OneHot."""
    depth = int(option(call, args, kwargs, 0, "num_classes", 1))
    axis = int(option(call, args, kwargs, 1, "axis", -1))
    values = call.g.const(np.asarray([0, 1], np.float32), hint="off_on")
    made = call.g.op("OneHot", call.cast(call.plain(x), "int64"), call.g.ints(depth), values, axis=axis)
    dtype = option(call, args, kwargs, 2, "dtype", None)
    return Tensor(call.cast(made, str(dtype)) if dtype else made)


@operation("Matmul")
def matmul(call: Call, x1: Any, x2: Any) -> Tensor:
    """MatMul."""
    first, second = (Tensor(call.plain(t)) if isinstance(t, Tensor) else t for t in (x1, x2))
    (a, b), _ = as_tensors(call, first, second)
    return Tensor(call.g.op("MatMul", a, b))


@operation("Dot")
def dot(call: Call, x1: Any, x2: Any) -> Tensor:
    """MatMul where the second factor is a matrix."""
    call.need(
        all(isinstance(t, Tensor) and t.rank <= 2 for t in (x1, x2)), "its factors have more than two axes"
    )
    return matmul(call, x1, x2)


@operation("Einsum")
def einsum(call: Call, *operands: Any, **kwargs: Any) -> Tensor:
    """Einsum."""
    items = list(operands)
    equation = call.config.get("subscripts") or (items.pop(0) if items and isinstance(items[0], str) else "")
    values, _ = as_tensors(call, *(Tensor(call.plain(t)) if isinstance(t, Tensor) else t for t in items))
    return Tensor(call.g.op("Einsum", *values, equation=str(equation)))


@operation("Cumsum")
def cumsum(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """CumSum."""
    axis = option(call, args, kwargs, 0, "axis", None)
    call.need(axis is not None, "it runs over the flattened tensor")
    return x.like(call.g.op("CumSum", x.value, call.g.const(x.axis(axis), "int64")))


@operation("TopK")
def top_k(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
    """TopK."""
    k = int(option(call, args, kwargs, 0, "k", 1))
    values, indices = call.g.ops("TopK", call.plain(x), call.g.ints(k), outputs=2, axis=-1)
    return Tensor(values), Tensor(call.cast(indices, "int32"))


@operation("Norm")
def norm(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """ReduceL1 or ReduceL2."""
    order = option(call, args, kwargs, 0, "ord", None)
    axis = option(call, args, kwargs, 1, "axis", None)
    keep = bool(option(call, args, kwargs, 2, "keepdims", False))
    call.need(
        order in (None, 1, 2, "fro") and (axis is None or isinstance(axis, int)), "this norm has no operator"
    )
    return _reduced(call, "ReduceL1" if order == 1 else "ReduceL2", x, axis, keep)


@operation("Normalize")
def normalize(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """X / max(norm, epsilon)."""
    axis = option(call, args, kwargs, 0, "axis", -1)
    call.need(option(call, args, kwargs, 1, "order", 2) == 2, "it is not the Euclidean norm")
    length = _reduced(call, "ReduceL2", x, axis, True)
    smallest = float(option(call, args, kwargs, 2, "epsilon", 1e-7))
    return x.like(call.g.op("Div", x.value, call.g.op("Max", length.value, call.g.scalar(smallest, x.value))))


@operation("Resize")
def resize_images(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Resize of images."""
    size = option(call, args, kwargs, 0, "size", None)
    call.need(isinstance(size, (list, tuple)) and x.rank == 4, "it resizes no batch of images")
    call.need(
        not call.get("crop_to_aspect_ratio") and not call.get("pad_to_aspect_ratio"),
        "it keeps the aspect ratio",
    )
    sizes = [int(s) for s in size]
    made = resize(
        call,
        call.spatial(x),
        sizes,
        str(call.get("interpolation", "bilinear")),
        antialias=bool(call.get("antialias")),
    )
    return call.from_spatial(made)


@operation("GetShape", "Shape")
def shape_of(call: Call, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Shape."""
    return Tensor(call.cast(call.g.op("Shape", call.plain(x)), "int32"))
