"""How do Keras' recurrent layers become ONNX? LSTM, GRU and RNN where they fit, else a Scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import helper

from converters.keras_layers.activation import activation_name
from converters.keras_layers.recurrent_cells import Cell, cell_of, conv_lstm_cell, has_bias, inside
from converters.keras_layers.registry import base, layer
from converters.keras_translation.call import Call, flatten
from converters.keras_translation.config import LayerSpec, parse_layer
from converters.keras_translation.tensor import Dim, Tensor, Value
from converters.keras_translation.variables import Branch, Variable
from converters.provenance import Source, Step

__all__: list[str] = []

_FUSED: dict[str, tuple[str, dict[str, float]]] = {
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "relu": ("Relu", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "softsign": ("Softsign", {}),
    "softplus": ("Softplus", {}),
    "elu": ("Elu", {"alpha": 1.0}),
    "linear": ("Affine", {"alpha": 1.0, "beta": 0.0}),
}


@dataclass(frozen=True)
class _Run:
    """How a recurrent layer was asked to run."""

    backwards: bool
    sequences: bool
    state: bool
    aligned: bool
    zero_masked: bool
    mask: Tensor | None
    initial: list[Tensor]


def _run_of(call: Call) -> _Run:
    given = call.kwargs.get("initial_state", call.args[1] if len(call.args) > 1 else None)
    first = call.first_argument
    extra: list[Any] = list(first)[1:] if isinstance(first, (list, tuple)) else []
    return _Run(
        bool(call.get("go_backwards", False)),
        bool(call.get("return_sequences", False)),
        bool(call.get("return_state", False)),
        bool(call.kwargs.get("aligned", False)),
        bool(call.kwargs.get("zero_masked", call.get("zero_output_for_mask", False))),
        _sequence(call).mask if not isinstance(call.kwargs.get("mask"), Tensor) else call.kwargs["mask"],
        flatten([given, extra]),
    )


def _sequence(call: Call) -> Tensor:
    first = call.first_argument
    if isinstance(first, (list, tuple)):
        first = next(iter(first), None)
    call.need(isinstance(first, Tensor), "its input is no tensor")
    assert isinstance(first, Tensor)
    return first


def _finish(call: Call, run: _Run, outputs: Tensor, last: Tensor, states: Sequence[Tensor]) -> Any:
    result = outputs.masked(run.mask) if run.sequences else last
    return (result, *states) if run.state else result


@layer("SimpleRNN")
def simple_rnn(call: Call) -> Any:
    """RNN."""
    return _one_cell(call, "SimpleRNNCell", "simple_rnn_cell")


@layer("LSTM", "CuDNNLSTM")
def lstm(call: Call) -> Any:
    """LSTM; gates are reordered from i, f, c, o to i, o, f, c."""
    return _one_cell(call, "LSTMCell", "lstm_cell")


@layer("GRU")
def gru(call: Call) -> Any:
    """GRU."""
    return _one_cell(call, "GRUCell", "gru_cell")


def _one_cell(call: Call, cell_class: str, name: str) -> Any:
    run = _run_of(call)
    branch = inside(call.branch, name, "cell")
    fused = run.mask is None and _functions(call, cell_class) is not None
    if fused:
        return _fused(call, run, cell_class, branch)
    spec = LayerSpec(name, cell_class, "keras.layers", call.config)
    return _scan(call, run, cell_of(call, spec, branch, call.path))


def _functions(call: Call, cell_class: str) -> dict[str, Any] | None:
    """Activation attributes of the fused operator, or None where it has no such function."""
    default = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    keys = {
        "LSTMCell": ("recurrent_activation", "activation", "activation"),
        "GRUCell": ("recurrent_activation", "activation"),
        "SimpleRNNCell": ("activation",),
    }[cell_class]
    names: list[str] = []
    alpha: list[float] = []
    beta: list[float] = []
    for key in keys:
        setting = call.config.get(key, default[key])
        found = _FUSED.get(activation_name(setting))
        if found is None or (isinstance(setting, Mapping) and isinstance(setting.get("config"), Mapping)):
            return None
        names.append(found[0])
        alpha += [found[1]["alpha"]] if "alpha" in found[1] else []
        beta += [found[1]["beta"]] if "beta" in found[1] else []
    return {"activations": names, "activation_alpha": alpha or None, "activation_beta": beta or None}


_GATES = {
    "LSTMCell": (4, [0, 3, 1, 2], [0, 2, 3, 1]),
    "GRUCell": (3, None, None),
    "SimpleRNNCell": (1, None, None),
}
"""Number of gates, their order in ONNX, and the way back."""


def _pack(call: Call, name: str, variable: Variable, cell_class: str) -> Value:
    """(in, gates · units) becomes (1, gates · units, in)."""
    count, order, back = _GATES[cell_class]
    array = variable.read().transpose()
    steps: list[Step] = [["reshape", list(array.shape)]]
    if order is not None and back is not None:
        array = _blocks(array, count, order)
        steps.append(["blocks", 0, back])
    steps.append(["transpose", [1, 0]])
    path = f"{call.path}/{name}"
    packed = call.g.packed(path, array[np.newaxis], {variable: Source(path, steps)})
    return call.computed(packed)


def _blocks(array: np.ndarray[Any, Any], count: int, order: Sequence[int]) -> np.ndarray[Any, Any]:
    parts = np.split(array, count, axis=0)
    return np.concatenate([parts[i] for i in order], axis=0)


def _pack_bias(call: Call, variable: Variable, cell_class: str) -> Value:
    """(gates · units) beside zeros, or both rows of a GRU that resets after, as (1, 2 · gates · units)."""
    count, order, back = _GATES[cell_class]
    array = variable.read()
    path = f"{call.path}/bias"
    if array.ndim == 2:
        packed = call.g.packed(
            path, array.reshape(1, -1), {variable: Source(path, [["reshape", list(array.shape)]])}
        )
        return call.computed(packed)
    steps: list[Step] = [["slice", 1, 0, array.size], ["reshape", [array.size]]]
    if order is not None and back is not None:
        array = _blocks(array, count, order)
        steps.append(["blocks", 0, back])
    row = np.concatenate([array, np.zeros_like(array)])[np.newaxis]
    return call.computed(call.g.packed(path, row, {variable: Source(path, steps)}))


def _fused(call: Call, run: _Run, cell_class: str, branch: Branch) -> Any:
    g, x = call.g, call.plain(_sequence(call))
    names = ("kernel", "recurrent_kernel", "bias") if has_bias(call) else ("kernel", "recurrent_kernel")
    own = branch.own(names)
    units = own["recurrent_kernel"].shape[0]
    kind = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "RNN"}[cell_class]
    initial = [g.op("Unsqueeze", call.plain(t), g.ints(0)) for t in run.initial]
    states = 2 if kind == "LSTM" else 1
    outputs = g.ops(
        kind,
        call.transpose(x, [1, 0, 2]),
        _pack(call, "kernel", own["kernel"], cell_class),
        _pack(call, "recurrent_kernel", own["recurrent_kernel"], cell_class),
        _pack_bias(call, own["bias"], cell_class) if "bias" in own else None,
        None,
        *initial,
        outputs=1 + states,
        hidden_size=units,
        direction="reverse" if run.backwards else "forward",
        linear_before_reset=int(bool(call.config.get("reset_after", False))) if kind == "GRU" else None,
        **(_functions(call, cell_class) or {}),
    )
    finals = [Tensor(g.op("Squeeze", v, g.ints(0))) for v in outputs[1:]]
    sequence = finals[0]
    if run.sequences:
        steps = call.transpose(g.op("Squeeze", outputs[0], g.ints(1)), [1, 0, 2])
        sequence = Tensor(_flip(call, steps, 1) if run.backwards and not run.aligned else steps)
    return _finish(call, run, sequence, finals[0], finals)


def _flip(call: Call, value: Value, axis: int) -> Value:
    g = call.g
    return g.op("Slice", value, g.ints(-1), g.ints(-(2**62)), g.ints(axis), g.ints(-1), shape=value.shape)


@layer("RNN")
def rnn(call: Call) -> Any:
    """A Scan over the cell."""
    spec = parse_layer(call.config.get("cell"))
    branch = inside(call.branch, spec.name, "cell")
    return _scan(call, _run_of(call), cell_of(call, spec, branch, f"{call.path}/{spec.name}"))


def _scan(call: Call, run: _Run, cell: Cell) -> Any:
    """Steps over (time, batch, …); masked steps keep the states and repeat (or zero) the output."""
    x = call.plain(_sequence(call))
    scanned = call.transpose(x, [1, 0, *range(2, x.rank)])
    return _scan_first(call, run, cell, scanned, lambda v: v)


def _scan_first(call: Call, run: _Run, cell: Cell, x: Value, back: Any) -> Any:
    g = call.g
    batch: Dim = (x.shape or (None, None))[1]
    initial = [call.plain(t) for t in run.initial] or [_zeros(call, x, s) for s in cell.states]
    carried = [*initial, _zeros(call, x, cell.output)] if run.mask is not None else initial
    scanned = [x]
    if run.mask is not None:
        mask = call.transpose(call.plain(run.mask), [1, 0])
        ones = g.ints(*range(2, 2 + len(cell.output)))
        scanned.append(g.op("Unsqueeze", mask, ones))
    body = g.body()
    taken = [body.input(f"{call.path}/state", v.type, v.shape or ()) for v in carried]
    slices = [body.input(f"{call.path}/step", v.type, (v.shape or ())[1:]) for v in scanned]
    output, new = cell.step(body, slices[0], taken[: len(cell.states)])
    if run.mask is not None:
        kept = slices[1]
        new = [_select(call, body, kept, n, o) for n, o in zip(new, taken, strict=False)]
        before = body.scalar(0.0, output) if run.zero_masked else taken[-1]
        output = body.op("Where", kept, output, before)
        new.append(output)
    new = [body.op("Identity", v) for v in new]
    emitted = body.op("Identity", output)
    outputs = _emit(call, run, body, [*taken, *slices], [*new, emitted], [*carried, *scanned], len(scanned))
    shaped = [
        Value(v.name, x.type, (batch, *s)) for v, s in zip(outputs, [*cell.states, cell.output], strict=False)
    ]
    steps = Value(outputs[-1].name, x.type, ((x.shape or (None,))[0], batch, *cell.output))
    last = shaped[len(cell.states)] if run.mask is not None else _last(call, steps, run)
    order = [1, 0, *range(2, steps.rank)]
    sequence = Tensor(back(call.transpose(steps, order))) if run.sequences else Tensor(back(last))
    return _finish(
        call, run, sequence, Tensor(back(last)), [Tensor(back(v)) for v in shaped[: len(cell.states)]]
    )


def _last(call: Call, steps: Value, run: _Run) -> Value:
    g = call.g
    index = 0 if run.backwards and run.aligned else -1
    return g.op("Gather", steps, g.const(index, "int64"), axis=0)


def _select(call: Call, body: Any, kept: Value, new: Value, old: Value) -> Value:
    """The mask has the rank of the output; states of another rank get it reshaped."""
    if new.rank != kept.rank:
        kept = body.op("Reshape", kept, body.ints(-1, *([1] * (new.rank - 1))))
    return body.op("Where", kept, new, old)


def _zeros(call: Call, x: Value, shape: Sequence[int]) -> Value:
    """(batch, …) zeros; the batch of a (time, batch, …) value."""
    g = call.g
    batch = (x.shape or (None, None))[1]
    target = call.dims(x, [(x, 1), *shape])
    return g.op("Expand", g.scalar(0.0, x), target, shape=(batch, *shape))


def _emit(
    call: Call,
    run: _Run,
    body: Any,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    outside: Sequence[Value],
    scanned: int,
) -> list[Value]:
    graph = helper.make_graph(
        body.nodes,
        f"{call.path}/body",
        [helper.make_tensor_value_info(v.name, v.type, v.shape) for v in inputs],
        [helper.make_tensor_value_info(v.name, v.type, v.shape) for v in outputs],
    )
    backwards = int(run.backwards)
    return call.g.ops(
        "Scan",
        *outside,
        outputs=len(outputs),
        infer=False,
        body=graph,
        num_scan_inputs=scanned,
        scan_input_directions=[backwards] * scanned,
        scan_output_directions=[int(run.backwards and run.aligned)],
    )


@layer("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def conv_lstm(call: Call) -> Any:
    """A Scan over convolutions."""
    x = call.plain(_sequence(call))
    rank = x.rank
    if not call.channels_first:
        x = call.transpose(x, [1, 0, rank - 1, *range(2, rank - 1)])
    else:
        x = call.transpose(x, [1, 0, *range(2, rank)])
    image = [d for d in (x.shape or ())[3:] if isinstance(d, int)]
    call.need(len(image) == rank - 3, "it needs a known spatial size")
    branch = inside(call.branch, "conv_lstm_cell", "cell")
    cell = conv_lstm_cell(call, branch, image)
    run = _run_of(call)
    if not call.channels_first:
        run = replace(run, initial=[Tensor(call.first(t)) for t in run.initial])

    def back(value: Value) -> Value:
        if call.channels_first:
            return value
        lead = value.rank - len(cell.output)
        return call.transpose(value, [*range(lead), *range(lead + 1, value.rank), lead])

    return _scan_first(call, run, cell, x, back)


@layer("Bidirectional")
def bidirectional(call: Call) -> Any:
    """The layer forwards and its twin backwards, aligned in time and merged."""
    forward = parse_layer(call.config.get("layer"))
    backward = _backward_of(call, forward)
    sequences = bool(forward.config.get("return_sequences", False))
    initial = call.kwargs.get("initial_state", call.args[1] if len(call.args) > 1 else None)
    given = flatten(initial)
    half = len(given) // 2
    x = _sequence(call)
    common: dict[str, Any] = {"mask": call.kwargs.get("mask"), "zero_masked": sequences, "aligned": sequences}
    results: list[Any] = []
    for spec, attribute, states in (
        (forward, "forward_layer", given[:half]),
        (backward, "backward_layer", given[half:]),
    ):
        extra = {"initial_state": states} if states else {}
        results.append(call.child(spec, [attribute], x, **common, **extra))
    outs = [r[0] if isinstance(r, tuple) else r for r in results]
    states = [s for r in results if isinstance(r, tuple) for s in r[1:]]
    mask = outs[0].mask
    merged = _merge(call, call.config.get("merge_mode", "concat"), [call.plain(o) for o in outs])
    made = [Tensor(v, mask=mask) for v in merged]
    return (*made, *states) if states or len(made) > 1 else made[0]


def _backward_of(call: Call, forward: LayerSpec) -> LayerSpec:
    """The configured twin, or the forward layer turned round (Keras 2)."""
    row = call.config.get("backward_layer")
    if isinstance(row, dict):
        return parse_layer(row)
    name = forward.name.replace("forward_", "", 1)
    config = {**forward.config, "go_backwards": not forward.config.get("go_backwards", False)}
    return replace(forward, name=f"backward_{name}", config=config)


def _merge(call: Call, mode: Any, values: list[Value]) -> list[Value]:
    g = call.g
    if mode == "concat":
        return [g.op("Concat", *values, axis=values[0].rank - 1)]
    if mode in ("sum", "ave"):
        total = g.op("Add", *values)
        return [total if mode == "sum" else g.op("Div", total, g.scalar(2.0, total))]
    if mode == "mul":
        return [g.op("Mul", *values)]
    call.need(mode is None, f"the merge mode {mode!r} is not known")
    return values


@layer("TimeDistributed", masks=True)
def time_distributed(call: Call) -> Any:
    """Steps become part of the batch and come out again."""
    x = call.x
    value = call.plain(x)
    spec = parse_layer(call.config.get("layer"))
    inner = [
        d if isinstance(d, int) else (value, i + 2)
        for i, d in enumerate(value.shape[2:] if value.shape else ())
    ]
    flat = call.reshape(value, [-1, *inner])
    made = call.child(spec, ["layer"], Tensor(flat))
    call.need(isinstance(made, Tensor), "its layer has several outputs")
    result = call.plain(made)
    rest: list[Any] = [
        d if isinstance(d, int) else (result, i + 1) for i, d in enumerate((result.shape or ())[1:])
    ]
    steps = (value.shape or (None, None))[1]
    known = (value.shape or (None,))[0], steps, *(result.shape or ())[1:]
    lead: list[Any] = [(value, 0), steps if isinstance(steps, int) else (value, 1)]
    made_value = call.reshape(result, [*lead, *rest])
    return Tensor(Value(made_value.name, made_value.type, known))


base("runs inside RNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells")
