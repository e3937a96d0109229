"""What shall become large? Objectives over a net's values and the picture, composed by + - and *."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from inspector.errors import BadInput, UnknownName

__all__ = ["Objective", "Scene", "known_objectives", "objective"]


@dataclass(frozen=True)
class Scene:
    """One look at the pictures: `values` by layer name, each (n, c, …), and `pictures` (n, 3, h, w).

    `reference` holds the values of the picture that a caricature exaggerates.
    """

    values: Mapping[str, Tensor]
    pictures: Tensor
    reference: Mapping[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """A number for every picture, to be made large. `layers` are the names whose values it reads."""

    text: str
    layers: tuple[str, ...]
    measure: Callable[[Scene], Tensor]
    compares: bool = False

    def __add__(self, other: Objective | float) -> Objective:
        return _joined(self, other, "+", lambda a, b: a + b)

    def __radd__(self, other: float) -> Objective:
        return _joined(other, self, "+", lambda a, b: a + b)

    def __sub__(self, other: Objective | float) -> Objective:
        return _joined(self, other, "-", lambda a, b: a - b)

    def __rsub__(self, other: float) -> Objective:
        return _joined(other, self, "-", lambda a, b: a - b)

    def __mul__(self, other: Objective | float) -> Objective:
        return _joined(self, other, "*", lambda a, b: a * b)

    def __rmul__(self, other: float) -> Objective:
        return _joined(other, self, "*", lambda a, b: a * b)

    def __neg__(self) -> Objective:
        return -1.0 * self

    def __str__(self) -> str:
        return self.text


Factory = TypeVar("Factory", bound=Callable[..., Objective])
_KNOWN: dict[str, Callable[..., Objective]] = {}


def known_objectives() -> Mapping[str, Callable[..., Objective]]:
    """Makers of objectives by name."""
    return dict(_KNOWN)


def objective(name: str, *arguments: object) -> Objective:
    """An objective by name: `objective("channel", "relu_25", 281)`.

    Raises:
        UnknownName: no objective is called so.
    """
    if name not in _KNOWN:
        raise UnknownName.among("objective", name, _KNOWN)
    return _KNOWN[name](*arguments)


def _register(name: str) -> Callable[[Factory], Factory]:
    def keep(maker: Factory) -> Factory:
        if name in _KNOWN:
            raise ValueError(f"objective {name!r} is registered twice")
        _KNOWN[name] = maker
        return maker

    return keep


def _joined(
    left: Objective | float, right: Objective | float, sign: str, how: Callable[[Tensor, Tensor], Tensor]
) -> Objective:
    parts = [part for part in (left, right) if isinstance(part, Objective)]

    def measure(scene: Scene) -> Tensor:
        numbers = [
            part.measure(scene) if isinstance(part, Objective) else scene.pictures.new_tensor(float(part))
            for part in (left, right)
        ]
        return how(numbers[0], numbers[1])

    layers = dict.fromkeys(name for part in parts for name in part.layers)
    text = f"{_text(left)} {sign} {_text(right, tight=sign != '+')}"
    return Objective(
        f"({text})" if sign != "*" else text, tuple(layers), measure, any(p.compares for p in parts)
    )


def _text(part: Objective | float, *, tight: bool = False) -> str:
    if not isinstance(part, Objective):
        return f"{part:g}"
    bare = part.text.startswith("(") or " " not in part.text or not tight
    return part.text if bare else f"({part.text})"


def _channel(values: Tensor, layer: str, index: int) -> Tensor:
    if not -values.shape[1] <= index < values.shape[1]:
        raise BadInput(
            f"{layer}:{index}: the layer has {values.shape[1]} channels, 0 to {values.shape[1] - 1}."
        )
    return values[:, index].flatten(1) if values.ndim > 2 else values[:, index, None]


@_register("channel")
def channel(layer: str, index: int) -> Objective:
    """The mean of one channel over its places."""
    return Objective(
        f"{layer}:{index}", (layer,), lambda scene: _channel(scene.values[layer], layer, index).mean(1)
    )


@_register("neuron")
def neuron(layer: str, index: int, row: int | None = None, column: int | None = None) -> Objective:
    """One channel at one place, by default the middle one."""

    def measure(scene: Scene) -> Tensor:
        values = scene.values[layer]
        _channel(values, layer, index)
        places = values.shape[2:]
        asked = (row, column)[2 - len(places) :] if len(places) < 3 else (row, column)
        chosen = [size // 2 if at is None else at for size, at in zip(places, asked, strict=False)]
        if any(not -size <= at < size for size, at in zip(places, chosen, strict=True)):
            raise BadInput(
                f"{layer}:{index}@{row},{column}: the layer has {'×'.join(map(str, places))} places."
            )
        return values[(slice(None), index, *chosen)]

    where = "" if row is None else f"@{row},{column}"
    return Objective(f"{layer}:{index}{where}" if where else f"neuron:{layer}:{index}", (layer,), measure)


@_register("layer")
def layer(layer: str) -> Objective:
    """The mean square of a whole layer, as DeepDream takes it."""
    return Objective(
        f"layer:{layer}", (layer,), lambda scene: scene.values[layer].flatten(1).square().mean(1)
    )


@_register("direction")
def direction(layer: str, vector: Sequence[float]) -> Objective:
    """The mean over places of the product with a vector (c,) of unit length, times its cosine."""
    numbers = torch.tensor(list(vector))

    def measure(scene: Scene) -> Tensor:
        values = (
            scene.values[layer].flatten(2) if scene.values[layer].ndim > 2 else scene.values[layer][..., None]
        )
        if len(numbers) != values.shape[1]:
            raise BadInput(
                f"direction of {len(numbers)} numbers; layer {layer} has {values.shape[1]} channels."
            )
        wanted = functional.normalize(numbers.to(values), dim=0)
        product = (values * wanted[:, None]).sum(1)
        cosine = product / values.norm(dim=1).clamp(min=1e-8)
        return (product * cosine.clamp(min=0.1)).mean(1)

    return Objective(f"direction:{layer}", (layer,), measure)


@_register("logit")
def logit(layer: str, index: int) -> Objective:
    """The score of a class before any softmax; `layer` is the value that holds the scores."""
    return Objective(
        f"logit:{index}", (layer,), lambda scene: _channel(scene.values[layer], layer, index).mean(1)
    )


@_register("probability")
def probability(layer: str, index: int) -> Objective:
    """The logarithm of a class's probability; `layer` holds the scores before the softmax.

    Maximising it mostly lowers the other classes; its optimum is that of the probability itself.
    """

    def measure(scene: Scene) -> Tensor:
        scores = scene.values[layer]
        scores = scores.flatten(2).mean(2) if scores.ndim > 2 else scores
        return _channel(scores.log_softmax(1), layer, index)[:, 0]

    return Objective(f"probability:{index}", (layer,), measure)


@_register("diversity")
def diversity(layer: str) -> Objective:
    """How unlike the pictures of a batch are: minus the mean cosine between their Gram matrices."""

    def measure(scene: Scene) -> Tensor:
        values = (
            scene.values[layer].flatten(2) if scene.values[layer].ndim > 2 else scene.values[layer][..., None]
        )
        if len(values) < 2:
            raise BadInput("diversity compares several pictures: ask for a sheet of at least 2.")
        grams = functional.normalize((values @ values.transpose(1, 2)).flatten(1), dim=1)
        alike = grams @ grams.T
        others = alike - torch.diag_embed(alike.diagonal())
        return -others.sum(1) / (len(values) - 1)

    return Objective(f"diversity:{layer}", (layer,), measure)


@_register("caricature")
def caricature(layer: str, power: float = 1.0) -> Objective:
    """What a reference picture shows at a layer, exaggerated: product with its values, times their cosine."""

    def measure(scene: Scene) -> Tensor:
        values, wanted = scene.values[layer].flatten(1), scene.reference[layer].flatten(1)
        if values.shape[1] != wanted.shape[1]:
            raise BadInput(f"caricature of {layer}: picture and reference differ in size.")
        product = (values * wanted).mean(1)
        cosine = functional.cosine_similarity(values, wanted, dim=1)
        return product * cosine.clamp(min=0.1) ** power

    return Objective(f"caricature:{layer}", (layer,), measure, compares=True)


@_register("l2")
def l2() -> Objective:
    """Mean square of the picture around grey; subtract it."""
    return Objective("l2", (), lambda scene: (scene.pictures - 0.5).flatten(1).square().mean(1))


@_register("total-variation")
def total_variation() -> Objective:
    """Mean absolute step between neighbouring pixels; subtract it."""

    def measure(scene: Scene) -> Tensor:
        down = (scene.pictures[..., 1:, :] - scene.pictures[..., :-1, :]).abs().flatten(1).mean(1)
        along = (scene.pictures[..., 1:] - scene.pictures[..., :-1]).abs().flatten(1).mean(1)
        return down + along

    return Objective("total-variation", (), measure)


@_register("blur")
def blur() -> Objective:
    """Mean square of what a 5 × 5 binomial blur takes away; subtract it."""

    def measure(scene: Scene) -> Tensor:
        line = scene.pictures.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        kernel = torch.outer(line, line).expand(3, 1, 5, 5)
        padded = functional.pad(scene.pictures, (2, 2, 2, 2), mode="reflect")
        smooth = functional.conv2d(padded, kernel, groups=3)
        return (scene.pictures - smooth.detach()).flatten(1).square().mean(1)

    return Objective("blur", (), measure)
