"""How much does a gradient through a deep net hold at once? In segments far less."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import inspector

LAYERS, CHANNELS, SIZE = 200, 4, 16
MAP = 4 * CHANNELS * SIZE * SIZE
"""Bytes of one map."""


class Held(TorchDispatchMode):
    """Counts the bytes of what torch makes while it lives."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple) else (result,):
            if isinstance(value, Tensor):
                self._note(value.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata  # pyright: ignore[reportPrivateUsage]
        if key not in self._known:
            self._known.add(key)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def deep() -> onnx.ModelProto:
    """x + tanh(conv(x)) two hundred times."""
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    for i in range(LAYERS):
        kernel = rng.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32) / 20
        weights.append(numpy_helper.from_array(kernel, f"w{i}"))
        nodes += [
            helper.make_node("Conv", [f"v{i}", f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]),
            helper.make_node("Tanh", [f"c{i}"], [f"t{i}"]),
            helper.make_node("Add", [f"v{i}", f"t{i}"], [f"v{i + 1}"]),
        ]
    shape = [1, CHANNELS, SIZE, SIZE]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("v0", f"v{LAYERS}")]
    graph = helper.make_graph(nodes, "deep", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def gradient(x: Tensor, **options: Any) -> tuple[Tensor, float]:
    """The gradient, and the maps held at once for it."""
    net = inspector.to_torch(deep(), **options)
    leaf = x.clone().requires_grad_()
    with Held() as held:
        (found,) = torch.autograd.grad(net(leaf)[0].square().sum(), leaf)
    return found, held.peak / MAP


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_segments_hold_a_fraction(mode: str) -> None:
    x = torch.randn((1, CHANNELS, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    whole, all_maps = gradient(x, mode=mode)
    parts, some_maps = gradient(x, mode=mode, checkpoint=14)
    assert float(whole.abs().max()) > 0.1
    assert torch.allclose(whole, parts, rtol=1e-5, atol=1e-6)
    assert all_maps > LAYERS
    assert some_maps < all_maps / 6


def test_without_a_gradient_a_value_goes_with_its_last_reader() -> None:
    net, x = inspector.to_torch(deep()), torch.randn(1, CHANNELS, SIZE, SIZE)
    for _ in range(2):  # the first run notes shapes
        with torch.no_grad(), Held() as held:
            net(x)
        assert held.peak <= 6 * MAP
