"""What are the axes of an explained value called?"""

from __future__ import annotations

from torch import Tensor

__all__ = ["axes_of"]

_NAMES = {
    1: ("n",),
    2: ("n", "f"),
    3: ("n", "c", "t"),
    4: ("n", "c", "h", "w"),
    5: ("n", "c", "d", "h", "w"),
}


def axes_of(value: Tensor) -> tuple[str, ...]:
    """Names by rank, channels first as in ONNX: (n, f), (n, c, t), (n, c, h, w), (n, c, d, h, w)."""
    return _NAMES.get(value.ndim, ("n", *(f"a{i}" for i in range(1, value.ndim))))
