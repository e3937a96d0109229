"""What do the strongest images of a detector show, beside the concept that it is said to detect?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inspector.methods.dissection.concepts import Labelled, Mask
from inspector.methods.dissection.enlarging import enlarged
from inspector.methods.dissection.layer_maps import LayerMaps
from inspector.methods.dissection.placing import place_masks
from inspector.methods.dissection.ranking import Ranking
from inspector.progress import track

__all__ = ["SIGHTED", "Sighting", "sightings"]

SIGHTED = 5
"""Images of every shown unit."""


@dataclass(frozen=True)
class Sighting:
    """A picture (h, w, 3) as the model sees it, with the unit's maximum in it, where (h, w) the unit is
    above its threshold, and where the concept is; None where the picture does not carry it.
    """

    image: str
    value: float
    picture: npt.NDArray[np.uint8]
    active: Mask
    concept: Mask | None


def sightings(
    layers: LayerMaps,
    key: str,
    labelled: Labelled,
    ranking: Ranking,
    units: Mapping[int, str],
    thresholds: npt.NDArray[np.float32],
) -> dict[int, tuple[Sighting, ...]]:
    """The strongest images of some units, by unit, each with the places of the concept that `units` names."""
    found: dict[int, dict[int, Sighting]] = {unit: {} for unit in units}
    numbers = sorted({int(n) for unit in units for n in ranking.images[unit] if n >= 0})
    for number in track(numbers, f"Images of {key}"):
        example = labelled.example(number)
        if example.picture is None:
            continue
        maps = layers.maps(example.picture)[key]
        picture = layers.recipe.place(example.picture)[..., :3]
        size = (picture.shape[0], picture.shape[1])
        for unit, concept in units.items():
            for rank in np.flatnonzero(ranking.images[unit] == number).tolist():
                active = enlarged(maps[unit : unit + 1], size)[0] > thresholds[unit]
                mask = example.masks.get(concept)
                placed = (
                    None if mask is None else place_masks(layers.recipe, example.picture, {concept: mask})[0]
                )
                value = float(ranking.values[unit, rank])
                found[unit][rank] = Sighting(example.name, value, picture, active, placed)
    layers.forget()
    return {unit: tuple(shown[rank] for rank in sorted(shown)) for unit, shown in found.items()}
