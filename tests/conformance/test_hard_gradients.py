"""Are gradients right where they easily go wrong: zeros, ties, masks, second derivatives, under vmap?"""

from __future__ import annotations

import io
import math
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.func import grad, hessian, jacrev, jvp, vmap

from inspector.autograd import Network, to_torch

INF = math.inf


def net(
    op: str,
    inputs: dict[str, Tensor | None],
    opset: int = 23,
    domain: str = "",
    outputs: int = 1,
    **attributes: Any,
) -> Network:
    """One node in float64; an input that is None is absent."""
    given = {name: value for name, value in inputs.items() if value is not None}
    kinds = {torch.float32: TensorProto.FLOAT, torch.bool: TensorProto.BOOL, torch.int32: TensorProto.INT32}
    shown = [
        helper.make_tensor_value_info(name, kinds.get(value.dtype, TensorProto.INT64), list(value.shape))
        for name, value in given.items()
    ]
    names = [f"y{i}" for i in range(outputs)]
    listed = [name if name in given else "" for name in inputs]
    node = helper.make_node(op, listed, names, name="node", domain=domain, **attributes)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    graph = helper.make_graph([node], "g", shown, ends)
    return to_torch(helper.make_model(graph, opset_imports=opsets)).double()


def real(inputs: dict[str, Tensor | None]) -> list[Tensor]:
    """The inputs as leaves in float64, others as they are."""
    return [
        v.double().requires_grad_() if v.is_floating_point() else v for v in inputs.values() if v is not None
    ]


EDGES: dict[str, tuple[str, dict[str, Any], dict[str, Any], list[float]]] = {
    "celu at 0": ("Celu", {"x": [0.0, -1e3]}, {"alpha": 2.0}, [1, 0]),
    "bounds of clip": ("Clip", {"x": [-1.0, 0, 1, 2], "low": -1.0, "high": 1.0}, {}, [1, 1, 1, 0]),
    "power 0 of 0": ("Pow", {"x": [0.0, 0.0, -2.0], "y": [0.0, 2.0, 3.0]}, {}, [0, 0, 12]),
    "tie of a window": ("MaxPool", {"x": [[[[1.0, 1], [1, 1]]]]}, {"kernel_shape": [2, 2]}, [1, 0, 0, 0]),
    "tie of a maximum": ("ReduceMax", {"x": [[1.0, 1, 0]]}, {}, [0.5, 0.5, 0]),
    "tie of two": ("Max", {"x": [0.0, 1], "y": [0.0, 0]}, {}, [0.5, 1]),
    "chosen beside NaN": ("Where", {"c": [True, False], "x": [1.0, INF], "y": [math.nan, 2.0]}, {}, [1, 0]),
    "norm 2 of 0": ("ReduceL2", {"x": [[0.0, 0]]}, {}, [0, 0]),
    "norm 1 of 0": ("ReduceL1", {"x": [[0.0, 0]]}, {}, [0, 0]),
    "divided by norm 0": ("LpNormalization", {"x": [[0.0, 0]]}, {}, [0, 0]),
    "pooled norm 0": ("GlobalLpPool", {"x": [[[[0.0, 0], [0, 0]]]]}, {}, [0, 0, 0, 0]),
    "no variance": ("MeanVarianceNormalization", {"x": [[[[2.0, 2], [2, 2]]]]}, {}, [0, 0, 0, 0]),
    "product with a zero": ("ReduceProd", {"x": [[0.0, 3, 2]]}, {}, [6, 0, 0]),
    "cumulated zeros": ("CumProd", {"x": [0.0, 0, 2], "axis": 0}, {"opset": 26}, [1, 0, 0]),
    "no target": ("SoftmaxCrossEntropyLoss", {"x": [[1.0, 2.0]], "t": [0]}, {"ignore_index": 0}, [0, 0]),
    "far tails": ("Gelu", {"x": [-40.0, 40.0]}, {}, [0, 1]),
    "twice the same": ("Unique", {"x": [3.0, 1, 2, 1]}, {"outputs": 4}, [1, 1, 1, 0]),
    "zero among numbers": (
        "Normalizer",
        {"x": [[0.0, 0], [3, 4]]},
        {"domain": "ai.onnx.ml", "norm": "L2"},
        [1, 1, 0.032, -0.024],
    ),
}


