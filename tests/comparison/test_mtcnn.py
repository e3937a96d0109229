"""Are the three networks of MTCNN recognised across three packages, kernels turned in one of them?"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import inspector

SIZES = {"pnet": 24, "rnet": 24, "onet": 48}
CONVOLUTIONS = {
    "pnet": ((3, 10, 3), (10, 16, 3), (16, 32, 3)),
    "rnet": ((3, 28, 3), (28, 48, 3), (48, 64, 2)),
    "onet": ((3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2)),
}
POOLS = {"pnet": (2, 0, 0), "rnet": (3, 3, 0), "onet": (3, 3, 2, 0)}
DENSE = {"rnet": (576, 128, (2, 4)), "onet": (1152, 256, (2, 4, 10))}


class Net(nn.Module):
    """P-, R- or O-Net of "Joint Face Detection and Alignment using Multi-task Cascaded Networks"."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.pools = POOLS[name]
        self.depth = len(self.pools)
        for i, (inputs, outputs, kernel) in enumerate(CONVOLUTIONS[name], 1):
            self.add_module(f"conv{i}", nn.Conv2d(inputs, outputs, kernel))
            self.add_module(f"prelu{i}", nn.PReLU(outputs))
        self.flat = name in DENSE
        heads, last = ((2, 4), self.depth + 1) if not self.flat else (DENSE[name][2], self.depth + 2)
        if self.flat:
            inputs, inner, _ = DENSE[name]
            self.add_module(f"dense{last - 1}", nn.Linear(inputs, inner))
            self.add_module(f"prelu{last - 1}", nn.PReLU(inner))
        self.heads = [f"{'dense' if self.flat else 'conv'}{last}_{i + 1}" for i in range(len(heads))]
        for head, width in zip(self.heads, heads, strict=True):
            layer = nn.Linear(inner, width) if self.flat else nn.Conv2d(outputs, width, 1)
            self.add_module(head, layer)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        for i, pool in enumerate(self.pools, 1):
            x = getattr(self, f"prelu{i}")(getattr(self, f"conv{i}")(x))
            x = nn.functional.max_pool2d(x, pool, 2, ceil_mode=True) if pool else x
        if self.flat:
            i = self.depth + 1
            x = getattr(self, f"dense{i}")(x.permute(0, 3, 2, 1).flatten(1))
            x = getattr(self, f"prelu{i}")(x)
        first, *rest = (getattr(self, head)(x) for head in self.heads)
        return *rest, torch.softmax(first, 1)


def exported(name: str, weights: Path, folder: Path) -> Path:
    net = Net(name)
    net.load_state_dict(torch.load(weights))
    path = folder / f"{name}_torch.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sample = torch.randn(1, 3, SIZES[name], SIZES[name])
        torch.onnx.export(net.eval(), (sample,), path, dynamo=False, opset_version=13)
    return path


@pytest.mark.parametrize("net", SIZES)
def test_graphs_are_one_network_on_turned_pictures(shared_models: Path, tmp_path: Path, net: str) -> None:
    folder = shared_models / "mtcnn"
    other = exported(net, folder / f"pytorch/{net}.pt", tmp_path)
    found = inspector.compare(folder / f"onnx/{net}.onnx", other)
    assert found.verdict.startswith("the same network for turned pictures")
    assert (found.edits, found.only_a, found.only_b, found.similarity) == ((), (), (), 1.0)
    assert found.structure_agrees
    assert found.values_agree
    assert not found.activations_agree
    assert len(found.activations) == len(found.pairs) >= 10
    assert max(c.difference.relative for c in found.activations if c.difference) < 1e-4
    turned = [c for c in found.weights if c.detail == "height and width swapped"]
    assert len(turned) == len(CONVOLUTIONS[net])


def test_one_kernel_turned_alone_is_a_fault(shared_models: Path, tmp_path: Path) -> None:
    path = exported("rnet", shared_models / "mtcnn/pytorch/rnet.pt", tmp_path)
    state = torch.load(shared_models / "mtcnn/pytorch/rnet.pt")
    state["conv2.weight"] = state["conv2.weight"].transpose(2, 3).contiguous()
    torch.save(state, tmp_path / "turned.pt")
    (tmp_path / "other").mkdir()
    found = inspector.compare(path, exported("rnet", tmp_path / "turned.pt", tmp_path / "other"))
    assert not found.mirrored
    assert not found.same
    assert found.first_divergence is not None
    assert found.first_divergence.node == "/conv2/Conv"
    assert found.first_divergence.cause == "layout"


@pytest.mark.parametrize("net", SIZES)
def test_the_third_package_holds_the_same_weights(shared_models: Path, net: str) -> None:
    folder = shared_models / "mtcnn"
    weights = folder / f"keras_lz4/{net}.lz4"
    for other in (folder / f"onnx/{net}.onnx", folder / f"pytorch/{net}.pt"):
        found = inspector.compare(other, weights)
        assert found.verdict.startswith("the same weights"), (other.name, found.verdict, found.changed)
        assert found.only_b == ()
        assert len(found.pairs) > 2 * len(CONVOLUTIONS[net])
