"""What does one time step of a Keras cell compute? The steps that run inside a Scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from converters.keras_layers.activation import activate
from converters.keras_layers.convolution import conv_kernel, convolve, spatial_list
from converters.keras_translation.builder import Builder
from converters.keras_translation.call import Call
from converters.keras_translation.config import LayerSpec, parse_layer
from converters.keras_translation.tensor import Tensor, Value
from converters.keras_translation.variables import Branch, snake_case

__all__ = ["Cell", "cell_of", "conv_lstm_cell", "has_bias", "inside"]

Step = Callable[[Builder, Value, Sequence[Value]], tuple[Value, list[Value]]]


@dataclass(frozen=True, eq=False)
class Cell:
    """A step `(graph, input, states) -> (output, new states)`; shapes are without batch."""

    step: Step
    states: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]


def inside(branch: Branch, name: str, *attributes: str) -> Branch:
    """A contained branch, or the branch itself where old files do not nest."""
    found = branch.child(name, *attributes)
    return found if any(True for _ in found.everything()) else branch


def has_bias(call: Call) -> bool:
    """Whether the cell adds a bias."""
    return bool(call.config.get("use_bias", True))


def cell_of(call: Call, spec: LayerSpec, branch: Branch, path: str) -> Cell:
    """The step of a cell layer."""
    inner = replace(call, spec=spec, branch=branch, path=path)
    call.need(
        spec.is_stock and spec.class_name in _CELLS, f"its cell {spec.class_name} is not one of Keras' own"
    )
    return _CELLS[spec.class_name](inner)


def _function(call: Call, g: Builder, value: Value, key: str, default: str) -> Value:
    return activate(replace(call, g=g), Tensor(value), call.config.get(key, default)).value


def _weights(call: Call) -> tuple[Value, Value, Value | None, int]:
    names = ("kernel", "recurrent_kernel", "bias") if has_bias(call) else ("kernel", "recurrent_kernel")
    own = call.own(*names)
    bias = call.weight("bias", own["bias"]) if "bias" in own else None
    recurrent = own["recurrent_kernel"]
    return (
        call.weight("kernel", own["kernel"]),
        call.weight("recurrent_kernel", recurrent),
        bias,
        recurrent.shape[0],
    )


def _plus(g: Builder, value: Value, bias: Value | None) -> Value:
    return value if bias is None else g.op("Add", value, bias)


def _simple(call: Call) -> Cell:
    kernel, recurrent, bias, units = _weights(call)

    def step(g: Builder, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
        total = g.op("Add", _plus(g, g.op("MatMul", x, kernel), bias), g.op("MatMul", states[0], recurrent))
        h = _function(call, g, total, "activation", "tanh")
        return h, [h]

    return Cell(step, ((units,),), (units,))


def _lstm_gates(call: Call, g: Builder, gates: Sequence[Value], carry: Value) -> tuple[Value, Value]:
    """i, f, c, o to (h, c)."""
    i, f, o = (_function(call, g, gates[n], "recurrent_activation", "sigmoid") for n in (0, 1, 3))
    fresh = _function(call, g, gates[2], "activation", "tanh")
    c = g.op("Add", g.op("Mul", f, carry), g.op("Mul", i, fresh))
    return g.op("Mul", o, _function(call, g, c, "activation", "tanh")), c


def _lstm(call: Call) -> Cell:
    kernel, recurrent, bias, units = _weights(call)

    def step(g: Builder, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
        total = _plus(g, g.op("Add", g.op("MatMul", x, kernel), g.op("MatMul", states[0], recurrent)), bias)
        gates = g.ops("Split", total, outputs=4, axis=1, num_outputs=4)
        h, c = _lstm_gates(call, g, gates, states[1])
        return h, [h, c]

    return Cell(step, ((units,), (units,)), (units,))


def _gru(call: Call) -> Cell:
    """z, r and the candidate; `reset_after` says where the reset gate acts."""
    kernel, recurrent, bias, units = _weights(call)
    after = bool(call.config.get("reset_after", True))

    def step(g: Builder, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
        h = states[0]
        outer, inner = bias, None
        if bias is not None and after:
            outer, inner = (g.op("Gather", bias, g.const(i, "int64"), axis=0) for i in (0, 1))
        xs = g.ops("Split", _plus(g, g.op("MatMul", x, kernel), outer), outputs=3, axis=1, num_outputs=3)
        last: Value | None = None
        if after:
            hs = g.ops(
                "Split", _plus(g, g.op("MatMul", h, recurrent), inner), outputs=3, axis=1, num_outputs=3
            )
        else:
            gates, last = g.ops("Split", recurrent, g.ints(2 * units, units), outputs=2, axis=1)
            hs = g.ops("Split", g.op("MatMul", h, gates), outputs=2, axis=1, num_outputs=2)
        z = _function(call, g, g.op("Add", xs[0], hs[0]), "recurrent_activation", "sigmoid")
        r = _function(call, g, g.op("Add", xs[1], hs[1]), "recurrent_activation", "sigmoid")
        if after:
            memory = g.op("Mul", r, hs[2])
        else:
            memory = g.op("MatMul", g.op("Mul", r, h), last)
        fresh = _function(call, g, g.op("Add", xs[2], memory), "activation", "tanh")
        one = g.scalar(1.0, z)
        new = g.op("Add", g.op("Mul", z, h), g.op("Mul", g.op("Sub", one, z), fresh))
        return new, [new]

    return Cell(step, ((units,),), (units,))


def _stacked(call: Call) -> Cell:
    """The output of each cell is the input of the next."""
    cells: list[Cell] = []
    used: dict[str, int] = {}
    group = inside(call.branch, "", "cells")
    for row in call.get("cells", []):
        spec = parse_layer(row)
        kind = snake_case(spec.class_name)
        count = used.get(kind, -1) + 1
        used[kind] = count
        branch = inside(group, spec.name, f"{kind}_{count}" if count else kind)
        cells.append(cell_of(call, spec, branch, f"{call.path}/{spec.name}"))

    def step(g: Builder, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
        new: list[Value] = []
        rest = list(states)
        for cell in cells:
            mine, rest = rest[: len(cell.states)], rest[len(cell.states) :]
            x, made = cell.step(g, x, mine)
            new += made
        return x, new

    call.need(bool(cells), "it stacks no cells")
    return Cell(step, tuple(s for cell in cells for s in cell.states), cells[-1].output)


_CELLS: dict[str, Callable[[Call], Cell]] = {
    "SimpleRNNCell": _simple,
    "LSTMCell": _lstm,
    "GRUCell": _gru,
    "StackedRNNCells": _stacked,
}


def conv_lstm_cell(call: Call, branch: Branch, image: Sequence[int]) -> Cell:
    """An LSTM whose products are convolutions; `image` is the spatial size of its input."""
    inner = replace(call, branch=branch, path=f"{call.path}/cell")
    own = inner.own(*(["kernel", "recurrent_kernel"] + (["bias"] if has_bias(call) else [])))
    kernel = conv_kernel(inner, "kernel", own["kernel"])
    recurrent = conv_kernel(inner, "recurrent_kernel", own["recurrent_kernel"])
    bias = inner.weight("bias", own["bias"]) if "bias" in own else None
    rank = len(image)
    strides, dilations = (spatial_list(call.get(k, 1), rank) for k in ("strides", "dilation_rate"))
    padding = str(call.get("padding", "valid"))
    filters = own["recurrent_kernel"].shape[-2]
    window = own["kernel"].shape[:rank]
    sizes = [
        -(-n // s) if padding == "same" else (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(image, window, strides, dilations, strict=True)
    ]
    ones = [1] * rank

    def step(g: Builder, x: Value, states: Sequence[Value]) -> tuple[Value, list[Value]]:
        here = replace(inner, g=g)
        first = convolve(here, x, kernel, bias, strides=strides, dilations=dilations, padding=padding)
        second = convolve(here, states[0], recurrent, None, strides=ones, dilations=ones, padding="same")
        gates = g.ops("Split", g.op("Add", first, second), outputs=4, axis=1, num_outputs=4)
        h, c = _lstm_gates(inner, g, gates, states[1])
        return h, [h, c]

    shape: tuple[int, ...] = (filters, *sizes)
    return Cell(step, (shape, shape), shape)


def cell_name(config: Any) -> str:
    """Name of a serialised cell."""
    return parse_layer(config).name
