"""Which nodes of com.microsoft are compared with ONNX Runtime? One case a row: inputs by seed, attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Make = Callable[[np.random.Generator], list[Array | None]]


@dataclass(frozen=True)
class Case:
    """One node: what it is fed, and how many of its outputs ONNX Runtime computes."""

    name: str
    operator: str
    inputs: Make
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[int, ...] = (1,)
    loose: float = 0.0
    domain: str = "com.microsoft"


def real(*shape: int, scale: float = 1.0) -> Callable[[np.random.Generator], Array]:
    return lambda rng: (scale * rng.standard_normal(shape)).astype(np.float32)


def byte(*shape: int, kind: str = "uint8") -> Callable[[np.random.Generator], Array]:
    info = np.iinfo(kind)
    return lambda rng: rng.integers(info.min, info.max + 1, shape).astype(kind)


def value(item: float, kind: str = "float32") -> Callable[[np.random.Generator], Array]:
    return lambda _: np.array(item, dtype=kind)


def given(array: Any, kind: str = "float32") -> Callable[[np.random.Generator], Array]:
    return lambda _: np.array(array, dtype=kind)


def feeds(*makers: Callable[[np.random.Generator], Array] | None) -> Make:
    return lambda rng: [None if make is None else make(rng) for make in makers]


def scales(count: int, size: float = 0.02) -> Callable[[np.random.Generator], Array]:
    return lambda rng: (size * (0.5 + rng.random(count))).astype(np.float32)


A8, W8 = value(0.03), value(0.02)
Z8 = value(120, "uint8")


def caches(width: int) -> list[Callable[[np.random.Generator], Array]]:
    """Cosines and sines of 32 places, (places, width)."""
    angles = np.outer(np.arange(32), 1 / 10 ** np.linspace(0, 3, width))
    return [lambda _: np.cos(angles).astype(np.float32), lambda _: np.sin(angles).astype(np.float32)]


CACHES, WIDE = caches(4), caches(8)

FUSED = [
    Case("below", "Trilu", feeds(real(2, 3, 4), value(1, "int64")), {"upper": 0}),
    Case("above", "Trilu", feeds(real(3, 4))),
    *(
        Case(
            f"{mode}-{padding}-{align}",
            "GridSample",
            feeds(real(1, 2, 4, 5), real(1, 3, 3, 2, scale=0.5)),
            {"mode": mode, "padding_mode": padding, "align_corners": align},
            loose=1e-4,
        )
        for mode, padding, align in (
            ("bilinear", "zeros", 0),
            ("bicubic", "border", 1),
            ("nearest", "reflection", 1),
        )
    ),
    *(
        Case(
            f"conv-{name}",
            "FusedConv",
            feeds(real(2, 4, 7, 6), real(6, 2, 3, 3), real(6)),
            {
                "activation": name,
                "group": 2,
                "strides": [2, 1],
                "pads": [1, 0, 0, 2],
                **extra,
            },
        )
        for name, extra in (
            ("Relu", {}),
            ("Tanh", {}),
            ("Sigmoid", {}),
            ("LeakyRelu", {"activation_params": [0.2]}),
            ("Clip", {"activation_params": [-0.5, 0.7]}),
            ("HardSigmoid", {"activation_params": [0.3, 0.4]}),
        )
    ),
    Case(
        "conv-sum",
        "FusedConv",
        feeds(real(1, 3, 5, 5), real(4, 3, 3, 3), real(4), real(1, 4, 3, 3)),
        {"activation": "Relu"},
    ),
    Case("matmul", "FusedMatMul", feeds(real(3, 4, 5), real(3, 5, 6)), {"alpha": 0.7}),
    Case(
        "matmul-flipped",
        "FusedMatMul",
        feeds(real(3, 5, 4), real(3, 6, 5)),
        {"transA": 1, "transB": 1, "alpha": -1.5},
    ),
    Case(
        "matmul-batch",
        "FusedMatMul",
        feeds(real(4, 3, 5), real(5, 3, 6)),
        {"transBatchA": 1, "transBatchB": 1},
    ),
    Case(
        "matmul-batch-flipped",
        "FusedMatMul",
        feeds(real(5, 3, 4), real(3, 5, 6)),
        {"transBatchA": 1, "transA": 1},
    ),
    Case(
        "gemm",
        "FusedGemm",
        feeds(real(4, 5), real(6, 5), real(6)),
        {"transB": 1, "alpha": 0.5, "beta": 2.0, "activation": "LeakyRelu", "activation_alpha": 0.3},
    ),
    Case("gelu", "Gelu", feeds(real(3, 9))),
    Case("fast-gelu", "FastGelu", feeds(real(3, 9), real(9)), loose=1e-4),
    Case("quick-gelu", "QuickGelu", feeds(real(3, 9)), {"alpha": 1.3}),
    Case("bias-gelu", "BiasGelu", feeds(real(3, 9), real(9))),
    Case("inverse", "Inverse", feeds(real(2, 4, 4)), loose=1e-3),
    Case("expand", "ExpandDims", feeds(real(2, 4), value(1, "int32"))),
]

NORMS = [
    Case(
        "skip",
        "SkipLayerNormalization",
        feeds(real(2, 3, 8), real(2, 3, 8), real(8), real(8), real(8)),
        {"epsilon": 1e-3},
        outputs=(1, 0, 0, 1),
    ),
    Case("skip-plain", "SkipLayerNormalization", feeds(real(2, 3, 8), real(2, 3, 8), real(8))),
    Case("skip-broadcast", "SkipLayerNormalization", feeds(real(2, 3, 8), real(3, 8), real(8), real(8))),
    Case(
        "skip-simplified",
        "SkipSimplifiedLayerNormalization",
        feeds(real(2, 3, 8), real(2, 3, 8), real(8), real(8)),
        {"epsilon": 1e-3},
        outputs=(1, 0, 0, 1),
    ),
    Case(
        "simplified",
        "SimplifiedLayerNormalization",
        feeds(real(2, 3, 8), real(8)),
        {"epsilon": 1e-3, "axis": -1},
        domain="",
    ),
    Case(
        "embed",
        "EmbedLayerNormalization",
        feeds(
            lambda r: r.integers(0, 11, (2, 5)).astype(np.int32),
            lambda r: r.integers(0, 2, (2, 5)).astype(np.int32),
            real(11, 8),
            real(7, 8),
            real(2, 8),
            real(8),
            real(8),
            given([[1, 1, 1, 0, 0], [1] * 5], "int32"),
        ),
        {"epsilon": 1e-3},
        outputs=(1, 1),
    ),
]

MASKS: dict[str, Callable[[np.random.Generator], Array] | None] = {
    "none": None,
    "lengths": given([3, 5], "int32"),
    "ends": given([3, 5, 1, 0], "int32"),
    "rows": given([[1, 1, 0, 1, 0], [1, 0, 1, 1, 1]], "int32"),
    "pairs": lambda r: r.integers(0, 2, (2, 5, 5)).astype(np.int32),
}

ATTENTION = [
    *(
        Case(
            f"attention-{name}-{causal}",
            "Attention",
            feeds(real(2, 5, 6), real(6, 24), real(24), mask),
            {"num_heads": 2, "unidirectional": causal},
        )
        for name, mask in MASKS.items()
        for causal in (0, 1)
        if not (causal and name == "ends")
    ),
    Case(
        "attention-past",
        "Attention",
        feeds(real(2, 3, 6), real(6, 24), real(24), None, real(2, 2, 2, 4, 4)),
        {"num_heads": 2, "unidirectional": 1},
        outputs=(1, 1),
    ),
    Case(
        "attention-sizes",
        "Attention",
        feeds(real(2, 5, 6), real(6, 28), real(28)),
        {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 12], "scale": 0.3},
    ),
    Case(
        "attention-bias",
        "Attention",
        feeds(real(2, 5, 6), real(6, 24), real(24), None, None, real(2, 2, 5, 5)),
        {"num_heads": 2},
    ),
    Case(
        "heads",
        "MultiHeadAttention",
        feeds(real(2, 5, 8), real(2, 7, 8), real(2, 7, 8), real(24)),
        {"num_heads": 2},
    ),
    Case(
        "heads-padded",
        "MultiHeadAttention",
        feeds(
            real(2, 5, 8), real(2, 7, 8), real(2, 7, 8), None, given([[1] * 4 + [0] * 3, [1] * 7], "int32")
        ),
        {"num_heads": 2},
    ),
    Case(
        "heads-bias",
        "MultiHeadAttention",
        feeds(real(2, 5, 8), real(2, 7, 8), real(2, 7, 8), None, None, real(1, 2, 5, 7)),
        {"num_heads": 2, "scale": 0.2},
    ),
    Case(
        "heads-past",
        "MultiHeadAttention",
        feeds(
            real(2, 3, 8), real(2, 3, 8), real(2, 3, 8), None, None, None, real(2, 2, 4, 4), real(2, 2, 4, 4)
        ),
        {"num_heads": 2, "unidirectional": 1},
        outputs=(1, 1, 1),
    ),
    Case(
        "heads-cross",
        "MultiHeadAttention",
        feeds(real(2, 5, 8), real(2, 2, 7, 4), real(2, 2, 7, 4)),
        {"num_heads": 2},
    ),
    *(
        Case(
            f"rotary-{interleaved}",
            "RotaryEmbedding",
            feeds(real(2, 3, 16), given([[0, 1, 2], [4, 5, 6]], "int64"), *CACHES),
            {"interleaved": interleaved},
        )
        for interleaved in (0, 1)
    ),
    Case("rotary-offset", "RotaryEmbedding", feeds(real(2, 3, 5, 8), given([3], "int64"), *CACHES)),
    Case(
        "rotary-part",
        "RotaryEmbedding",
        feeds(real(2, 3, 24), given([[0, 1, 2], [4, 5, 6]], "int64"), *CACHES),
        {"num_heads": 2, "rotary_embedding_dim": 8},
    ),
    *(
        Case(
            f"grouped-{name}",
            "GroupQueryAttention",
            feeds(
                real(2, 5, 64),
                real(2, 5, 32),
                real(2, 5, 32),
                None,
                None,
                given([4, 4], "int32"),
                value(5, "int32"),
                *WIDE,
            ),
            {"num_heads": 4, "kv_num_heads": 2, **extra},
            outputs=(1, 1, 1),
        )
        for name, extra in (
            ("plain", {}),
            ("rotary", {"do_rotary": 1}),
            ("interleaved", {"do_rotary": 1, "rotary_interleaved": 1}),
            ("window", {"local_window_size": 2}),
            ("softcap", {"softcap": 3.0}),
            ("smooth", {"smooth_softmax": 1}),
            ("scaled", {"scale": 0.1}),
        )
    ),
    Case(
        "grouped-step",
        "GroupQueryAttention",
        feeds(
            real(2, 1, 64),
            real(2, 1, 32),
            real(2, 1, 32),
            real(2, 2, 6, 16),
            real(2, 2, 6, 16),
            given([6, 4], "int32"),
            value(7, "int32"),
            *WIDE,
        ),
        {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1},
        outputs=(1, 1, 1),
    ),
    Case(
        "grouped-packed",
        "GroupQueryAttention",
        feeds(real(2, 5, 128), None, None, None, None, given([4, 4], "int32"), value(5, "int32"), *WIDE),
        {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1},
        outputs=(1, 1, 1),
    ),
    Case(
        "quantised-attention",
        "QAttention",
        feeds(
            byte(2, 5, 6),
            byte(6, 24, kind="int8"),
            real(24),
            value(0.01),
            value(0.01),
            None,
            value(128, "uint8"),
            value(3, "int8"),
        ),
        {"num_heads": 2},
    ),
]

QUANTISED = [
    Case(
        "last",
        "NhwcMaxPool",
        feeds(byte(2, 7, 6, 3)),
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]},
    ),
    Case("last-signed", "NhwcMaxPool", feeds(byte(2, 7, 6, 3, kind="int8")), {"kernel_shape": [2, 2]}),
    *(
        Case(
            f"packed-{bits}-{points is not None}",
            "GatherBlockQuantized",
            feeds(
                byte(9, 32 * bits // 8),
                given([[0, 8, 3], [2, 2, 5]], "int64"),
                real(9, 2),
                points,
            ),
            {"bits": bits, "block_size": 16, "gather_axis": 0, "quantize_axis": 1},
        )
        for bits in (4, 8)
        for points in (None, byte(9, 2 * bits // 8))
    ),
    Case("add", "QLinearAdd", feeds(byte(2, 3, 8), A8, Z8, byte(3, 8), W8, Z8, value(0.05), Z8)),
    Case("mul", "QLinearMul", feeds(byte(2, 3, 8), A8, Z8, byte(3, 8), W8, Z8, value(0.05), Z8)),
    Case("sigmoid", "QLinearSigmoid", feeds(byte(2, 33), A8, Z8, value(1 / 256), value(0, "uint8"))),
    Case("leaky", "QLinearLeakyRelu", feeds(byte(2, 33), A8, Z8, value(0.02), Z8), {"alpha": 0.3}),
    Case(
        "softmax",
        "QLinearSoftmax",
        feeds(byte(2, 3, 5), A8, Z8, value(1 / 256), value(0, "uint8")),
        {"axis": -1, "opset": 13},
    ),
    Case(
        "concat", "QLinearConcat", feeds(value(0.05), Z8, byte(2, 3), A8, Z8, byte(2, 4), W8, Z8), {"axis": 1}
    ),
    Case(
        "where",
        "QLinearWhere",
        feeds(given([[True, False, True]], "bool"), byte(2, 3), A8, Z8, byte(2, 3), W8, Z8, value(0.04), Z8),
    ),
    Case("global-pool", "QLinearGlobalAveragePool", feeds(byte(2, 3, 5, 4), A8, Z8, value(0.0107), Z8)),
    Case(
        "global-pool-last",
        "QLinearGlobalAveragePool",
        feeds(byte(2, 5, 4, 3), A8, Z8, value(0.0107), Z8),
        {"channels_last": 1},
    ),
    Case(
        "pool",
        "QLinearAveragePool",
        feeds(byte(2, 3, 7, 6), A8, Z8, value(0.0173), Z8),
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]},
    ),
    Case(
        "conv-last",
        "QLinearConv",
        feeds(
            byte(2, 6, 5, 3),
            A8,
            Z8,
            byte(4, 3, 3, 3, kind="int8"),
            scales(4),
            given([0] * 4, "int8"),
            value(0.4),
            Z8,
            lambda r: r.integers(-900, 900, 4).astype(np.int32),
        ),
        {"channels_last": 1, "pads": [1, 1, 0, 0]},
    ),
    Case(
        "gemm",
        "QGemm",
        feeds(
            byte(3, 6),
            A8,
            Z8,
            byte(4, 6, kind="int8"),
            scales(4),
            given([0] * 4, "int8"),
            lambda r: r.integers(-900, 900, 4).astype(np.int32),
            value(0.3),
            Z8,
        ),
        {"transB": 1},
    ),
    Case(
        "to-float",
        "MatMulIntegerToFloat",
        feeds(
            byte(3, 6),
            byte(6, 4, kind="int8"),
            value(0.03),
            scales(4),
            Z8,
            given([0, 1, 2, 3], "int8"),
            real(4),
        ),
    ),
    Case(
        "dynamic",
        "DynamicQuantizeMatMul",
        feeds(real(3, 6), byte(6, 4, kind="int8"), scales(4), given([0] * 4, "int8"), real(4)),
    ),
    Case("quantise", "QuantizeLinear", feeds(real(2, 5), value(0.03), Z8)),
    Case("dequantise", "DequantizeLinear", feeds(byte(2, 5), value(0.03), Z8)),
    *(
        Case(
            f"nbits-{bits}-{zero}-{k}",
            "MatMulNBits",
            feeds(real(3, k), byte(6, -(-k // 16), 16 * bits // 8), scales(6 * -(-k // 16)), points),
            {"K": k, "N": 6, "bits": bits, "block_size": 16},
            loose=1e-4,
        )
        for bits in (4, 8)
        for k in (32, 48)
        for zero, points in (("mid", None), ("given", byte(6 * -(-(-(-k // 16) * bits) // 8))))
    ),
]
