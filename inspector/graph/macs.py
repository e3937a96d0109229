"""How many multiply–accumulates does one operator do? A closed form each, from shapes and attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["COUNTED", "HEAVY_UNCOUNTED", "Call", "OpenShape"]

Shape = tuple[int, ...]


class OpenShape(ValueError):  # a short fact, turned into a reason by the caller
    """A size that the formula needs is not known."""


@dataclass(frozen=True)
class Call:
    """What a formula sees of one node: shapes by position (None where open) and attributes."""

    inputs: Sequence[Shape | None]
    outputs: Sequence[Shape | None]
    attributes: Mapping[str, Any]

    def shape(self, position: int) -> Shape:
        """Shape of an input.

        Raises:
            OpenShape: it is absent or not fully known.
        """
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            raise OpenShape(f"the shape of input {position} is open")
        return found

    def out(self) -> Shape:
        """Shape of the first output that is known, as `shape`."""
        for found in self.outputs:
            if found is not None:
                return found
        raise OpenShape("the shape of the output is open")

    def has(self, position: int) -> bool:
        """Whether an optional input is given with a known shape."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def number(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self.attributes.get(name, default))


def _conv(weight: int) -> Callable[[Call], int]:
    def count(call: Call) -> int:
        return math.prod(call.out()) * math.prod(call.shape(weight)[1:])

    return count


def _conv_transpose(call: Call) -> int:
    return math.prod(call.shape(0)) * math.prod(call.shape(1)[1:])


def _matmul(first: int = 0, second: int = 1) -> Callable[[Call], int]:
    def count(call: Call) -> int:
        a, b = call.shape(first), call.shape(second)
        batch = _broadcast(a[:-2], b[:-2])
        rows = a[-2] if len(a) > 1 else 1
        columns = b[-1] if len(b) > 1 else 1
        depth = a[-1] if a else 1
        return math.prod(batch) * rows * depth * columns

    return count


def _broadcast(a: Shape, b: Shape) -> Shape:
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    padded = (1,) * (len(long) - len(short)) + short
    return tuple(y if x == 1 else x for x, y in zip(long, padded, strict=True))


def _fused_matmul(call: Call) -> int:
    a = call.shape(0)
    if len(a) < 2:
        return math.prod(call.out()) * math.prod(a)
    depth = a[-2] if call.number("transA", 0) else a[-1]
    return math.prod(call.out()) * depth


def _gemm(first: int = 0) -> Callable[[Call], int]:
    def count(call: Call) -> int:
        a = call.shape(first)
        rows, depth = a[:2] if not call.number("transA", 0) else a[1::-1]
        out = call.out()
        return rows * depth * out[-1]

    return count


def _packed_matmul(call: Call) -> int:
    rows = math.prod(call.shape(0)[:-1])
    return rows * call.number("K", 0) * call.number("N", 0)


def _einsum(call: Call) -> int:
    equation = call.attributes["equation"]
    text = (equation.decode() if isinstance(equation, bytes) else str(equation)).replace(" ", "")
    terms = text.split("->")[0].split(",")
    if len(terms) < 2:
        return 0
    sizes: dict[str, int] = {}
    rest: Shape = ()
    for position, term in enumerate(terms):
        shape = call.shape(position)
        head, dots, tail = term.partition("...")
        named = (
            [*zip(head, shape, strict=False)] if not dots else [*zip(head, shape[: len(head)], strict=True)]
        )
        if dots:
            end = len(shape) - len(tail)
            rest = _broadcast(rest, shape[len(head) : end])
            named += zip(tail, shape[end:], strict=True)
        for label, size in named:
            sizes[label] = max(sizes.get(label, 1), size)
    return math.prod(sizes.values()) * math.prod(rest) * (len(terms) - 1)


def _recurrent(gates: int) -> Callable[[Call], int]:
    """T·B·D·G·H·(I + H): each step multiplies input and state by a matrix per gate and direction."""

    def count(call: Call) -> int:
        steps_batch = math.prod(call.shape(0)[:2])
        directions, rows, width = call.shape(1)
        hidden = rows // gates
        return steps_batch * directions * gates * hidden * (width + hidden)

    return count


def _attention(call: Call) -> int:
    """Q·Kᵀ and the product with V; 4-D (n, heads, length, head) or 3-D (n, length, width)."""
    q, k, v = call.shape(0), call.shape(1), call.shape(2)
    if len(q) == 4:
        heads, width_q, width_v, keys = q[1], q[1] * q[3], q[1] * v[3], k[2]
        rows = q[2]
    else:
        heads = call.number("q_num_heads", 1)
        width_q, rows, keys = q[2], q[1], k[1]
        width_v = v[2] // call.number("kv_num_heads", heads) * heads
    if call.has(4):
        keys += call.shape(4)[2]
    return q[0] * rows * keys * (width_q + width_v)


