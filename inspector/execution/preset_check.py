"""When the recipe is only assumed: how sure is the model under each likely one?

A network still answers when channels are swapped or pixels scaled otherwise, only less surely.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.execution.guessing import preprocess_of
from inspector.execution.inputs import Inputs
from inspector.execution.preprocess import Preprocess
from inspector.model import Model

__all__ = ["LIKELY", "PresetTrial", "describe_trials", "try_presets"]

Array = np.ndarray[Any, np.dtype[Any]]
Confidence = Callable[[Mapping[str, Array]], tuple[str, float] | None]

LIKELY = (
    "imagenet-torch",
    "imagenet-torch,channels=BGR",
    "imagenet-caffe",
    "imagenet-caffe,channels=RGB",
    "imagenet-tf",
    "unit",
)
"""What image classifiers are mostly trained with, and the same with red and blue swapped."""


@dataclass(frozen=True)
class PresetTrial:
    """The best class of the first picture under one preset, and its probability."""

    preset: str
    label: str
    probability: float


def try_presets(model: Model, inputs: Inputs, confidence: Confidence) -> tuple[PresetTrial, ...]:
    """The likely presets, surest first; () where the recipe was given or stated, or there are no classes.

    `confidence` runs the model on feeds and gives the best class and its probability.
    """
    if len(inputs.pictures) != 1:
        return ()
    ((name, picture),) = inputs.pictures.items()
    used = inputs.recipes.get(name)
    if used is None or not used.source.startswith("assumed") or used.channels not in ("RGB", "BGR"):
        return ()
    fed, trials = inputs.feeds[name], list[PresetTrial]()
    for preset in LIKELY:
        array = _prepared(model, preset, picture, fed.dtype)
        found = confidence({**inputs.feeds, name: array}) if array.shape == fed.shape else None
        if found is not None:
            trials.append(PresetTrial(preset, *found))
    return tuple(sorted(trials, key=lambda trial: -trial.probability))


def _prepared(model: Model, preset: str, picture: Array, dtype: np.dtype[Any]) -> Array:
    recipe: Preprocess = preprocess_of(model, preset)
    return recipe.apply(picture, dtype)


def describe_trials(trials: tuple[PresetTrial, ...], used: str) -> list[str]:
    """One note with the confidence under each preset, and the next step where another one is surer."""
    if not trials:
        return []
    listed = ", ".join(f"{t.preset} {t.label} {t.probability:.3f}" for t in trials)
    best = trials[0]
    advice = "" if best.preset == used else f" Try --preprocess {best.preset}; one picture is no proof."
    return [f"How pictures are prepared was only assumed. Best class by preset: {listed}.{advice}"]
