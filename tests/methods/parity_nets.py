"""Classifiers as models, and as torch modules that hold what their files hold: parity in double precision."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
from torch import nn

import inspector

sys.path.insert(0, str(Path(__file__).parent.parent))
from architectures import ARCHITECTURES

__all__ = ["pair"]


@cache
def pair(name: str) -> tuple[inspector.Model, nn.Module, np.ndarray]:
    row = ARCHITECTURES[name]
    x = row.inputs(row.traced, seed=7)
    model = inspector.open_model(row.module(), example=x)
    return model, _with_stored_constants(row.module()).double(), x.numpy()


def _with_stored_constants(net: nn.Module) -> nn.Module:
    """The net with epsilons as ONNX keeps attributes, in float32: otherwise maps differ by 1e-8."""
    for layer in net.modules():
        if isinstance(layer, (nn.LayerNorm, nn.BatchNorm2d)):
            layer.eps = float(np.float32(layer.eps))
    return net
