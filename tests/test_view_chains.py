"""Do chains of views, wherever they are moved, show the same elements and pass back the same gradients?"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.autograd import forward_ad

import inspector
from inspector.autograd import Network
from inspector.autograd.attending import attend
from inspector.autograd.axes import Axes

ATTENTION = """g (float[B, T, 12] x) => (float[B, T, 12] y) {
  turned = Transpose<perm = [1, 0, 2]>(x)
  wt = Transpose<perm = [1, 0]>(w)
  product = MatMul(turned, wt)
  all = Add(product, c)
  s = Shape(all)
  tokens = Gather<axis = 0>(s, zero)
  batch = Gather<axis = 0>(s, one)
  tokens1 = Unsqueeze(tokens, axis0)
  batch1 = Unsqueeze(batch, axis0)
  three = Concat<axis = 0>(tokens1, batch1, tail)
  cut = Reshape(all, three)
  up = Unsqueeze(cut, axis0)
  first = Transpose<perm = [3, 1, 2, 0, 4]>(up)
  packed = Squeeze(first, axis3)
  q0 = Gather<axis = 0>(packed, zero)
  k0 = Gather<axis = 0>(packed, one)
  v0 = Gather<axis = 0>(packed, two)
  heads = Concat<axis = 0>(tokens1, minus, four)
  q1 = Reshape(q0, heads)
  k1 = Reshape(k0, heads)
  v1 = Reshape(v0, heads)
  split = Concat<axis = 0>(tokens1, batch1, three1, four)
  q2 = Reshape(q1, split)
  k2 = Reshape(k1, split)
  v2 = Reshape(v1, split)
  q = Transpose<perm = [1, 2, 0, 3]>(q2)
  k = Transpose<perm = [1, 2, 3, 0]>(k2)
  v = Transpose<perm = [1, 2, 0, 3]>(v2)
  scores = MatMul(q, k)
  half = Constant<value = float {0.5}>()
  scaled = Mul(scores, half)
  p = Softmax<axis = -1>(scaled)
  z = MatMul(p, v)
  back = Transpose<perm = [2, 0, 1, 3]>(z)
  rows = Reshape(back, flat)
  out = Gemm<transB = 1>(rows, o, d)
  wide = Concat<axis = 0>(tokens1, batch1, twelve)
  grid = Reshape(out, wide)
  again = Transpose<perm = [1, 0, 2]>(grid)
  y = Add(x, again)
}"""
NUMBERS: dict[str, Any] = {
    **{name: np.int64(n) for name, n in {"zero": 0, "one": 1, "two": 2}.items()},
    **{name: np.array([n]) for name, n in {"axis0": 0, "axis3": 3, "minus": -1, "four": 4}.items()},
    "three1": np.array([3]),
    "twelve": np.array([12]),
    "tail": np.array([3, 12]),
    "flat": np.array([-1, 12]),
}


def attention() -> Network:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{ATTENTION}')
    rng = np.random.default_rng(0)
    shapes = {"w": (36, 12), "c": (36,), "o": (12, 12), "d": (12,)}
    weights = {name: (rng.standard_normal(shape) * 0.3).astype(np.float32) for name, shape in shapes.items()}
    held = {**NUMBERS, **weights}
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in held.items())
    return inspector.to_torch(proto)


def shaped(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), requires_grad=True)


def taken(net: Network) -> Counter[str]:
    planner: Any = net._planner  # pyright: ignore[reportPrivateUsage]
    memory = list(list(planner._plans.values())[-1].memories.values())[-1]
    return Counter(step.node.op_type for step in memory.steps)


def written(net: Network, x: Tensor) -> Tensor:
    return net.run([x], taps=[step.outputs[0] or "" for step in net.block.steps]).outputs[0]


def alike(y: Tensor, z: Tensor, x: Tensor) -> None:
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    a, b = (torch.autograd.grad((o * direction).sum(), x)[0] for o in (y, z))
    assert float(a.abs().max()) > 0.1
    assert torch.allclose(y, z, rtol=1e-5, atol=1e-5)
    assert torch.allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 5, 12), (1, 5, 12), (3, 1, 12)])
def test_attention_as_exporters_write_it_takes_nine_steps(shape: tuple[int, ...]) -> None:
    net, x = attention(), shaped(*shape)
    net(x)
    assert taken(net) == {"Linear": 2, "Unbind": 1, "View": 4, "Attention": 1, "Add": 1}
    for _ in range(2):
        alike(net(x)[0], written(net, x), x)


@pytest.mark.parametrize(
    "name", ["turned", "product", "all", "first", "packed", "k0", "q1", "k", "z", "rows", "out"]
)
def test_a_value_that_no_step_makes_any_more_can_be_tapped(name: str) -> None:
    net, x = attention(), shaped(2, 5, 12)
    net(x)
    for _ in range(2):
        run = net.run([x], taps=[name])
        every = net.run([x], taps=[step.outputs[0] or "" for step in net.block.steps])
        assert torch.allclose(run.taps[name], every.taps[name], rtol=1e-5, atol=1e-5)
        a, b = (torch.autograd.grad(r.outputs[0].square().sum(), r.taps[name])[0] for r in (run, every))
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["turned", "all", "packed", "k0", "z", "out"])
def test_a_value_may_be_changed(name: str) -> None:
    net, x = attention(), shaped(2, 5, 12)
    plain = net(x)[0]
    every = [step.outputs[0] or "" for step in net.block.steps]
    found = [
        net.run([x], taps=taps, overrides={("value", name): lambda t: t * 2}).outputs[0]
        for taps in ([], every, [])
    ]
    assert torch.allclose(found[0], found[1], rtol=1e-5, atol=1e-5)
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], plain, rtol=1e-2)


def test_an_override_may_change_a_shape() -> None:
    net, x = attention(), shaped(2, 5, 12)
    net(x)
    for _ in range(2):
        (y,) = net.run([x], overrides={("value", "x"): lambda t: t[:1]})
        alike(y, net(x[:1])[0], x)


def test_other_places_and_shapes_written_into_the_graph_are_seen() -> None:
    net, x = attention(), shaped(2, 5, 12)
    net(x)
    for name, change in (("two", -1), ("two", 1), ("three1", 0)):
        net.weights[name].add_(change)
        alike(net(x)[0], written(net, x), x)


def test_weights_of_the_products_have_the_same_gradients() -> None:
    net, x = attention(), shaped(2, 5, 12)
    weights = [net.weights[name] for name in "wcod"]
    net(x)
    pairs = zip(
        *(torch.autograd.grad(y.square().sum(), weights) for y in (net(x)[0], written(net, x))), strict=True
    )
    for a, b in pairs:
        assert float(a.abs().max()) > 0.1
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_shapes_that_a_value_decides_keep_their_views() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[N] x) => (float[M, 1] z) {
          i = NonZero(x) f = Cast<to = 1>(i) t = Transpose<perm = [1, 0]>(f) s = Shape(t) z = Reshape(t, s)
        }"""
    )
    net = inspector.to_torch(proto)
    for values in ([1.0, 0.0, 2.0], [1.0, 1.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]):
        places = [[float(i)] for i, v in enumerate(values) if v]
        assert net(torch.tensor(values))[0].tolist() == places


