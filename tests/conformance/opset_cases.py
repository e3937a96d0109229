"""Which nodes are tried at every schema version? Tensors by position, the rest by name.

A named value becomes an attribute or an input, whichever the schema version at hand has under that name; a
case with a name that a version does not know is not tried at that version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    operator: str
    tensors: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    domain: str = ""


def case(operator: str, *tensors: Any, outputs: int = 1, domain: str = "", **named: Any) -> Case:
    return Case(operator, tensors, named, outputs, domain)


RNG = np.random.default_rng(12)


def real(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def share(*shape: int) -> Array:
    """Between 0.1 and 0.9."""
    return (0.1 + 0.8 * RNG.random(shape)).astype(np.float32)


def whole(*shape: int, low: int = 0, high: int = 9, kind: Any = np.int64) -> Array:
    return RNG.integers(low, high, shape).astype(kind)


def truth(*shape: int) -> Array:
    return RNG.random(shape) > 0.5


def ints(*items: int) -> Array:
    return np.array(items, dtype=np.int64)


def scalar(item: Any, kind: Any = np.float32) -> Array:
    return np.array(item, dtype=kind)


X, Y, ROW = real(2, 3, 4), real(2, 3, 4), real(4)
IMAGE = real(2, 4, 7, 6)
U8, I8, I32 = np.uint8, np.int8, np.int32

SIMPLE = [
    "Abs", "Asinh", "Atan", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor", "HardSwish", "Mish",
    "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Tan",
    "Tanh", "Identity", "IsNaN", "Shape", "Size", "NonZero", "Gelu", "Softmax", "LogSoftmax",
    "Hardmax", "Flatten", "Elu", "HardSigmoid", "LeakyRelu", "Selu", "ThresholdedRelu", "Celu",
    "Swish", "Shrink", "LpNormalization", "Transpose", "MeanVarianceNormalization",
]  # fmt: skip
POSITIVE = ["Acos", "Asin", "Atanh", "Log", "Sqrt", "Reciprocal"]
REDUCTIONS = [
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
]  # fmt: skip


def elementwise() -> Iterator[Case]:
    for name in SIMPLE:
        yield case(name, real(2, 3, 4, 5) if name == "MeanVarianceNormalization" else X)
    for name in POSITIVE:
        yield case(name, share(2, 3, 4))
    yield case("Acosh", 1 + share(2, 3))
    yield case("Gelu", X, approximate="tanh")
    yield case("Not", truth(2, 3))
    yield case("IsInf", np.array([1, np.inf, -np.inf], dtype=np.float32), detect_negative=0)
    for name in ("Elu", "LeakyRelu", "ThresholdedRelu", "Celu"):
        yield case(name, X, alpha=0.3)
    yield case("HardSigmoid", X, alpha=0.3, beta=0.4)
    yield case("Selu", X, alpha=1.2, gamma=0.9)
    yield case("Shrink", X, bias=0.2, lambd=0.4)
    for name in ("Softmax", "LogSoftmax", "Hardmax"):
        for axis in (0, 1, 2):
            yield case(name, X, axis=axis)
        yield case(name, X, axis=-2)
    yield case("Clip", X, min=-0.5, max=0.4)
    yield case("Clip", X)
    yield case("Swish", X, alpha=0.7)
    yield case("PRelu", X, np.abs(real(2, 3, 4)))
    yield case("PRelu", IMAGE, real(4, 1, 1))
    yield case("PRelu", IMAGE, real(1))


def pairs() -> Iterator[Case]:
    for name in ("Add", "Sub", "Mul", "Div"):
        yield case(name, X, Y)
        yield case(name, X, ROW)
        yield case(name, whole(2, 3, low=-9), whole(2, 3, low=1))
    yield case("Pow", share(2, 3), real(2, 3))
    yield case("Pow", share(2, 3), scalar(2.0))
    for name in ("And", "Or", "Xor"):
        yield case(name, truth(2, 3), truth(2, 3))
        yield case(name, truth(2, 3), truth(3))
    for name in ("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"):
        yield case(name, whole(4, 5, high=3, kind=I32), whole(4, 5, high=3, kind=I32))
        yield case(name, np.round(X), np.round(Y))
    for name in ("Max", "Min", "Mean", "Sum"):
        yield case(name, X, Y, real(2, 3, 4))
        yield case(name, X, ROW)
    yield case("Mod", whole(3, 4, low=-9), whole(3, 4, low=1), fmod=0)
    yield case("Mod", X, Y, fmod=1)
    for direction in ("LEFT", "RIGHT"):
        yield case("BitShift", whole(3, 4, kind=U8), whole(3, 4, high=4, kind=U8), direction=direction)
    for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        yield case(name, whole(3, 4, kind=I32), whole(3, 4, kind=I32))
    yield case("BitwiseNot", whole(3, 4, kind=I32))
    yield case("Where", truth(2, 3, 4), X, Y)
    yield case("MatMul", X, real(4, 5))
    yield case("MatMul", real(2, 3), real(3, 5))
    yield case("Gemm", real(3, 4), real(4, 5), real(3, 5))
    yield case("Gemm", real(4, 3), real(5, 4), real(5), transA=1, transB=1, alpha=0.5, beta=0.7)
    yield case("Gemm", real(3, 4), real(4, 5), real(1, 5), broadcast=1)
    yield case("Einsum", real(2, 3, 4), real(2, 4, 5), equation="bij,bjk->bik")
    yield case("Einsum", real(4, 4), equation="ii->i")
    yield case("CumSum", X, scalar(1, I32), exclusive=1, reverse=1)
    yield case("CumProd", X, scalar(1, I32), exclusive=1, reverse=1)
    yield case("Det", real(2, 3, 3))


def reductions() -> Iterator[Case]:
    for name in REDUCTIONS:
        x = share(2, 3, 4)
        yield case(name, x)
        yield case(name, x, keepdims=0)
        yield case(name, x, axes=[1], keepdims=0)
        yield case(name, x, axes=[0, 2], keepdims=1)
        yield case(name, x, axes=[-1])
        yield case(name, x, noop_with_empty_axes=1)
    for name in ("ArgMax", "ArgMin"):
        x = whole(3, 4, 5, high=3, kind=np.float32)
        yield case(name, x)
        yield case(name, x, axis=1, keepdims=0)
        yield case(name, x, axis=-1)
        yield case(name, x, axis=1, select_last_index=1)
    yield case("TopK", X, outputs=2, axis=1, k=2)
    yield case("TopK", X, ints(2), outputs=2, axis=1)
    yield case("TopK", X, ints(2), outputs=2, axis=-1, largest=0, sorted=1)


def shapes() -> Iterator[Case]:
    yield case("Flatten", X, axis=2)
    yield case("Flatten", X, axis=-1)
    yield case("Flatten", X, axis=0)
    yield case("Transpose", X, perm=[2, 0, 1])
    yield case("Shape", X, start=1)
    yield case("Shape", X, start=-2, end=3)
    yield case("Reshape", X, shape=[4, -1])
    yield case("Reshape", X, shape=[0, 12])
    yield case("Reshape", real(0, 3), shape=[3, 0], allowzero=1)
    yield case("Squeeze", real(1, 3, 1, 4), axes=[0])
    yield case("Squeeze", real(1, 3, 1, 4), axes=[-2])
    yield case("Squeeze", real(1, 3, 1, 4))
    yield case("Unsqueeze", X, axes=[0, 3])
    yield case("Unsqueeze", X, axes=[-1])
    yield case("Concat", X, Y, axis=1)
    yield case("Concat", X, Y, axis=-1)
    yield case("Concat", X, Y)
    yield case("Split", real(2, 6), outputs=2, axis=1)
    yield case("Split", real(2, 6), outputs=2, axis=1, split=[2, 4])
    yield case("Split", real(7, 2), outputs=3, axis=0, num_outputs=3)
    yield case("Slice", X, starts=[0, 1], ends=[2, 3], axes=[1, 2])
    yield case("Slice", X, starts=[-1], ends=[9], axes=[2])
    yield case("Slice", X, starts=[-1], ends=[-9], axes=[2], steps=[-2])
    yield case("Slice", X, starts=[0, 1], ends=[1, 1000])
    yield case("Tile", real(2, 3), ints(2, 3))
    yield case("Expand", real(3, 1), ints(2, 1, 4))
    for mode in ("constant", "reflect", "edge"):
        yield case("Pad", X, pads=[0, 1, 1, 0, 1, 2], mode=mode)
    yield case("Pad", X, pads=[0, 1, 1, 0, -1, 2])
    yield case("Pad", X, pads=[0, 1, 1, 0, 1, 2], mode="wrap")
    yield case("Pad", X, ints(1, 2), scalar(0.7), ints(-1))
    yield case("DepthToSpace", real(1, 8, 2, 3), blocksize=2)
    yield case("DepthToSpace", real(1, 8, 2, 3), blocksize=2, mode="CRD")
    yield case("SpaceToDepth", real(1, 2, 4, 6), blocksize=2)
    yield case("CenterCropPad", real(5, 4), ints(3, 6))
    yield case("Trilu", real(3, 4), scalar(1, np.int64), upper=0)
    yield case("EyeLike", whole(3, 4, kind=np.float32), k=1)
    yield case("ConstantOfShape", ints(2, 3))
    yield case("Range", scalar(1, np.int64), scalar(10, np.int64), scalar(3, np.int64))
    yield case("OneHot", whole(2, 3, high=4), ints(4), np.array([0.5, 2], dtype=np.float32), axis=1)
    for kind in (TensorProto.INT32, TensorProto.DOUBLE, TensorProto.BOOL, TensorProto.FLOAT16):
        yield case("Cast", X * 3, to=kind)
    yield case("Cast", X, to="DOUBLE")
    yield case("CastLike", X, whole(2, kind=I32))


def indexing() -> Iterator[Case]:
    yield case("Gather", X, ints(1, 0, 1), axis=1)
    yield case("Gather", X, np.array([[0, -1]]), axis=2)
    yield case("GatherElements", X, whole(2, 3, 4, high=2), axis=1)
    yield case("GatherND", X, np.array([[0, 1], [1, 2]]))
    yield case("GatherND", X, np.array([[1], [2]]), batch_dims=1)
    for name in ("Scatter", "ScatterElements"):
        yield case(name, X, np.array([[[0, 2, 1, 0]]]), real(1, 1, 4), axis=1)
    yield case("ScatterND", X, np.array([[0, 1], [1, 2]]), real(2, 4))
    for reduction in ("add", "mul", "max", "min"):
        index = np.array([[[0, 2, 1, 0], [0, 1, 1, 0]]])
        yield case("ScatterElements", X, index, real(1, 2, 4), axis=1, reduction=reduction)
        yield case("ScatterND", X, np.array([[0, 1], [0, 1]]), real(2, 4), reduction=reduction)
    yield case("Compress", X, np.array([True, False, True]), axis=1)
    yield case("Compress", X, truth(9))
    yield case("Unique", whole(9, high=4, kind=np.float32), outputs=4, sorted=1)
    yield case("Unique", np.repeat(whole(3, 2, high=2, kind=np.float32), 2, 0), outputs=4, axis=0)
    yield case("ReverseSequence", real(4, 3, 2), ints(2, 4, 1))
    yield case("ReverseSequence", real(3, 4, 2), ints(2, 4, 1), batch_axis=0, time_axis=1)
    boxes = np.sort(RNG.random((1, 6, 2, 2)), 2).reshape(1, 6, 4).astype(np.float32)
    chances = RNG.random((1, 2, 6)).astype(np.float32)
    yield case("NonMaxSuppression", boxes, chances, ints(3), scalar(0.3), scalar(0.1))


def windows() -> Iterator[Case]:
    for name in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        yield case(name, IMAGE)
    yield case("GlobalLpPool", IMAGE, p=1)
    for name, extra in (("AveragePool", {}), ("MaxPool", {}), ("LpPool", {"p": 3})):
        yield case(name, IMAGE, kernel_shape=[3, 2], **extra)
        yield case(name, IMAGE, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1], **extra)
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            yield case(name, IMAGE, kernel_shape=[3, 2], strides=[2, 2], auto_pad=auto, **extra)
        yield case(name, IMAGE, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1, **extra)
        yield case(name, IMAGE, kernel_shape=[2, 2], dilations=[2, 1], **extra)
    yield case("AveragePool", IMAGE, kernel_shape=[3, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    yield case("MaxPool", IMAGE, outputs=2, kernel_shape=[3, 2], strides=[2, 1])
    yield case("MaxPool", IMAGE, outputs=2, kernel_shape=[3, 2], storage_order=1)
    places = np.array([[[[0, 3], [8, 15]]]])
    yield case("MaxUnpool", real(1, 1, 2, 2), places, kernel_shape=[2, 2], strides=[2, 2])
    rois = np.array([[0, 0, 0, 4, 4], [1, 1, 1, 5, 6]], dtype=np.float32)
    yield case("MaxRoiPool", IMAGE, rois, pooled_shape=[2, 2])
    for mode in ("avg", "max"):
        yield case("RoiAlign", IMAGE, rois[:, 1:], ints(0, 1), output_height=2, output_width=3, mode=mode)
    kernel = real(6, 2, 3, 2)
    yield case("Conv", IMAGE, kernel, real(6), group=2)
    yield case("Conv", IMAGE, kernel, group=2, strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2])
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        yield case("Conv", IMAGE, kernel, group=2, auto_pad=auto, strides=[2, 2])
    yield case("Conv", real(2, 3, 9), real(4, 3, 3))
    turned = real(4, 3, 3, 2)
    yield case("ConvTranspose", IMAGE, turned, real(6), group=2, strides=[2, 1], pads=[1, 0, 1, 1])
    yield case("ConvTranspose", IMAGE, turned, group=2, strides=[2, 2], output_padding=[1, 0])
    yield case("ConvTranspose", IMAGE, turned, group=2, strides=[2, 2], output_shape=[15, 12])
    offset = 0.5 * real(1, 18, 3, 3)
    yield case("DeformConv", real(1, 2, 5, 5), real(3, 2, 3, 3), offset)
    yield case("Col2Im", real(1, 5, 5), ints(5, 5), ints(1, 5))
    grid = (2 * share(2, 3, 4, 2) - 1).astype(np.float32)
    for mode in ("bilinear", "nearest", "bicubic", "linear", "cubic"):
        yield case("GridSample", IMAGE, grid, mode=mode, align_corners=1, padding_mode="border")
    yield case("AffineGrid", real(2, 2, 3), ints(2, 1, 3, 4))


def resizing() -> Iterator[Case]:
    factors = np.array([1, 1, 2, 1.5], dtype=np.float32)
    for mode in ("nearest", "linear"):
        yield case("Upsample", IMAGE, mode=mode, scales=[1.0, 1.0, 2.0, 2.0])
        yield case("Resize", IMAGE, factors, mode=mode)
    none = np.array([], dtype=np.float32)
    for mode in ("nearest", "linear", "cubic"):
        for rule in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            yield case("Resize", IMAGE, none, factors, mode=mode, coordinate_transformation_mode=rule)
    for rule in ("floor", "ceil", "round_prefer_ceil"):
        yield case("Resize", IMAGE, none, factors, mode="nearest", nearest_mode=rule)
    yield case("Resize", IMAGE, none, none, ints(2, 4, 5, 9), mode="linear")
    yield case("Resize", IMAGE, none, factors / 2 + 0.5, mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
    yield case("Resize", IMAGE, None, None, ints(5, 9), mode="linear", axes=[2, 3], antialias=1)


def normalisations() -> Iterator[Case]:
    c = 4
    statistics = (share(c), real(c), real(c), share(c))
    yield case("BatchNormalization", IMAGE, *statistics)
    yield case("BatchNormalization", IMAGE, *statistics, epsilon=1e-2)
    yield case("BatchNormalization", IMAGE, *statistics, spatial=1)
    yield case("BatchNormalization", IMAGE, *statistics, is_test=1)
    yield case("BatchNormalization", IMAGE, *statistics, outputs=3, training_mode=1, momentum=0.7)
    yield case("InstanceNormalization", IMAGE, real(c), real(c), epsilon=1e-2)
    yield case("LayerNormalization", X, real(4), real(4), axis=-1, epsilon=1e-2)
    yield case("LayerNormalization", X, real(3, 4), axis=1)
    yield case("RMSNormalization", X, real(4), axis=-1)
    yield case("GroupNormalization", IMAGE, real(2), real(2), num_groups=2)
    yield case("GroupNormalization", IMAGE, real(4), real(4), num_groups=2)
    yield case("LRN", IMAGE, size=3, alpha=0.2, beta=0.6, bias=1.5)
    yield case("LpNormalization", X, axis=1, p=1)
    yield case("Dropout", X)
    yield case("Dropout", X, is_test=1)
    yield case("Dropout", X, outputs=2, ratio=0.3)


def losses() -> Iterator[Case]:
    scores, labels = real(3, 5, 2), whole(3, 2, high=5)
    for reduction in ("none", "sum", "mean"):
        for name in ("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"):
            yield case(name, scores, labels, share(5), reduction=reduction, ignore_index=1)


def signals() -> Iterator[Case]:
    signal = real(2, 16, 1)
    yield case("DFT", signal, axis=1)
    yield case("DFT", signal, axis=1, onesided=1)
    yield case("DFT", real(2, 16, 2), axis=1, inverse=1)
    yield case("STFT", signal, scalar(4, np.int64), share(8), scalar(8, np.int64))
    for name in ("HannWindow", "HammingWindow", "BlackmanWindow"):
        yield case(name, scalar(9, np.int64), periodic=0)
        yield case(name, scalar(9, np.int64))
    yield case(
        "MelWeightMatrix",
        scalar(8, np.int64),
        scalar(32, np.int64),
        scalar(8000, np.int64),
        scalar(0.0),
        scalar(4000.0),
    )


def recurrent() -> Iterator[Case]:
    for name, gates, outputs in (("RNN", 1, 2), ("GRU", 3, 2), ("LSTM", 4, 3)):
        weights = (real(1, gates * 5, 4), real(1, gates * 5, 5), real(1, 2 * gates * 5))
        yield case(name, real(3, 2, 4), *weights, outputs=outputs, hidden_size=5)
        yield case(
            name, real(3, 2, 4), *weights, outputs=outputs, hidden_size=5, direction="reverse", clip=0.6
        )


def quantised() -> Iterator[Case]:
    scale, zero = scalar(0.05), scalar(120, U8)
    yield case("QuantizeLinear", X, scale, zero)
    yield case("DequantizeLinear", whole(2, 3, high=255, kind=U8), scale, zero)
    many = share(3)
    yield case("QuantizeLinear", X, many, whole(3, high=100, kind=U8), axis=1)
    yield case("DequantizeLinear", whole(2, 3, 4, high=255, kind=U8), many, whole(3, high=9, kind=U8), axis=1)
    yield case("DequantizeLinear", whole(4, 6, high=99, kind=I8), share(2, 6), axis=0, block_size=2)
    yield case("QuantizeLinear", real(4, 6), share(2, 6), axis=0, block_size=2, output_dtype=TensorProto.INT8)
    yield case("DynamicQuantizeLinear", X, outputs=3)
    a, b = whole(3, 4, high=255, kind=U8), whole(4, 5, high=255, kind=U8)
    yield case("MatMulInteger", a, b, zero, scalar(3, U8))
    yield case("QLinearMatMul", a, scale, zero, b, scale, zero, scalar(4.1), zero)
    pixels, kernel = whole(1, 2, 5, 5, high=255, kind=U8), whole(3, 2, 3, 3, high=255, kind=U8)
    yield case("ConvInteger", pixels, kernel, zero, pads=[1, 1, 1, 1])
    yield case("QLinearConv", pixels, scale, zero, kernel, scale, zero, scalar(4.1), zero, strides=[2, 2])


def transformers() -> Iterator[Case]:
    q, k, v = real(2, 2, 3, 8), real(2, 2, 5, 8), real(2, 2, 5, 8)
    yield case("Attention", q, k, v)
    yield case("Attention", q, k, v, real(3, 5), scale=0.2)
    yield case("Attention", q, k, v, is_causal=1)
    angles = real(4, 4)
    yield case("RotaryEmbedding", real(2, 2, 3, 8), np.cos(angles), np.sin(angles), whole(2, 3, high=4))
    yield case("TensorScatter", real(2, 5, 3), real(2, 2, 3), ints(1, 2))


def classical() -> Iterator[Case]:
    ml = "ai.onnx.ml"
    yield case("Binarizer", X, threshold=0.2, domain=ml)
    yield case("Scaler", real(3, 4), offset=[0.1, 0.2, 0.3, 0.4], scale=[2.0, 1.0, 0.5, 3.0], domain=ml)
    for norm in ("MAX", "L1", "L2"):
        yield case("Normalizer", share(3, 4), norm=norm, domain=ml)
    gaps = np.array([[1, -1, 2], [-1, 4, 5]], dtype=np.float32)
    yield case("Imputer", gaps, imputed_value_floats=[9.0, 8.0, 7.0], replaced_value_float=-1.0, domain=ml)
    yield case("ArrayFeatureExtractor", real(3, 4), ints(2, 0), domain=ml)
    yield case("FeatureVectorizer", real(2, 3), real(2, 2), inputdimensions=[3, 2], domain=ml)
    yield case("OneHotEncoder", whole(4, high=3), cats_int64s=[0, 1, 2], zeros=1, domain=ml)
    yield case("LabelEncoder", whole(5, high=4), keys_int64s=[0, 1, 2], values_int64s=[7, 8, 9], domain=ml)
    weights = [float(item) for item in real(6)]
    for post in ("NONE", "SOFTMAX", "LOGISTIC"):
        yield case(
            "LinearRegressor",
            real(4, 3),
            coefficients=weights,
            intercepts=[0.1, -0.2],
            targets=2,
            post_transform=post,
            domain=ml,
        )
        yield case(
            "LinearClassifier",
            real(4, 2),
            outputs=2,
            coefficients=weights,
            intercepts=[0.1, -0.2, 0.3],
            classlabels_ints=[4, 5, 6],
            post_transform=post,
            domain=ml,
        )
    for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        yield case(
            "SVMRegressor",
            real(4, 3),
            coefficients=[0.4, -0.7],
            support_vectors=weights,
            n_supports=2,
            rho=[0.3],
            kernel_type=kernel,
            kernel_params=[0.5, 0.2, 2.0],
            domain=ml,
        )


def every_case() -> list[Case]:
    families = (
        elementwise, pairs, reductions, shapes, indexing, windows, resizing, normalisations, losses, signals,
        recurrent, quantised, transformers, classical,
    )  # fmt: skip
    return [found for family in families for found in family()]
