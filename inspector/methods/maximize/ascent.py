"""How is a picture found that makes an objective large? Ascent from noise or from the mean picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from inspector.autograd import steady
from inspector.errors import BadInput, NoGradientPath
from inspector.methods.maximize.objectives import Objective, Scene
from inspector.methods.maximize.parametrizations import Canvas, Parametrization, parametrization
from inspector.methods.maximize.redirecting import leaking_rectifiers, redirected_rectifiers
from inspector.methods.maximize.stage import Stage
from inspector.methods.maximize.transforms import Transform, looked_at
from inspector.progress import track

__all__ = ["Settings", "Visualization", "ascend", "with_rows", "with_seed"]

REDIRECTED_STEPS = 16
"""Steps at the start in which silent rectifiers pass gradients, as in lucid; 0 switches leaking off too."""

PATIENCE = 24
"""Steps after which a picture that no gradient has moved yet is given up."""

PLAIN_RATE = 1.0


@dataclass(frozen=True)
class Settings:
    """How to climb.

    `optimizer` "ascent" with "pixel" from the mean picture is Simonyan's method (2013, eq. 1): each step
    is `rate` levels of 255 (root mean square) along the gradient. `rate` None takes the parametrisation's.
    `transforms` None takes the parametrisation's; () none. `clip` limits the gradient's norm.
    """

    parametrization: str = "fourier"
    steps: int = 128
    rate: float | None = None
    optimizer: Literal["adam", "ascent"] = "adam"
    start: Literal["noise", "mean"] = "noise"
    transforms: tuple[Transform, ...] | None = None
    clip: float | None = None
    redirect: int = REDIRECTED_STEPS
    rows: int = 1
    size: tuple[int, int] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Visualization:
    """Pictures (n, h, w, 3) uint8, their scores before and after, and the mean score at every step.

    `before` and `after` are measured on the untouched pictures, `history` through the transforms.
    """

    objective: str
    pictures: npt.NDArray[np.uint8] = field(repr=False)
    before: tuple[float, ...]
    after: tuple[float, ...]
    history: tuple[float, ...] = field(repr=False)
    parametrization: str
    optimizer: str
    steps: int
    seed: int
    recipe: str

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "objective": self.objective,
            "before": list(self.before),
            "after": list(self.after),
            "history": list(self.history),
            "parametrization": self.parametrization,
            "optimizer": self.optimizer,
            "steps": self.steps,
            "seed": self.seed,
            "preprocess": self.recipe,
            "size": list(self.pictures.shape[1:3]),
        }


@steady()
def ascend(
    stage: Stage, wanted: Objective, settings: Settings = Settings(), *, reference: Tensor | None = None
) -> Visualization:
    """Climb the objective from a random start; two equal calls give equal bytes.

    `reference` (1, 3, h, w) of 0 … 1 is what a caricature exaggerates.

    Raises:
        NoGradientPath: no differentiable path leads from the picture to the objective, or its gradient is
            zero everywhere, also through silent rectifiers.
        BadInput: a caricature without a reference, or a layer, channel or place that does not fit.
    """
    climb = _Climb(stage, wanted, settings, reference)
    before = climb.score()
    history = list(climb.run())
    return Visualization(
        wanted.text,
        _bytes(climb.parameters.picture()),
        before,
        climb.score(),
        tuple(history),
        settings.parametrization,
        settings.optimizer,
        settings.steps,
        settings.seed,
        stage.recipe.describe(),
    )


def with_rows(settings: Settings, rows: int) -> Settings:
    """The settings for several pictures at once, as diversity needs them."""
    return replace(settings, rows=rows)


def with_seed(settings: Settings, seed: int) -> Settings:
    """The settings with another seed."""
    return replace(settings, seed=seed)


class _Climb:
    def __init__(self, stage: Stage, wanted: Objective, settings: Settings, reference: Tensor | None) -> None:
        if wanted.compares and reference is None:
            raise BadInput(f"{wanted.text} needs a reference picture: --input photo.jpg.")
        self.stage, self.wanted, self.settings = stage, wanted, settings
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.size = settings.size or stage.size
        like = torch.empty(0, dtype=stage.net.dtype, device=stage.net.device)
        start = None
        if settings.start == "mean":
            start = stage.mean_picture[None, :, None, None].expand(1, 3, *self.size)
        canvas = Canvas(settings.rows, *self.size, self.generator, like, start)
        self.parameters: Parametrization = parametrization(settings.parametrization, canvas)
        own = self.parameters.transforms if settings.start == "noise" else ()
        self.transforms = own if settings.transforms is None else settings.transforms
        self.early, self.late = self._rules()
        self.reference: dict[str, Tensor] = {}
        if reference is not None:
            with torch.no_grad():
                self.reference = stage.values(self._seen(reference.to(like)), wanted.layers)

    def _rules(self) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Overrides of rectifiers for the first steps, and for the others."""
        layers = self.wanted.layers
        if not self.settings.redirect or not layers:
            return {}, {}
        part = self.stage.part(layers)
        early = redirected_rectifiers(part)
        if self.settings.optimizer == "ascent":  # the published method, but for a dead start
            return early, {}
        late = leaking_rectifiers(part, layers, start=False)
        return early | leaking_rectifiers(part, layers, start=True), late

    def score(self) -> tuple[float, ...]:
        """The objective of the untouched pictures, one number a row."""
        with torch.no_grad():
            pictures = self.parameters.picture()
            numbers = self._measure(self._seen(pictures), pictures)
        return tuple(numbers.expand(len(pictures)).tolist())

    def run(self) -> Iterator[float]:
        """The mean objective of every step."""
        settings = self.settings
        rate = settings.rate or (self.parameters.rate if settings.optimizer == "adam" else PLAIN_RATE)
        adam = torch.optim.Adam(self.parameters.leaves, lr=rate) if settings.optimizer == "adam" else None
        patience, moved = min(PATIENCE, settings.steps), False
        what = f"Climbing {self.wanted.text}"
        for step in track(range(settings.steps), what, picture=self.shown):
            pictures = self.parameters.picture()
            seen = self._seen(pictures, self.transforms)
            rules = self.early if step < settings.redirect else self.late
            score = self._measure(seen, pictures, rules).mean()
            gradients = self._gradients(score)
            moved = moved or any(bool(gradient.any()) for gradient in gradients)
            if not moved and step + 1 >= patience:
                raise NoGradientPath(
                    f"{self.wanted.text} stays at {float(score.detach()):.4g}, with a gradient of zero "
                    f"everywhere for {patience} steps: it is silent or saturated. Choose another unit, an "
                    "earlier layer or another seed."
                )
            if adam is not None:
                for leaf, gradient in zip(self.parameters.leaves, gradients, strict=True):
                    leaf.grad = gradient
                adam.step()
            else:
                self._plain(gradients, rate)
            yield float(score.detach())

    def shown(self) -> npt.NDArray[np.uint8]:
        """The first picture as it is now, (h, w, 3)."""
        with torch.no_grad():
            return _bytes(self.parameters.picture())[0]

    def _gradients(self, score: Tensor) -> list[Tensor]:
        """Of the loss, which is minus the score."""
        found: list[Tensor | None] = [None]
        if score.requires_grad:
            found = list(torch.autograd.grad(-score, self.parameters.leaves, allow_unused=True))
        if all(gradient is None for gradient in found):
            raise NoGradientPath(
                f"{self.wanted.text} does not depend on the picture by any differentiable path: "
                "quantisation, rounding or ArgMax lies between. Choose an earlier layer."
            )
        gradients = [
            torch.zeros_like(leaf) if g is None else torch.nan_to_num(g)
            for leaf, g in zip(self.parameters.leaves, found, strict=True)
        ]
        if self.settings.clip is not None:
            norm = torch.stack([g.norm() for g in gradients]).norm()
            gradients = [g * (self.settings.clip / norm).clamp(max=1) for g in gradients]
        return gradients

    def _plain(self, gradients: list[Tensor], rate: float) -> None:
        with torch.no_grad():
            for leaf, gradient in zip(self.parameters.leaves, gradients, strict=True):
                axes = tuple(range(1, leaf.ndim))
                length = gradient.square().mean(axes, keepdim=True).sqrt().clamp(min=1e-12)
                leaf -= rate / 255 * gradient / length

    def _measure(self, seen: Tensor, pictures: Tensor, rules: dict[Any, Any] | None = None) -> Tensor:
        """One number a row; several views of a row (MaCo's crops) count by their mean."""
        values = self.stage.values(seen, self.wanted.layers, rules)
        numbers = self.wanted.measure(Scene(values, pictures, self.reference))
        if numbers.ndim and len(numbers) > len(pictures):
            return numbers.reshape(-1, len(pictures)).mean(0)
        return numbers

    def _seen(self, pictures: Tensor, transforms: tuple[Transform, ...] = ()) -> Tensor:
        return looked_at(pictures, transforms, self.generator, self.stage.size)


def _bytes(pictures: Tensor) -> npt.NDArray[np.uint8]:
    limited = pictures.detach().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(limited.permute(0, 2, 3, 1).cpu().numpy())
