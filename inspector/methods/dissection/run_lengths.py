"""Which pixels do the run lengths of a COCO mask mean? Lists of counts, and their compressed text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["decode_mask"]


def decode_mask(record: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """The mask (h, w) of `{"size": [h, w], "counts": …}`: runs down the columns, off and on in turn.

    Raises:
        ValueError: the runs do not fill the size, or the text is cut off.
    """
    height, width = (int(side) for side in record["size"])
    counts = record["counts"]
    runs = _runs(counts) if isinstance(counts, str) else [int(count) for count in counts]
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"run lengths of {sum(runs)} pixels for a mask of {height} × {width}")
    on = np.arange(len(runs)) % 2 == 1
    return np.repeat(on, runs).reshape(width, height).T


def _runs(text: str) -> Sequence[int]:
    """Counts from text: five bits a character from "0" on, low ones first, 32 where more follow; the last
    bit is the sign. From the fourth on each is the difference to the count before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            raise ValueError(f"character {character!r} in run lengths")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("run lengths are cut off")
    return runs
