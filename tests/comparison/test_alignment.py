"""How many pairs of the alignment are right on generated models whose answer is known?"""

from __future__ import annotations

import pytest
from truth import scored, scored_edits

HELD_OUT = range(830_000, 830_016)
"""Seeds kept apart from those used while developing (below 80,000)."""


@pytest.mark.parametrize(
    ("edits", "fresh", "least"),
    [(0, False, 1.0), (1, False, 0.97), (3, False, 0.97), (6, False, 0.97), (0, True, 0.99), (3, True, 0.85)],
)
def test_pairs_of_edited_models(edits: int, fresh: bool, least: float) -> None:
    score = scored(HELD_OUT, edits, fresh)
    assert min(score.precision, score.recall) >= least


@pytest.mark.slow
@pytest.mark.parametrize(("edits", "fresh", "least"), [(1, False, 0.99), (1, True, 0.97), (3, False, 0.95)])
def test_kinds_of_edits(edits: int, fresh: bool, least: float) -> None:
    score = scored_edits(HELD_OUT, edits, fresh)
    assert score.precision >= 0.99
    assert score.recall >= least
