"""Where does tile k lie on a sheet? Columns, zoom and boxes of equally large tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Grid", "grid_for", "zoom_for"]

SHEET_WIDTH = 1180  # pixels that a sheet may take before tiles go to the next row
GAP = 8
LARGEST_TILE = 320
SMALLEST_STRIPE = 18  # a 1×200 map is stretched to this height


@dataclass(frozen=True)
class Grid:
    """Tiles of `width` × `height` pixels in rows of `columns`; `head` and `foot` pixels are for text."""

    count: int
    columns: int
    width: int
    height: int
    gap: int = GAP
    head: int = 0
    foot: int = 0

    @property
    def rows(self) -> int:
        """How many rows the tiles fill."""
        return math.ceil(self.count / self.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole grid, texts included."""
        return (
            self.columns * (self.width + self.gap) - self.gap,
            self.rows * (self.head + self.height + self.foot + self.gap) - self.gap,
        )

    def corner(self, k: int) -> tuple[int, int]:
        """(x, y) of the upper left pixel of tile k, from the grid's upper left."""
        row, column = divmod(k, self.columns)
        return column * (self.width + self.gap), row * (
            self.head + self.height + self.foot + self.gap
        ) + self.head


def zoom_for(height: int, width: int, target: int = 112, largest: int = LARGEST_TILE) -> tuple[int, int]:
    """Drawn (height, width) of a map: whole multiples up to about `target`, reduced beyond `largest`."""
    side = max(height, width)
    if side > largest:
        factor = largest / side
        return max(SMALLEST_STRIPE, round(height * factor)), max(SMALLEST_STRIPE, round(width * factor))
    zoom = max(1, target // side)
    stretch_y = max(zoom, math.ceil(SMALLEST_STRIPE / height))
    stretch_x = max(zoom, math.ceil(SMALLEST_STRIPE / width))
    return height * stretch_y, width * stretch_x


def grid_for(
    count: int,
    height: int,
    width: int,
    *,
    columns: int | None = None,
    head: int = 0,
    foot: int = 0,
    gap: int = GAP,
) -> Grid:
    """A grid a little wider than high, with full rows where a close number of columns allows it."""
    fitting = max(1, (SHEET_WIDTH + gap) // (width + gap))
    if columns is None:
        ideal = max(1, round(math.sqrt(count * 1.5 * (height + head + foot) / width)))
        ideal = min(ideal, fitting)
        near = [n for n in range(max(1, ideal - 3), min(ideal + 3, fitting) + 1) if count % n == 0]
        columns = min(near, key=lambda n: abs(n - ideal)) if near else ideal
    return Grid(count, max(1, min(columns, count)), width, height, gap, head, foot)