@pytest.mark.parametrize("name", list(EDGES))
def test_a_gradient_at_an_edge(name: str) -> None:
    op, values, attributes, expected = EDGES[name]
    inputs: dict[str, Tensor | None] = {key: torch.tensor(value) for key, value in values.items()}
    made, ready = net(op, inputs, **attributes), real(inputs)
    first = next(value for value in ready if value.requires_grad)
    (found,) = torch.autograd.grad(made(*ready)[0].sum(), first)
    assert found.flatten().tolist() == pytest.approx(expected, abs=1e-9)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


HIDDEN = torch.tensor([[True] * 4, [False] * 4, [True, False, True, False]])
TWICE: dict[str, tuple[str, dict[str, Tensor | None], dict[str, Any]]] = {
    "attention, a row hidden": (
        "Attention",
        {"q": random(1, 2, 3, 4), "k": random(1, 2, 4, 4), "v": random(1, 2, 4, 4), "mask": HIDDEN},
        {},
    ),
    "attention, causal": (
        "Attention",
        {"q": random(1, 2, 3, 4), "k": random(1, 2, 3, 4), "v": random(1, 2, 3, 4)},
        {"is_causal": 1, "softcap": 2.0},
    ),
    "heads": (
        "MultiHeadAttention",
        {"q": random(1, 3, 4), "k": random(1, 3, 4), "v": random(1, 3, 4)},
        {"domain": "com.microsoft", "num_heads": 2},
    ),
    "layer": ("LayerNormalization", {"x": random(2, 3, 4), "s": random(4), "b": random(4)}, {"outputs": 3}),
    "root mean square": ("RMSNormalization", {"x": random(2, 3, 4), "s": random(4)}, {}),
    "variance of channels": ("MeanVarianceNormalization", {"x": random(2, 3, 2, 2)}, {}),
    "statistics of the batch": (
        "BatchNormalization",
        {"x": random(4, 2, 3), "s": random(2), "b": random(2), "m": random(2), "v": random(2).exp()},
        {"training_mode": 1, "outputs": 3},
    ),
    "statistics given": (
        "BatchNormalization",
        {"x": random(4, 2, 3), "s": random(2), "b": random(2), "m": random(2), "v": random(2).exp()},
        {},
    ),
    "turned": (
        "RotaryEmbedding",
        {"x": random(1, 2, 3, 4), "c": random(5, 2), "s": random(5, 2), "p": torch.tensor([[0, 2, 4]])},
        {},
    ),
    "quick gelu": ("QuickGelu", {"x": random(3, 5)}, {"domain": "com.microsoft", "alpha": 1.7}),
    "frames": (
        "STFT",
        {"x": random(1, 12, 1), "step": torch.tensor(4), "w": random(8).exp(), "n": torch.tensor(8)},
        {},
    ),
    "spectrum": ("DFT", {"x": random(1, 6, 2), "n": None, "axis": torch.tensor(1)}, {"inverse": 1}),
    "diagonal": ("Einsum", {"a": random(3, 3), "b": random(3, 2)}, {"equation": "ii,ij->j"}),
    "norm pool": ("LpPool", {"x": random(1, 2, 4, 4)}, {"kernel_shape": [3, 3], "p": 3}),
    "maximum pool": (
        "MaxPool",
        {"x": random(1, 1, 6, 6)},
        {"kernel_shape": [2, 2], "dilations": [2, 2], "outputs": 2},
    ),
}


