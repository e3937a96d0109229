"""How do Keras' convolutions become Conv and ConvTranspose? Kernels are permuted, padding is worked out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from converters.keras_layers.activation import activate
from converters.keras_layers.registry import layer
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Dim, Tensor, Value
from converters.keras_translation.variables import Variable

__all__ = ["conv_kernel", "convolve", "spatial_list", "transposed_padding"]


def spatial_list(setting: Any, rank: int) -> list[int]:
    """One number a spatial axis."""
    if isinstance(setting, (list, tuple)):
        return [int(s) for s in setting]
    return [int(setting if setting is not None else 1)] * rank


def conv_kernel(call: Call, name: str, kernel: Variable) -> Value:
    """(…window, in, out) becomes (out, in, …window)."""
    rank = len(kernel.shape)
    return call.weight(name, kernel, transpose=[rank - 1, rank - 2, *range(rank - 2)])


def _depthwise_kernel(call: Call, name: str, kernel: Variable) -> Value:
    """(…window, in, multiplier) becomes (in · multiplier, 1, …window)."""
    rank = len(kernel.shape)
    order = [rank - 2, rank - 1, *range(rank - 2)]
    channels = kernel.shape[-2] * kernel.shape[-1]
    return call.weight(name, kernel, transpose=order, reshape=[channels, 1, *kernel.shape[:-2]])


def convolve(
    call: Call,
    x: Value,
    kernel: Value,
    bias: Value | None,
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    group: int = 1,
) -> Value:
    """A Conv on (n, c, …) with Keras' `valid`, `same` or `causal` padding."""
    shape = kernel.shape or ()
    window = [int(k) for k in shape[2:] if isinstance(k, int)]
    attributes: dict[str, Any] = {
        "kernel_shape": window,
        "strides": list(strides),
        "dilations": list(dilations),
    }
    if padding == "causal":
        attributes["pads"] = [dilations[0] * (window[0] - 1), 0]
    elif padding == "same" and any(k > 1 for k in window):
        attributes |= _same(x.shape or (), window, strides, dilations)
    return call.g.op("Conv", x, kernel, bias, group=group, **attributes)


def _same(
    shape: Sequence[Dim], window: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> dict[str, Any]:
    """Explicit pads where they are the same for every size, else SAME_UPPER."""
    begin: list[int] = []
    end: list[int] = []
    for size, k, s, d in zip(shape[2:], window, strides, dilations, strict=True):
        reach = d * (k - 1) + 1
        if s == 1:
            total = reach - 1
        elif isinstance(size, int):
            total = max((-(-size // s) - 1) * s + reach - size, 0)
        else:
            return {"auto_pad": "SAME_UPPER"}
        begin.append(total // 2)
        end.append(total - total // 2)
    return {"pads": begin + end}


def _names(call: Call, *kernels: str) -> list[str]:
    return [*kernels, "bias"] if call.get("use_bias", True) else list(kernels)


def _bias(call: Call, own: dict[str, Variable]) -> Value | None:
    return call.weight("bias", own["bias"]) if "bias" in own else None


def _finish(call: Call, value: Value) -> Tensor:
    return activate(call, call.from_spatial(value), call.config.get("activation"))


@layer("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D")
def conv(call: Call) -> Tensor:
    """Conv."""
    x = call.spatial(call.x)
    own = call.own(*_names(call, "kernel"))
    rank = len(own["kernel"].shape) - 2
    value = convolve(
        call,
        x,
        conv_kernel(call, "kernel", own["kernel"]),
        _bias(call, own),
        strides=spatial_list(call.get("strides", 1), rank),
        dilations=spatial_list(call.get("dilation_rate", 1), rank),
        padding=str(call.get("padding", "valid")),
        group=int(call.get("groups", 1)),
    )
    return _finish(call, value)


@layer("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(call: Call) -> Tensor:
    """Conv with one group a channel."""
    x = call.spatial(call.x)
    own = _depthwise_own(call)
    kernel = own["kernel"]
    rank = len(kernel.shape) - 2
    value = convolve(
        call,
        x,
        _depthwise_kernel(call, "kernel", kernel),
        _bias(call, own),
        strides=spatial_list(call.get("strides", 1), rank),
        dilations=spatial_list(call.get("dilation_rate", 1), rank),
        padding=str(call.get("padding", "valid")),
        group=kernel.shape[-2],
    )
    return _finish(call, value)


def _depthwise_own(call: Call) -> dict[str, Variable]:
    return call.own(*_names(call, "kernel"))


@layer("SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D")
def separable(call: Call) -> Tensor:
    """Conv with one group a channel, then Conv with a window of one."""
    x = call.spatial(call.x)
    own = call.own(*_names(call, "depthwise_kernel", "pointwise_kernel"))
    first, second = own["depthwise_kernel"], own["pointwise_kernel"]
    rank = len(first.shape) - 2
    middle = convolve(
        call,
        x,
        _depthwise_kernel(call, "depthwise_kernel", first),
        None,
        strides=spatial_list(call.get("strides", 1), rank),
        dilations=spatial_list(call.get("dilation_rate", 1), rank),
        padding=str(call.get("padding", "valid")),
        group=first.shape[-2],
    )
    ones = [1] * rank
    pointwise = conv_kernel(call, "pointwise_kernel", second)
    value = convolve(call, middle, pointwise, _bias(call, own), strides=ones, dilations=ones, padding="valid")
    return _finish(call, value)


def transposed_padding(
    k: int, s: int, d: int, padding: str, output_padding: int | None
) -> tuple[int, int, int]:
    """(cut at begin, cut at end, added at end) that give Keras' transposed output.

    ONNX: out = s · (in - 1) + added + d · (k - 1) + 1 - cuts.
    """
    reach = d * (k - 1) + 1
    if padding == "valid":
        added = max(s - reach, 0) if output_padding is None else output_padding
        return 0, 0, added
    total = s + reach - 2 if output_padding is None else reach + reach % 2 - 2 + output_padding
    left = min(total - total // 2, reach - 1)
    cut_left, cut_right = reach - 1 - left, reach - 1 - (total - left)
    return cut_left, max(cut_right, 0), max(-cut_right, 0)


@layer(
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "Convolution1DTranspose",
    "Convolution2DTranspose",
    "Convolution3DTranspose",
)
def conv_transpose(call: Call) -> Tensor:
    """ConvTranspose."""
    x = call.spatial(call.x)
    own = call.own(*_names(call, "kernel"))
    kernel = own["kernel"]
    rank = len(kernel.shape) - 2
    weight = call.weight("kernel", kernel, transpose=[rank + 1, rank, *range(rank)])
    strides = spatial_list(call.get("strides", 1), rank)
    dilations = spatial_list(call.get("dilation_rate", 1), rank)
    asked = call.config.get("output_padding")
    extra = spatial_list(asked, rank) if asked is not None else [None] * rank
    padding = str(call.get("padding", "valid"))
    cuts = [
        transposed_padding(k, s, d, padding, e)
        for k, s, d, e in zip(kernel.shape[:rank], strides, dilations, extra, strict=True)
    ]
    value = call.g.op(
        "ConvTranspose",
        x,
        weight,
        _bias(call, own),
        kernel_shape=list(kernel.shape[:rank]),
        strides=strides,
        dilations=dilations,
        pads=[c[0] for c in cuts] + [c[1] for c in cuts],
        output_padding=[c[2] for c in cuts],
    )
    return _finish(call, value)
