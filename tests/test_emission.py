"""Is the torch.fx form of a net what the net runs, one graph, and honest about control flow?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest
import torch
from architectures import ARCHITECTURES
from torch import Tensor

import inspector
from inspector import autograd
from inspector.autograd import Network
from inspector.errors import UnsupportedOperator

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def made(body: str) -> Network:
    text = f'<ir_version: 8, opset_import: ["" : 17, "own" : 1]>\n{body}'
    return inspector.to_torch(onnx.parser.parse_model(text))


def score(outputs: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([y.square().sum() for y in outputs]).sum()


def one_graph(net: Network, *inputs: Tensor) -> None:
    """The torch.fx form gives the values and gradients of the net, as it is and compiled, in one graph."""
    module = autograd.to_fx(net, [x.detach() for x in inputs])
    explained: Any = torch._dynamo.explain(module)(*inputs)  # pyright: ignore[reportPrivateUsage]
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)
    torch.compiler.reset()
    compiled: Any = torch.compile(module, backend="aot_eager", fullgraph=True)
    wanted = net(*inputs)
    slopes = torch.autograd.grad(score(wanted), inputs)
    for form in (module, compiled):
        found = form(*inputs)
        assert all(torch.allclose(y, z, atol=1e-6) for y, z in zip(found, wanted, strict=True))
        got = torch.autograd.grad(score(found), inputs)
        for a, b in zip(got, slopes, strict=True):
            assert float(b.abs().max()) > 1e-3
            assert torch.allclose(a, b, atol=1e-5)


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
REPEATED_BY_SHAPE = """g (float[N, M] x, float[M] v) => (float[M] y, float[K, M] all) {
  s = Shape(x) zero = Constant<value = int64 {0}>() two = Constant<value = int64 {2}>()
  n = Gather<axis = 0>(s, zero) yes = Constant<value = bool {1}>()
  y, all = Loop <
    body = b (int64 i, bool go, float[M] u) => (bool again, float[M] w, float[M] row) {
      again = Identity(go) row0 = Gather<axis = 0>(x, i) c = Equal(i, two)
      row = If <
        then_branch = t () => (tt) { tt = Mul(row0, u) },
        else_branch = e () => (ee) { f = Cast<to = 1>(i) ee = Add(row0, f) }
      > (c)
      m = Mul(u, row) w = Tanh(m)
    }
  > (n, yes, v)
}"""
FUNCTIONS = """g (float[N, M] x) => (float[N, M] y) {
  a = own.twice<by = 0.5>(x) b = own.twice(a) y = Add(a, b)
}
<domain: "own", opset_import: ["" : 17, "own" : 1]>
twice <by: float = 2.0> (v) => (w) {
  k = Constant<value_float: float = @by>() u = Mul(v, k) w = own.bend(u, , v)
}
<domain: "own", opset_import: ["" : 17]>
bend (v, missing, z) => (w) {
  t = Tanh(v) one = Constant<value = float {1}>() s = Add(t, one) w = Mul(s, z)
}"""
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
    one_graph(net, x)


@pytest.mark.parametrize("rows", [1, 4])
def test_a_loop_whose_turns_follow_from_shapes_is_written_out(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, v = (torch.randn(s, generator=generator, requires_grad=True) for s in ((rows, 3), (3,)))
    one_graph(made(REPEATED_BY_SHAPE), x, v)


def test_functions_are_written_out() -> None:
    x = torch.randn((2, 3), generator=torch.Generator().manual_seed(0), requires_grad=True)
    net = made(FUNCTIONS)
    inner = x / 2
    a = (torch.tanh(inner) + 1) * x
    assert torch.allclose(net(x)[0], a + (torch.tanh(2 * a) + 1) * a, atol=1e-6)
    one_graph(net, x)


def test_bounds_that_are_weights_do_not_break_the_graph() -> None:
    net = made("g (float[N] x) => (float[N] y) <float lo = {-0.5}, float hi = {0.5}> { y = Clip(x, lo, hi) }")
    one_graph(net, torch.linspace(-1, 1, 8, requires_grad=True))


def test_a_loop_of_many_turns_is_named() -> None:
    body = """g (float[N] x, bool c) => (float[N] y) {
      n = Constant<value = int64 {9999}>()
      y = Loop <body = b (int64 i, bool go, float[N] v) => (bool go, float[N] w) { w = Mul(v, v) }> (n, , x)
    }"""
    with pytest.raises(UnsupportedOperator, match=r"Loop 'y' \(ai.onnx opset 17\) takes 9999 turns"):
        autograd.to_fx(made(body), [torch.ones(2), torch.tensor(True)])


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt", "swin", "light_squeezenet"])
def test_a_real_model_is_one_graph(name: str) -> None:
    if name in ("gpt", "swin"):
        pytest.importorskip("transformers")
    if name in ARCHITECTURES:
        row = ARCHITECTURES[name]
        x = row.inputs(row.traced)
        net = inspector.to_torch(inspector.open_model(row.module(), input_shape={"": row.shape}, example=x))
    else:
        net = inspector.to_torch(onnx.load(LIGHT / f"{name}.onnx"))
        x = torch.rand((1, 3, 224, 224), generator=torch.Generator().manual_seed(0))
    module = autograd.to_fx(net, [x])
    assert torch.equal(module(x)[0], net(x)[0])
    explained: Any = torch._dynamo.explain(module)(x)  # pyright: ignore[reportPrivateUsage]
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


def test_in_double_precision_nothing_is_cast_down() -> None:
    net = made(
        "g (float[N, M] x) => (float[N, M] y) { h = Cast<to = 1>(x) t = Tanh(h) y = Add(t, x) }"
    ).double()
    x = torch.randn((2, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (y,) = autograd.to_fx(net, [x])(x)
    assert torch.equal(y, torch.tanh(x) + x)
