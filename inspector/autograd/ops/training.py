"""What does one step of an optimiser do? Adagrad, Adam and Momentum of ai.onnx.preview.training.

The inputs behind R (learning rate) and T (step count) come grouped: all X, all G, then the running state.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor

from inspector.autograd.registry import operator

DOMAIN = "ai.onnx.preview.training"


def _grouped(inputs: tuple[Tensor, ...], width: int) -> list[tuple[Tensor, ...]]:
    """One tuple an optimised tensor: (X, G, state …)."""
    if len(inputs) % width:
        raise ValueError(f"{len(inputs)} tensors do not come in groups of {width}")
    count = len(inputs) // width
    return [inputs[number::count] for number in range(count)]


def _flat(rows: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(chain.from_iterable(zip(*rows, strict=True)))


@operator("Adagrad", since=1, domain=DOMAIN)
def adagrad(
    rate: Tensor,
    count: Tensor,
    *inputs: Tensor,
    decay_factor: float,
    epsilon: float,
    norm_coefficient: float,
) -> tuple[Tensor, ...]:
    step = rate / (1 + count * decay_factor)
    rows: list[tuple[Tensor, ...]] = []
    for x, gradient, squares in _grouped(inputs, 3):
        regularised = norm_coefficient * x + gradient
        total = squares + regularised * regularised
        rows.append((x - step * regularised / (total.sqrt() + epsilon), total))
    return _flat(rows)


@operator("Adam", since=1, domain=DOMAIN, host=(1,))
def adam(
    rate: Tensor,
    count: Tensor,
    *inputs: Tensor,
    alpha: float,
    beta: float,
    epsilon: float,
    norm_coefficient: float,
    norm_coefficient_post: float,
) -> tuple[Tensor, ...]:
    steps = int(count)
    adjusted = rate * (1 - beta**steps) ** 0.5 / (1 - alpha**steps) if steps > 0 else rate
    rows: list[tuple[Tensor, ...]] = []
    for x, gradient, mean, square in _grouped(inputs, 4):
        regularised = norm_coefficient * x + gradient
        new_mean = alpha * mean + (1 - alpha) * regularised
        new_square = beta * square + (1 - beta) * regularised * regularised
        moved = x - adjusted * new_mean / (new_square.sqrt() + epsilon)
        rows.append(((1 - norm_coefficient_post) * moved, new_mean, new_square))
    return _flat(rows)


@operator("Momentum", since=1, domain=DOMAIN)
def momentum(
    rate: Tensor,
    count: Tensor,
    *inputs: Tensor,
    alpha: float,
    beta: float,
    mode: str,
    norm_coefficient: float,
) -> tuple[Tensor, ...]:
    scaled = torch.where(count > 0, beta, 1.0).to(rate.dtype)
    rows: list[tuple[Tensor, ...]] = []
    for x, gradient, velocity in _grouped(inputs, 3):
        regularised = norm_coefficient * x + gradient
        new = alpha * velocity + scaled * regularised
        direction = regularised + alpha * new if mode == "nesterov" else new
        rows.append((x - rate * direction, new))
    return _flat(rows)
