"""Is the quick product of fast mode torch's own, with every derivative, in every way of deriving?"""

from __future__ import annotations

from itertools import combinations

import onnx.parser
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

import inspector
from inspector.autograd import products
from inspector.autograd.products import quick

ROWS, WIDTH = 128, 512


def operands(transposed: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Large enough for the kernel."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, ROWS // 2, WIDTH), generator=generator)
    weight = torch.randn((WIDTH, WIDTH), generator=generator) / 16
    bias = torch.randn(WIDTH, generator=generator)
    assert ROWS * WIDTH * WIDTH >= products.LARGE
    return x.requires_grad_(), (weight.mT if transposed else weight).requires_grad_(), bias.requires_grad_()


def near(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    a, b = a.detach(), b.detach()
    assert float(b.std()) > 1e-2
    return float((a - b).abs().max()) <= tolerance * float(b.abs().max())


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each call of the kernel."""
    if not products.WITH:
        pytest.skip("this torch has no oneDNN")
    calls: list[int] = []
    kernel = products.KERNEL

    def counted(*arguments: object) -> Tensor:
        calls.append(1)
        return kernel(*arguments)

    monkeypatch.setattr(products, "KERNEL", counted)
    return calls


@pytest.mark.parametrize("transposed", [False, True])
def test_values_and_gradients_are_those_of_torch(transposed: bool, kernel_calls: list[int]) -> None:
    leaves = operands(transposed)
    direction = torch.randn((2, ROWS // 2, WIDTH), generator=torch.Generator().manual_seed(1))
    y, z = quick(*leaves), functional.linear(*leaves)
    assert near(y, z)
    for count in (1, 2, 3):
        for asked in combinations(leaves, count):
            kernel_calls.clear()
            found = torch.autograd.grad(y, asked, direction, retain_graph=True)
            wanted = torch.autograd.grad(z, asked, direction, retain_graph=True)
            assert all(near(a, b) for a, b in zip(found, wanted, strict=True))
            assert len(kernel_calls) == (asked[0] is leaves[0])  # what nobody asked for is not computed
    y.backward(direction)
    assert leaves[1].grad is not None
    assert near(leaves[1].grad, torch.autograd.grad(z, leaves[1], direction)[0])
    with torch.no_grad():
        assert near(quick(*leaves), z)


def test_second_derivatives(kernel_calls: list[int]) -> None:
    x, weight, bias = operands()
    found: list[Tensor] = []
    for product in (quick, functional.linear):
        (g,) = torch.autograd.grad(product(x, weight, bias).sin().sum(), x, create_graph=True)
        found += torch.autograd.grad(g.square().sum(), (x, weight))
    assert kernel_calls
    assert near(found[0], found[2], 1e-4)
    assert near(found[1], found[3], 1e-4)


def test_other_ways_of_deriving_take_torch_s_own_function() -> None:
    x, weight, bias = (t.detach() for t in operands())
    tangent = torch.ones_like(x)

    def with_quick(v: Tensor) -> Tensor:
        return quick(v, weight, bias)

    slope = functional.linear(tangent, weight)
    assert near(torch.func.jvp(with_quick, (x,), (tangent,))[1], slope)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, tangent)
        pushed = torch.autograd.forward_ad.unpack_dual(with_quick(dual)).tangent
    assert pushed is not None
    assert near(pushed, slope)
    assert near(torch.func.vmap(with_quick)(x), with_quick(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert with_quick(x).dtype == functional.linear(x, weight, bias).dtype == torch.bfloat16
    short = quick(x.bfloat16(), weight.bfloat16(), bias.bfloat16())
    assert torch.equal(short, functional.linear(x.bfloat16(), weight.bfloat16(), bias.bfloat16()))


def test_fast_mode_takes_it_and_exact_mode_does_not(kernel_calls: list[int]) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]>\n'
        "g (float[B, T, 512] x) => (float[B, T, 512] y) { p = MatMul(x, w) y = Add(p, b) }"
    )
    x, weight, bias = operands()
    for name, value in (("w", weight.mT), ("b", bias)):
        proto.graph.initializer.append(numpy_helper.from_array(value.detach().numpy(), name))
    exact, fast = (inspector.to_torch(proto, mode=mode) for mode in ("exact", "fast"))
    z = exact(x)[0]
    assert not kernel_calls
    y = fast(x)[0]
    assert len(kernel_calls) == 1
    assert near(y, z)
    assert near(fast.double()(x.double())[0], z.double())
    assert len(kernel_calls) == 1
