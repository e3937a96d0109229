"""Which sessions stay for another run? As many as a number of bytes allows, the longest unused go first."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Shelf"]

T = TypeVar("T")


@dataclass(eq=False)
class Shelf(Generic[T]):
    """Things by key, each of a stated size. `limit` None holds them all.

    Nothing is put out behind the user's back: `make_room` does it, before something new is made, so that
    old and new never exist together.
    """

    limit: int | None = None
    made: int = 0
    """How many things were put on it so far."""
    _held: dict[Hashable, tuple[T, int]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """What it holds now."""
        return sum(size for _, size in self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: Hashable) -> T | None:
        """The thing, now the one used last; None when it is not here."""
        entry = self._held.pop(key, None)
        if entry is None:
            return None
        self._held[key] = entry
        return entry[0]

    def put(self, key: Hashable, thing: T, nbytes: int) -> None:
        """Keep a thing that was just made."""
        self._held[key] = (thing, nbytes)
        self.made += 1

    def drop(self, key: Hashable) -> None:
        """Put one thing out."""
        self._held.pop(key, None)

    def fits(self, nbytes: int) -> bool:
        """Whether so many bytes are free."""
        return self.limit is None or self.nbytes + nbytes <= self.limit

    def make_room(self, nbytes: int, keep: Hashable = None) -> None:
        """Put out what was not used for longest, but never `keep`, until so many bytes are free."""
        for key in [key for key in self._held if key != keep]:
            if self.fits(nbytes):
                return
            self.drop(key)
