"""Which units are detectors of a concept? Network Dissection (Bau 2017) with exact quantiles."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from inspector.errors import BadInput
from inspector.execution import Preprocess
from inspector.methods.dissection.concepts import Labelled, Mask
from inspector.methods.dissection.engines import run_parts
from inspector.methods.dissection.layer_maps import LayerMaps, open_layers
from inspector.model import Model
from inspector.progress import track

__all__ = ["IOU", "QUANTILE", "LayerDissection", "TailSketch", "dissect_layer"]

QUANTILE = 0.005
"""Share of a unit's values above its threshold (section 2.2 of the paper)."""

IOU = 0.04
"""Above this a unit counts as a detector (section 2.3)."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TailSketch:
    """The largest values of every unit, enough for an exact upper quantile; sketches can be merged.

    `values` is (units, kept), unordered; `kept` is ⌊q · n⌋ + 1 for the n values of the whole stream.
    """

    kept: int
    values: npt.NDArray[np.float32]

    def merged(self, rows: Array) -> TailSketch:
        """After more values (units, m), of a map or of another sketch."""
        joined = np.concatenate([self.values, rows.astype(np.float32)], 1)
        if joined.shape[1] > self.kept:
            joined = np.partition(joined, joined.shape[1] - self.kept, axis=1)[:, -self.kept :]
        return TailSketch(self.kept, np.ascontiguousarray(joined))

    @property
    def thresholds(self) -> npt.NDArray[np.float32]:
        """(units,): at most the asked share of values lies strictly above."""
        return self.values.min(1)


@dataclass(frozen=True)
class LayerDissection:
    """IoU of every unit with every concept, (units, concepts), and the thresholds (units,).

    The union counts the images that carry the concept. `labels` has the best concept of every unit.
    """

    layer: str
    concepts: tuple[str, ...]
    categories: Mapping[str, str]
    iou: npt.NDArray[np.float64] = field(repr=False)
    thresholds: npt.NDArray[np.float32] = field(repr=False)
    images: int
    skipped: Mapping[str, str]
    minimum: float = IOU

    @property
    def labels(self) -> tuple[str, ...]:
        """The concept with the largest IoU of every unit."""
        return tuple(self.concepts[index] for index in self.iou.argmax(1))

    @property
    def detectors(self) -> tuple[int, ...]:
        """Units whose best IoU is above the minimum, best first."""
        best = self.iou.max(1)
        return tuple(int(unit) for unit in np.argsort(-best, kind="stable") if best[unit] > self.minimum)

    def count_by_category(self) -> dict[str, int]:
        """Detectors by the category of their concept."""
        counts = dict.fromkeys(sorted(set(self.categories.values())), 0)
        for unit in self.detectors:
            counts[self.categories[self.labels[unit]]] += 1
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Every unit with its concept, and the counts."""
        return {
            "layer": self.layer,
            "images": self.images,
            "skipped": dict(self.skipped),
            "detectors": len(self.detectors),
            "concepts": len({self.labels[unit] for unit in self.detectors}),
            "by_category": self.count_by_category(),
            "units": [
                {
                    "unit": unit,
                    "concept": label,
                    "category": self.categories[label],
                    "iou": float(self.iou[unit].max()),
                    "threshold": float(self.thresholds[unit]),
                }
                for unit, label in enumerate(self.labels)
            ],
        }


def dissect_layer(
    model: Model,
    labelled: Labelled,
    layer: str,
    *,
    quantile: float = QUANTILE,
    minimum: float = IOU,
    preprocess: str | Preprocess | None = None,
    device: str = "cpu",
    engine: str = "embedded",
) -> LayerDissection:
    """Two passes over the data: exact thresholds, then IoU at the size that the model sees.

    Memory: the share `quantile` of a layer's values over the data, nothing per image besides.
    `engine` is "embedded" or "ray[:address]"; both give the same bits.

    Raises:
        BadInput: no picture could be read, or none that could shows a concept.
        UnknownName: the model has no such layer.
    """
    if not 0 < quantile < 1:
        raise BadInput(f"quantile {quantile:g} must lie between 0 and 1.")
    layers = open_layers(model, [layer], preprocess, device)
    key = layers.keys[0]
    gpu = device == "cuda"
    first = functools.partial(_tails, layers, key, labelled, quantile)
    tails = run_parts(engine, first, f"Thresholds of {key}", gpu=gpu)
    thresholds, images, skipped = _thresholds(tails, labelled, quantile)
    layers.forget()
    second = functools.partial(_overlaps, layers, key, labelled, thresholds)
    counts = run_parts(engine, second, f"Overlaps of {key}", gpu=gpu)
    both, either = sum(part[0] for part in counts), sum(part[1] for part in counts)
    iou = np.divide(both, either, out=np.zeros(np.shape(both)), where=np.asarray(either) > 0)
    return LayerDissection(
        key, labelled.concepts, labelled.categories, iou, thresholds, images, skipped, minimum
    )


