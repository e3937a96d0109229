"""Which layers are compared with Keras, in which configurations? One row a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from conformance.keras_oracle import keras

L = keras.layers


@dataclass(frozen=True)
class Case:
    """A small model around one layer."""

    name: str
    build: Callable[[], Any]
    tolerance: float = 1e-4
    options: dict[str, Any] = field(default_factory=dict)


CASES: list[Case] = []


def one(
    name: str, shape: Any, make: Callable[[], Any], tolerance: float = 1e-4, dtype: str = "float32"
) -> None:
    """A layer on one input (or on a list of inputs)."""

    def build() -> Any:
        shapes = shape if isinstance(shape, list) else [shape]
        inputs = [keras.Input(s, dtype=dtype) for s in shapes]
        return keras.Model(inputs, make()(inputs if len(inputs) > 1 else inputs[0]))

    CASES.append(Case(name, build, tolerance))


def graph(name: str, build: Callable[[], Any], tolerance: float = 1e-4) -> None:
    """A model made by hand."""
    CASES.append(Case(name, build, tolerance))


CF = "channels_first"
IMAGE, SIGNAL, VOLUME = (9, 8, 6), (11, 6), (6, 5, 7, 4)

# convolution
one("Conv1D-valid", SIGNAL, lambda: L.Conv1D(5, 3))
one("Conv1D-causal", SIGNAL, lambda: L.Conv1D(5, 3, padding="causal", dilation_rate=2, activation="relu"))
one("Conv1D-causal-stride", SIGNAL, lambda: L.Conv1D(5, 3, padding="causal", strides=2))
one("Conv1D-dynamic", (None, 6), lambda: L.Conv1D(5, 4, strides=2, padding="same"))
one("Conv1D-first", SIGNAL, lambda: L.Conv1D(5, 3, padding="same", data_format=CF))
one("Conv2D-same-even", (8, 8, 3), lambda: L.Conv2D(4, 3, strides=2, padding="same"))
one("Conv2D-same-odd", IMAGE, lambda: L.Conv2D(4, (2, 5), strides=(2, 3), padding="same", use_bias=False))
one("Conv2D-dynamic", (None, None, 3), lambda: L.Conv2D(4, 4, strides=2, padding="same", activation="gelu"))
one("Conv2D-dilated", IMAGE, lambda: L.Conv2D(4, 3, dilation_rate=2, padding="same"))
one("Conv2D-groups", IMAGE, lambda: L.Conv2D(4, 3, groups=2, activation="tanh"))
one("Conv2D-first", (3, 9, 8), lambda: L.Conv2D(4, 3, strides=2, padding="same", data_format=CF))
one("Conv2D-softmax", IMAGE, lambda: L.Conv2D(4, 3, activation="softmax"))
one("Conv3D-same", VOLUME, lambda: L.Conv3D(3, 3, strides=2, padding="same"))
one("Conv3D-first", (3, 6, 5, 7), lambda: L.Conv3D(2, (1, 2, 3), data_format=CF))
one("DepthwiseConv1D", SIGNAL, lambda: L.DepthwiseConv1D(3, depth_multiplier=2, padding="same"))
one("DepthwiseConv2D", IMAGE, lambda: L.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same"))
one("DepthwiseConv2D-dilated", IMAGE, lambda: L.DepthwiseConv2D(3, dilation_rate=2, activation="relu"))
one("DepthwiseConv2D-first", (3, 9, 8), lambda: L.DepthwiseConv2D(3, data_format=CF))
one("SeparableConv1D", SIGNAL, lambda: L.SeparableConv1D(5, 3, depth_multiplier=2))
one("SeparableConv2D", IMAGE, lambda: L.SeparableConv2D(5, 3, strides=2, padding="same", activation="relu"))
one("SeparableConv2D-plain", IMAGE, lambda: L.SeparableConv2D(5, 3, use_bias=False, dilation_rate=2))
for _p in ("valid", "same"):
    for _k, _s, _d in ((3, 2, 1), (2, 3, 1), (4, 2, 1), (3, 1, 1), (5, 3, 1), (3, 1, 2)):
        one(
            f"Conv2DTranspose-{_p}-{_k}{_s}{_d}",
            (5, 4, 3),
            lambda p=_p, k=_k, s=_s, d=_d: L.Conv2DTranspose(4, k, strides=s, padding=p, dilation_rate=d),
        )
one("Conv1DTranspose", SIGNAL, lambda: L.Conv1DTranspose(4, 3, strides=2, padding="same"))
one(
    "Conv2DTranspose-output",
    (5, 4, 3),
    lambda: L.Conv2DTranspose(4, 3, strides=2, output_padding=1, padding="same"),
)
one("Conv2DTranspose-first", (3, 5, 4), lambda: L.Conv2DTranspose(4, 3, strides=2, data_format=CF))
one(
    "Conv3DTranspose",
    (3, 4, 3, 2),
    lambda: L.Conv3DTranspose(3, 3, strides=2, padding="same", use_bias=False),
)

# pooling
for _n, _shape in ((1, SIGNAL), (2, IMAGE), (3, VOLUME)):
    for _kind in ("Max", "Average"):
        one(f"{_kind}Pooling{_n}D", _shape, lambda k=_kind, n=_n: getattr(L, f"{k}Pooling{n}D")(2))
        # PyTorch's average repeats the edge where pads differ on both sides: only Max is asked at even sizes.
        one(
            f"{_kind}Pooling{_n}D-same",
            _shape if _kind == "Max" else (9, 7, 5)[:_n] + (4,),
            lambda k=_kind, n=_n: getattr(L, f"{k}Pooling{n}D")(3, strides=2, padding="same"),
        )
        one(f"Global{_kind}Pooling{_n}D", _shape, lambda k=_kind, n=_n: getattr(L, f"Global{k}Pooling{n}D")())
        one(
            f"Global{_kind}Pooling{_n}D-keep",
            _shape,
            lambda k=_kind, n=_n: getattr(L, f"Global{k}Pooling{n}D")(keepdims=True),
        )
        one(
            f"Adaptive{_kind}Pooling{_n}D",
            _shape,
            lambda k=_kind, n=_n: getattr(L, f"Adaptive{k}Pooling{n}D")(3),
        )
one("MaxPooling2D-first", (3, 9, 8), lambda: L.MaxPooling2D(2, strides=1, data_format=CF))
one("AveragePooling2D-dynamic", (None, None, 3), lambda: L.AveragePooling2D(3, strides=2, padding="same"))
one("GlobalAveragePooling2D-first", (3, 9, 8), lambda: L.GlobalAveragePooling2D(data_format=CF))
one("AdaptiveAveragePooling2D-even", (8, 8, 3), lambda: L.AdaptiveAveragePooling2D((4, 2)))

# normalisation
for _axis in (-1, 1, 2):
    one(f"BatchNormalization-{_axis}", IMAGE, lambda a=_axis: L.BatchNormalization(axis=a, epsilon=0.05))
one("BatchNormalization-vector", (6,), lambda: L.BatchNormalization())
one("BatchNormalization-noscale", IMAGE, lambda: L.BatchNormalization(scale=False))
one("BatchNormalization-nocenter", SIGNAL, lambda: L.BatchNormalization(center=False))
one("BatchNormalization-bare", IMAGE, lambda: L.BatchNormalization(center=False, scale=False))
one("BatchNormalization-renorm", IMAGE, lambda: L.BatchNormalization(renorm=True))
one("LayerNormalization", SIGNAL, lambda: L.LayerNormalization(epsilon=0.05))
one("LayerNormalization-two", IMAGE, lambda: L.LayerNormalization(axis=[2, 3]))
one("LayerNormalization-apart", IMAGE, lambda: L.LayerNormalization(axis=[1, 3]))
one("LayerNormalization-middle", VOLUME, lambda: L.LayerNormalization(axis=[1, 3], center=False))
one("LayerNormalization-noscale", SIGNAL, lambda: L.LayerNormalization(scale=False))
one("LayerNormalization-bare", SIGNAL, lambda: L.LayerNormalization(scale=False, center=False))
one("LayerNormalization-rms", SIGNAL, lambda: L.LayerNormalization(rms_scaling=True))
one("RMSNormalization", SIGNAL, lambda: L.RMSNormalization(epsilon=0.01))
one("RMSNormalization-axes", IMAGE, lambda: L.RMSNormalization(axis=[2, 3]))
one("GroupNormalization", IMAGE, lambda: L.GroupNormalization(3, epsilon=0.05))
one("GroupNormalization-instance", IMAGE, lambda: L.GroupNormalization(-1))
one("GroupNormalization-first", (6, 9, 8), lambda: L.GroupNormalization(2, axis=1))
one("GroupNormalization-bare", SIGNAL, lambda: L.GroupNormalization(2, scale=False, center=False))
one("UnitNormalization", SIGNAL, lambda: L.UnitNormalization())
one("UnitNormalization-two", IMAGE, lambda: L.UnitNormalization(axis=[1, 2]))
one("SpectralNormalization", IMAGE, lambda: L.SpectralNormalization(L.Conv2D(4, 3)))
one("SpectralNormalization-dense", (6,), lambda: L.SpectralNormalization(L.Dense(4)))

# activation
for _name in [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "soft_shrink",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh",
    "tanh_shrink",
]:
    one(f"Activation-{_name}", IMAGE, lambda n=_name: L.Activation(n))
one("ReLU-all", IMAGE, lambda: L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.3))
one("ReLU-max", IMAGE, lambda: L.ReLU(max_value=0.5))
one("LeakyReLU", IMAGE, lambda: L.LeakyReLU(0.2))
one("ELU", IMAGE, lambda: L.ELU(0.7))
one("PReLU", IMAGE, lambda: L.PReLU())
one("PReLU-shared", IMAGE, lambda: L.PReLU(shared_axes=[1, 2]))
one("Softmax", IMAGE, lambda: L.Softmax(axis=1))
one("Softmax-two", IMAGE, lambda: L.Softmax(axis=[1, 2]))

# core
one("Dense", (6,), lambda: L.Dense(5, activation="relu"))
one("Dense-rank3", SIGNAL, lambda: L.Dense(5, use_bias=False))
one("Dense-rank4", IMAGE, lambda: L.Dense(5, activation="softmax"))
one("EinsumDense", SIGNAL, lambda: L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d"))
one("EinsumDense-dots", SIGNAL, lambda: L.EinsumDense("...x,xy->...y", output_shape=4, activation="tanh"))
one("Embedding", (7,), lambda: L.Embedding(5, 4), dtype="int32")
one("Embedding-float", (7,), lambda: L.Embedding(9, 4, mask_zero=True))
one("Masking", SIGNAL, lambda: L.Masking())
one("Dropout", SIGNAL, lambda: L.Dropout(0.5))
one("Identity", SIGNAL, lambda: L.Identity())
one("SpatialDropout2D", IMAGE, lambda: L.SpatialDropout2D(0.5))

# merging
for _name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
    one(_name, [IMAGE, IMAGE], lambda n=_name: getattr(L, n)())
one("Add-ranks", [(5, 6), (6,)], lambda: L.Add())
one("Add-broadcast", [IMAGE, (1, 1, 6)], lambda: L.Add())
one("Concatenate-axis", [IMAGE, IMAGE, IMAGE], lambda: L.Concatenate(axis=1))
one("Dot", [(5, 6), (7, 6)], lambda: L.Dot(axes=2))
one("Dot-vector", [(6,), (6,)], lambda: L.Dot(axes=1, normalize=True))
one("Dot-mixed", [(5, 6), (6, 4)], lambda: L.Dot(axes=(2, 1)))

# reshaping
one("Flatten", IMAGE, lambda: L.Flatten())
one("Flatten-first", (3, 4, 5), lambda: L.Flatten(data_format=CF))
one("Reshape", IMAGE, lambda: L.Reshape((-1, 12)))
one("Permute", IMAGE, lambda: L.Permute((3, 1, 2)))
one("RepeatVector", (6,), lambda: L.RepeatVector(3))
one("Cropping1D", SIGNAL, lambda: L.Cropping1D((1, 2)))
one("Cropping2D", IMAGE, lambda: L.Cropping2D(((1, 2), (0, 3))))
one("Cropping2D-first", (3, 9, 8), lambda: L.Cropping2D(1, data_format=CF))
one("Cropping3D", VOLUME, lambda: L.Cropping3D(1))
one("ZeroPadding1D", SIGNAL, lambda: L.ZeroPadding1D(2))
one("ZeroPadding2D", IMAGE, lambda: L.ZeroPadding2D(((1, 2), (0, 3))))
one("ZeroPadding3D", VOLUME, lambda: L.ZeroPadding3D((1, 2, 0)))
one("UpSampling1D", SIGNAL, lambda: L.UpSampling1D(3))
one("UpSampling2D", IMAGE, lambda: L.UpSampling2D((2, 3)))
one("UpSampling2D-bilinear", IMAGE, lambda: L.UpSampling2D(2, interpolation="bilinear"))
one("UpSampling2D-bicubic", IMAGE, lambda: L.UpSampling2D(2, interpolation="bicubic"))
one("UpSampling2D-first", (3, 4, 5), lambda: L.UpSampling2D(2, data_format=CF))
one("UpSampling3D", VOLUME, lambda: L.UpSampling3D(2))

# preprocessing
one("Rescaling", IMAGE, lambda: L.Rescaling(1 / 127.5, offset=-1))
one("Rescaling-list", (9, 8, 3), lambda: L.Rescaling([1.0, 2.0, 3.0], offset=[0.1, 0.2, 0.3]))
one("Normalization", IMAGE, lambda: L.Normalization())
one("Normalization-given", (9, 8, 3), lambda: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0]))
one("Normalization-invert", (6,), lambda: L.Normalization(mean=2.0, variance=3.0, invert=True))
one("Resizing", IMAGE, lambda: L.Resizing(5, 12))
one("Resizing-nearest", IMAGE, lambda: L.Resizing(6, 11, interpolation="nearest"))
one("Resizing-bicubic", IMAGE, lambda: L.Resizing(12, 13, interpolation="bicubic"))
one("Resizing-antialias", (20, 21, 3), lambda: L.Resizing(7, 9, antialias=True))
one("Resizing-crop", (10, 21, 3), lambda: L.Resizing(7, 9, crop_to_aspect_ratio=True))
one("Resizing-pad", (10, 21, 3), lambda: L.Resizing(7, 9, pad_to_aspect_ratio=True, fill_value=0.5))
one("Resizing-first", (3, 9, 8), lambda: L.Resizing(5, 12, data_format=CF))
one("CenterCrop", IMAGE, lambda: L.CenterCrop(4, 5))
one("CenterCrop-small", IMAGE, lambda: L.CenterCrop(12, 12))
one("RandomCrop", IMAGE, lambda: L.RandomCrop(4, 5))
one("RandomFlip", IMAGE, lambda: L.RandomFlip())
one("CategoryEncoding", (7,), lambda: L.CategoryEncoding(5, "multi_hot"), dtype="int32")
one("CategoryEncoding-count", (7,), lambda: L.CategoryEncoding(5, "count"), dtype="int32")
one("CategoryEncoding-one", (7,), lambda: L.CategoryEncoding(5, "one_hot"), dtype="int32")
one("Discretization", SIGNAL, lambda: L.Discretization([-1.0, 0.0, 0.5]))
one("Discretization-count", (7,), lambda: L.Discretization([-1.0, 0.0, 0.5], output_mode="count"))


# operations
def _op(name: str, make: Callable[..., Any], *shapes: Any) -> None:
    def build() -> Any:
        inputs = [keras.Input(s) for s in shapes or (IMAGE,)]
        return keras.Model(inputs, make(*inputs))

    graph(f"ops-{name}", build)


ops = keras.ops
_op("add", lambda x: ops.add(x, 2.0) * 3 - x / 4 + 1 / ops.exp(x))
_op("vector", lambda x: x * np.arange(1.0, 7.0, dtype="float32"))
_op("two", lambda x, y: ops.maximum(x, y) + ops.minimum(x, 0.3) - ops.power(ops.abs(y), 1.5), IMAGE, IMAGE)
_op("broadcast", lambda x, y: x * y + ops.subtract(1.0, y), IMAGE, (1, 1, 6))
_op("conv", lambda x: ops.relu(L.Conv2D(4, 3)(x)) * np.arange(1.0, 5.0, dtype="float32") + 0.5)
_op("conv-mean", lambda x: ops.mean(L.Conv2D(4, 3)(x), axis=(1, 2)))
_op("conv-mean-keep", lambda x: L.Conv2D(2, 1)(ops.mean(L.Conv2D(4, 3)(x), axis=[1, 2], keepdims=True)))
_op("conv-max-channel", lambda x: ops.max(L.Conv2D(4, 3)(x), axis=-1))
_op("conv-concat", lambda x: ops.concatenate([L.Conv2D(4, 3)(x), L.Conv2D(3, 3)(x)], axis=-1))
_op("conv-split", lambda x: ops.split(L.Conv2D(4, 3)(x), 2, axis=-1))
_op("conv-pad", lambda x: ops.pad(L.Conv2D(4, 3)(x), [[0, 0], [1, 2], [0, 3], [0, 0]]))
_op("conv-item", lambda x: L.Conv2D(4, 3)(x)[:, 1:-1, ::2, 0])
_op("conv-flip", lambda x: ops.flip(L.Conv2D(4, 3)(x), axis=1))
_op("conv-roll", lambda x: ops.roll(L.Conv2D(4, 3)(x), (1, -2), axis=(1, 2)))
_op("conv-where", lambda x: ops.where(L.Conv2D(4, 3)(x) > 0, L.Conv2D(4, 3)(x), 0.0))
_op("conv-var", lambda x: ops.var(L.Conv2D(4, 3)(x), axis=(1, 2)) + ops.std(L.Conv2D(4, 3)(x), axis=(1, 2)))
_op(
    "reduce",
    lambda x: [ops.sum(x, axis=-1), ops.min(x, axis=1), ops.prod(x, axis=2), ops.logsumexp(x, axis=-1)],
)
_op("reshape", lambda x: ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (-1, 6, 72)))
_op("axes", lambda x: ops.squeeze(ops.expand_dims(ops.swapaxes(x, 1, 2), 1), 1) + ops.moveaxis(x, 1, 2))
_op("matmul", lambda x, y: ops.matmul(x, ops.transpose(y, (0, 2, 1))), (5, 6), (7, 6))
_op("einsum", lambda x, y: ops.einsum("bij,bkj->bik", x, y), (5, 6), (7, 6))
_op(
    "unary",
    lambda x: [
        ops.sin(x),
        ops.cos(x),
        ops.tanh(x),
        ops.square(x),
        ops.floor(x),
        ops.sign(x),
        ops.negative(x),
    ],
)
_op(
    "unary-positive",
    lambda x: [
        ops.sqrt(ops.abs(x)),
        ops.log1p(ops.abs(x)),
        ops.rsqrt(ops.abs(x) + 1),
        ops.expm1(x),
        ops.log2(x * x + 1),
    ],
)
_op("clip", lambda x: ops.clip(x, -0.5, 0.7))
_op(
    "compare",
    lambda x: (
        ops.cast(ops.logical_and(x > 0, x < 1), "float32") + ops.cast(ops.not_equal(x, 0.0), "float32") * x
    ),
)
_op(
    "activations",
    lambda x: [
        ops.gelu(x),
        ops.gelu(x, approximate=False),
        ops.silu(x),
        ops.leaky_relu(x, 0.3),
        ops.elu(x),
        ops.hard_sigmoid(x),
    ],
)
_op("softmax", lambda x: [ops.softmax(x, axis=1), ops.log_softmax(x)])
_op("stack", lambda x: ops.stack([x, x * 2], axis=2), SIGNAL)
_op("tile", lambda x: ops.tile(x, [1, 2, 1]) + ops.repeat(x, 2, axis=1)[:, :22], SIGNAL)
_op("take", lambda x: ops.take(x, [0, 2, 2], axis=1), SIGNAL)
_op("item", lambda x: [x[:, -1], x[..., 1], x[:, None, 2:5]], SIGNAL)
_op("one-hot", lambda x: ops.one_hot(ops.argmax(x, axis=-1), 6) + ops.max(x, axis=-1, keepdims=True), SIGNAL)
_op("top", lambda x: ops.top_k(x, 3)[0], SIGNAL)
_op("normalize", lambda x: ops.normalize(x, axis=-1) + ops.norm(x, axis=-1, keepdims=True), SIGNAL)
_op("cumsum", lambda x: ops.cumsum(x, axis=1) % 2.0 + x // 0.7, SIGNAL)
_op("resize", lambda x: ops.image.resize(x, (5, 12)))

# images and signals at inference
one("AutoContrast", (9, 8, 3), lambda: L.AutoContrast(value_range=(0, 1)))
for _mode in ("log", "magnitude", "psd", "real", "imag", "stft"):
    one(
        f"STFTSpectrogram-{_mode}",
        (64, 1),
        lambda m=_mode: L.STFTSpectrogram(m, frame_length=16, frame_step=4),
    )
one("STFTSpectrogram-wide", (64, 2), lambda: L.STFTSpectrogram("magnitude", 16, 8, expand_dims=True))


def _quantised() -> Any:
    x = keras.Input((7,), dtype="int32")
    y = L.Embedding(5, 8, name="table")(x)
    model = keras.Model(x, L.Dense(4)(L.Dense(6, activation="relu")(y)))
    model.quantize("int8")
    return model


graph("Quantised-int8", _quantised)


def mixed(name: str) -> Callable[[], Any]:
    def build() -> Any:
        x = keras.Input((8, 8, 3))
        y = L.Conv2D(4, 3, padding="same", activation="relu", dtype=name)(x)
        y = L.GlobalAveragePooling2D(dtype=name)(L.BatchNormalization(dtype=name)(y))
        return keras.Model(x, L.Dense(5, dtype="float32")(L.Dense(6, dtype=name)(y)))

    return build


# Half precision has 11 bits, and sums are rounded in another order.
graph("Policy-mixed_float16", mixed("mixed_float16"), 5e-3)
one("Policy-float64", (6,), lambda: L.Dense(4, activation="tanh", dtype="float64"))


def _pad_and_pool() -> Any:
    """Zeros count in the maximum of negative values."""
    x = keras.Input((8, 8, 3))
    return keras.Model(
        x, L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(1)(L.ReLU(negative_slope=1.0)(x) - 1.0))
    )


graph("ZeroPadding-MaxPooling", _pad_and_pool)


# structure
def _shared() -> Any:
    a, b = keras.Input((6,)), keras.Input((6,))
    body = L.Dense(4, activation="tanh")
    return keras.Model([a, b], [L.Add()([body(a), body(b)]), body(b)])


def nested() -> Any:
    inner_x = keras.Input((8, 8, 3))
    inner = keras.Model(inner_x, L.BatchNormalization()(L.Conv2D(4, 3)(inner_x)), name="inner")
    tail = keras.Sequential([keras.Input((6, 6, 4)), L.Conv2D(2, 3), L.Flatten(), L.Dense(3)], name="tail")
    x, y = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model({"left": x, "right": y}, L.Concatenate()([tail(inner(x)), tail(inner(y))]))


def _sequential() -> Any:
    return keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.MaxPooling2D(), L.Flatten(), L.Dense(3)]
    )


graph("Shared", _shared)
graph("Sequential", _sequential)


def _implicit(make: Callable[[], Any]) -> Callable[[], Any]:
    """In a Sequential model the mask travels with the tensor, not through the configuration."""

    def build() -> Any:
        return keras.Sequential(
            [keras.Input((7,), dtype="int32"), L.Embedding(5, 6, mask_zero=True), *make()]
        )

    return build


graph("Implicit-LSTM", _implicit(lambda: [L.Dropout(0.1), L.LSTM(4)]))
graph(
    "Implicit-GRU",
    _implicit(lambda: [L.Dense(5), L.GRU(4, return_sequences=True), L.GlobalAveragePooling1D()]),
)
graph(
    "Implicit-Bidirectional",
    _implicit(lambda: [L.Bidirectional(L.LSTM(4, return_sequences=True)), L.SimpleRNN(3)]),
)
graph(
    "Implicit-TimeDistributed", _implicit(lambda: [L.TimeDistributed(L.Dense(3)), L.GlobalAveragePooling1D()])
)
graph("Implicit-lost", _implicit(lambda: [L.Conv1D(3, 2), L.GlobalAveragePooling1D()]))
