"""Shapes: reading them, changing them, and tensors made from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name everybody knows
from torch import Tensor

from inspector.autograd import narrow
from inspector.autograd.moving import moved
from inspector.autograd.registry import Context, operator

__all__: list[str] = []


@operator("Identity", since=1)
@operator("Identity", since=13)
@operator("Identity", since=14)
@operator("Identity", since=16)
def identity(x: Any) -> Any:
    return x


@operator("Shape", since=15, differentiable=False)
def shape(x: Any, *, start: int, end: int | None) -> Tensor:
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


@operator("Shape", since=1, differentiable=False)
def shape_1(x: Any) -> Tensor:
    return torch.tensor(list(x.shape), dtype=torch.int64)


@operator("Size", since=1, differentiable=False)
def size(x: Any) -> Tensor:
    return torch.tensor(math.prod(x.shape), dtype=torch.int64)


@operator("Reshape", since=5, host=(1,))
def reshape(x: Any, shape: Tensor) -> Any:
    return _reshaped(x, shape.tolist(), 0)


@operator("Reshape", since=14, host=(1,))
def reshape_14(x: Any, shape: Tensor, *, allowzero: int) -> Any:
    return _reshaped(x, shape.tolist(), allowzero)


@operator("Reshape", since=1)
def reshape_1(x: Any, *, shape: list[int]) -> Any:
    return _reshaped(x, shape, 0)


def _reshaped(x: Any, wanted: list[int], allowzero: int) -> Any:
    if not allowzero:
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    elif 0 in wanted and -1 in wanted:
        raise ValueError("allowzero does not go with -1 next to 0")
    if -1 in wanted and 0 in x.shape:
        rest = math.prod(n for n in wanted if n != -1)
        wanted = [(math.prod(x.shape) // rest if rest else 0) if n == -1 else n for n in wanted]
    return moved(lambda t: t.reshape(wanted), x)


@operator("Flatten", since=1)
@operator("Flatten", since=9)
@operator("Flatten", since=11)
def flatten(x: Any, *, axis: int) -> Any:
    start = axis + x.ndim if axis < 0 else axis
    rows = math.prod(x.shape[:start])
    return moved(lambda t: t.reshape(rows, math.prod(x.shape[start:])), x)


@operator("Transpose", since=1)
def transpose(x: Any, *, perm: list[int] | None) -> Any:
    order = perm if perm is not None else list(range(x.ndim))[::-1]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"perm {order} is no order of {x.ndim} axes")
    return moved(lambda t: t.permute(order), x)


@operator("Squeeze", since=13, host=(1,))
def squeeze(x: Any, axes: Tensor | None = None) -> Any:
    return squeeze_1(x, axes=None if axes is None else axes.tolist())


@operator("Squeeze", since=1)
@operator("Squeeze", since=11)
def squeeze_1(x: Any, *, axes: list[int] | None) -> Any:
    if axes is None:
        return moved(lambda t: t.squeeze(), x)
    gone = {axis % max(x.ndim, 1) for axis in axes}
    if any(x.shape[axis] != 1 for axis in gone):
        raise ValueError(f"axes {axes} are not all of length 1")
    return moved(lambda t: t.reshape([n for d, n in enumerate(x.shape) if d not in gone]), x)


@operator("Unsqueeze", since=13, host=(1,))
def unsqueeze(x: Any, axes: Tensor) -> Any:
    return unsqueeze_1(x, axes=axes.reshape(-1).tolist())


@operator("Unsqueeze", since=1)
@operator("Unsqueeze", since=11)
def unsqueeze_1(x: Any, *, axes: list[int]) -> Any:
    rank = x.ndim + len(axes)
    new = {axis % rank for axis in axes}
    lengths = iter(x.shape)
    wanted = [1 if d in new else next(lengths) for d in range(rank)]
    return moved(lambda t: t.reshape(wanted), x)


@operator("Expand", since=8, host=(1,))
def expand(x: Any, shape: Tensor) -> Any:
    wanted = torch.broadcast_shapes(tuple(x.shape), tuple(shape.tolist()))
    return moved(lambda t: t.expand(wanted), x)


@operator("Tile", since=6, host=(1,))
def tile(x: Any, repeats: Tensor) -> Any:
    return moved(lambda t: t.repeat(repeats.tolist()), x)


@operator("Tile", since=1, host=(1, 2))
def tile_1(x: Any, tiles: Tensor, axis: Tensor) -> Any:
    counts = [1] * x.ndim
    counts[int(axis)] = int(tiles)
    return moved(lambda t: t.repeat(counts), x)


@operator("Concat", since=4)
@operator("Concat", since=11)
def concat(*inputs: Any, axis: int) -> Any:
    return moved(lambda *tensors: torch.cat(tensors, axis), *inputs)


@operator("Concat", since=1)
def concat_1(*inputs: Any, axis: int | None) -> Any:
    return concat(*inputs, axis=1 if axis is None else axis)


@operator("Split", since=18, host=(1,))
def split_18(
    x: Any, split: Tensor | None = None, *, axis: int, num_outputs: int | None, context: Context
) -> tuple[Any, ...]:
    return _split(x, None if split is None else split.tolist(), axis, num_outputs or len(context.outputs))


@operator("Split", since=13, host=(1,))
def split_13(x: Any, split: Tensor | None = None, *, axis: int, context: Context) -> tuple[Any, ...]:
    return _split(x, None if split is None else split.tolist(), axis, len(context.outputs))


@operator("Split", since=2)
@operator("Split", since=11)
def split_2(x: Any, *, axis: int, split: list[int] | None, context: Context) -> tuple[Any, ...]:
    return _split(x, split, axis, len(context.outputs))


@operator("Split", since=1, host=(1,))
def split_1(
    x: Any, sizes: Tensor | None = None, *, axis: int | None, split: list[int] | None, context: Context
) -> tuple[Any, ...]:
    lengths = split if sizes is None else sizes.tolist()
    return _split(x, lengths, axis or 0, len(context.outputs))


def _split(x: Any, lengths: list[int] | None, axis: int, count: int) -> tuple[Any, ...]:
    if lengths is None:
        each = -(-x.shape[axis] // count)
        lengths = [max(0, min(each, x.shape[axis] - i * each)) for i in range(count)]
    sizes = lengths
    return moved(lambda t: tuple(torch.split(t, sizes, axis)), x)


@operator("Pad", since=18, host=(1, 3))
@operator("Pad", since=19, host=(1, 3))
def pad_18(
    x: Any, pads: Tensor, constant: Tensor | None = None, axes: Tensor | None = None, *, mode: str
) -> Any:
    return _padded(x, pads.tolist(), mode, constant, None if axes is None else axes.tolist())


@operator("Pad", since=11, host=(1,))
@operator("Pad", since=13, host=(1,))
def pad_11(x: Any, pads: Tensor, constant: Tensor | None = None, *, mode: str) -> Any:
    return _padded(x, pads.reshape(-1).tolist(), mode, constant, None)


@operator("Pad", since=2)
def pad_2(x: Tensor, *, mode: str, pads: list[int], value: float) -> Tensor:
    return _padded(x, pads, mode, torch.tensor(value, dtype=x.dtype), None)


@operator("Pad", since=1)
def pad_1(x: Tensor, *, mode: str, paddings: list[int], value: float) -> Tensor:
    return pad_2(x, mode=mode, pads=paddings, value=value)


def _padded(x: Any, pads: list[int], mode: str, constant: Tensor | None, axes: list[int] | None) -> Any:
    listed = [axis % x.ndim for axis in axes] if axes is not None else list(range(x.ndim))
    begins, ends = [0] * x.ndim, [0] * x.ndim
    for position, axis in enumerate(listed):
        begins[axis], ends[axis] = pads[position], pads[position + len(listed)]
    if mode != "constant":
        return moved(lambda t: _repeated(t, begins, ends, mode), x)
    if isinstance(constant, Tensor) and (constant.requires_grad or constant.device.type != "cpu"):
        return _filled(x, begins, ends, constant)
    flat = [n for axis in reversed(range(x.ndim)) for n in (begins[axis], ends[axis])]
    value = 0 if constant is None else constant.reshape(-1)[0].item()
    if isinstance(x, Tensor) and x.dtype == torch.bool:
        return F.pad(x.to(torch.uint8), flat, value=int(value)).bool()
    return moved(lambda t: F.pad(t, flat, value=value), x)


def _filled(x: Tensor, begins: list[int], ends: list[int], constant: Tensor) -> Tensor:
    flat = [n for axis in reversed(range(x.ndim)) for n in (begins[axis], ends[axis])]
    inside = F.pad(torch.ones_like(x, dtype=torch.uint8), flat).bool()
    return torch.where(inside, F.pad(x, flat), constant.reshape(()))


def _repeated(x: Tensor, begins: list[int], ends: list[int], mode: str) -> Tensor:
    """Padding with the input's own elements: one index list an axis says which."""
    for axis, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        if begin == 0 and end == 0:
            continue
        n = x.shape[axis]
        place = torch.arange(-begin, n + end, device=x.device)
        if mode == "edge":
            place = place.clamp(0, n - 1)
        elif mode == "wrap":
            place = place % n
        else:
            period = max(2 * (n - 1), 1)
            place = place.abs() % period
            place = torch.where(place >= n, period - place, place)
        x = x.index_select(axis, place)
    return x


