"""What keeps a GPU to the numbers of the CPU: full single precision, and sums in a fixed order."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

__all__ = ["steady"]


@contextmanager
def steady() -> Generator[None]:
    """Convolutions on a GPU add in a fixed order and in full single precision, gradients included.

    torch lets cuDNN round the factors of a float32 convolution to TF32 (10 bits of fraction) unless it is
    told otherwise, which moves a classifier's logits by 1e-3. The setting belongs to the process: it is
    put back at the end.
    """
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
