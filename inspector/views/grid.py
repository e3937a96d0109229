"""Where does tile k lie on a sheet? Columns, zoom and boxes of equally large tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Grid", "grid_for", "room_for", "zoom_for"]

SHEET_WIDTH = 1180  # pixels that a sheet may take before tiles go to the next row
GAP = 8
LARGEST_TILE = 480
TARGET, SMALLEST_ROOM = 112, 136  # pixels of a tile among many
SHAPE = 1.25  # width of a sheet over its height, about
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


def room_for(count: int) -> tuple[int, int]:
    """(target, largest) side of a tile for `zoom_for`: the fewer stand on a sheet, the larger each."""
    across = math.ceil(math.sqrt(1.5 * max(1, count)))
    largest = min(LARGEST_TILE, max(SMALLEST_ROOM, SHEET_WIDTH // across - GAP))
    return min(LARGEST_TILE - 60, max(TARGET, round(520 / math.sqrt(max(1, count))))), largest


def zoom_for(height: int, width: int, target: int = TARGET, largest: int = LARGEST_TILE) -> tuple[int, int]:
    """Drawn (height, width) of a map: whole multiples up to about `target`, reduced beyond `largest`."""
    side = max(height, width)
    if side > largest:
        factor = largest / side
        return max(SMALLEST_STRIPE, round(height * factor)), max(SMALLEST_STRIPE, round(width * factor))
    zoom = max(1, round(target / side))
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
    fitting = min(count, max(1, (SHEET_WIDTH + gap) // (width + gap)))

    def misfit(tried: int) -> float:
        rows = math.ceil(count / tried)
        shape = tried * (width + gap) / (rows * (head + height + foot + gap))
        empty = rows * tried - count
        return abs(math.log(shape / SHAPE)) + 0.25 * (empty > 0) + 2 * empty / count

    if columns is None:
        columns = min(range(fitting, 0, -1), key=misfit)
    return Grid(count, max(1, min(columns, count)), width, height, gap, head, foot)
