"""Where does everything pass through one value? Single-entry single-exit regions of an unscoped node list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from inspector.graph.drafts import Draft
from inspector.graph.families import family
from inspector.graph.repeats import Signatures, find_runs
from inspector.model import Model

__all__ = ["structured"]

_HUB = 6
"""A value with more readers than this (a mask, a position table) holds no region together."""

_RECURSE = 12
"""Regions of more members than this are searched again, without the values that span most of them."""

_DEPTH = 8

_WHOLE = 0.8
"""A region with a larger share of the nodes says nothing; its members stand in its place."""

_SHORT_PERIOD = 2
"""Blocks in a row, each with at most one node behind it, are found before what holds several such rows."""

_PERIOD = 48
"""Repetitions with more members in a period than this are not looked for."""


def structured(model: Model, keys: Sequence[str | Draft], signs: Signatures) -> list[str | Draft]:
    """Nodes in topological order, grouped into regions, and regions grouped where they repeat alike."""
    members = _regions(model, keys, depth=0, skip=frozenset())
    most = max(members, key=_size, default="")
    if isinstance(most, Draft) and _size(most) > _WHOLE * sum(map(_size, keys)):
        place = members.index(most)
        members[place : place + 1] = most.members
    members = _similar(model, members, signs, longest=1, least=3)
    members = _similar(model, members, signs, longest=_SHORT_PERIOD, least=2)
    members = _similar(model, members, signs, longest=_PERIOD, least=2)
    return _similar(model, members, signs, longest=_PERIOD, least=3)


def _regions(
    model: Model, members: Sequence[str | Draft], depth: int, skip: frozenset[str]
) -> list[str | Draft]:
    """Cut where exactly one value is alive; what lies between two cuts is one member."""
    spans = _spans(model, members, skip)
    alive = [0] * (len(members) + 1)
    for start, stop, _ in spans:
        if stop > start:
            alive[start + 1] += 1
            alive[min(stop + 1, len(members))] -= 1
    cuts = [0]
    live = 0
    for index in range(1, len(members)):
        live += alive[index]
        if live <= 1:
            cuts.append(index)
    cuts.append(len(members))
    found: list[str | Draft] = []
    for start, stop in pairwise(cuts):
        part = list(members[start:stop])
        if len(part) == 1 or (len(cuts) == 2 and depth):
            found += part
        else:
            if len(part) > _RECURSE and depth < _DEPTH:
                long = {value for a, b, value in spans if start <= a and b < stop and b - a > len(part) // 2}
                if long or len(part) < len(members):
                    part = _regions(model, part, depth + 1, skip | long)
            found.append(Draft("region", _region_label(model, part), part))
    return found


def _spans(model: Model, members: Sequence[str | Draft], skip: frozenset[str]) -> list[tuple[int, int, str]]:
    """(index of the producer, index of the last reader, value) of every value made and read here."""
    place: dict[str, int] = {}
    for index, member in enumerate(members):
        for key in (member,) if isinstance(member, str) else member.nodes():
            place[key] = index
    spans: list[tuple[int, int, str]] = []
    for key, index in place.items():
        for value in model.nodes[key].outputs:
            readers = model.consumers.get(value, ())
            inside = [place[r.key] for r in readers if r.key in place]
            if inside and value not in skip and len(readers) <= _HUB:
                spans.append((index, max(inside), value))
    return spans


def _similar(
    model: Model, members: Sequence[str | Draft], signs: Signatures, *, longest: int, least: int
) -> list[str | Draft]:
    """Runs of at least so many alike periods become one member: a unit per period, all units in one group."""
    row = [signs.loose(member) for member in members]
    starts = [_may_start(model, member) for member in members]
    found: list[str | Draft] = []
    done = 0
    for run in find_runs(row, longest=longest, starts=starts):
        size = sum(_size(member) for member in members[run.start : run.stop])
        if size < 6 or run.count < least or (run.period == 1 and isinstance(members[run.start], str)):
            continue
        found += members[done : run.start]
        units: list[str | Draft] = []
        for start in range(run.start, run.stop, run.period):
            part = list(members[start : start + run.period])
            only = part[0]
            units.append(
                only
                if len(part) == 1 and isinstance(only, Draft)
                else Draft("unit", _ops_label(model, part), part)
            )
        first = units[0]
        label = first.label if isinstance(first, Draft) else ""
        found.append(Draft("similar", label, units))
        done = run.stop
    return found + list(members[done:])


def _may_start(model: Model, member: str | Draft) -> bool:
    if isinstance(member, Draft):
        return True
    node = model.nodes[member]
    return family(node.op, node.domain).name in ("linear", "normalisation", "control")


def _size(member: str | Draft) -> int:
    return 1 if isinstance(member, str) else sum(1 for _ in member.nodes())


def _region_label(model: Model, members: Sequence[str | Draft]) -> str:
    last = members[-1]
    while isinstance(last, Draft):
        last = last.members[-1]
    joins = {"Add": "Residual", "Sum": "Residual", "Concat": "Branches", "Mul": "Gate"}
    return f"{joins.get(model.nodes[last].op, 'Block')}: {_ops_label(model, members)}"


def _ops_label(model: Model, members: Iterable[str | Draft]) -> str:
    """The operators that matter, in order, each once: `Conv, Relu, Concat`."""
    keys = [key for m in members for key in ((m,) if isinstance(m, str) else m.nodes())]
    all_ops = [model.nodes[key] for key in keys]
    telling = [n.op for n in all_ops if family(n.op, n.domain).name not in ("data", "arithmetic")]
    names = list(dict.fromkeys(telling or [n.op for n in all_ops]))
    short = [_SHORT.get(name, name) for name in names]
    return ", ".join(short[:4]) + (" …" if len(short) > 4 else "")


_SHORT = {"BatchNormalization": "BatchNorm", "LayerNormalization": "LayerNorm"}
