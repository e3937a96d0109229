"""How many pairs of the alignment are right on generated models whose answer is known?"""

from __future__ import annotations

import pytest
from truth import scored

HELD_OUT = range(810_000, 810_020)
"""Seeds kept apart from those used while developing (below 80,000)."""


@pytest.mark.parametrize(
    ("edits", "fresh", "least"),
    [(0, False, 1.0), (1, False, 0.97), (3, False, 0.97), (6, False, 0.97), (0, True, 0.99), (3, True, 0.85)],
)
def test_pairs_of_edited_models(edits: int, fresh: bool, least: float) -> None:
    score = scored(HELD_OUT, edits, fresh)
    assert min(score.precision, score.recall) >= least
