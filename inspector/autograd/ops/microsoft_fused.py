"""What do the fused operators of optimised files compute? Convolutions, products and Gelus of com.microsoft.

ONNX Runtime writes them when it saves an optimised graph; each is the plain operators it replaced, in a row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd.registry import Context, find, operator

DOMAIN = "com.microsoft"


def activated(x: Tensor, name: str | None, parameters: list[float] | None = None) -> Tensor:
    """A tensor after the activation that was fused into its producer; parameters in ONNX attribute order."""
    first, second, *_ = [*(parameters or []), None, None]
    if not name:
        return x
    if name == "Relu":
        return functional.relu(x)
    if name == "Tanh":
        return torch.tanh(x)
    if name == "Sigmoid":
        return torch.sigmoid(x)
    if name == "LeakyRelu":
        return functional.leaky_relu(x, 0.01 if first is None else first)
    if name == "Clip":
        return x.clamp(first, second)
    if name == "HardSigmoid":
        return ((0.2 if first is None else first) * x + (0.5 if second is None else second)).clamp(0, 1)
    if name == "HardSwish":
        return x * (x / 6 + 0.5).clamp(0, 1)
    raise ValueError(
        f"activation {name!r} is none of Relu, Tanh, Sigmoid, LeakyRelu, Clip, HardSigmoid, HardSwish"
    )


def convolve(x: Tensor, w: Tensor, b: Tensor | None, attributes: dict[str, Any]) -> Tensor:
    """The ai.onnx Conv with the attributes that are there and ONNX's defaults for the others."""
    conv = find("Conv", "", 11)
    assert conv is not None
    known = {"auto_pad": "NOTSET", "dilations": None, "group": 1, "kernel_shape": None, "pads": None}
    defaults: dict[str, Any] = {**known, "strides": None}
    return conv.function(x, w, b, **{name: attributes.get(name, value) for name, value in defaults.items()})


@operator("FusedConv", since=1, domain=DOMAIN)
def fused_conv(
    x: Tensor, w: Tensor, b: Tensor | None = None, z: Tensor | None = None, **attributes: Any
) -> Tensor:
    y = convolve(x, w, b, attributes)
    y = y if z is None else y + z
    return activated(y, attributes.get("activation"), attributes.get("activation_params"))


@operator("NhwcConv", since=1, domain=DOMAIN)
def nhwc_conv(x: Tensor, w: Tensor, b: Tensor | None = None, **attributes: Any) -> Tensor:
    """Input, kernel and output have their channels last: (n, h, w, c), kernel (m, kh, kw, c)."""
    return convolve(x.movedim(-1, 1), w.movedim(-1, 1), b, attributes).movedim(1, -1)


