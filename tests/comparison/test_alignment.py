"""How many pairs of the alignment are right on generated models whose answer is known?"""

from __future__ import annotations

import pytest
from generator import build, edited, program

from inspector.comparison.aligning import align
from inspector.model import open_model

HELD_OUT = range(70_000, 70_012)
"""Seeds kept apart from those used while developing (below 1,000)."""


def scores(seeds: range, edits: int, fresh: bool) -> tuple[float, float]:
    right = said = true = 0
    for seed in seeds:
        before = program(seed)
        after, _ = edited(before, edits, seed + 1, fresh)
        a, b = open_model(build(before, seed)), open_model(build(after, seed + 2))
        found = align(a, b)
        right += sum(pair.a.key == pair.b.key for pair in found.pairs)
        said += len(found.pairs)
        true += len(set(a.nodes) & set(b.nodes))
    return right / said, right / true


@pytest.mark.parametrize(("edits", "least"), [(0, 1.0), (1, 0.97)])
def test_edits_with_weights_kept(edits: int, least: float) -> None:
    precision, recall = scores(HELD_OUT, edits, fresh=False)
    assert min(precision, recall) >= least
