"""What do reshapes and transpositions in a row come to? At most a reshape, a permutation and a reshape."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

__all__ = ["Axes", "Move"]

Atom = tuple[int, ...]
"""A factor of an axis: (axis, 0) and (axis, 1) are the outer and the inner half of it, and so on."""


@dataclass(frozen=True)
class Move:
    """Reshapes and permutations to apply in turn."""

    operations: tuple[tuple[bool, tuple[int, ...]], ...]

    def __call__(self, x: Tensor) -> Tensor:
        """The tensor, moved."""
        for permutes, numbers in self.operations:
            x = x.permute(numbers) if permutes else x.reshape(numbers)
        return x


@dataclass(frozen=True)
class Axes:
    """How a tensor is seen: the axes of `source` cut into atoms, which `dims` put in order and join.

    An axis of length 1 has no atoms. Sorted, the atoms are in the order of the source.
    """

    source: tuple[int, ...]
    sizes: dict[Atom, int]
    dims: tuple[tuple[Atom, ...], ...]

    @staticmethod
    def of(shape: Sequence[int]) -> Axes:
        """A tensor of this shape seen as it is."""
        sizes: dict[Atom, int] = {(i,): n for i, n in enumerate(shape) if n != 1}
        dims = tuple(((i,),) if n != 1 else () for i, n in enumerate(shape))
        return Axes(tuple(shape), sizes, dims)

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes as they are seen."""
        return tuple(self.size(dim) for dim in self.dims)

    def size(self, dim: Sequence[Atom]) -> int:
        """The length of some atoms together."""
        return math.prod(self.sizes[atom] for atom in dim)

    def permuted(self, order: Sequence[int]) -> Axes:
        """The axes in another order."""
        return Axes(self.source, self.sizes, tuple(self.dims[i] for i in order))

    def reshaped(self, shape: Sequence[int]) -> Axes | None:
        """The same elements in another shape; None where an axis would have to be cut unevenly."""
        waiting = deque(atom for dim in self.dims for atom in dim)
        sizes, dims = dict(self.sizes), list[tuple[Atom, ...]]()
        for length in shape:
            dim: list[Atom] = []
            while length > 1:
                if not waiting:
                    return None
                atom = waiting.popleft()
                size = sizes[atom]
                if size and length % size == 0:
                    length //= size
                elif size % length == 0 and size:
                    outer, inner = (*atom, 0), (*atom, 1)
                    del sizes[atom]
                    sizes |= {outer: length, inner: size // length}
                    waiting.appendleft(inner)
                    atom, length = outer, 1
                else:
                    return None
                dim.append(atom)
            dims.append(tuple(dim))
        return None if waiting or 0 in shape else Axes(self.source, sizes, tuple(dims))

    def move(self) -> Move:
        """The fewest operations that show the source like this."""
        order = [atom for dim in self.dims for atom in dim]
        if order == sorted(order):
            same = self.shape == self.source
            return Move(() if same else ((False, self.shape),))
        seen = {atom: i for i, dim in enumerate(self.dims) for atom in dim}
        ways = (
            self._cut_first(self._groups(order, lambda a, b: seen[a] == seen[b])),
            self._join_last(self._groups(order, lambda a, b: a[0] == b[0])),
        )
        return min(ways, key=lambda way: len(way.operations))

    def _groups(self, order: list[Atom], together: Callable[[Atom, Atom], bool]) -> list[list[Atom]]:
        """The atoms in order; those that follow each other in the source too are one where they may."""
        place = {atom: i for i, atom in enumerate(sorted(order))}
        groups = [order[:1]]
        for a, b in pairwise(order):
            if place[b] == place[a] + 1 and together(a, b):
                groups[-1].append(b)
            else:
                groups.append([b])
        return groups

    def _cut_first(self, groups: list[list[Atom]]) -> Move:
        """Reshape the source so that a permutation gives the wanted shape, if one can."""
        stored = sorted(groups)
        ones = self.dims.count(())
        by_first = {group[0]: ones + i for i, group in enumerate(stored)}
        if len(groups) + ones != len(self.dims):
            return self._in_three(groups)
        units = iter(range(ones))
        order = tuple(by_first[dim[0]] if dim else next(units) for dim in self.dims)
        cut = (1,) * ones + tuple(self.size(group) for group in stored)
        return Move((*(((False, cut),) if cut != self.source else ()), (True, order)))

    def _join_last(self, groups: list[list[Atom]]) -> Move:
        """Permute the axes of the source so that a reshape gives the wanted shape, if one can."""
        axes = [group[0][0] for group in groups]
        if len(set(axes)) != len(axes):
            return self._in_three(groups)
        units = [i for i, n in enumerate(self.source) if n == 1]
        order = (*units, *axes)
        shape = tuple(self.source[i] for i in order)
        return Move(((True, order), *(((False, self.shape),) if shape != self.shape else ())))

    def _in_three(self, groups: list[list[Atom]]) -> Move:
        stored = sorted(groups)
        cut = tuple(self.size(group) for group in stored)
        order = tuple(stored.index(group) for group in groups)
        return Move(((False, cut), (True, order), (False, self.shape)))