@operator("NhwcMaxPool", since=1, domain=DOMAIN)
def nhwc_max_pool(
    x: Tensor,
    *,
    kernel_shape: list[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
    context: Context,
) -> Tensor:
    """The largest of each window, channels last."""
    pool = find("MaxPool", "", 12)
    assert pool is not None
    y = pool.function(
        x.movedim(-1, 1),
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
        dilations=dilations,
        kernel_shape=kernel_shape,
        pads=pads,
        storage_order=0,
        strides=strides,
        context=context,
    )
    return (y[0] if isinstance(y, tuple) else y).movedim(1, -1)


def product(
    a: Tensor, b: Tensor, *, alpha: float, flip: tuple[int, int] = (0, 0), batch: tuple[int, int] = (0, 0)
) -> Tensor:
    """Alpha × a @ b; `flip` transposes the last two axes, `batch` moves axis 0 in front of the last one."""
    left, right = (
        _turned(factor, bool(turn), bool(move))
        for factor, turn, move in zip((a, b), flip, batch, strict=True)
    )
    y = left @ right
    return y if alpha == 1 else alpha * y


def _turned(x: Tensor, turn: bool, move: bool) -> Tensor:
    x = x.movedim(0, -2) if move else x
    return x.transpose(-1, -2) if turn and x.ndim > 1 else x


@operator("TransposeMatMul", since=1, domain=DOMAIN)
@operator("FusedMatMul", since=1, domain=DOMAIN)
def fused_matmul(
    a: Tensor,
    b: Tensor,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
) -> Tensor:
    return product(a, b, alpha=alpha, flip=(transA, transB), batch=(transBatchA, transBatchB))


@operator("FusedMatMulActivation", since=1, domain=DOMAIN)
def fused_matmul_activation(a: Tensor, b: Tensor, **attributes: Any) -> Tensor:
    flip = attributes.get("transA", 0), attributes.get("transB", 0)
    batch = attributes.get("transBatchA", 0), attributes.get("transBatchB", 0)
    y = product(a, b, alpha=attributes.get("alpha", 1.0), flip=flip, batch=batch)
    name = attributes["activation"]
    if name == "Softmax":
        return torch.softmax(y, attributes.get("activation_axis", -1))
    return activated(y, name, _parameters(attributes))


def _parameters(attributes: dict[str, Any]) -> list[float]:
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return [attributes[name] for name in names if name in attributes]


@operator("FusedGemm", since=1, domain=DOMAIN)
def fused_gemm(a: Tensor, b: Tensor, c: Tensor | None = None, **attributes: Any) -> Tensor:
    flip = attributes.get("transA", 0), attributes.get("transB", 0)
    y = product(a, b, alpha=attributes.get("alpha", 1.0), flip=flip)
    y = y if c is None else y + attributes.get("beta", 1.0) * c
    return activated(y, attributes.get("activation"), _parameters(attributes))


@operator("Gelu", since=1, domain=DOMAIN)
def gelu(x: Tensor) -> Tensor:
    return functional.gelu(x)


@operator("FastGelu", since=1, domain=DOMAIN)
def fast_gelu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", since=1, domain=DOMAIN)
def quick_gelu(x: Tensor, *, alpha: float = 1.702) -> Tensor:
    return x * torch.sigmoid(alpha * x)


@operator("BiasGelu", since=1, domain=DOMAIN)
def bias_gelu(a: Tensor, b: Tensor) -> Tensor:
    return functional.gelu(a + b)


@operator("GemmFastGelu", since=1, domain=DOMAIN)
def gemm_fast_gelu(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    return fast_gelu(x @ w, bias)


@operator("BiasSplitGelu", since=1, domain=DOMAIN)
def bias_split_gelu(x: Tensor, bias: Tensor) -> Tensor:
    value, gate = (x + bias).chunk(2, dim=-1)
    return value * functional.gelu(gate)


@operator("BiasAdd", since=1, domain=DOMAIN)
def bias_add(x: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
    return x + bias + skip


@operator("BiasSoftmax", since=1, domain=DOMAIN)
def bias_softmax(data: Tensor, bias: Tensor, *, is_inner_broadcast: int, axis: int = 1) -> Tensor:
    """Softmax over the axes from `axis` on; the bias repeats before it, or between its own axes and it."""
    axis %= data.ndim
    flat = data.reshape(*data.shape[:axis], -1)
    wide = bias.reshape(*bias.shape[: bias.ndim - (data.ndim - axis)], -1)
    if is_inner_broadcast:
        lead = [size for size in wide.shape[:-1] if size != 1] or [1]
        wide = wide.reshape(*lead, *[1] * (axis - len(lead)), wide.shape[-1])
    return torch.softmax(flat + wide, -1).reshape(data.shape)


@operator("Inverse", since=1, domain=DOMAIN)
def inverse(x: Tensor) -> Tensor:
    return torch.linalg.inv(x)


@operator("ComplexMul", since=1, domain=DOMAIN)
def complex_mul(a: Tensor, b: Tensor) -> Tensor:
    """Products of (real, imaginary) pairs on the last axis."""
    return torch.view_as_real(torch.view_as_complex(a.contiguous()) * torch.view_as_complex(b.contiguous()))


@operator("ExpandDims", since=1, domain=DOMAIN, host=(1,))
def expand_dims(x: Tensor, axis: Tensor) -> Tensor:
    return x.unsqueeze(int(axis))


@operator("GridSample", since=1, domain=DOMAIN)
def grid_sample(
    x: Tensor, grid: Tensor, *, align_corners: int = 0, mode: str = "bilinear", padding_mode: str = "zeros"
) -> Tensor:
    sample = find("GridSample", "", 16)
    assert sample is not None
    return sample.function(x, grid, align_corners=align_corners, mode=mode, padding_mode=padding_mode)


@operator("Trilu", since=1, domain=DOMAIN, host=(1,))
def trilu(x: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:
    plain = find("Trilu", "", 14)
    assert plain is not None
    return plain.function(x, k, upper=upper)