@operator("ConstantOfShape", since=9, host=(0,), differentiable=False)
def constant_of_shape(shape: Tensor, *, value: Any, context: Context) -> Any:
    sizes = shape.tolist()
    if value is None:
        return torch.zeros(sizes, dtype=context.dtype, device=context.device)
    if isinstance(value, np.ndarray):
        return np.full(sizes, value.reshape(-1)[0], dtype=object)
    filled = moved(lambda t: t.reshape([1] * len(sizes)).repeat(sizes), value)
    return filled.to(context.device) if isinstance(value, Tensor) and value.is_floating_point() else filled


@operator("Range", since=11, host=(0, 1, 2), differentiable=False)
def range_(start: Tensor, limit: Tensor, delta: Tensor, *, context: Context, stash_type: int = 1) -> Tensor:
    if not start.dtype.is_floating_point:
        return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)
    first, last, step = start.item(), limit.item(), delta.item()
    count = max(math.ceil((last - first) / step), 0)
    values = first + torch.arange(count, dtype=torch.float64) * step
    return values.to(device=context.device, dtype=start.dtype)


@operator("EyeLike", since=9, differentiable=False)
def eye_like(x: Any, *, dtype: int | None, k: int) -> Any:
    rows, columns = x.shape
    eye = torch.zeros((rows, columns), device=x.device)
    eye.diagonal(k).fill_(1.0)
    return narrow.pack(eye, narrow.element_type(x) if dtype is None else dtype)


