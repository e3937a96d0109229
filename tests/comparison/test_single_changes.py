"""Is each kind of single change found, and nothing else?"""

from __future__ import annotations

import pytest
from single_changes import CHANGES, told

HELD_OUT = range(840_000, 840_008)
"""Seeds kept apart from those used while developing."""


@pytest.mark.parametrize("change", CHANGES)
def test_one_change_is_told_as_what_it_is(change: str) -> None:
    found = told(HELD_OUT, change)
    for score in (found.pairs, found.edits, found.weights):
        assert score.right == score.said == score.true, found
