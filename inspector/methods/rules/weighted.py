"""How does a layer with weights share relevance among its inputs? The propagation rules of LRP."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inspector.methods.rules.relevance import Call, pulled_back

__all__ = ["RULES", "Layer", "Settings", "Shares", "stabilised"]


@dataclass(frozen=True)
class Settings:
    """Numbers of the rules; `low` and `high` bound the input for z-box, (n, …)."""

    epsilon: float
    gamma: float
    alpha: float
    low: Tensor
    high: Tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """An operator with an input x, a weight and maybe a bias, run with others in their place."""

    call: Call
    settings: Settings

    @property
    def x(self) -> Tensor:
        """What went in."""
        return self.call.inputs[0]

    @property
    def weight(self) -> Tensor:
        """The stored weight."""
        return self.call.inputs[1]

    @property
    def bias(self) -> Tensor | None:
        """The stored bias, if any."""
        return self.call.inputs[2] if len(self.call.inputs) > 2 else None

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's output; no bias means 0."""
        return self.call.function(*self._inputs(x, weight, bias))

    def back(self, weight: Tensor, part: Tensor) -> Tensor:
        """The transposed layer with another weight."""
        single = dataclasses.replace(self.call, varying=(0,))
        return pulled_back(single, self._inputs(self.x, weight, None), [part])[0]

    def shared(
        self, part: Tensor, on_positive: Tensor, on_negative: Tensor, bias: Tensor | None, x: Tensor
    ) -> Shares:
        """Relevance in proportion to x⁺ · one weight + x⁻ · another + bias."""
        up, down = x.clamp(min=0), x.clamp(max=0)
        rising, falling = self.forward(up, on_positive, bias), self.forward(down, on_negative, None)
        share = part / stabilised(rising + falling, self.settings.epsilon)
        kept = share.new_zeros(())
        if bias is not None:
            kept = (share * (rising - self.forward(up, on_positive, None))).sum()
        return Shares(up * self.back(on_positive, share) + down * self.back(on_negative, share), kept)

    def _inputs(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
        if self.bias is None:
            return [x, weight]
        return [x, weight, torch.zeros_like(self.bias) if bias is None else bias]


@dataclass(frozen=True, eq=False)
class Shares:
    """What a layer hands to its input, and how much (a scalar, over all rows) its bias keeps."""

    passed: Tensor
    kept: Tensor

    def plus(self, other: Shares, factor: float = 1.0) -> Shares:
        """Both together, the other times a factor."""
        return Shares(self.passed + factor * other.passed, self.kept + factor * other.kept)


def stabilised(value: Tensor, epsilon: float) -> Tensor:
    """The value moved away from 0 by epsilon; 0 counts as positive. Without epsilon, 0 shares nothing."""
    if not epsilon:
        return value.masked_fill(value == 0, torch.inf)
    away = torch.full_like(value, epsilon)
    return value + torch.where(value >= 0, away, -away)


def _epsilon(layer: Layer, part: Tensor) -> Shares:
    return layer.shared(part, layer.weight, layer.weight, layer.bias, layer.x)


def _gamma(layer: Layer, part: Tensor) -> Shares:
    """Weights that agree with the output's sign count 1 + gamma times."""
    gamma, weight, bias = layer.settings.gamma, layer.weight, layer.bias
    more, less = weight + gamma * weight.clamp(min=0), weight + gamma * weight.clamp(max=0)
    more_bias = None if bias is None else bias + gamma * bias.clamp(min=0)
    less_bias = None if bias is None else bias + gamma * bias.clamp(max=0)
    positive = layer.call.outputs[0] >= 0
    above = layer.shared(part * positive, more, less, more_bias, layer.x)
    return above.plus(layer.shared(part * ~positive, less, more, less_bias, layer.x))


def _alpha_beta(layer: Layer, part: Tensor) -> Shares:
    return _signed(layer, part, layer.settings.alpha)


def _z_plus(layer: Layer, part: Tensor) -> Shares:
    return _signed(layer, part, 1.0)


def _signed(layer: Layer, part: Tensor, alpha: float) -> Shares:
    """Alpha times the shares of positive products, minus alpha - 1 times those of negative ones."""
    bias = layer.bias
    up, down = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
    found = layer.shared(alpha * part, up, down, None if bias is None else bias.clamp(min=0), layer.x)
    if alpha == 1:
        return found
    against = layer.shared(part, down, up, None if bias is None else bias.clamp(max=0), layer.x)
    return found.plus(against, 1 - alpha)


def _w_square(layer: Layer, part: Tensor) -> Shares:
    squared = layer.weight.square()
    return layer.shared(part, squared, squared, None, torch.ones_like(layer.x))


def _flat(layer: Layer, part: Tensor) -> Shares:
    ones = torch.ones_like(layer.weight)
    return layer.shared(part, ones, ones, None, torch.ones_like(layer.x))


def _z_box(layer: Layer, part: Tensor) -> Shares:
    """For inputs between bounds: x·w - low·w⁺ - high·w⁻, whose terms are never negative."""
    low, high = layer.settings.low, layer.settings.high
    weight, up, down = layer.weight, layer.weight.clamp(min=0), layer.weight.clamp(max=0)
    total = layer.forward(layer.x, weight, None) - layer.forward(low, up, None)
    share = part / stabilised(total - layer.forward(high, down, None), layer.settings.epsilon)
    found = layer.x * layer.back(weight, share) - low * layer.back(up, share) - high * layer.back(down, share)
    return Shares(found, share.new_zeros(()))


RULES: Mapping[str, Callable[[Layer, Tensor], Shares]] = {
    "epsilon": _epsilon,
    "gamma": _gamma,
    "alpha-beta": _alpha_beta,
    "z-plus": _z_plus,
    "w-square": _w_square,
    "flat": _flat,
    "z-box": _z_box,
}
