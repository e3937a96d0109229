"""Do the com.microsoft operators give what ONNX Runtime gives, and do gradients flow through them?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from microsoft_cases import ATTENTION, FUSED, NORMS, QUANTISED, Array, Case, feeds, given, real
from onnx import TensorProto, helper
from torch import Tensor
from torch.nn import functional

from inspector.autograd import to_torch
from inspector.autograd.registry import operators

RELATIVE, ABSOLUTE = 2e-5, 2e-5
"""float32 sums in another order."""

FLOATING = [*FUSED, *NORMS, *ATTENTION]
EVERY = [*FLOATING, *QUANTISED]


def label(case: Case) -> str:
    return f"{case.operator}-{case.name}"


def model_of(case: Case, arrays: list[Array | None]) -> onnx.ModelProto:
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(arrays)]
    outputs = [f"y{i}" if wanted else "" for i, wanted in enumerate(case.outputs)]
    node = helper.make_node(case.operator, names, outputs, domain=case.domain, **case.attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays, strict=True)
            if array is not None
        ],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in outputs if name],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def untyped(model: onnx.ModelProto) -> onnx.ModelProto:
    for value_info in model.graph.output:
        value_info.ClearField("type")
    return model


@pytest.mark.parametrize("case", EVERY, ids=label)
def test_equals_onnxruntime(case: Case) -> None:
    rng = np.random.default_rng(7)
    arrays = case.inputs(rng)
    model = untyped(model_of(case, arrays))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    named = {f"x{i}": array for i, array in enumerate(arrays) if array is not None}
    expected = session.run(None, named)
    found = to_torch(model).run(named).outputs
    for mine, theirs in zip(found, expected, strict=True):
        got = mine.detach().numpy()
        assert got.dtype == theirs.dtype
        assert got.shape == theirs.shape
        assert theirs.std() > 0, "the output must depend on the input"
        if got.dtype.kind in "iu":
            np.testing.assert_array_equal(got, theirs)
        else:
            np.testing.assert_allclose(got, theirs, rtol=RELATIVE + case.loose, atol=ABSOLUTE + case.loose)


@pytest.mark.parametrize("case", FLOATING, ids=label)
def test_gradients_equal_central_differences(case: Case) -> None:
    arrays = case.inputs(np.random.default_rng(3))
    net = to_torch(untyped(model_of(case, arrays))).double()
    names = [f"x{i}" for i, array in enumerate(arrays) if array is not None]
    tensors = {
        n: torch.from_numpy(a) for n, a in zip(names, (a for a in arrays if a is not None), strict=True)
    }
    given_floats = {n: t.double().requires_grad_() for n, t in tensors.items() if t.is_floating_point()}
    if not given_floats:
        pytest.skip("no float input")
    whole = {n: t for n, t in tensors.items() if n not in given_floats}
    weight = torch.Generator().manual_seed(5)
    factors: list[torch.Tensor] = []

    def score(feeds: dict[str, torch.Tensor]) -> torch.Tensor:
        outputs = [y for y in net.run({**whole, **feeds}).outputs if y is not None and y.is_floating_point()]
        if not factors:
            factors.extend(torch.randn(y.shape, generator=weight, dtype=torch.float64) for y in outputs)
        return sum(
            ((y * f).sum() for y, f in zip(outputs, factors, strict=True)),
            torch.zeros((), dtype=torch.float64),
        )

    gradients = torch.autograd.grad(score(given_floats), list(given_floats.values()), allow_unused=True)
    direction = torch.Generator().manual_seed(11)
    for (name, tensor), gradient in zip(given_floats.items(), gradients, strict=True):
        step = torch.randn(tensor.shape, generator=direction, dtype=torch.float64)
        with torch.no_grad():
            up = score({**given_floats, name: tensor + 1e-6 * step})
            down = score({**given_floats, name: tensor - 1e-6 * step})
        numeric = ((up - down) / 2e-6).item()
        analytic = 0.0 if gradient is None else (gradient * step).sum().item()
        assert analytic == pytest.approx(numeric, rel=1e-5, abs=1e-6), name


def test_a_masked_row_has_a_finite_gradient() -> None:
    mask = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=np.int32)
    case = Case(
        "masked",
        "Attention",
        feeds(real(2, 5, 6), real(6, 24), real(24), given(mask, "int32")),
        {"num_heads": 2},
    )
    arrays = case.inputs(np.random.default_rng(0))
    x = torch.from_numpy(arrays[0]).requires_grad_()
    net = to_torch(untyped(model_of(case, arrays)))
    (y,) = net(x, *(torch.from_numpy(array) for array in arrays[1:] if array is not None))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.isfinite(gradient).all()


def test_every_registered_operator_is_tested_here() -> None:
    tested = {case.operator for case in EVERY} | PLAIN.keys()
    registered = {found.name for found in operators() if found.domain == "com.microsoft"}
    assert registered - tested == set()


def composed(node: str, *shapes: tuple[int, ...], **attributes: Any) -> tuple[list[Tensor], Tensor]:
    """The inputs of a float node and its first output."""
    case = Case("", node, feeds(*(real(*shape) for shape in shapes)), attributes)
    arrays = case.inputs(np.random.default_rng(1))
    tensors = [torch.from_numpy(array) for array in arrays if array is not None]
    return tensors, to_torch(untyped(model_of(case, arrays)))(*tensors)[0]


PLAIN: dict[str, tuple[list[tuple[int, ...]], dict[str, Any], Callable[..., Tensor]]] = {
    "BiasAdd": ([(2, 3, 4), (4,), (2, 3, 4)], {}, lambda x, b, s: x + b + s),
    "BiasSplitGelu": (
        [(2, 3, 8), (8,)],
        {},
        lambda x, b: (x + b)[..., :4] * functional.gelu((x + b)[..., 4:]),
    ),
    "BiasSoftmax": (
        [(2, 3, 4, 5), (2, 1, 1, 5)],
        {"axis": 3, "is_inner_broadcast": 1},
        lambda x, b: torch.softmax(x + b, -1),
    ),
    "ComplexMul": (
        [(3, 4, 2), (3, 4, 2)],
        {},
        lambda a, b: torch.stack(
            [a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1], a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]], -1
        ),
    ),
    "FusedMatMulActivation": (
        [(3, 4), (4, 5)],
        {"activation": "Relu", "alpha": 0.5},
        lambda a, b: (0.5 * a @ b).relu(),
    ),
    "GemmFastGelu": (
        [(3, 4), (4, 5), (5,)],
        {},
        lambda x, w, b: functional.gelu(x @ w + b, approximate="tanh"),
    ),
    "GroupNorm": (
        [(2, 5, 5, 8), (8,), (8,)],
        {"groups": 4, "activation": 1},
        lambda x, g, b: functional.silu(functional.group_norm(x.movedim(-1, 1), 4, g, b)).movedim(1, -1),
    ),
    "NhwcConv": (
        [(2, 6, 5, 3), (4, 3, 3, 3), (4,)],
        {"pads": [1, 1, 1, 1]},
        lambda x, w, b: functional.conv2d(x.movedim(-1, 1), w.movedim(-1, 1), b, padding=1).movedim(1, -1),
    ),
    "SkipGroupNorm": (
        [(2, 5, 5, 8), (8,), (8,), (2, 5, 5, 8)],
        {"groups": 4, "activation": 0},
        lambda x, g, b, s: functional.group_norm((x + s).movedim(-1, 1), 4, g, b).movedim(1, -1),
    ),
    "TransposeMatMul": ([(4, 3), (4, 5)], {"transA": 1}, lambda a, b: a.T @ b),
}
"""Operators that ONNX Runtime's CPU build cannot run: (input shapes, attributes, the definition)."""


@pytest.mark.parametrize("node", PLAIN)
def test_equals_its_definition_where_onnxruntime_has_no_kernel(node: str) -> None:
    shapes, attributes, definition = PLAIN[node]
    tensors, found = composed(node, *shapes, **attributes)
    torch.testing.assert_close(found, definition(*tensors))


def test_packed_heads_equal_separate_ones() -> None:
    packed, found = composed("MultiHeadAttention", (2, 5, 2, 3, 4), num_heads=2)
    q, k, v = packed[0].unbind(3)
    weights = torch.softmax(torch.einsum("nihd,njhd->nhij", q, k) / 2, -1)
    torch.testing.assert_close(found, torch.einsum("nhij,njhd->nihd", weights, v).flatten(2))


def test_packed_keys_equal_separate_ones() -> None:
    (query, packed), found = composed("MultiHeadAttention", (2, 5, 8), (2, 7, 2, 2, 4), num_heads=2)
    k, v = packed.unbind(3)
    weights = torch.softmax(torch.einsum("nihd,njhd->nhij", query.reshape(2, 5, 2, 4), k) / 2, -1)
    torch.testing.assert_close(found, torch.einsum("nhij,njhd->nihd", weights, v).flatten(2))
