"""Do two poolings look through the same windows, although their pads are spelt differently?"""

from __future__ import annotations

from inspector.comparison.alignment import Alignment, Atom, CanonicalGraph, Pair

__all__ = ["same_window"]

_POOLS = ("MaxPool",)
"""Poolings for which what lies beyond the input counts for nothing, so that only its place matters."""
_ROUNDING = ("pads", "ceil_mode")
Extent = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def same_window(alignment: Alignment, pair: Pair) -> bool:
    """Whether sizes and pads in front agree: pads at the end and rounding then change no window."""
    if pair.a.op not in _POOLS or pair.b.op != pair.a.op or _rest(pair.a) != _rest(pair.b):
        return False
    first, second = _extent(alignment.a, pair.a), _extent(alignment.b, pair.b)
    return first is not None and first == second


def _rest(atom: Atom) -> dict[str, object]:
    return {name: value for name, value in atom.attributes.items() if name not in _ROUNDING}


def _extent(graph: CanonicalGraph, atom: Atom) -> Extent | None:
    """Sizes of the input and the output over space and the pads in front; None where a size is open."""
    node = graph.model.nodes.get(atom.key)
    pads = atom.attributes.get("pads")
    if node is None or node.op != atom.op or not isinstance(pads, tuple):
        return None
    known = [graph.model.values.get(value) for value in (node.inputs[0], node.outputs[0])]
    shapes = [value.shape if value is not None else None for value in known]
    before, after = (
        tuple(s for s in shape[2:] if isinstance(s, int)) if shape is not None else () for shape in shapes
    )
    front: tuple[int, ...] = pads[: len(pads) // 2]
    return (before, after, front) if len(before) == len(after) == len(front) > 0 else None
