"""How does Keras' spectrogram layer become ONNX? A convolution with its stored Fourier kernels."""

from __future__ import annotations

from converters.keras_layers.convolution import convolve
from converters.keras_layers.registry import layer, opaque
from converters.keras_translation.call import Call
from converters.keras_translation.tensor import Tensor, Value
from converters.keras_translation.variables import Variable

__all__: list[str] = []

EPSILON = 1e-7


@layer("STFTSpectrogram")
def stft_spectrogram(call: Call) -> Tensor:
    """Conv with the real and imaginary kernels, then the asked mode."""
    mode = str(call.get("mode", "log"))
    names = {"imag": ["imag_kernel"], "real": ["real_kernel"]}.get(mode, ["real_kernel", "imag_kernel"])
    call.need(mode != "angle", "ONNX has no two-argument arctangent")
    own = call.own(*names)
    x = call.transpose(call.plain(call.x), [0, 2, 1]) if not call.channels_first else call.plain(call.x)
    channels = (x.shape or (None, None))[1]
    call.need(isinstance(channels, int), "it needs a known number of channels")
    assert isinstance(channels, int)
    g = call.g
    flat = g.op("Reshape", x, g.ints(-1, 1, 0)) if channels == 1 else _one_channel(call, x)
    parts = {name: _apply(call, flat, name, own[name], channels) for name in names}
    if len(parts) == 1:
        return _arrange(call, next(iter(parts.values())))
    real, imaginary = parts["real_kernel"], parts["imag_kernel"]
    if mode == "stft":
        return _arrange(call, g.op("Concat", real, imaginary, axis=2))
    power = g.op("Add", g.op("Mul", real, real), g.op("Mul", imaginary, imaginary))
    if mode == "psd":
        inner = g.op("Slice", power, g.ints(1), g.ints(-1), g.ints(2))
        padded = g.op("Pad", inner, g.ints(1, 1), g.scalar(0, power), g.ints(2), mode="constant")
        return _arrange(call, g.op("Add", power, padded))
    least = g.scalar(EPSILON, power)
    magnitude = g.op("Sqrt", g.op("Max", power, least))
    if mode == "magnitude":
        return _arrange(call, magnitude)
    return _arrange(call, g.op("Log", g.op("Max", magnitude, least)))


def _one_channel(call: Call, x: Value) -> Value:
    time = (x.shape or (None,) * 3)[2]
    call.need(isinstance(time, int), "several channels need a known length")
    assert isinstance(time, int)
    return call.g.op("Reshape", x, call.g.ints(-1, 1, time))


def _apply(call: Call, flat: Value, name: str, kernel: Variable, channels: int) -> Value:
    """(batch, channels, frequencies, time)."""
    step = int(call.get("frame_step", 1) or 1)
    weight = call.weight(name, kernel, transpose=[2, 1, 0])
    padding = str(call.get("padding", "valid"))
    made = convolve(call, flat, weight, None, strides=[step], dilations=[1], padding=padding)
    frequencies = kernel.shape[2]
    time = (made.shape or (None,) * 3)[2]
    known = [None, channels, frequencies, time]
    size = time if isinstance(time, int) else -1
    target = (
        call.g.ints(-1, channels, frequencies, size)
        if size != -1
        else call.g.ints(0, channels, frequencies, -1)
    )
    return call.g.op("Reshape", made, target, shape=known)


def _arrange(call: Call, value: Value) -> Tensor:
    last = not call.channels_first
    if call.get("expand_dims", False):
        return Tensor(call.transpose(value, [0, 3, 2, 1] if last else [0, 1, 3, 2]))
    shape = value.shape or (None,) * 4
    joined = shape[1] * shape[2] if isinstance(shape[1], int) and isinstance(shape[2], int) else -1
    merged = call.g.op("Reshape", value, call.g.ints(0, joined, -1), shape=[shape[0], joined, shape[3]])
    return Tensor(call.transpose(merged, [0, 2, 1]) if last else merged)


opaque("a centred short-time transform with a mel filter bank is not translated yet", "MelSpectrogram")
