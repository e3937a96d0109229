"""How do the edges of one column run? Lanes, as in a history graph: branches side by side, nodes in rows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Lane", "lanes"]


@dataclass(frozen=True)
class Lane:
    """An edge from row `start` to row `end` that runs in lane `lane` between the lanes of its two nodes."""

    start: int
    end: int
    lane: int


def lanes(rows: dict[str, int], edges: list[tuple[str, str]]) -> tuple[dict[str, int], list[Lane]]:
    """The lane of every node, and of every edge; nodes go down the rows.

    The first edge of a node goes on in its lane, the others take the nearest free one.
    """
    below: dict[str, list[str]] = {}
    for source, target in edges:
        if source in rows and target in rows and rows[target] > rows[source]:
            targets = below.setdefault(source, [])
            if target not in targets:
                targets.append(target)
    busy: dict[int, int] = {}  # lane -> row until which it is taken
    held: dict[str, list[tuple[int, str]]] = {}
    place: dict[str, int] = {}
    found: list[Lane] = []
    for key, row in sorted(rows.items(), key=lambda item: item[1]):
        arriving = held.pop(key, [])
        place[key] = min((lane for lane, _ in arriving), default=-1)
        if place[key] < 0:
            place[key] = _free(busy, row)
        busy[place[key]] = row
        targets = sorted(below.get(key, []), key=rows.__getitem__)
        for i, target in enumerate(targets):
            lane = place[key] if i == 0 else _free(busy, row)
            busy[lane] = rows[target]
            held.setdefault(target, []).append((lane, key))
            found.append(Lane(row, rows[target], lane))
    return place, found


def _free(busy: dict[int, int], row: int) -> int:
    lane = 0
    while busy.get(lane, -1) >= row:
        lane += 1
    return lane
