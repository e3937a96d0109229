"""Which images gave each unit its largest values? Exact top-k of a stream; rankings can be merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Ranking"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Ranking:
    """Per unit the k largest maxima with image number and place; all arrays are (units, k), largest first.

    Equal values keep the earlier image. Empty places hold -inf and image -1.
    """

    values: Array
    images: Array
    places: Array

    @classmethod
    def empty(cls, units: int, k: int) -> Ranking:
        """No image seen yet."""
        return cls(
            np.full((units, k), -np.inf), np.full((units, k), -1, np.int64), np.zeros((units, k), np.int64)
        )

    def with_image(self, number: int, maps: Array) -> Ranking:
        """After one more image; `maps` (units, places)."""
        places = maps.argmax(1)
        values = np.take_along_axis(maps, places[:, None], 1).astype(np.float64)
        if not (values[:, 0] > self.values[:, -1]).any():
            return self
        numbers = np.full(values.shape, number, np.int64)
        return self.merged(Ranking(values, numbers, places[:, None].astype(np.int64)))

    def merged(self, other: Ranking) -> Ranking:
        """The ranking of both streams; the order of merging does not matter."""
        k = self.values.shape[1]
        values = np.concatenate([self.values, other.values], 1)
        images = np.concatenate([self.images, other.images], 1)
        places = np.concatenate([self.places, other.places], 1)
        late = np.where(images < 0, np.iinfo(np.int64).max, images)
        order = np.lexsort((late, -values), axis=1)[:, :k]
        return Ranking(*(np.take_along_axis(part, order, 1) for part in (values, images, places)))