def _fused_attention(call: Call) -> int:
    """com.microsoft Attention: input (n, length, width) times packed weights, then the two products."""
    n, rows, width = call.shape(0)
    packed = call.shape(1)[1]
    hidden = packed // 3
    keys = rows + (call.shape(4)[3] if call.has(4) else 0)
    return n * rows * width * packed + 2 * n * rows * keys * hidden


def _multi_head(call: Call) -> int:
    """com.microsoft MultiHeadAttention: each (n, length, width), or packed (n, length, heads, 3, head)."""
    q = call.shape(0)
    if len(q) == 5:
        n, rows, heads, _, head = q
        return 2 * n * rows * rows * heads * head
    n, rows, width = q
    k = call.shape(1)
    keys = k[2] if len(k) == 4 else k[1]
    width_v = width
    if call.has(2):
        v = call.shape(2)
        width_v = v[2] if len(v) == 3 else v[1] * v[3]
    if call.has(6):
        keys += call.shape(6)[2]
    return n * rows * keys * (width + width_v)


def _grouped_query(call: Call) -> int:
    """com.microsoft GroupQueryAttention; the cache of earlier keys counts with its stored length."""
    n, rows, width = call.shape(0)
    heads = call.number("num_heads", 1)
    if not call.has(1):
        width = width // (heads + 2 * call.number("kv_num_heads", heads)) * heads
    keys = rows + (call.shape(3)[2] if call.has(3) else 0)
    return 2 * n * rows * keys * width


COUNTED: dict[tuple[str, str], Callable[[Call], int]] = {
    ("", "Conv"): _conv(1),
    ("", "ConvInteger"): _conv(1),
    ("", "QLinearConv"): _conv(3),
    ("", "DeformConv"): _conv(1),
    ("", "ConvTranspose"): _conv_transpose,
    ("", "Gemm"): _gemm(),
    ("", "MatMul"): _matmul(),
    ("", "MatMulInteger"): _matmul(),
    ("", "QLinearMatMul"): _matmul(0, 3),
    ("", "Einsum"): _einsum,
    ("", "RNN"): _recurrent(1),
    ("", "GRU"): _recurrent(3),
    ("", "LSTM"): _recurrent(4),
    ("", "Attention"): _attention,
    ("com.microsoft", "Attention"): _fused_attention,
    ("com.microsoft", "QAttention"): _fused_attention,
    ("com.microsoft", "MultiHeadAttention"): _multi_head,
    ("com.microsoft", "GroupQueryAttention"): _grouped_query,
    ("com.microsoft", "FusedConv"): _conv(1),
    ("com.microsoft", "NhwcConv"): _conv(1),
    ("com.microsoft", "FusedGemm"): _gemm(),
    ("com.microsoft", "GemmFastGelu"): _matmul(),
    ("com.microsoft", "FusedMatMul"): _fused_matmul,
    ("com.microsoft", "TransposeMatMul"): _fused_matmul,
    ("com.microsoft", "QGemm"): _gemm(),
    ("com.microsoft", "MatMulIntegerToFloat"): _matmul(),
    ("com.microsoft", "DynamicQuantizeMatMul"): _matmul(),
    ("com.microsoft", "MatMulNBits"): _packed_matmul,
    ("com.microsoft", "MatMulBnb4"): _packed_matmul,
}
"""(domain, operator) → multiply–accumulates of one execution, without biases and element-wise work."""

HEAVY_UNCOUNTED = frozenset(
    [
        "DFT",
        "STFT",
        "GridSample",
        "RoiAlign",
        "NonMaxSuppression",
        "MaxRoiPool",
        "Det",
        "Inverse",
        "DynamicQuantizeLSTM",
        "MoE",
        "QMoE",
        "BeamSearch",
        "GreedySearch",
        "PagedAttention",
        "SparseAttention",
        "PackedAttention",
        "PackedMultiHeadAttention",
        "LongformerAttention",
        "DecoderMaskedMultiHeadAttention",
        "DecoderAttention",
        "LinearAttention",
        "FlexAttention",
        "GemmFloat8",
        "TreeEnsemble",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
        "SVMClassifier",
        "SVMRegressor",
        "LinearClassifier",
        "LinearRegressor",
        "CausalConvWithState",
    ]
)
"""Operators that do real work which no formula here covers: they are listed, never silently zero."""
