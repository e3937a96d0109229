"""Is the number on a node the one that its own lens gives?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from structures import transformer

import inspector
from inspector.errors import MissingOption


@pytest.fixture(scope="module")
def net(fixtures: Path) -> inspector.Model:
    return inspector.open_model(fixtures / "squeezenet1_1.onnx")


@pytest.mark.parametrize("of", ["parameters", "macs", "time", "memory", "spread", "zeros", "relevance"])
def test_every_quantity_has_numbers(net: inspector.Model, of: Any) -> None:
    found = inspector.overlay(net, of=of)
    assert found.nodes.keys() <= net.nodes.keys()
    assert len(found.nodes) >= 26
    assert max(found.nodes.values()) > min(found.nodes.values()) >= 0


def test_zeros_and_spread_are_those_of_the_values(net: inspector.Model) -> None:
    feeds = inspector.execution.read_inputs(net, ["random"]).feeds
    values = inspector.capture(net, feeds)
    zeros, spread = (inspector.overlay(net, of=of).nodes for of in ("zeros", "spread"))
    for key, node in net.nodes.items():
        value = values[node.outputs[0]]
        assert zeros[key] == pytest.approx(np.mean(value == 0))
        assert spread[key] == pytest.approx(np.std(value.astype(np.float64)), rel=1e-4)


def test_relevance_of_the_first_layer_by_hand(net: inspector.Model) -> None:
    node = next(iter(net.nodes.values()))
    subject = inspector.methods.prepare(net, ["random"])
    changed = subject.x.clone().requires_grad_()
    score, taps = subject.forward(changed, taps=[node.outputs[0]])
    (slope,) = torch.autograd.grad(score.sum(), taps[node.outputs[0]])
    by_hand = float((taps[node.outputs[0]] * slope).detach().abs().sum())
    assert inspector.overlay(net, of="relevance").nodes[node.key] == pytest.approx(by_hand, rel=1e-5)


def test_difference_needs_and_uses_another_model(net: inspector.Model) -> None:
    with pytest.raises(MissingOption, match="--other"):
        inspector.overlay(net, of="difference")
    small = inspector.open_model(transformer(1))
    same = inspector.overlay(small, of="difference", other=small)
    assert same.nodes
    assert set(same.nodes.values()) == {0.0}


def test_sparsity_counts_the_zeros_of_what_a_node_reads() -> None:
    weights = [np.array([[1, 0, 0, 2]], np.float32), np.array([[0], [0], [3], [0]], np.float32)]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"], "one"),
        helper.make_node("MatMul", ["h", "w1"], ["y"], "two"),
    ]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1]),
    ]
    stored = [numpy_helper.from_array(array, f"w{index}") for index, array in enumerate(weights)]
    made = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], stored))
    assert inspector.overlay(made, of="sparsity").nodes == {"one": 0.5, "two": 0.75}
