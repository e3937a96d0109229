"""What tests of parity share."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor
from torch.nn import functional


@pytest.fixture
def attention_as_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporters multiply queries and keys by the root of the scale, which files hold in float32."""
    plain = functional.scaled_dot_product_attention

    def scaled(queries: Tensor, keys: Tensor, values: Tensor, scale: float | None = None) -> Tensor:
        root = float(np.float32(queries.shape[-1] ** -0.25))
        return plain(queries, keys, values, scale=scale or root * root)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", scaled)