def test_any_row_of_views_is_at_most_three_operations() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        shape = [rng.choice([1, 1, 2, 3, 4, 6, 12]) for _ in range(rng.randint(1, 4))]
        x = torch.arange(torch.Size(shape).numel()).reshape(shape)
        y, axes = x, Axes.of(shape)
        for _ in range(rng.randint(1, 5)):
            if rng.random() < 0.5:
                order = rng.sample(range(y.ndim), y.ndim)
                y, axes = y.permute(order), axes.permuted(order)
            else:
                other = _factors(y.numel(), rng)
                after = axes.reshaped(other)
                if after is not None:
                    y, axes = y.reshape(other), after
        move = axes.move()
        assert axes.shape == y.shape
        assert len(move.operations) <= 3
        assert torch.equal(move(x), y)


def _factors(count: int, rng: random.Random) -> list[int]:
    found: list[int] = []
    while count > 1 and len(found) < 3:
        found.append(rng.choice([n for n in range(1, count + 1) if count % n == 0]))
        count //= found[-1]
    return [*found, *([count] if count > 1 else []), *([1] if rng.random() < 0.4 else [])]


@pytest.mark.parametrize("masked", [False, True])
def test_fused_attention_has_every_derivative(masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4))
    q, k, v = (torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes)
    mask = torch.randn((3, 5), generator=generator, dtype=torch.float64) if masked else None

    def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, mask, 0.3)

    scores = q @ k.mT * 0.3
    assert torch.allclose(fused(q, k, v), torch.softmax(scores if mask is None else scores + mask, -1) @ v)
    assert torch.autograd.gradcheck(fused, (q, k, v))
    assert torch.autograd.gradgradcheck(fused, (q, k, v))
    by_func = torch.func.grad(lambda t: fused(t, k, v).square().sum())(q)
    assert torch.allclose(by_func, torch.autograd.grad(fused(q, k, v).square().sum(), q)[0])


