"""How is a value of one element type turned into another? Cast, CastLike, BitCast, for every pair."""

from __future__ import annotations

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from inspector.autograd.narrow import (
    INTEGER_RANGES,
    TORCH_TYPES,
    Narrow,
    Strings,
    Value,
    element_type,
    pack,
    to_array,
    to_value,
    widen,
)
from inspector.autograd.registry import Context, operator

FLOAT8_LARGEST: dict[int, float] = {
    TensorProto.FLOAT8E4M3FN: 448.0,
    TensorProto.FLOAT8E4M3FNUZ: 240.0,
    TensorProto.FLOAT8E5M2: 57344.0,
    TensorProto.FLOAT8E5M2FNUZ: 57344.0,
}
"""The largest finite value of each float8 type: where a saturating cast ends."""

E8M0_BIAS, E8M0_LARGEST, E8M0_NAN = 127, 254, 255


def convert(value: Value, kind: int, *, saturate: bool = True, round_mode: str = "up") -> Value:
    """The value in another element type; `round_mode` (up, down, nearest) matters for float8e8m0 only."""
    if isinstance(value, np.ndarray):
        return value if kind == TensorProto.STRING else _parsed(value, kind, saturate, round_mode)
    if kind == TensorProto.STRING:
        return _written(value)
    wide = widen(value)
    if kind == TensorProto.BOOL:
        return wide != 0
    if kind == TensorProto.FLOAT8E8M0:
        return _powers(wide, saturate, round_mode)
    if kind in FLOAT8_LARGEST:
        wide = wide if wide.dtype == torch.float64 else wide.float()
        return pack(_saturated(wide, FLOAT8_LARGEST[kind]) if saturate else wide, kind)
    if kind in INTEGER_RANGES and wide.is_floating_point() and kind != TensorProto.INT64:
        wide = wide.to(torch.int64)
    return pack(wide, kind)


def _saturated(wide: Tensor, largest: float) -> Tensor:
    return wide.clamp(-largest, largest)


def _powers(wide: Tensor, saturate: bool, round_mode: str) -> Narrow:
    """The nearest power of two as a float8e8m0 (exponent only; no sign, no zero)."""
    wide = wide.detach().double()
    mantissa, exponent = torch.frexp(wide.abs())
    if round_mode == "up":
        step = mantissa > 0.5
    elif round_mode == "nearest":
        step = mantissa >= 0.75
    elif round_mode == "down":
        step = torch.zeros_like(mantissa, dtype=torch.bool)
    else:
        raise ValueError(f"round_mode is {round_mode!r}; it is one of up, down, nearest")
    code = exponent - 1 + step.int() + E8M0_BIAS
    infinite = wide.isinf()
    if saturate:
        code = torch.where(infinite, E8M0_LARGEST, torch.where(wide == 0, 0, code.clamp(0, E8M0_LARGEST)))
    else:
        lost = infinite | (wide == 0) | (code < 0) | (code > E8M0_LARGEST)
        code = torch.where(lost, E8M0_NAN, code)
    code = torch.where(wide.isnan(), E8M0_NAN, code)
    return Narrow(code.to(torch.uint8), TensorProto.FLOAT8E8M0)


def _parsed(texts: Strings, kind: int, saturate: bool, round_mode: str) -> Value:
    flat: list[str] = texts.ravel().tolist()
    if kind in INTEGER_RANGES:
        numbers = np.array([_whole(text) for text in flat], dtype=np.int64).reshape(texts.shape)
    else:
        numbers = np.array([float(text) for text in flat], dtype=np.float64).reshape(texts.shape)
    return convert(to_value(numbers), kind, saturate=saturate, round_mode=round_mode)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def _written(value: Tensor | Narrow) -> Strings:
    array = to_array(value)
    texts = np.empty(array.size, dtype=object)
    if array.dtype.kind in "biu" or isinstance(value, Narrow):
        texts[:] = [str(item) for item in array.ravel().tolist()]
    else:
        texts[:] = [str(item) for item in array.ravel()]
    return texts.reshape(array.shape)


@operator("Cast", since=1)
def cast_by_name(value: Value, *, to: str) -> Value:
    return convert(value, TensorProto.DataType.Value(to))


@operator("Cast", since=6)
def cast(value: Value, *, to: int) -> Value:
    return convert(value, to)


@operator("Cast", since=19)
def cast_saturating(value: Value, *, to: int, saturate: int) -> Value:
    return convert(value, to, saturate=bool(saturate))


@operator("Cast", since=24)
def cast_rounding(value: Value, *, to: int, saturate: int, round_mode: str) -> Value:
    return convert(value, to, saturate=bool(saturate), round_mode=round_mode)


@operator("CastLike", since=15)
def cast_like(value: Value, like: Value) -> Value:
    return convert(value, element_type(like))


@operator("CastLike", since=19)
def cast_like_saturating(value: Value, like: Value, *, saturate: int) -> Value:
    return convert(value, element_type(like), saturate=bool(saturate))


@operator("CastLike", since=24)
def cast_like_rounding(value: Value, like: Value, *, saturate: int, round_mode: str) -> Value:
    return convert(value, element_type(like), saturate=bool(saturate), round_mode=round_mode)


@operator("BitCast", since=26, differentiable=False)
def bit_cast(value: Value, *, to: int) -> Value:
    if isinstance(value, np.ndarray):
        raise ValueError("strings have no fixed bits to reinterpret")
    if isinstance(value, Tensor) and to in TORCH_TYPES:
        return value.detach().contiguous().view(TORCH_TYPES[to])
    bits = _bits(value)
    if to in TORCH_TYPES:
        return bits.to(torch.uint8).view(TORCH_TYPES[to])
    if to in INTEGER_RANGES:
        return pack(bits, to)
    return Narrow(bits.to(torch.uint8), to)


def _bits(value: Tensor | Narrow) -> Tensor:
    """The bit pattern of every one-byte element, as a number without sign."""
    if isinstance(value, Tensor):
        return value.detach().contiguous().view(torch.uint8)
    if value.is_integer:
        width = 4 if value.element_type in (TensorProto.INT4, TensorProto.UINT4) else 2
        return (value.storage.to(torch.int64) & ((1 << width) - 1)).to(torch.uint8)
    return value.storage


def torch_type(kind: int, context: Context) -> torch.dtype:
    """The torch dtype of an ONNX type number in this net (FLOAT is float64 in a double one)."""
    return context.dtype if kind == TensorProto.FLOAT else TORCH_TYPES[kind]
