"""Do RNN, GRU and LSTM run as in ONNX Runtime and torch.nn, with right gradients, for every attribute?"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from inspector.autograd import Network, to_torch
from inspector.errors import NotRunnable

TIME, BATCH, FEATURES, HIDDEN = 5, 3, 4, 6
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
Array = np.ndarray[Any, Any]


def arrays(kind: str, directions: int, names: tuple[str, ...], seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    gates = GATES[kind]
    shapes = {
        "X": (TIME, BATCH, FEATURES),
        "W": (directions, gates * HIDDEN, FEATURES),
        "R": (directions, gates * HIDDEN, HIDDEN),
        "B": (directions, 2 * gates * HIDDEN),
        "initial_h": (directions, BATCH, HIDDEN),
        "initial_c": (directions, BATCH, HIDDEN),
        "P": (directions, 3 * HIDDEN),
    }
    made = {name: 0.6 * rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    made["sequence_lens"] = np.array([TIME, 2, 1], dtype=np.int32)
    return {name: made[name] for name in INPUTS if name in ("X", "W", "R", *names)}


def model_of(kind: str, given: dict[str, Array], opset: int = 21, **attributes: Any) -> onnx.ModelProto:
    last = max(INPUTS.index(name) for name in given)
    inputs = [name if name in given else "" for name in INPUTS[: last + 1]]
    outputs = ["Y", "Y_h"] + (["Y_c"] if kind == "LSTM" else [])
    node = helper.make_node(kind, inputs, outputs, hidden_size=HIDDEN, **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in given.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def by_onnxruntime(model: onnx.ModelProto, given: dict[str, Array]) -> list[Array]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, given)


BIDIRECTIONAL: dict[str, Any] = {"direction": "bidirectional"}
CASES: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    *((kind, (), {}) for kind in GATES),
    *((kind, ("B", "initial_h"), {"direction": "reverse"}) for kind in GATES),
    *((kind, ("B", "sequence_lens", "initial_h"), BIDIRECTIONAL) for kind in GATES),
    *((kind, ("B",), {"clip": 0.4}) for kind in GATES),
    ("RNN", ("B",), {"activations": ["Affine"], "activation_alpha": [0.5], "activation_beta": [0.2]}),
    ("RNN", ("B",), {"activations": ["LeakyRelu"], "activation_alpha": [0.3]}),
    ("RNN", ("B",), {"activations": ["ThresholdedRelu"], "activation_alpha": [0.1]}),
    ("RNN", ("B",), {"activations": ["ScaledTanh"], "activation_alpha": [0.5], "activation_beta": [0.7]}),
    ("RNN", ("B",), {"activations": ["HardSigmoid"], "activation_alpha": [0.3], "activation_beta": [0.4]}),
    ("RNN", ("B",), {"activations": ["Elu"], "activation_alpha": [0.3]}),
    ("RNN", ("B",), {"activations": ["Softsign"]}),
    ("RNN", ("B",), {"activations": ["Softplus"]}),
    ("RNN", ("B",), {"activations": ["Relu", "Tanh"], **BIDIRECTIONAL}),
    ("GRU", ("B", "initial_h"), {"linear_before_reset": 1}),
    ("GRU", ("B", "sequence_lens"), {"linear_before_reset": 1, "direction": "reverse"}),
    (
        "GRU",
        ("B",),
        {
            "activations": ["HardSigmoid", "LeakyRelu"],
            "activation_alpha": [0.3, 0.1],
            "activation_beta": [0.4],
        },
    ),
    ("LSTM", ("B", "sequence_lens", "initial_h", "initial_c", "P"), BIDIRECTIONAL),
    ("LSTM", ("B", "P"), {"input_forget": 1}),
    ("LSTM", ("initial_c",), {"activations": ["HardSigmoid", "Softsign", "Relu"]}),
]


@pytest.mark.parametrize(("kind", "names", "attributes"), CASES, ids=str)
def test_equals_onnxruntime(kind: str, names: tuple[str, ...], attributes: dict[str, Any]) -> None:
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    given = arrays(kind, directions, names)
    model = model_of(kind, given, **attributes)
    found = to_torch(model).run(given).outputs
    for mine, theirs in zip(found, by_onnxruntime(model, given), strict=True):
        assert theirs.std() > 0
        np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("opset", [7, 14, 22])
@pytest.mark.parametrize("kind", GATES)
def test_every_version_agrees(kind: str, opset: int) -> None:
    given = arrays(kind, 1, ("B", "initial_h"))
    newest = to_torch(model_of(kind, given)).run(given).outputs
    for mine, theirs in zip(to_torch(model_of(kind, given, opset)).run(given).outputs, newest, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("kind", GATES)
def test_batch_first_is_the_same_with_axes_swapped(kind: str) -> None:
    names = ("B", "sequence_lens", "initial_h") + (("initial_c",) if kind == "LSTM" else ())
    given = arrays(kind, 2, names)
    expected = to_torch(model_of(kind, given, **BIDIRECTIONAL)).run(given).outputs
    turned = {
        name: np.swapaxes(array, 0, 1).copy() if name == "X" or name.startswith("initial") else array
        for name, array in given.items()
    }
    found = to_torch(model_of(kind, turned, layout=1, **BIDIRECTIONAL)).run(turned).outputs
    torch.testing.assert_close(found[0], expected[0].permute(2, 0, 1, 3))
    for mine, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(mine, theirs.transpose(0, 1))


ORDER = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}
"""Where each ONNX gate block stands among torch's: r, z, n for GRU and i, f, g, o for LSTM."""


