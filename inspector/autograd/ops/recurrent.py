"""How do RNN, GRU and LSTM run over time? Own loops, so that every ONNX attribute works and has a gradient.

Gate order is ONNX's: i, o, f, c for LSTM and z, r, h for GRU. Inside, time is the first axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from inspector.autograd.registry import operator

Activation = Callable[[Tensor], Tensor]
States = tuple[Tensor, ...]
Cell = Callable[[Tensor, States], States]
"""(input projection of one step (n, gates × h), states) → new states; the first state is the output."""

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def _affine(x: Tensor, alpha: float, beta: float) -> Tensor:
    return alpha * x + beta


def _scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    return alpha * torch.tanh(beta * x)


def _hard_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


def _thresholded(x: Tensor, alpha: float, _beta: float) -> Tensor:
    return torch.where(x > alpha, x, torch.zeros_like(x))


PLAIN: dict[str, Activation] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softsign": functional.softsign,
    "softplus": functional.softplus,
}

SHAPED: dict[str, tuple[Callable[[Tensor, float, float], Tensor], float | None, float | None]] = {
    "affine": (_affine, 1.0, 0.0),
    "leakyrelu": (lambda x, alpha, _: functional.leaky_relu(x, alpha), 0.01, None),
    "thresholdedrelu": (_thresholded, 1.0, None),
    "scaledtanh": (_scaled_tanh, 1.0, 1.0),
    "hardsigmoid": (_hard_sigmoid, 0.2, 0.5),
    "elu": (lambda x, alpha, _: functional.elu(x, alpha), 1.0, None),
}
"""Activations with parameters: (function, default alpha, default beta); None where it has no such one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the three operators share; `activations` is one tuple a direction.

    The clip bounds what enters the gates; the cell state that enters LSTM's third activation is not bounded
    (ONNX says "the input of activations", ONNX Runtime leaves the state alone).
    """

    reverse: tuple[bool, ...]
    activations: tuple[tuple[Activation, ...], ...]
    batch_first: bool


def _settings(
    direction: str,
    names: Sequence[str] | None,
    default: Sequence[str],
    alphas: Sequence[float] | None,
    betas: Sequence[float] | None,
    clip: float | None,
    layout: int,
) -> Settings:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}; it is one of {', '.join(DIRECTIONS)}")
    reverse = DIRECTIONS[direction]
    count = len(default)
    wanted = list(names or list(default) * len(reverse))
    if len(wanted) < count * len(reverse):
        raise ValueError(f"{len(wanted)} activations, {direction} needs {count * len(reverse)}")
    left_alphas, left_betas = iter(alphas or ()), iter(betas or ())
    built = [
        _activation(name, left_alphas, left_betas, clip if place % count < 2 else None)
        for place, name in enumerate(wanted)
    ]
    groups = tuple(tuple(built[i * count : (i + 1) * count]) for i in range(len(reverse)))
    return Settings(reverse, groups, bool(layout))


def _activation(name: str, alphas: Iterator[float], betas: Iterator[float], clip: float | None) -> Activation:
    """One named activation; it takes the next alpha and beta of the node's lists if it has use for them."""
    key = name.lower()
    if key in PLAIN:
        function = PLAIN[key]
    elif key in SHAPED:
        shaped, alpha, beta = SHAPED[key]
        slope = next(alphas, alpha) if alpha is not None else 0.0
        shift = next(betas, beta) if beta is not None else 0.0
        assert slope is not None
        assert shift is not None

        def function(x: Tensor, /) -> Tensor:
            return shaped(x, slope, shift)
    else:
        known = ", ".join(sorted({*PLAIN, *SHAPED}))
        raise ValueError(f"activation {name!r} is none of {known}")
    if clip is None or clip == 0:
        return function
    return lambda x: function(x.clamp(-clip, clip))


def _check_size(hidden_size: int | None, r: Tensor) -> None:
    if hidden_size is not None and hidden_size != r.shape[-1]:
        raise ValueError(f"hidden_size is {hidden_size}, R has {r.shape[-1]}")


def _run(
    x: Tensor,
    settings: Settings,
    lengths: Tensor | None,
    starts: Sequence[Tensor | None],
    hidden: int,
    project: Callable[[int, Tensor], Tensor],
    cell: Callable[[int], Cell],
) -> tuple[Tensor, ...]:
    """Y and the last states, for all directions; `starts` has one initial value a state."""
    if settings.batch_first:
        x = x.transpose(0, 1)
        starts = [None if start is None else start.transpose(0, 1) for start in starts]
    time, batch = x.shape[:2]
    outputs: list[Tensor] = []
    lasts: list[States] = []
    for number, backwards in enumerate(settings.reverse):
        states = tuple(x.new_zeros(batch, hidden) if start is None else start[number] for start in starts)
        steps = project(number, x)
        step = cell(number)
        rows: list[Tensor] = [states[0]] * time
        for t in reversed(range(time)) if backwards else range(time):
            new = step(steps[t], states)
            rows[t] = new[0]
            if lengths is not None:
                alive = (t < lengths.to(x.device, non_blocking=True)).unsqueeze(1)
                rows[t] = torch.where(alive, new[0], torch.zeros_like(new[0]))
                new = tuple(torch.where(alive, n, old) for n, old in zip(new, states, strict=True))
            states = new
        outputs.append(torch.stack(rows) if rows else x.new_zeros(0, batch, hidden))
        lasts.append(states)
    y = torch.stack(outputs, 1)
    ends = tuple(torch.stack(parts) for parts in zip(*lasts, strict=True))
    if settings.batch_first:
        return y.permute(2, 0, 1, 3), *(end.transpose(0, 1) for end in ends)
    return y, *ends


