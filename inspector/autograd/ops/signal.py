"""How does a signal become frequencies? DFT, STFT, windows and the mel matrix.

The transforms are differentiable. A complex signal has a last axis of length 2 (real, imaginary), a real one
of length 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inspector.autograd.ops.casts import torch_type
from inspector.autograd.registry import Context, operator


def _complex(x: Tensor) -> Tensor:
    """The signal without its last axis: real, or complex from its two parts."""
    if x.shape[-1] == 1:
        return x[..., 0]
    if x.shape[-1] != 2:
        raise ValueError(f"the last axis has length {x.shape[-1]}; 1 (real) or 2 (complex) is needed")
    return torch.complex(x[..., 0], x[..., 1])


def _parts(z: Tensor) -> Tensor:
    return torch.view_as_real(z.resolve_conj())


def _transform(x: Tensor, length: Tensor | None, axis: int, inverse: bool, onesided: bool) -> Tensor:
    axis %= x.ndim
    if axis == x.ndim - 1:
        raise ValueError("the last axis holds real and imaginary parts, it cannot be transformed")
    half = x.dtype if x.dtype in (torch.float16, torch.bfloat16) else None
    signal = _complex(x.float() if half else x)
    if length is not None:
        size = int(length)
    else:
        size = 2 * (x.shape[axis] - 1) if inverse and onesided else x.shape[axis]
    if inverse and onesided:
        whole = signal if signal.is_complex() else torch.complex(signal, torch.zeros_like(signal))
        result = torch.fft.irfft(whole, n=size, dim=axis).unsqueeze(-1)
    elif inverse:
        result = _parts(torch.fft.ifft(signal, n=size, dim=axis))
    elif onesided and not signal.is_complex():
        result = _parts(torch.fft.rfft(signal, n=size, dim=axis))
    else:
        result = _parts(torch.fft.fft(signal, n=size, dim=axis))
        result = result.narrow(axis, 0, size // 2 + 1) if onesided else result
    return result.to(half) if half else result


@operator("DFT", since=17, host=(1,))
def dft_17(x: Tensor, dft_length: Tensor | None = None, *, axis: int, inverse: int, onesided: int) -> Tensor:
    return _transform(x, dft_length, axis, bool(inverse), bool(onesided))


@operator("DFT", since=20, host=(1, 2))
def dft(
    x: Tensor,
    dft_length: Tensor | None = None,
    axis: Tensor | None = None,
    *,
    inverse: int,
    onesided: int,
) -> Tensor:
    return _transform(x, dft_length, -2 if axis is None else int(axis), bool(inverse), bool(onesided))


@operator("STFT", since=17, host=(1, 3))
def stft(
    signal: Tensor,
    frame_step: Tensor,
    window: Tensor | None = None,
    frame_length: Tensor | None = None,
    *,
    onesided: int,
) -> Tensor:
    if frame_length is not None:
        length = int(frame_length)
    else:
        length = signal.shape[1] if window is None else window.shape[0]
    if signal.ndim == 2:
        signal = signal.unsqueeze(-1)
    frames = _complex(signal).unfold(1, length, int(frame_step))
    frames = frames if window is None else frames * window
    if onesided and not frames.is_complex():
        return _parts(torch.fft.rfft(frames, n=length, dim=-1))
    result = _parts(torch.fft.fft(frames, n=length, dim=-1))
    return result.narrow(2, 0, length // 2 + 1) if onesided else result


def _cosines(size: Tensor, weights: tuple[float, ...], periodic: int, kind: int, context: Context) -> Tensor:
    """A window as a sum of cosines with alternating signs."""
    count = int(size)
    step = 2 * math.pi / max(count if periodic else count - 1, 1)
    turn = torch.arange(count, dtype=torch.float64) * step
    total = torch.zeros(count, dtype=torch.float64)
    for order, weight in enumerate(weights):
        total += (-1) ** order * weight * torch.cos(order * turn)
    return total.to(torch_type(kind, context)).to(context.device)


@operator("HannWindow", since=17, host=(0,), differentiable=False)
def hann_window(size: Tensor, *, periodic: int, output_datatype: int, context: Context) -> Tensor:
    return _cosines(size, (0.5, 0.5), periodic, output_datatype, context)


@operator("HammingWindow", since=17, host=(0,), differentiable=False)
def hamming_window(size: Tensor, *, periodic: int, output_datatype: int, context: Context) -> Tensor:
    return _cosines(size, (25 / 46, 21 / 46), periodic, output_datatype, context)


@operator("BlackmanWindow", since=17, host=(0,), differentiable=False)
def blackman_window(size: Tensor, *, periodic: int, output_datatype: int, context: Context) -> Tensor:
    return _cosines(size, (0.42, 0.5, 0.08), periodic, output_datatype, context)


@operator("MelWeightMatrix", since=17, host=(0, 1, 2, 3, 4), differentiable=False)
def mel_weight_matrix(
    num_mel_bins: Tensor,
    dft_length: Tensor,
    sample_rate: Tensor,
    lower_edge_hertz: Tensor,
    upper_edge_hertz: Tensor,
    *,
    output_datatype: int,
    context: Context,
) -> Tensor:
    """Triangles on the mel scale, (spectrogram bins, mel bins)."""
    mels, length = int(num_mel_bins), int(dft_length)
    low = _mel(float(lower_edge_hertz))
    high = _mel(float(upper_edge_hertz))
    edges = torch.arange(mels + 2, dtype=torch.float64) * ((high - low) / (mels + 2)) + low
    hertz = 700 * (torch.pow(10.0, edges / 2595) - 1)
    bins = ((length + 1) * hertz / int(sample_rate)).floor().long()
    left, centre, right = bins[:-2], bins[1:-1], bins[2:]
    place = torch.arange(length // 2 + 1).unsqueeze(1)
    rising = (place - left) / (centre - left).clamp(min=1)
    falling = (right - place) / (right - centre).clamp(min=1)
    up = torch.where((place >= left) & (place <= centre) & (centre > left), rising, 0.0)
    down = torch.where((place >= centre) & (place < right), falling, 0.0)
    peak = (place == centre) & (centre == left)
    matrix = torch.where(peak, 1.0, torch.where((place >= centre) & (right > centre), down, up))
    return matrix.to(torch_type(output_datatype, context)).to(context.device)


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)