def as_onnx(weight: Tensor, kind: str) -> Tensor:
    blocks = weight.chunk(GATES[kind])
    return torch.cat([blocks[place] for place in ORDER[kind]])


@pytest.mark.parametrize("kind", GATES)
def test_gradients_equal_torch(kind: str) -> None:
    torch.manual_seed(0)
    module = getattr(nn, kind)(FEATURES, HIDDEN, bidirectional=True).double()
    suffixes = ("", "_reverse")

    def stacked(name: str) -> Tensor:
        return torch.stack([as_onnx(getattr(module, f"{name}_l0{suffix}"), kind) for suffix in suffixes])

    x = torch.randn(TIME, BATCH, FEATURES, dtype=torch.float64, requires_grad=True)
    biases = torch.cat([stacked("bias_ih"), stacked("bias_hh")], 1)
    feeds = {"X": x, "W": stacked("weight_ih"), "R": stacked("weight_hh"), "B": biases}
    given = arrays(kind, 2, ("B",))
    extra = {"linear_before_reset": 1} if kind == "GRU" else {}
    net = to_torch(model_of(kind, given, **BIDIRECTIONAL, **extra)).double()
    found = net.run(feeds).outputs[0].transpose(1, 2).flatten(2)
    expected = module(x)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    factor = torch.randn_like(expected)
    wanted = [x, *module.parameters()]
    mine = torch.autograd.grad((found * factor).sum(), wanted, retain_graph=True)
    theirs = torch.autograd.grad((expected * factor).sum(), wanted)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("kind", "names", "attributes"), CASES, ids=str)
def test_gradients_equal_central_differences(
    kind: str, names: tuple[str, ...], attributes: dict[str, Any]
) -> None:
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    given = arrays(kind, directions, names, seed=4)
    net = to_torch(model_of(kind, given, **attributes)).double()
    whole = {"sequence_lens": torch.from_numpy(given["sequence_lens"])} if "sequence_lens" in given else {}
    floats = {n: torch.from_numpy(a).double().requires_grad_() for n, a in given.items() if n not in whole}
    generator = torch.Generator().manual_seed(1)
    analytic = torch.autograd.grad(score(net, {**whole, **floats}), list(floats.values()))
    for (name, tensor), gradient in zip(floats.items(), analytic, strict=True):
        step = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            up = score(net, {**whole, **floats, name: tensor + 1e-6 * step})
            down = score(net, {**whole, **floats, name: tensor - 1e-6 * step})
        numeric = (up - down).item() / 2e-6
        assert (gradient * step).sum().item() == pytest.approx(numeric, rel=1e-5, abs=1e-7), name


def score(net: Network, feeds: dict[str, Tensor]) -> Tensor:
    outputs = net.run(feeds).outputs
    return sum(((i + 1) * y.square().sum() for i, y in enumerate(outputs)), torch.zeros(()))


def test_an_unknown_activation_is_named() -> None:
    given = arrays("RNN", 1, ())
    with pytest.raises(NotRunnable, match=r"RNN .*activation 'Swish' is none of affine"):
        to_torch(model_of("RNN", given, activations=["Swish"])).run(given)
