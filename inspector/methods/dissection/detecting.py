"""Which units are detectors of a concept? Network Dissection (Bau 2017) with exact quantiles."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector.errors import BadInput
from inspector.execution import Preprocess
from inspector.execution.engines import run_parts
from inspector.methods.dissection.concepts import Example, Labelled, Mask
from inspector.methods.dissection.enlarging import Gaps, count_active, gaps_above
from inspector.methods.dissection.layer_maps import LayerMaps, open_layers
from inspector.methods.dissection.placing import kinds_of_pixels, place_masks
from inspector.methods.dissection.ranking import Ranking
from inspector.methods.dissection.sighting import SIGHTED, Sighting, sightings
from inspector.methods.dissection.tails import TailSketch
from inspector.model import Model
from inspector.progress import track

__all__ = ["IOU", "QUANTILE", "LayerDissection", "dissect_layer"]

QUANTILE = 0.005
"""Share of a unit's values above its threshold (section 2.2 of the paper)."""

IOU = 0.04
"""Above this a unit counts as a detector (section 2.3)."""

HELD_BYTES = 256 * 1024**2
"""Memory for what the first pass finds of a small data set, so that its pictures are read once."""

SPARSE = 1 / 16
"""Share of values above what is known of the threshold from which on running the net again is cheaper."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class LayerDissection:
    """IoU of every unit with every concept, (units, concepts), and the thresholds (units,).

    The union counts the images that carry the concept. `labels` has the best concept of every unit. `seen`
    has the strongest images of the best detectors.
    """

    layer: str
    concepts: tuple[str, ...]
    categories: Mapping[str, str]
    iou: npt.NDArray[np.float64] = field(repr=False)
    thresholds: npt.NDArray[np.float32] = field(repr=False)
    images: int
    skipped: Mapping[str, str]
    minimum: float = IOU
    seen: Mapping[int, tuple[Sighting, ...]] = field(default_factory=dict, repr=False)

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
    show: int = 0,
) -> LayerDissection:
    """Two passes over the data: exact thresholds, then IoU at the size that the model sees.

    Memory: the share `quantile` of a layer's values over the data, and up to `HELD_BYTES` of what is large in
    the maps of the first images, which the second pass need not compute again.
    `engine` is "embedded" or "ray[:address]"; both give the same bits. `show` is the number of best detectors
    whose strongest images are kept in `seen`.

    Raises:
        BadInput: no picture could be read, or none that could shows a concept.
        UnknownName: the model has no such layer.
    """
    if not 0 < quantile < 1:
        raise BadInput(f"quantile {quantile:g} must lie between 0 and 1.")
    layers = open_layers(model, [layer], preprocess, device)
    key = layers.keys[0]
    gpu = device == "cuda"
    held = _Held(HELD_BYTES if engine == "embedded" else 0)
    first = functools.partial(_tails, layers, key, labelled, quantile, SIGHTED if show else 0)
    tails = run_parts(engine, functools.partial(first, held, None), f"Thresholds of {key}", gpu=gpu)
    needed = math.floor(quantile * sum(tail.values for tail in tails)) + 1
    if any(tail.sketch is not None and tail.sketch.kept < needed for tail in tails):  # maps of many sizes
        held = _Held(held.room)
        tails = run_parts(engine, functools.partial(first, held, needed), f"Thresholds of {key}", gpu=gpu)
    thresholds, images, skipped = _thresholds(tails, labelled, needed)
    second = functools.partial(_overlaps, layers, key, labelled, thresholds, held)
    counts = run_parts(engine, second, f"Overlaps of {key}", gpu=gpu)
    both, either = sum(part[0] for part in counts), sum(part[1] for part in counts)
    iou = np.divide(both, either, out=np.zeros(np.shape(both)), where=np.asarray(either) > 0)
    found = LayerDissection(
        key, labelled.concepts, labelled.categories, iou, thresholds, images, skipped, minimum
    )
    rankings = [tail.ranking for tail in tails if tail.ranking is not None]
    if not show or not rankings:
        return found
    ranking = functools.reduce(Ranking.merged, rankings)
    units = {unit: found.labels[unit] for unit in found.detectors[:show]}
    return replace(found, seen=sightings(layers, key, labelled, ranking, units, thresholds))


@dataclass(frozen=True)
class _Shown:
    """What an example is compared by: the gaps of its maps that can be active, and of which kind the pixels
    are that the model sees, with the masks that each kind lies in (kinds, masks); None without a mask.
    """

    gaps: Gaps
    kinds: Array
    members: Mask
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.gaps.index.nbytes + self.gaps.corners.nbytes + self.kinds.nbytes


def _shown(layers: LayerMaps, example: Example, maps: Array, limits: Array) -> _Shown | None:
    assert example.picture is not None
    if not example.masks:
        return None
    kinds, members = kinds_of_pixels(place_masks(layers.recipe, example.picture, example.masks))
    return _Shown(gaps_above(maps, limits), kinds, members, tuple(example.masks))


@dataclass
class _Held:
    """What the first pass found by the number of the example, for the second."""

    room: int
    shown: dict[int, _Shown | None] = field(default_factory=dict)

    def keep(self, number: int, shown: _Shown | None) -> None:
        """Remember it; the first that there is no room for is the last that is asked."""
        size = 0 if shown is None else shown.size
        self.room = self.room - size if size <= self.room else 0
        if self.room:
            self.shown[number] = shown


@dataclass(frozen=True)
class _Tail:
    sketch: TailSketch | None
    images: int
    values: int
    skipped: dict[str, str]
    ranking: Ranking | None


def _tails(
    layers: LayerMaps, key: str, labelled: Labelled, quantile: float, ranked: int, held: _Held,
    kept: int | None, part: int, parts: int,
) -> _Tail:  # fmt: skip
    """The `kept` largest values over a share of the examples; None expects all maps as large as the first."""
    sketch: TailSketch | None = None
    skipped: dict[str, str] = {}
    ranking: Ranking | None = None
    images, values = 0, 0
    for number in track(range(part, labelled.count, parts), f"Thresholds of {key}"):
        example = labelled.example(number)
        if example.picture is None:
            skipped[example.name] = example.problem
            continue
        maps = layers.maps(example.picture)[key]
        rows = maps.reshape(len(maps), -1)
        images, values = images + 1, values + rows.shape[1]
        if sketch is None:
            expected = math.floor(quantile * rows.shape[1] * labelled.count) + 1
            sketch = TailSketch.empty(kept or expected, len(rows))
        sketch = sketch.merged(rows)
        if ranked:
            ranking = (ranking or Ranking.empty(len(rows), ranked)).with_image(number, rows)
        if held.room and sketch.kept <= SPARSE * values:
            held.keep(number, _shown(layers, example, maps, sketch.floor))
    layers.forget()
    return _Tail(None if sketch is None else sketch.settled(), images, values, skipped, ranking)


def _thresholds(
    tails: list[_Tail], labelled: Labelled, needed: int
) -> tuple[npt.NDArray[np.float32], int, dict[str, str]]:
    """The exact thresholds of all shares, with the images read and those that could not be."""
    skipped = {name: why for tail in tails for name, why in tail.skipped.items()}
    sketches = [tail.sketch for tail in tails if tail.sketch is not None]
    if not sketches:
        first = next(iter(skipped.items()), ("none", "the data set is empty"))
        raise BadInput(f"{labelled.source}: no picture could be read; {first[0]}: {first[1]}")
    whole = TailSketch.empty(needed, len(sketches[0].values))
    for sketch in sketches:
        whole = whole.merged(sketch.values)
    return whole.thresholds, sum(tail.images for tail in tails), dict(sorted(skipped.items()))


def _overlaps(
    layers: LayerMaps,
    key: str,
    labelled: Labelled,
    thresholds: npt.NDArray[np.float32],
    held: _Held,
    part: int,
    parts: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sums over images of |A ∩ C| and |A ∪ C| (section 2.2) over a share of those that carry the concept.

    They are whole numbers, so that adding shares in any order gives the same.
    """
    concepts = {name: index for index, name in enumerate(labelled.concepts)}
    both = np.zeros((len(thresholds), len(concepts)), np.int64)
    either = np.zeros_like(both)
    for number in track(range(part, labelled.count, parts), f"Overlaps of {key}"):
        if number in held.shown:
            shown = held.shown[number]
        else:
            example = labelled.example(number)
            if example.picture is None or not example.masks:
                continue
            shown = _shown(layers, example, layers.maps(example.picture)[key], thresholds)
        if shown is not None:
            columns = [concepts[name] for name in shown.names]
            active = count_active(shown.gaps, thresholds, shown.kinds, len(shown.members))
            inside = np.bincount(shown.kinds.ravel()) @ shown.members
            shared = active @ shown.members
            both[:, columns] += shared
            either[:, columns] += active.sum(1, keepdims=True) + inside - shared
    layers.forget()
    return both, either
