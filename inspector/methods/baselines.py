"""What does "nothing" look like? Reference inputs that a path starts from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  the name everybody knows
from torch import Tensor

from inspector.errors import BadInput, UnknownName
from inspector.methods.subject import Subject

__all__ = ["BASELINES", "Baseline", "background_of", "baseline_of", "plain_picture"]

Baseline = str | npt.ArrayLike | None

BASELINES = ("zero", "mean", "blur", "noise", "black", "white")
"""zero: 0 at the network's input, which is the mean colour where a recipe subtracts it. black and white:
those pixels as the recipe prepares them. mean: each channel's mean. blur: the input without its details.
noise: uniform in the input's range."""


def baseline_of(subject: Subject, baseline: Baseline) -> tuple[Tensor, str]:
    """One reference for every row of the explained value, in its shape, and what to call it.

    Raises:
        UnknownName: not one of BASELINES.
        BadInput: an array of another shape, or a colour where no picture was read.
    """
    rows, name = background_of(subject, baseline)
    if rows.shape[0] not in (1, subject.x.shape[0]):
        raise BadInput(
            f"baseline: {rows.shape[0]} rows for {subject.x.shape[0]} inputs; give one, or one for each."
        )
    return rows.expand_as(subject.x), name


def background_of(subject: Subject, baseline: Baseline) -> tuple[Tensor, str]:
    """Any number of references (k, …): a named one, or all rows of an array."""
    x = subject.x
    if baseline is None or isinstance(baseline, str):
        name = baseline or "zero"
        return _named(subject, name), name
    rows = torch.from_numpy(np.array(baseline)).to(x)
    if rows.ndim == 0:
        return rows.expand_as(x), f"constant {float(rows):g}"
    expected = subject.as_fed(x).shape[1:]
    rows = rows[None] if rows.shape == expected else rows
    if rows.shape[1:] != expected:
        raise BadInput(f"baseline: expected {list(expected)} a row, got {list(rows.shape)}.")
    return subject.as_seen(rows), "given"


def _named(subject: Subject, name: str) -> Tensor:
    x = subject.x
    match name:
        case "zero":
            return torch.zeros_like(x)
        case "mean":
            places = tuple(range(2, x.ndim)) or (1,)
            return x.mean(places, keepdim=True).expand_as(x)
        case "blur":
            return _blurred(x)
        case "noise":
            draw = torch.rand(x.shape, generator=torch.Generator().manual_seed(subject.seed), dtype=x.dtype)
            low, high = (edge.reshape(-1, *[1] * (x.ndim - 1)) for edge in x.flatten(1).aminmax(dim=1))
            return low + draw.to(x) * (high - low)
        case "black" | "white":
            return plain_picture(subject, 0 if name == "black" else 255)
        case _:
            raise UnknownName.among("baseline", name, BASELINES, "An array works too.")


def plain_picture(subject: Subject, pixel: int) -> Tensor:
    """A picture of one grey value as the recipe of the explained input prepares it."""
    picture = subject.inputs.pictures.get(subject.entry)
    recipe = subject.inputs.recipes.get(subject.entry)
    if picture is None or recipe is None:
        raise BadInput(
            "baseline 'black' or 'white' needs a picture read with a preprocess recipe; the input was given "
            "as numbers. Give the baseline as an array."
        )
    made = recipe.apply(np.full_like(picture, pixel), np.float64)
    return subject.as_seen(torch.from_numpy(made).to(subject.x)).expand_as(subject.x)


def _blurred(x: Tensor) -> Tensor:
    """Gaussian blur along every axis of places, sigma a tenth of its length, edges repeated."""
    for axis in range(2, x.ndim):
        x = _blurred_along(x, axis)
    return x if x.ndim > 2 else x.mean(1, keepdim=True).expand_as(x)


def _blurred_along(x: Tensor, axis: int) -> Tensor:
    length = x.shape[axis]
    radius = max(1, min(length - 1, round(0.3 * length)))
    steps = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (steps / (0.1 * length)) ** 2)
    moved = x.movedim(axis, -1)
    flat = F.pad(moved.reshape(-1, 1, length), (radius, radius), mode="replicate")
    blurred = F.conv1d(flat, (kernel / kernel.sum()).reshape(1, 1, -1))
    return blurred.reshape(moved.shape).movedim(-1, axis)
