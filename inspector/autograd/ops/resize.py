"""Resampling: one dense (out, in) weight matrix an axis covers every mode at any rank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.autograd.registry import operator

__all__: list[str] = []


@dataclass(frozen=True)
class Sampling:
    """How output positions map to input positions, and how neighbours are weighed."""

    mode: str
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    extrapolation: float = 0.0


@dataclass(frozen=True)
class Axis:
    """One axis: lengths before and after, the scale, and the region of interest."""

    size: int
    out: int
    scale: float
    start: float = 0.0
    end: float = 1.0


@operator("Resize", since=18, host=(1, 2, 3))
@operator("Resize", since=19, host=(1, 2, 3))
def resize(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    antialias: int,
    axes: list[int] | None,
    coordinate_transformation_mode: str,
    cubic_coeff_a: float,
    exclude_outside: int,
    extrapolation_value: float,
    keep_aspect_ratio_policy: str,
    mode: str,
    nearest_mode: str,
) -> Tensor:
    sampling = Sampling(
        mode,
        coordinate_transformation_mode,
        nearest_mode,
        cubic_coeff_a,
        bool(exclude_outside),
        bool(antialias),
        extrapolation_value,
    )
    listed = [a % x.ndim for a in axes] if axes is not None else list(range(x.ndim))
    lengths = [x.shape[a] for a in listed]
    if sizes is not None and sizes.numel():
        outs, factors = _by_sizes(lengths, sizes.tolist(), keep_aspect_ratio_policy)
    elif scales is not None and scales.numel():
        factors = [float(s) for s in scales.double().tolist()]
        outs = [math.floor(n * s) for n, s in zip(lengths, factors, strict=True)]
    else:
        raise ValueError("neither scales nor sizes is given")
    region = (
        roi.double().tolist() if roi is not None and roi.numel() else [0.0] * len(outs) + [1.0] * len(outs)
    )
    plan = {
        a: Axis(n, o, s, region[i], region[i + len(listed)])
        for i, (a, n, o, s) in enumerate(zip(listed, lengths, outs, factors, strict=True))
    }
    return _resampled(x, plan, sampling)


def _by_sizes(lengths: list[int], sizes: list[int], policy: str) -> tuple[list[int], list[float]]:
    factors = [want / n for want, n in zip(sizes, lengths, strict=True)]
    if policy == "stretch":
        return sizes, factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [math.floor(n * factor + 0.5) for n in lengths], [factor] * len(lengths)


@operator("Resize", since=11, host=(1, 2, 3))
@operator("Resize", since=13, host=(1, 2, 3))
def resize_11(
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    coordinate_transformation_mode: str,
    cubic_coeff_a: float,
    exclude_outside: int,
    extrapolation_value: float,
    mode: str,
    nearest_mode: str,
) -> Tensor:
    return resize(
        x,
        roi,
        scales,
        sizes,
        antialias=0,
        axes=None,
        coordinate_transformation_mode=coordinate_transformation_mode,
        cubic_coeff_a=cubic_coeff_a,
        exclude_outside=exclude_outside,
        extrapolation_value=extrapolation_value,
        keep_aspect_ratio_policy="stretch",
        mode=mode,
        nearest_mode=nearest_mode,
    )


@operator("Upsample", since=9, host=(1,))
@operator("Upsample", since=10, host=(1,))
@operator("Resize", since=10, host=(1,))
def resize_10(x: Tensor, scales: Tensor, *, mode: str) -> Tensor:
    return _plain(x, scales.double().tolist(), mode)


@operator("Upsample", since=7)
def upsample_7(x: Tensor, *, mode: str, scales: list[float]) -> Tensor:
    return _plain(x, scales, mode)


@operator("Upsample", since=1)
def upsample_1(x: Tensor, *, height_scale: float, mode: str, width_scale: float) -> Tensor:
    return _plain(x, [1.0, 1.0, height_scale, width_scale], mode)


def _plain(x: Tensor, scales: list[float], mode: str) -> Tensor:
    """Before opset 11: no choice of coordinates; nearest takes the floor, and the ceiling when shrinking."""
    plan = {a: Axis(n, math.floor(n * s), s) for a, (n, s) in enumerate(zip(x.shape, scales, strict=True))}
    return _resampled(
        x, plan, Sampling("linear" if mode in ("linear", "bilinear") else "nearest", "asymmetric", "simple")
    )


def _resampled(x: Tensor, plan: dict[int, Axis], sampling: Sampling) -> Tensor:
    dtype = x.dtype
    y = x if sampling.mode == "nearest" or dtype.is_floating_point else x.float()
    outside: Tensor | None = None
    for number, axis in plan.items():
        cropped = sampling.coordinates == "tf_crop_and_resize"
        if axis.out == axis.size and axis.scale == 1.0 and not cropped:
            continue
        positions = _positions(axis, sampling)
        if sampling.mode == "nearest":
            chosen = _nearest(positions, axis, sampling).clamp(0, axis.size - 1).long()
            y = y.index_select(number, chosen.to(y.device, non_blocking=True))
        else:
            matrix = _weights(positions, axis, sampling).to(y, non_blocking=True)
            y = (y.movedim(number, -1) @ matrix.mT).movedim(-1, number)
        if cropped:
            lost = ((positions < 0) | (positions > axis.size - 1)).to(y.device, non_blocking=True)
            lost = lost.reshape(-1, *([1] * (x.ndim - 1 - number)))
            outside = lost if outside is None else outside | lost
    if outside is not None:
        y = torch.where(outside, torch.full((), sampling.extrapolation, dtype=y.dtype, device=y.device), y)
    return y if y.dtype == dtype else y.to(dtype)


def _positions(axis: Axis, sampling: Sampling) -> Tensor:
    """The input coordinate of every output position (the formulas of the Resize specification)."""
    place = torch.arange(axis.out, dtype=torch.float64)
    length = axis.scale * axis.size
    match sampling.coordinates:
        case "asymmetric":
            return place / axis.scale
        case "align_corners":
            return place * 0 if length == 1 else place * (axis.size - 1) / (length - 1)
        case "pytorch_half_pixel" if length == 1:
            return place * 0 - 0.5
        case "tf_half_pixel_for_nn":
            return (place + 0.5) / axis.scale
        case "half_pixel_symmetric":
            offset = axis.size / 2 * (1 - axis.out / length)
            return offset + (place + 0.5) / axis.scale - 0.5
        case "tf_crop_and_resize":
            span = (axis.end - axis.start) * (axis.size - 1)
            inner = place * 0 + span / 2 if length == 1 else place * span / (length - 1)
            return axis.start * (axis.size - 1) + inner
        case "half_pixel" | "pytorch_half_pixel":
            return (place + 0.5) / axis.scale - 0.5
        case other:
            raise NotImplementedError(f"coordinate_transformation_mode {other!r}")


def _nearest(positions: Tensor, axis: Axis, sampling: Sampling) -> Tensor:
    match sampling.nearest:
        case "round_prefer_floor":
            return torch.ceil(positions - 0.5)
        case "round_prefer_ceil":
            return torch.floor(positions + 0.5)
        case "ceil":
            return torch.ceil(positions)
        case "simple" if axis.scale < 1:
            return torch.ceil(positions)
        case "floor" | "simple":
            return torch.floor(positions)
        case other:
            raise NotImplementedError(f"nearest_mode {other!r}")


def _weights(positions: Tensor, axis: Axis, sampling: Sampling) -> Tensor:
    squeeze = min(axis.scale, 1.0) if sampling.antialias else 1.0
    cubic = sampling.mode == "cubic"
    reach = math.ceil((2 if cubic else 1) / squeeze) + 1
    taps = torch.floor(positions)[:, None] + torch.arange(-reach, reach + 2)
    distance = (taps - positions[:, None]).abs() * squeeze
    weights = _cubic(distance, sampling.cubic_a) if cubic else (1 - distance).clamp(0, 1)
    if sampling.exclude_outside:
        weights = torch.where((taps < 0) | (taps >= axis.size), 0.0, weights)
    if sampling.antialias or sampling.exclude_outside:
        weights = weights / weights.sum(1, keepdim=True)
    columns = taps.clamp(0, axis.size - 1).long()
    return torch.zeros((axis.out, axis.size), dtype=torch.float64).scatter_add(1, columns, weights)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
