"""What changed from one model to the other, in words? Grouped differences of an alignment."""

from __future__ import annotations

from inspector.comparison.alignment import Alignment, Atom, CanonicalGraph, Edit, EditKind, Pair
from inspector.comparison.copies import unmatched
from inspector.comparison.folded_changes import folded_changes
from inspector.comparison.layout_changes import layout_changes
from inspector.comparison.windows import same_window

__all__ = ["edits"]

_LAYERS = ("Conv", "ConvTranspose", "Dense")
Group = dict[tuple[EditKind, str, str], list[Pair]]


def edits(alignment: Alignment, mirrored: bool = False) -> tuple[Edit, ...]:
    """Structure first, then operators, widths, attributes and layout; equal differences are one edit.

    Where a side holds weights only, just the layers whose weights the other side lacks are told.
    `mirrored` says that B works on pictures with height and width swapped.
    """
    bare = not (alignment.a.edges and alignment.b.edges)
    found = unmatched(alignment.a, _told(alignment.only_a, bare), "remove")
    found += unmatched(alignment.b, _told(alignment.only_b, bare), "insert")
    if bare:
        return tuple(found)
    groups: Group = {}
    for pair in alignment.pairs:
        for kind, subject, text in _differences(alignment, pair):
            groups.setdefault((kind, subject, text), []).append(pair)
    for order in ("operator", "width", "attribute"):
        for (kind, subject, text), pairs in groups.items():
            if kind == order:
                found.append(_edit(alignment, (kind, subject, text), pairs))
    return (*found, *folded_changes(alignment), *layout_changes(alignment, mirrored))


def _told(atoms: tuple[Atom, ...], bare: bool) -> tuple[Atom, ...]:
    return tuple(atom for atom in atoms if "weight" in atom.weights) if bare else atoms


def _edit(alignment: Alignment, group: tuple[EditKind, str, str], pairs: list[Pair]) -> Edit:
    kind, subject, text = group
    total = sum(pair.a.op == subject for pair in alignment.pairs)
    where = "everywhere" if len(pairs) == total > 1 else f"at {len(pairs)} of {total}"
    scopes = [pair.a.scope or pair.b.scope for pair in pairs]
    place = f" ({', '.join(scopes)})" if len(pairs) < total and len(pairs) < 4 and all(scopes) else ""
    keys = tuple(p.a.key for p in pairs), tuple(p.b.key for p in pairs)
    words = text if kind == "operator" else f"{subject} {text}"
    return Edit(kind, f"{words} {where}{place}", *keys, min(p.confidence for p in pairs))


def _differences(alignment: Alignment, pair: Pair) -> list[tuple[EditKind, str, str]]:
    a, b = pair.a, pair.b
    if a.op != b.op:
        return [("operator", a.op, f"{a.op} -> {b.op}")]
    found: list[tuple[EditKind, str, str]] = []
    old, new = _width(alignment.a, a), _width(alignment.b, b)
    if old != new and a.op in _LAYERS:
        found.append(("width", a.op, f"width {old} -> {new}"))
    for name in sorted({*a.attributes, *b.attributes}):
        before, after = a.attributes.get(name), b.attributes.get(name)
        if before != after and not _follows(alignment, pair, name):
            found.append(("attribute", a.op, f"{name} {_shown(before)} -> {_shown(after)}"))
    return found


def _width(graph: CanonicalGraph, atom: Atom) -> int:
    weight = graph.arrays.get(atom.key, {}).get("weight")
    if weight is None or not weight.ndim:
        return 0
    if atom.op != "ConvTranspose":
        return weight.shape[0]
    groups = atom.attributes.get("group", 1)
    return weight.shape[1] * (groups if isinstance(groups, int) else 1)


def _follows(alignment: Alignment, pair: Pair, name: str) -> bool:
    """Whether a difference follows from another one: pads from the kernel, groups from a depthwise width.

    Axes counted from the front on one side and from the back on the other cannot be compared.
    """
    a, b = pair.a.attributes, pair.b.attributes
    if name in ("pads", "ceil_mode") and same_window(alignment, pair):
        return True
    if name == "pads":
        return a.get("kernel") != b.get("kernel") or a.get("dilations") != b.get("dilations")
    if name == "group":
        wide = _width(alignment.a, pair.a), _width(alignment.b, pair.b)
        return wide[0] != wide[1] and (a.get("group"), b.get("group")) == wide
    if name == "axes":
        signs = [_sign(attributes.get("axes")) for attributes in (a, b)]
        return 0 not in signs and signs[0] != signs[1]
    return False


def _sign(axes: object) -> int:
    if not isinstance(axes, tuple) or not axes:
        return 0
    return -1 if all(isinstance(axis, int) and axis < 0 for axis in axes) else 1


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    return "none" if value is None else str(value)
