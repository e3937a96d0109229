"""Where can a graph be cut? Blocks are what lies between places where one tensor carries everything."""

from __future__ import annotations

from itertools import pairwise

from inspector.comparison.alignment import CanonicalGraph

__all__ = ["blocks"]

_LONG = 30
"""Nodes a value may span before it counts as a skip of the whole network (a U-Net's, an attention mask)."""


def blocks(graph: CanonicalGraph, order: list[str], families: list[str]) -> list[range]:
    """Ranges of `order`, one a block; a lone activation belongs to the block before it."""
    place = {key: i for i, key in enumerate(order)}
    last = list(range(len(order)))
    for edge in graph.edges:
        if edge.source in place:
            source = place[edge.source]
            last[source] = max(last[source], place[edge.target])
    longest = max(_LONG, len(order) // 8)
    ends = [0] * (len(order) + 1)
    alive, cuts = 0, [0]
    for i, end in enumerate(last):
        alive -= ends[i]
        if end > i and end - i <= longest:
            alive += 1
            ends[end] += 1
        if alive <= 1 and (alive == 0 or end > i):
            cuts.append(i + 1)
    if cuts[-1] != len(order):
        cuts.append(len(order))
    return _glued([range(a, b) for a, b in pairwise(cuts)], families)


def _glued(found: list[range], families: list[str]) -> list[range]:
    whole: list[range] = []
    for block in found:
        if whole and len(block) == 1 and families[block[0]] == "activation":
            whole[-1] = range(whole[-1].start, block.stop)
        else:
            whole.append(block)
    return whole
