"""Is a histogram counted for every range of numbers that a tensor can have?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inspector.workbench.reading import summary_of

TOP = np.iinfo(np.int64).max


@pytest.mark.parametrize(
    "values",
    [
        np.full(3, TOP),
        np.array([TOP, TOP - 1]),
        np.array([np.iinfo(np.int64).min, TOP]),
        np.array([2**53, 2**53 + 1]),
        np.array([1.0, np.nextafter(1.0, 2.0)]),
        np.array([1e308, 1e308]),
        np.array([5e-324, 0.0]),
        np.zeros(4, np.float32),
        np.array([True, False, True]),
    ],
    ids=["largest", "near", "both-ends", "beyond-mantissa", "next", "huge", "tiny", "zero", "boolean"],
)
def test_every_element_is_in_one_bin(values: np.ndarray[Any, Any]) -> None:
    with np.errstate(over="ignore"):
        found = summary_of(values)
    assert len(found["counts"]) == 64
    assert sum(found["counts"]) == values.size


def test_a_range_beyond_float64_has_no_bins() -> None:
    with np.errstate(over="ignore"):
        assert summary_of(np.array([-1e200, 1e200]))["counts"] != []
        assert summary_of(np.array([-1.7e308, 1.7e308]))["counts"] == []
