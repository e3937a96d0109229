"""Is every gradient right, and is none lost in silence? All cases with a float path, against differences."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterable
from pathlib import Path

import onnx
import pytest
import torch
from gradient_check import Verdict, check
from onnx import TensorProto, helper
from operator_suite import Case, node_cases, stored_cases

from inspector.autograd import to_torch

ROWS = tomllib.loads(Path(__file__).with_name("expectations.toml").read_text())["no_gradient"]
EXPECTED = {(name, row["kind"]) for row in ROWS for name in row["operators"]}
FLOAT_PATHS = 1250
"""Cases of onnx 1.23.2 whose gradient is compared; fewer would mean that the check went blind."""


def verdicts() -> Iterable[tuple[Case, Verdict]]:
    cases = [*node_cases(), *(case for case in stored_cases() if case.group != "light")]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from ((case, check(case)) for case in cases)
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_every_gradient_agrees_with_differences() -> None:
    found = list(verdicts())
    bad = [(case, v) for case, v in found if v.kind in ("missing", "wrong", "nan", "crash")]
    types = {case.name: {node.op_type for node in case.load().graph.node} for case, _ in bad}
    unexplained = {
        case.name: v for case, v in bad if not any((name, v.kind) in EXPECTED for name in types[case.name])
    }
    assert unexplained == {}
    used = {(name, v.kind) for case, v in bad for name in types[case.name]}
    assert used >= EXPECTED, f"rows that explain nothing: {EXPECTED - used}"
    assert sum(v.kind == "pass" for _, v in found) >= FLOAT_PATHS


def _one(op: str, inputs: dict[str, list[int]], opset: int = 22, **attributes: object) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op, list(inputs), ["y"], name="node", **attributes)],
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def test_celu_at_exactly_zero() -> None:
    x = torch.zeros(3, requires_grad=True)
    to_torch(_one("Celu", {"x": [3]}, alpha=2.0))(x)[0].sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_batch_statistics_that_are_values_have_gradients() -> None:
    net = to_torch(
        _one("BatchNormalization", {"x": [4, 2, 3], "s": [2], "b": [2], "m": [2], "v": [2]})
    ).double()
    inputs = [torch.rand(4, 2, 3), *(torch.rand(2) + 0.5 for _ in range(4))]
    ready = [value.double().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(lambda *v: net(*v)[0], ready)


@pytest.mark.parametrize("mask", [[True, False, False], [False, False, False]])
def test_hidden_rows_of_a_softmax_pass_back_zero(mask: list[bool]) -> None:
    x = torch.rand(1, 3, requires_grad=True)
    hidden = torch.where(torch.tensor([mask]), x, -torch.inf)
    y = to_torch(_one("Softmax", {"x": [1, 3]}))(hidden)[0]
    torch.where(torch.isnan(y), 0.0, y)[0, 0].backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_softmax_has_second_derivatives() -> None:
    net = to_torch(_one("Softmax", {"x": [2, 3]})).double()
    x = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda v: net(v)[0], (x,))
