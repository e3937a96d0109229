"""What are the nodes that only one model has? Further copies of a block, or something of their own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from inspector.comparison.alignment import Atom, CanonicalGraph, Edit, EditKind
from inspector.comparison.blocks import blocks
from inspector.comparison.sequence import details, family, ordered

__all__ = ["unmatched"]

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
Sign = tuple[str, ...]


@dataclass(frozen=True)
class _Side:
    """The blocks of one model in order: keys, and what equal copies have in common."""

    graph: CanonicalGraph
    keys: list[list[str]]
    signs: list[Sign]


def unmatched(graph: CanonicalGraph, atoms: tuple[Atom, ...], kind: EditKind) -> list[Edit]:
    """One edit for every stretch of whole blocks, and for every kind of smaller addition."""
    if not atoms:
        return []
    side = _side(graph)
    loose = {atom.key for atom in atoms}
    found: list[Edit] = []
    for start, stop in _stretches(side, loose):
        keys = tuple(key for block in side.keys[start:stop] for key in block)
        found.append(_edit(kind, _worded(side, start, stop, kind), keys))
        loose.difference_update(keys)
    pieces: dict[str, list[str]] = {}
    for piece in _components(graph, [atom for atom in atoms if atom.key in loose]):
        pieces.setdefault(_counted(piece), []).extend(atom.key for atom in piece)
    for names, keys in pieces.items():
        times = len(keys) // max(1, len(_first_piece(graph, keys)))
        places = f" at {times} places" if times > 1 else _place(graph, keys)
        found.append(_edit(kind, f"{names} only in {_letter(kind)}{places}", tuple(keys)))
    return found


def _edit(kind: EditKind, text: str, keys: tuple[str, ...]) -> Edit:
    return Edit(kind, text, *((keys, ()) if kind == "remove" else ((), keys)), 0.8)


def _letter(kind: EditKind) -> str:
    return "A" if kind == "remove" else "B"


def _place(graph: CanonicalGraph, keys: list[str]) -> str:
    scope = next((graph.atoms[key].scope for key in keys if graph.atoms[key].scope), "")
    return f" at {scope}" if scope else ""


def _side(graph: CanonicalGraph) -> _Side:
    order = ordered(graph)
    cut = blocks(graph, order, [family(graph.atoms[key].op) for key in order])
    keys = [[order[i] for i in block] for block in cut]
    signs = [tuple(sorted(str(details(graph, graph.atoms[key])) for key in block)) for block in keys]
    return _Side(graph, keys, signs)


def _stretches(side: _Side, loose: set[str]) -> list[tuple[int, int]]:
    """Runs of blocks without any partner, cut where one copy ends and something else begins."""
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(side.keys):
        stop = start
        while stop < len(side.keys) and loose.issuperset(side.keys[stop]):
            stop += 1
        if stop > start:
            end = start
            while end < stop:
                period = _period(side.signs, end, stop)
                length = period
                while side.signs[end + length : end + length + period] == side.signs[end : end + period] and (
                    end + length + period <= stop
                ):
                    length += period
                found.append((end, end + length))
                end += length
        start = stop + 1
    return found


def _period(signs: list[Sign], start: int, stop: int) -> int:
    """The longest group of blocks from here that is found elsewhere as a whole, at least one block."""
    for length in range(min(stop - start, 4), 1, -1):
        group = signs[start : start + length]
        if len(set(group)) == length and _places(signs, group) > 1:
            return length
    return 1


def _places(signs: list[Sign], group: list[Sign]) -> int:
    return sum(signs[i : i + len(group)] == group for i in range(len(signs) - len(group) + 1))


def _worded(side: _Side, start: int, stop: int, kind: EditKind) -> str:
    period = _period(side.signs, start, stop)
    group = side.signs[start : start + period]
    copies, often = (stop - start) // period, _places(side.signs, group)
    atoms = [side.graph.atoms[key] for block in side.keys[start : start + period] for key in block]
    if often < 2:
        place = _place(side.graph, side.keys[start])
        return f"{_counted(atoms)} only in {_letter(kind)}{place}"
    more = "more" if kind == "insert" else "fewer"
    number = _WORDS[copies] if copies < len(_WORDS) else str(copies)
    stage, total = _stage(side, start)
    if total > 1 and period == 1:
        plural = "s" if copies > 1 else ""
        what = f"one that occurs {often} times ({_counted(atoms)})"
        return f"{number} {more} block{plural} in stage {stage}: {what}"
    plural = "copies" if copies > 1 else "copy"
    return f"{number} {more} {plural} of a block that occurs {often} times ({_counted(atoms)})"


def _stage(side: _Side, at: int) -> tuple[int, int]:
    """The number of the run of equal blocks at a place, and of all runs of two or more."""
    number = total = 0
    start = 0
    while start < len(side.signs):
        stop = start
        while stop < len(side.signs) and side.signs[stop] == side.signs[start]:
            stop += 1
        if stop - start > 1 and len(side.keys[start]) > 2:
            total += 1
            number = total if start <= at < stop else number
        start = stop
    return number, total if number else 0


def _counted(atoms: list[Atom]) -> str:
    counted = Counter(atom.op for atom in atoms)
    return ", ".join(f"{n} {op}" if n > 1 else op for op, n in counted.items())


def _first_piece(graph: CanonicalGraph, keys: list[str]) -> list[Atom]:
    return _components(graph, [graph.atoms[key] for key in keys])[0]


def _components(graph: CanonicalGraph, atoms: list[Atom]) -> list[list[Atom]]:
    root = {atom.key: atom.key for atom in atoms}

    def find(key: str) -> str:
        while root[key] != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for edge in graph.edges:
        if edge.source in root and edge.target in root:
            root[find(edge.target)] = find(edge.source)
    groups: dict[str, list[Atom]] = {}
    for atom in atoms:
        groups.setdefault(find(atom.key), []).append(atom)
    return list(groups.values())
