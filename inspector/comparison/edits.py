"""What changed from one model to the other, in words? Grouped differences of an alignment."""

from __future__ import annotations

from collections import Counter

from inspector.comparison.alignment import Alignment, Atom, CanonicalGraph, Edit, EditKind, Pair

__all__ = ["edits"]


def edits(alignment: Alignment) -> tuple[Edit, ...]:
    """Structure first, then operators, widths and attributes; equal differences are one edit.

    Where a side holds weights only, just the layers whose weights the other side lacks are told.
    """
    bare = not (alignment.a.edges and alignment.b.edges)
    found = _unmatched(alignment.a, _told(alignment.a, alignment.only_a, bare), "remove")
    found += _unmatched(alignment.b, _told(alignment.b, alignment.only_b, bare), "insert")
    if bare:
        return tuple(found)
    groups: dict[tuple[EditKind, str], list[Pair]] = {}
    for pair in alignment.pairs:
        for kind, text in _differences(alignment, pair):
            groups.setdefault((kind, text), []).append(pair)
    for (kind, text), pairs in groups.items():
        total = sum(_of_kind(pair, pairs[0]) for pair in alignment.pairs)
        where = "everywhere" if len(pairs) == total > 1 else f"at {len(pairs)} of {total}"
        keys = tuple(p.a.key for p in pairs), tuple(p.b.key for p in pairs)
        found.append(Edit(kind, f"{text} {where}", *keys, min(p.confidence for p in pairs)))
    return tuple(found)


def _told(graph: CanonicalGraph, atoms: tuple[Atom, ...], bare: bool) -> tuple[Atom, ...]:
    return tuple(atom for atom in atoms if "weight" in atom.weights) if bare else atoms


def _of_kind(pair: Pair, model: Pair) -> bool:
    return pair.a.op == model.a.op


def _differences(alignment: Alignment, pair: Pair) -> list[tuple[EditKind, str]]:
    a, b = pair.a, pair.b
    if a.op != b.op:
        return [("operator", f"{a.op} -> {b.op}")]
    found: list[tuple[EditKind, str]] = []
    old = alignment.a.arrays.get(a.key, {}).get("weight")
    new = alignment.b.arrays.get(b.key, {}).get("weight")
    if old is not None and new is not None and old.shape[0] != new.shape[0]:
        found.append(("width", f"{a.op} width {old.shape[0]} -> {new.shape[0]}"))
    for name in sorted({*a.attributes, *b.attributes}):
        before, after = a.attributes.get(name), b.attributes.get(name)
        if before != after and not (
            name == "pads" and a.attributes.get("kernel") != b.attributes.get("kernel")
        ):
            found.append(("attribute", f"{a.op} {name} {_shown(before)} -> {_shown(after)}"))
    return found


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    return str(value)


def _unmatched(graph: CanonicalGraph, atoms: tuple[Atom, ...], kind: EditKind) -> list[Edit]:
    verb = "only in A" if kind == "remove" else "only in B"
    found: list[Edit] = []
    for group in _components(graph, atoms):
        counted = Counter(atom.op for atom in group)
        names = ", ".join(f"{n} {op}" if n > 1 else op for op, n in counted.items())
        place = f" at {group[0].scope}" if group[0].scope else ""
        keys = tuple(atom.key for atom in group)
        sides = (keys, ()) if kind == "remove" else ((), keys)
        found.append(Edit(kind, f"{names} {verb}{place}", *sides, 0.8))
    return found


def _components(graph: CanonicalGraph, atoms: tuple[Atom, ...]) -> list[list[Atom]]:
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