@operator("Trilu", since=14, host=(1,))
def trilu(x: Any, k: Tensor | None = None, *, upper: int) -> Any:
    diagonal = 0 if k is None else int(k)
    return moved(lambda t: torch.triu(t, diagonal) if upper else torch.tril(t, diagonal), x)


@operator("DepthToSpace", since=1)
@operator("DepthToSpace", since=11)
@operator("DepthToSpace", since=13)
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * b, w * b)
    return x.reshape(n, c // b**2, b, b, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, -1, h * b, w * b)


@operator("SpaceToDepth", since=1)
@operator("SpaceToDepth", since=13)
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    b = blocksize
    parts = x.reshape(n, c, h // b, b, w // b, b)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return parts.permute(*order).reshape(n, c * b * b, h // b, w // b)


@operator("CenterCropPad", since=18, host=(1,))
def center_crop_pad(x: Any, shape: Tensor, *, axes: list[int] | None) -> Any:
    listed = [a % x.ndim for a in axes] if axes is not None else list(range(x.ndim))
    begins, ends = [0] * x.ndim, [0] * x.ndim
    for axis, want in zip(listed, shape.tolist(), strict=True):
        have = x.shape[axis]
        half = abs(want - have) // 2
        begins[axis] = half if want >= have else -half
        ends[axis] = want - have - begins[axis]
    return _padded(x, [*begins, *ends], "constant", None, None)
