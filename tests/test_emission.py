"""Is the torch.fx form of a net what the net runs, one graph, and honest about control flow?"""

from __future__ import annotations

from typing import Any

import onnx
import onnx.parser
import pytest
import torch
from torch import Tensor

import inspector
from inspector import autograd
from inspector.autograd import Network
from inspector.errors import UnsupportedOperator


def made(body: str) -> Network:
    return inspector.to_torch(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{body}'))


BRANCHES = """<
  then_branch = t () => (tt) { tt = Mul(x, x) },
  else_branch = e () => (ee) {
    s2 = Shape(x) f2 = Cast<to = 1>(s2) m2 = ReduceMax<keepdims = 0>(f2) ee = Add(x, m2)
  }
>"""

BY_SHAPE = f"""g (float[N, M] x) => (float[N, M] y) {{
  s = Shape(x) zero = Constant<value = int64 {{0}}>() two = Constant<value = int64 {{2}}>()
  n = Gather<axis = 0>(s, zero) c = Equal(n, two)
  z = If {BRANCHES} (c)
  y = Relu(z)
}}"""
BY_VALUE = f"""g (float[N, M] x, bool c) => (float[N, M] y) {{ z = If {BRANCHES} (c) y = Relu(z) }}"""
REPEATED = """g (float[N] x, int64 n, bool c) => (float[N] y) {
  y = Loop <
    body = b (int64 i, bool go, float[N] v) => (bool again, float[N] w) { again = Identity(go) w = Mul(v, v) }
  > (n, c, x)
}"""


@pytest.mark.parametrize("rows", [2, 3])
def test_a_condition_that_follows_from_shapes_is_the_branch_it_takes(rows: int) -> None:
    net, x = made(BY_SHAPE), torch.randn(rows, 4, requires_grad=True)
    module = autograd.to_fx(net, [x.detach()])
    assert torch.allclose(module(x)[0], torch.relu(x * x if rows == 2 else x + 4))
    a, b = (torch.autograd.grad(f(x)[0].sum(), x)[0] for f in (module, net))
    assert torch.equal(a, b)
    explained: Any = torch._dynamo.explain(module)(x)  # pyright: ignore[reportPrivateUsage]
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


@pytest.mark.parametrize(("body", "named"), [(BY_VALUE, "If 'z'"), (REPEATED, "Loop 'y'")])
def test_what_values_choose_or_repeat_is_named(body: str, named: str) -> None:
    net = made(body)
    inputs: list[Tensor] = [torch.ones(2) if "n" in net.input_names else torch.ones(2, 2)]
    if "n" in net.input_names:
        inputs.append(torch.tensor(2))
    with pytest.raises(UnsupportedOperator, match=rf"{named} \(ai.onnx opset 17\).*values of the run"):
        autograd.to_fx(net, [*inputs, torch.tensor(True)])


def test_it_takes_the_steps_that_a_run_takes() -> None:
    net = made(
        """g (float[N, M] x) => (float[K, L] y) {
          root = Constant<value = float {1.4142135}>() one = Constant<value = float {1}>()
          half = Constant<value = float {0.5}>()
          a = Transpose<perm = [1, 0]>(x) b = Transpose<perm = [1, 0]>(a)
          d = Div(b, root) e = Erf(d) f = Add(e, one) h = Mul(b, f) i = Mul(h, half)
          s = Shape(i) y = Reshape(i, s)
        }"""
    )
    x = torch.randn(2, 3)
    module = autograd.to_fx(net, [x])
    called = [node.name for node in module.graph.nodes if node.op == "call_function"]
    assert len(called) <= 3
    assert torch.allclose(module(x)[0], torch.nn.functional.gelu(x), atol=1e-6)
