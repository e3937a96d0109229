"""Is what a net skips, joins or remembers invisible, whatever changes between two runs?"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor

import inspector
from inspector.autograd import Network

BODY = """g (float[N, M, 6] x) => (float[N, K] y, float[N, M, 4] z) {
  shape = Shape(x)
  zero = Constant<value = int64 {0}>()
  rows = Gather<axis = 0>(shape, zero)
  axis = Constant<value = int64[1] {0}>()
  first = Unsqueeze(rows, axis)
  rest = Constant<value = int64[1] {-1}>()
  wanted = Concat<axis = 0>(first, rest)
  last = Constant<value = int64 {2}>()
  width = Gather<axis = 0>(shape, last)
  wide = Cast<to = 1>(width)
  root = Sqrt(wide)
  scaled = Div(x, root)
  v = Identity(w)
  product = MatMul(scaled, v)
  z = Add(c, product)
  two = Constant<value = float {1.4142135}>()
  a = Div(z, two)
  b = Erf(a)
  one = Constant<value = float {1}>()
  d = Add(b, one)
  e = Mul(z, d)
  half = Constant<value = float {0.5}>()
  f = Mul(e, half)
  y = Reshape(f, wanted)
}"""


def made(body: str = BODY) -> Network:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{body}')
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((6, 4)), "c": rng.standard_normal(4)}
    proto.graph.initializer.extend(
        numpy_helper.from_array(value.astype(np.float32), name)
        for name, value in weights.items()
        if f"{name})" in body or f"{name}," in body
    )
    return inspector.to_torch(proto)


def reference(x: Tensor, net: Network) -> Tensor:
    z = x / math.sqrt(6) @ net.weights["w"] + net.weights["c"]
    return torch.nn.functional.gelu(z).reshape(x.shape[0], -1)


def shaped(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def operators(net: Network) -> list[str]:
    """What the last steps were, once something has run."""
    planner: Any = net._planner  # pyright: ignore[reportPrivateUsage]
    plan = list(planner._plans.values())[-1]
    memory = list(plan.memories.values())[-1]
    return [step.node.op_type for step in (plan.block.steps if memory is None else memory.steps)]


def test_a_second_run_skips_shape_arithmetic_and_joins_chains() -> None:
    net, x = made(), shaped(2, 3, 6)
    for _ in range(3):
        assert torch.allclose(net(x)[0], reference(x, net), rtol=1e-5, atol=1e-6)
    assert operators(net) == ["Div", "Linear", "Gelu", "View"]


def test_other_shapes_give_other_values() -> None:
    net = made()
    for shape in ((2, 3, 6), (5, 3, 6), (2, 3, 6), (5, 3, 6), (5, 7, 6)):
        x = shaped(*shape)
        y, z = net(x)
        assert y.shape == (shape[0], shape[1] * 4)
        assert z.shape == (*shape[:2], 4)
        assert torch.allclose(y, reference(x, net), rtol=1e-5, atol=1e-6)


def test_joined_chains_agree_with_the_graph_as_it_is_written() -> None:
    net, x = made(), shaped(2, 3, 6).requires_grad_()
    inner = [step.outputs[0] or "" for step in net.block.steps]
    joined, written = net(x)[0], net.run([x], taps=inner)
    assert set(written.taps) == set(inner)
    assert float((joined - written.outputs[0]).abs().max()) <= 1e-5 * float(joined.abs().max())
    a, b = (torch.autograd.grad(y.square().sum(), x)[0] for y in (joined, written.outputs[0]))
    assert float((a - b).abs().max()) <= 1e-5 * float(a.abs().max())


def test_in_double_precision_nothing_is_joined() -> None:
    net, x = made().double(), shaped(2, 3, 6).double()
    net(x)
    assert {"Erf", "MatMul"} <= set(operators(net))
    inner = [step.outputs[0] or "" for step in net.block.steps]
    assert torch.equal(net(x)[0], net.run([x], taps=inner).outputs[0])


def test_second_derivatives_pass_a_joined_chain() -> None:
    net, x = made(), shaped(2, 3, 6).requires_grad_()
    found: list[Tensor] = []
    for y in (net(x)[0], reference(x, net)):
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        found.append(torch.autograd.grad(g.square().sum(), x)[0])
    assert float(found[1].abs().max()) > 1e-2
    assert torch.allclose(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["rows", "wanted", "root", "v", "product", "b", "e"])
def test_a_value_that_is_skipped_can_be_tapped(name: str) -> None:
    net, x = made(), shaped(2, 3, 6)
    net(x)
    first, second = (net.run([x], taps=[name]).taps[name] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.allclose(net(x)[0], reference(x, net), rtol=1e-5, atol=1e-6)


OVERRIDES: list[tuple[Any, Any]] = [
    ("Erf", lambda x: x * 0),
    (("node", "d"), lambda a, b: a - b),
    ("root", lambda x: x * 2),
    ("width", torch.tensor(24)),
    ("Sqrt", lambda x: x),
    (("value", "product"), lambda x: -x),
    ("v", lambda x: x * 2),
    ("Identity", lambda x: x * 2),
    ("two", torch.tensor(3.0)),
    ("half", torch.tensor(0.25)),
    ("wanted", torch.tensor([2, 4, 3])),
]


@pytest.mark.parametrize(("name", "replacement"), OVERRIDES, ids=[str(name) for name, _ in OVERRIDES])
def test_a_step_that_is_skipped_can_be_overridden(name: Any, replacement: Any) -> None:
    net, x = made(), shaped(2, 3, 6)
    plain = net(x)[0]
    inner = [step.outputs[0] or "" for step in net.block.steps]
    changed = net.run([x], overrides={name: replacement}).outputs[0]
    written = net.run([x], taps=inner, overrides={name: replacement}).outputs[0]
    assert torch.allclose(changed, written, rtol=1e-5, atol=1e-6)
    assert changed.shape != plain.shape or not torch.allclose(changed, plain, rtol=1e-2)
    assert torch.equal(net(x)[0], plain)


def test_changed_constants_are_seen() -> None:
    net, x = made(), shaped(2, 3, 6)
    plain = net(x)[0]
    with torch.no_grad():
        net.weights["half"].mul_(2)
    assert torch.allclose(net(x)[0], 2 * plain, rtol=1e-5, atol=1e-6)
    net.weights["last"].sub_(1)  # the root of the length instead of that of the width
    assert torch.allclose(net.run([x], taps=["root"]).taps["root"], torch.tensor(math.sqrt(3)))
    by_hand = net.run([x], taps=[step.outputs[0] or "" for step in net.block.steps]).outputs[0]
    assert torch.allclose(net(x)[0], by_hand, rtol=1e-5, atol=1e-6)
    net.load_state_dict(made().state_dict())
    assert torch.equal(net(x)[0], plain)


def test_a_constant_that_wants_a_gradient_has_one() -> None:
    net, x = made(), shaped(2, 3, 6)
    net(x)
    half = net.weights["half"].requires_grad_()
    (gradient,) = torch.autograd.grad(net(x)[0].sum(), half)
    assert torch.allclose(gradient, 2 * reference(x, net).sum(), rtol=1e-4)


def test_a_changed_output_changes_nothing_else() -> None:
    net = made("g (float[N, M] x) => (int64[2] y) { s = Shape(x) y = Identity(s) }")
    x = torch.ones(2, 3)
    for _ in range(3):
        (y,) = net(x)
        assert y.tolist() == [2, 3]
        y.fill_(7)


def test_shapes_that_depend_on_values_are_read_anew() -> None:
    net = made(
        "g (float[N] x) => (float[1] y) { i = NonZero(x) s = Shape(i) f = Cast<to = 1>(s) y = ReduceSum(f) }"
    )
    for values in ([1.0, 0.0, 2.0], [1.0, 1.0, 2.0], [0.0, 0.0, 0.0], [1.0, 0.0, 2.0]):
        assert net(torch.tensor(values))[0].tolist() == [1.0 + sum(v != 0 for v in values)]


def test_other_worlds_leave_no_trace() -> None:
    net, x = made(), shaped(2, 3, 6)
    expected = reference(x, net)
    with torch.inference_mode():
        net(x)
    torch.func.jvp(lambda v: net(v)[0], (x,), (torch.ones_like(x),))
    by_func = torch.func.grad(lambda v: net(v)[0].sum())(x)
    y = x.clone().requires_grad_()
    assert torch.allclose(by_func, torch.autograd.grad(net(y)[0].sum(), y)[0], rtol=1e-5, atol=1e-6)
    for one in (net, copy.deepcopy(net)):
        assert torch.allclose(one(x)[0], expected, rtol=1e-5, atol=1e-6)
