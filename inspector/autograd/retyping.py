"""What does FLOAT mean in a net of another precision? The net's own type, in attributes and in results."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["retyped", "widened"]

FLOAT_ATTRIBUTES = ("to", "dtype", "stash_type", "output_datatype", "output_dtype", "softmax_precision")
"""Attributes that hold an ONNX element type; FLOAT in them means the net's own dtype after `net.double()`."""

ELEMENT_TYPES = {torch.float64: 11, torch.float16: 10, torch.bfloat16: 16}
REPLACED = {torch.float64: (1, 10, 16), torch.float16: (1,), torch.bfloat16: (1,)}
"""Element types that a net of another precision computes in its own; float64 takes over every shorter one."""


def retyped(attributes: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """An operator's attributes with the net's element type where they say FLOAT."""
    kind = ELEMENT_TYPES[dtype]
    return {n: kind if n in FLOAT_ATTRIBUTES and v in REPLACED[dtype] else v for n, v in attributes.items()}


def widened(value: Any, dtype: torch.dtype) -> Any:
    """A result in the net's precision, where ONNX says FLOAT."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.dtype != dtype:
        shorter = dtype == torch.float64 and value.dtype in (torch.float16, torch.bfloat16)
        return value.to(dtype) if shorter or value.dtype == torch.float32 else value
    if isinstance(value, list):
        return [widened(item, dtype) for item in value]
    return value