@dataclass(frozen=True)
class _Tail:
    sketch: TailSketch | None
    images: int
    values: int
    skipped: dict[str, str]


def _tails(layers: LayerMaps, key: str, labelled: Labelled, quantile: float, part: int, parts: int) -> _Tail:
    """The largest values over a share of the examples."""
    sketch: TailSketch | None = None
    skipped: dict[str, str] = {}
    images, values = 0, 0
    waiting: list[Array] = []
    total = len(range(part, labelled.count, parts))
    for example in track(labelled.stream(part, parts), f"Thresholds of {key}", total):
        if example.picture is None:
            skipped[example.name] = example.problem
            continue
        maps = layers.maps(example.picture)[key]
        rows = maps.reshape(len(maps), -1)
        images, values = images + 1, values + rows.shape[1]
        if sketch is None or math.floor(quantile * rows.shape[1] * labelled.count) >= sketch.kept:
            kept = math.floor(quantile * rows.shape[1] * labelled.count) + 1
            held = np.empty((len(rows), 0), np.float32) if sketch is None else sketch.values
            sketch = TailSketch(kept, held)
        waiting.append(rows)
        if sum(one.shape[1] for one in waiting) >= max(sketch.kept, 4096):
            sketch, waiting = sketch.merged(np.concatenate(waiting, 1)), []
    if sketch is not None and waiting:
        sketch = sketch.merged(np.concatenate(waiting, 1))
    layers.forget()
    return _Tail(sketch, images, values, skipped)


def _thresholds(
    tails: list[_Tail], labelled: Labelled, quantile: float
) -> tuple[npt.NDArray[np.float32], int, dict[str, str]]:
    """The exact thresholds of all shares, with the images read and those that could not be."""
    skipped = {name: why for tail in tails for name, why in tail.skipped.items()}
    sketches = [tail.sketch for tail in tails if tail.sketch is not None]
    if not sketches:
        first = next(iter(skipped.items()), ("none", "the data set is empty"))
        raise BadInput(f"{labelled.source}: no picture could be read; {first[0]}: {first[1]}")
    kept = math.floor(quantile * sum(tail.values for tail in tails)) + 1
    whole = TailSketch(kept, np.empty((len(sketches[0].values), 0), np.float32))
    for sketch in sketches:
        whole = whole.merged(sketch.values)
    return whole.thresholds, sum(tail.images for tail in tails), dict(sorted(skipped.items()))


def _overlaps(
    layers: LayerMaps,
    key: str,
    labelled: Labelled,
    thresholds: npt.NDArray[np.float32],
    part: int,
    parts: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sums over images of |A ∩ C| and |A ∪ C| (section 2.2) over a share of those that carry the concept.

    They are whole numbers, so that adding shares in any order gives the same.
    """
    concepts = {name: index for index, name in enumerate(labelled.concepts)}
    both = np.zeros((len(thresholds), len(concepts)))
    either = np.zeros_like(both)
    limits = torch.from_numpy(thresholds)[:, None, None]
    for example in track(labelled.stream(part, parts), f"Overlaps of {key}"):
        if example.picture is None or not example.masks:
            continue
        placed = {name: _placed(layers.recipe, example.picture, mask) for name, mask in example.masks.items()}
        columns = [concepts[name] for name in placed]
        flat = torch.from_numpy(np.stack([mask.ravel() for mask in placed.values()], 1).astype(np.float32))
        size = next(iter(placed.values())).shape
        maps = torch.from_numpy(np.ascontiguousarray(layers.maps(example.picture)[key]))
        for units in torch.arange(len(maps)).split(64):
            raised = maps[units][None]
            if tuple(maps.shape[1:]) != size:
                raised = functional.interpolate(raised, size=size, mode="bilinear", align_corners=False)
            active = (raised[0] > limits[units]).flatten(1).float()
            shared = (active @ flat).double().numpy()
            rows = units.numpy()[:, None]
            both[rows, columns] += shared
            alone = active.sum(1, dtype=torch.float64).numpy()[:, None]
            either[rows, columns] += alone + flat.sum(0, dtype=torch.float64).numpy() - shared
    layers.forget()
    return both, either


def _placed(recipe: Preprocess, picture: npt.NDArray[np.uint8], mask: Mask) -> Mask:
    """A mask stretched over its picture and cut as the model sees it."""
    height, width = picture.shape[:2]
    values = np.repeat(mask.astype(np.uint8)[..., None], 3, 2)
    if mask.shape != (height, width):
        values = Preprocess(size=(height, width), fit="stretch", resample="nearest").place(values)
    return replace(recipe, resample="nearest").place(values)[..., 0] > 0