@pytest.mark.parametrize("name", list(TWICE))
def test_first_and_second_derivatives(name: str) -> None:
    op, inputs, attributes = TWICE[name]
    made, ready = net(op, inputs, **attributes), real(inputs)
    places = [i for i, value in enumerate(ready) if value.requires_grad]

    def function(*values: Tensor) -> Tensor:
        whole = [*ready]
        for place, value in zip(places, values, strict=True):
            whole[place] = value
        return made(*whole)[0]

    leaves = [ready[place] for place in places]
    assert torch.autograd.gradcheck(function, leaves, atol=1e-6)
    assert torch.autograd.gradgradcheck(function, leaves, atol=1e-5)


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
def test_sequences_of_several_lengths(op: str) -> None:
    """Every output, to every input, in both directions; what lies behind an end has no part."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op] * 2
    inputs: dict[str, Tensor | None] = {
        "x": random(4, 3, 2),
        "w": random(2, gates, 2),
        "r": random(2, gates, 2),
        "b": random(2, 2 * gates),
        "lengths": torch.tensor([4, 2, 1], dtype=torch.int32),
        "h": random(2, 3, 2),
        **({"c": random(2, 3, 2), "p": random(2, 6)} if op == "LSTM" else {}),
    }
    outputs = 3 if op == "LSTM" else 2
    made = net(op, inputs, outputs=outputs, direction="bidirectional", hidden_size=2)
    ready = real(inputs)

    def function(*values: Tensor) -> Tensor:
        given = [*values[:4], ready[4], *values[4:]]
        return torch.cat([value.flatten() for value in made(*given)])

    assert torch.autograd.gradcheck(function, [*ready[:4], *ready[5:]], atol=1e-6)
    (x,) = torch.autograd.grad(function(*ready[:4], *ready[5:]).sum(), ready[0])
    assert x[2:, 1].abs().max() == x[1:, 2].abs().max() == 0
    assert x[:2, 1].abs().min() > 0


SCATTERED = {"none": [1, 3, 0], "add": [1, 3, 1], "mul": [1, 3, 1], "max": [1, 3, 1], "min": [1, 3, 1]}


@pytest.mark.parametrize("reduction", list(SCATTERED))
def test_scattered_updates(reduction: str) -> None:
    places = torch.tensor(SCATTERED[reduction])
    nd: dict[str, Tensor | None] = {"x": random(4, 3), "i": places[:, None], "u": random(3, 3) + 0.1}
    elements = {**nd, "i": places[:, None].expand(3, 3)}
    for op, inputs in (("ScatterND", nd), ("ScatterElements", elements)):
        made, ready = net(op, inputs, reduction=reduction), real(inputs)

        def function(x: Tensor, u: Tensor, made: Network = made, ready: list[Tensor] = ready) -> Tensor:
            return made(x, ready[1], u)[0]

        assert torch.autograd.gradcheck(function, [ready[0], ready[2]], atol=1e-6)


class Small(nn.Module):
    """Convolution, normalisation with statistics, attention over places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.conv(x))).flatten(2).transpose(1, 2)
        return self.layer(x).mean(1)


def exported(module: nn.Module, x: Tensor) -> onnx.ModelProto:
    file = io.BytesIO()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.onnx.export(module, (x,), file, dynamo=False, opset_version=17)
    return onnx.load_from_string(file.getvalue())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_the_transforms_of_torch_take_a_net(mode: Any) -> None:
    """grad, jacrev, jvp, vmap, hessian: the same as the derivatives of torch.autograd, one by one."""
    torch.manual_seed(3)
    x = torch.randn(1, 3, 6, 6)
    made = to_torch(exported(Small().eval(), x), mode=mode)

    def score(value: Tensor) -> Tensor:
        return made(value)[0].square().sum()

    leaf = x.clone().requires_grad_()
    (plain,) = torch.autograd.grad(score(leaf), leaf)
    close = {"rtol": 1e-3, "atol": 1e-5}
    torch.testing.assert_close(grad(score)(x), plain, **close)
    torch.testing.assert_close(jacrev(score)(x), plain, **close)
    torch.testing.assert_close(jvp(score, (x,), (torch.ones_like(x),))[1], plain.sum(), **close)
    many = torch.cat([x, 2 * x])[:, None]
    torch.testing.assert_close(vmap(grad(score))(many)[0], plain, **close)
    torch.testing.assert_close(vmap(lambda v: made(v)[0])(many)[1], made(2 * x)[0], **close)
    row = torch.autograd.functional.vhp(score, x, torch.ones_like(x))[1]
    torch.testing.assert_close(hessian(score)(x).sum((0, 1, 2, 3)), row, **close)