def _split_bias(b: Tensor | None, number: int) -> tuple[Tensor | None, Tensor | None]:
    """Input and recurrent half of one direction's bias."""
    if b is None:
        return None, None
    first, second = b[number].chunk(2)
    return first, second


def _rnn(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    h0: Tensor | None,
    settings: Settings,
) -> tuple[Tensor, ...]:
    def project(number: int, steps: Tensor) -> Tensor:
        wb, rb = _split_bias(b, number)
        return functional.linear(steps, w[number], None if wb is None or rb is None else wb + rb)

    def cell(number: int) -> Cell:
        (f,) = settings.activations[number]
        return lambda step, states: (f(step + states[0] @ r[number].T),)

    return _run(x, settings, lengths, [h0], r.shape[-1], project, cell)


def _gru(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    h0: Tensor | None,
    settings: Settings,
    linear_before_reset: bool,
) -> tuple[Tensor, ...]:
    hidden = r.shape[-1]

    def project(number: int, steps: Tensor) -> Tensor:
        return functional.linear(steps, w[number], _split_bias(b, number)[0])

    def cell(number: int) -> Cell:
        f, g = settings.activations[number]
        rzr, rh = r[number].split([2 * hidden, hidden])
        rb = _split_bias(b, number)[1]
        bzr, bh = (None, None) if rb is None else rb.split([2 * hidden, hidden])

        def step(projected: Tensor, states: States) -> States:
            (h,) = states
            pzr, ph = projected.split([2 * hidden, hidden], dim=-1)
            z, reset = f(pzr + functional.linear(h, rzr, bzr)).chunk(2, dim=-1)
            if linear_before_reset:
                candidate = g(ph + reset * functional.linear(h, rh, bh))
            else:
                candidate = g(ph + functional.linear(reset * h, rh, bh))
            return ((1 - z) * candidate + z * h,)

        return step

    return _run(x, settings, lengths, [h0], hidden, project, cell)


def _lstm(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    p: Tensor | None,
    settings: Settings,
    input_forget: bool,
) -> tuple[Tensor, ...]:
    def project(number: int, steps: Tensor) -> Tensor:
        wb, rb = _split_bias(b, number)
        return functional.linear(steps, w[number], None if wb is None or rb is None else wb + rb)

    def cell(number: int) -> Cell:
        f, g, h = settings.activations[number]
        pi, po, pf = (0.0, 0.0, 0.0) if p is None else p[number].chunk(3)

        def step(projected: Tensor, states: States) -> States:
            hidden, memory = states
            gi, go, gf, gc = (projected + hidden @ r[number].T).chunk(4, dim=-1)
            i = f(gi + pi * memory)
            forget = 1 - i if input_forget else f(gf + pf * memory)
            new = forget * memory + i * g(gc)
            return f(go + po * new) * h(new), new

        return step

    return _run(x, settings, lengths, [h0, c0], r.shape[-1], project, cell)


@operator("RNN", since=1)
def rnn(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    sequence_lens: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    activations: list[str] | None,
    activation_alpha: list[float] | None,
    activation_beta: list[float] | None,
    clip: float | None,
    direction: str,
    hidden_size: int | None,
    layout: int = 0,
    output_sequence: int = 1,
) -> tuple[Tensor, ...]:
    _check_size(hidden_size, r)
    settings = _settings(direction, activations, ["Tanh"], activation_alpha, activation_beta, clip, layout)
    return _rnn(x, w, r, b, sequence_lens, initial_h, settings)


@operator("GRU", since=1)
def gru_1(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    sequence_lens: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    activations: list[str] | None,
    activation_alpha: list[float] | None,
    activation_beta: list[float] | None,
    clip: float | None,
    direction: str,
    hidden_size: int | None,
    output_sequence: int = 1,
) -> tuple[Tensor, ...]:
    default = ["Sigmoid", "Tanh"]
    _check_size(hidden_size, r)
    settings = _settings(direction, activations, default, activation_alpha, activation_beta, clip, 0)
    return _gru(x, w, r, b, sequence_lens, initial_h, settings, linear_before_reset=False)


@operator("GRU", since=3)
def gru(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    sequence_lens: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    activations: list[str] | None,
    activation_alpha: list[float] | None,
    activation_beta: list[float] | None,
    clip: float | None,
    direction: str,
    hidden_size: int | None,
    linear_before_reset: int,
    layout: int = 0,
    output_sequence: int = 1,
) -> tuple[Tensor, ...]:
    default = ["Sigmoid", "Tanh"]
    _check_size(hidden_size, r)
    settings = _settings(direction, activations, default, activation_alpha, activation_beta, clip, layout)
    return _gru(x, w, r, b, sequence_lens, initial_h, settings, bool(linear_before_reset))


@operator("LSTM", since=1)
def lstm(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    sequence_lens: Tensor | None = None,
    initial_h: Tensor | None = None,
    initial_c: Tensor | None = None,
    p: Tensor | None = None,
    *,
    activations: list[str] | None,
    activation_alpha: list[float] | None,
    activation_beta: list[float] | None,
    clip: float | None,
    direction: str,
    hidden_size: int | None,
    input_forget: int,
    layout: int = 0,
    output_sequence: int = 1,
) -> tuple[Tensor, ...]:
    default = ["Sigmoid", "Tanh", "Tanh"]
    _check_size(hidden_size, r)
    settings = _settings(direction, activations, default, activation_alpha, activation_beta, clip, layout)
    return _lstm(x, w, r, b, sequence_lens, initial_h, initial_c, p, settings, bool(input_forget))
