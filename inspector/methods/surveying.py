"""What does one run over the inputs tell? Shapes, outputs and the values a class map may be read at."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from inspector.autograd import steady
from inspector.autograd.cutting import watched
from inspector.autograd.network import Network

__all__ = ["Survey", "survey"]

RECENT = 8
"""Values with places that are kept of those every path goes through: the usual layer is one of the last."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Shape of every top-level value in order of execution, and the values that were kept, no gradient."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    values: dict[str, Tensor] = field(default_factory=dict[str, Tensor])


@torch.no_grad()
def survey(net: Network, feeds: Mapping[str, Any], keep: Collection[str], trunk: Collection[str]) -> Survey:
    """Run the net once; the values in `keep` are kept, and the last few with places of `trunk`."""
    found = Survey()
    recent: deque[tuple[str, Tensor]] = deque(maxlen=RECENT)

    def see(key: str, value: Any) -> None:
        if hasattr(value, "shape"):
            found.shapes[key] = tuple(value.shape)
        if key in keep and isinstance(value, Tensor):
            found.values[key] = value
        elif key in trunk and isinstance(value, Tensor) and value.ndim in (3, 4):
            recent.append((key, value))

    with steady():
        watched(net, feeds, see)
    found.values.update(recent)
    return found