def pushed(f: Callable[[Tensor], Tensor], x: Tensor, t: Tensor) -> Tensor:
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(f(forward_ad.make_dual(x, t))).tangent
    assert found is not None
    return found


def test_attention_can_be_derived_in_every_way() -> None:
    """Forward, in batches, twice, and in short floats where torch casts; views of other strides too."""
    net, x = attention(), shaped(2, 5, 12).detach()
    tangent = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))

    def joined(v: Tensor) -> Tensor:
        return net(v)[0]

    def plain(v: Tensor) -> Tensor:
        return written(net, v)

    def score(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda v: f(v).square().sum()

    joined(x)
    assert taken(net)["Attention"] == 1
    step = 1e-2
    slope = (plain(x + step * tangent) - plain(x - step * tangent)) / (2 * step)
    assert torch.allclose(torch.func.jvp(joined, (x,), (tangent,))[1], slope, atol=2e-3)
    assert torch.allclose(pushed(joined, x, tangent), slope, atol=2e-3)
    assert torch.allclose(pushed(plain, x, tangent), slope, atol=2e-3)
    one_by_one = torch.func.vmap(lambda v: joined(v[None])[0])(x)
    assert torch.allclose(one_by_one, plain(x), atol=1e-5)
    curved = torch.func.hessian(score(joined))(x)
    assert float(curved.detach().abs().max()) > 0.1
    assert torch.allclose(curved, torch.func.hessian(score(plain))(x), atol=1e-4)
    assert torch.allclose(curved, torch.autograd.functional.hessian(score(joined), x), atol=1e-4)
    turned = x.mT.contiguous().mT
    assert torch.allclose(joined(turned), plain(x), atol=1e-5)
    alike(joined(turned.requires_grad_()), plain(turned), turned)
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = joined(x)
    assert float((y - joined(x)).abs().max()) < 0.1
    (rough,), (exact,) = (torch.autograd.grad(v.sum(), x) for v in (y, joined(x)))
    assert float((rough - exact).abs().max()) < 0.05 * float(exact.abs().max())


def test_a_row_that_sees_nothing_passes_back_zero_by_torch_func_too() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N, M] x) => (float[N, M] y) { y = Softmax(x) }'
    )
    net, x = inspector.to_torch(proto), torch.tensor([[0.0, -torch.inf, 1.0], [-torch.inf] * 3])
    (y,) = net(x)
    assert torch.equal(torch.isnan(y), torch.tensor([[False] * 3, [True] * 3]))
    gradient = torch.func.grad(lambda v: net(v)[0][0, 0])(x)
    p, q = y[0, 0], y[0, 2]
    wanted = torch.stack([p * (1 - p), torch.zeros(()), -p * q])
    assert torch.allclose(gradient, torch.stack([wanted, torch.zeros(3)]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_attention_in_short_floats(dtype: torch.dtype) -> None:
    x = shaped(2, 5, 12)
    exact = attention()(x)[0]
    y = attention().to(dtype)(x)[0]
    assert y.dtype == dtype
    assert float((y - exact).abs().max()) < 8 * torch.finfo(dtype).eps * float(exact.abs().max())
    (rough,), (slope,) = (torch.autograd.grad(v.float().sum(), x) for v in (y, exact))
    assert float((rough - slope).abs().max()) < 8 * torch.finfo(dtype).eps * float(slope.abs().max())
