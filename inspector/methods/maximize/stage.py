"""Where is a picture shown to the net? RGB of 0 … 1 on one side, any value of the model on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from inspector.autograd.cutting import between, value_shapes
from inspector.autograd.fast import optimised
from inspector.autograd.network import Network, to_torch
from inspector.errors import BadInput, InspectorError, NoGradientPath, NotRunnable
from inspector.execution import Preprocess, complete_feeds, picture_input, preprocess_of, select_values
from inspector.execution.axes import axes_of_value, channel_axis
from inspector.execution.preprocess import GRAY_WEIGHTS
from inspector.model import Model

__all__ = ["FREE_SIZE", "Stage", "open_stage", "recipe_at", "shown"]

FREE_SIZE = (224, 224)
"""Height and width where the model takes any."""

Overrides = Mapping[Any, Callable[..., Any]]


@dataclass(frozen=True, eq=False)
class Stage:
    """A differentiable model with its picture input `entry`, and the recipe that makes numbers of pixels."""

    model: Model
    net: Network
    entry: str
    recipe: Preprocess
    size: tuple[int, int]
    others: Mapping[str, Tensor]
    _parts: dict[tuple[str, ...], Network] = field(default_factory=dict, repr=False)

    @property
    def mean_picture(self) -> Tensor:
        """The colour (3,) that the recipe maps to zero, or grey where that is no colour."""
        factor, offset = self.recipe.affine
        colour = np.broadcast_to(-offset / factor / 255, (self.recipe.channel_count,))
        if not np.all((colour > 0) & (colour < 1)):
            colour = np.full(3, 0.5)
        colour = np.repeat(colour, 3) if len(colour) == 1 else colour[:3]
        ordered = colour[::-1] if self.recipe.channels == "BGR" else colour
        return torch.tensor(ordered.copy(), dtype=self.net.dtype, device=self.net.device)

    def numbers(self, pictures: Tensor) -> Tensor:
        """RGB pictures (n, 3, h, w) of 0 … 1 as the model's input; the recipe without its resizing."""
        pixels = pictures * 255
        match self.recipe.channels:
            case "GRAY":
                weights = torch.tensor(GRAY_WEIGHTS, dtype=pixels.dtype, device=pixels.device)
                pixels = (pixels * weights[:, None, None]).sum(1, keepdim=True)
            case "BGR":
                pixels = pixels.flip(1)
            case "RGBA":
                pixels = torch.cat([pixels, torch.full_like(pixels[:, :1], 255)], 1)
            case "RGB":
                pass
        factor, offset = (
            torch.tensor(part, dtype=pixels.dtype, device=pixels.device)[:, None, None]
            for part in self.recipe.affine
        )
        x = pixels * factor + offset
        axes = self.recipe.layout.replace("N", "") or "CHW"
        if axes == "HWC":
            x = x.permute(0, 2, 3, 1)
        elif axes == "HW":
            x = x[:, 0]
        return x if "N" in (self.recipe.layout or "N") else x[0]

    def key(self, layer: str) -> str:
        """The value that a name, node, scope or pattern means; of several the last.

        Raises:
            UnknownName: nothing is called so; near names are listed.
        """
        return select_values(self.model, layer)[-1]

    def values(
        self, pictures: Tensor, keys: Iterable[str], overrides: Overrides | None = None
    ) -> dict[str, Tensor]:
        """Values by key for RGB pictures, channels moved to axis 1: (n, c, …); differentiable.

        Raises:
            BadInput: the net does not take pictures of this size.
        """
        wanted = tuple(dict.fromkeys(keys))
        if not wanted:
            return {}
        part = self.part(wanted)
        if "N" not in (self.recipe.layout or "N") and len(pictures) > 1:
            found = [self.values(row[None], wanted, overrides) for row in pictures]
            return {key: torch.cat([one[key] for one in found]) for key in wanted}
        rows = len(pictures)
        feeds = {k: _repeated(v, rows) for k, v in self.others.items() if k in part.input_names}
        fitting = {k: rule for k, rule in (overrides or {}).items() if k[1] in part.node_names}
        try:
            run = part.run(feeds | {self.entry: self.numbers(pictures)}, overrides=fitting)
        except NotRunnable as cause:
            height, width = pictures.shape[-2:]
            if (height, width) == self.recipe.size:
                raise
            meant = "" if self.recipe.size is None else " It declares {} × {}.".format(*self.recipe.size)
            raise BadInput(
                f"the model cannot compute {', '.join(wanted)} for pictures of {height} × {width}.{meant} "
                f"Choose another size or an earlier layer. {cause}"
            ) from None
        return {key: self._first(key, value) for key, value in zip(wanted, run.outputs, strict=True)}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every top-level value for one picture, in order of execution."""
        blank = self.mean_picture[None, :, None, None].expand(1, 3, *self.size)
        feeds = dict(self.others) | {self.entry: self.numbers(blank)}
        with torch.no_grad():
            return value_shapes(self.net, feeds)

    @property
    def spatial(self) -> list[str]:
        """Every value (n, c, h, w) with more than one place, in order of execution."""
        return [k for k, s in self.shapes.items() if k != self.entry and len(s) == 4 and s[2] * s[3] > 1]

    def takes(self, size: tuple[int, int], keys: Iterable[str]) -> bool:
        """Whether these values can be computed for pictures of another size than the model declares."""
        probe = torch.zeros((1, 3, *size), dtype=self.net.dtype, device=self.net.device)
        try:
            with torch.no_grad():
                self.values(probe, keys)
        except (InspectorError, RuntimeError):
            return False
        return True

    def part(self, keys: tuple[str, ...]) -> Network:
        """What leads from the picture to these values."""
        if keys not in self._parts:
            part = between(self.net, [self.entry], list(keys))
            if self.entry not in part.block.inputs:
                raise NoGradientPath(f"{', '.join(keys)} does not depend on input {self.entry!r}.")
            if self.net.device.type == "cpu" and self.net.dtype == torch.float32:
                block, weights = optimised(part.block, part.weights)
                part = Network(block, weights, part.graph, fast=True, seed=part.seed).eval()
            self._parts[keys] = part.requires_grad_(False)
        return self._parts[keys]

    def _first(self, key: str, value: Any) -> Tensor:
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise BadInput(f"value {key!r} holds no floating numbers; choose another layer.")
        if value.ndim < 2:
            return value.reshape(-1, 1)
        axis = channel_axis(axes_of_value(self.model, key, tuple(value.shape)), value.ndim)
        return value.movedim(axis, 1) if axis else value[None]


def open_stage(
    model: Model,
    *,
    preprocess: str | Preprocess | None = None,
    size: tuple[int, int] | None = None,
    device: str = "cpu",
    double: bool = False,
) -> Stage:
    """The model as a stage for pictures.

    Raises:
        BadInput: the model takes no picture.
        NotRunnable: a part of it cannot be executed.
    """
    if model.obstacles:
        raise NotRunnable(f"{model.name} cannot be executed: {'; '.join(model.obstacles)}.")
    value = picture_input(model)
    recipe = preprocess_of(model, preprocess, value)
    net = to_torch(model)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    net = (net.double() if double else net).to(device)
    settled = size or recipe.size or FREE_SIZE
    declared = recipe.size or settled
    blank = recipe_at(recipe, declared).apply(np.zeros((*declared, 3), np.uint8))
    whole, _ = complete_feeds(model, {value.key: blank})
    others = {k: torch.from_numpy(np.array(v)).to(device) for k, v in whole.items() if k != value.key}
    return Stage(model, net, value.key, recipe, settled, others)


def shown(stage: Stage, picture: npt.NDArray[np.uint8]) -> Tensor:
    """A picture (h, w, 3) cut to what the stage shows, (1, 3, h, w) of 0 … 1."""
    placed = recipe_at(stage.recipe, stage.size).place(picture)[..., :3]
    values = torch.from_numpy(np.array(placed, np.float64) / 255).permute(2, 0, 1)[None]
    return values.to(stage.net.device, stage.net.dtype)


def recipe_at(recipe: Preprocess, size: tuple[int, int]) -> Preprocess:
    """The recipe for another size."""
    record = recipe.to_dict() | {"size": size}
    return Preprocess.from_dict(record)


def _repeated(value: Tensor, rows: int) -> Tensor:
    if value.ndim == 0 or value.shape[0] != 1 or rows == 1:
        return value
    return value.expand(rows, *value.shape[1:])
