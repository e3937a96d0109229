"""Where other libraries go wrong without a word: is each case right here, and the model left as it was?

The rival's error is asserted too, so that a row whose rival was repaired is noticed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from captum.attr import GuidedBackprop, IntegratedGradients
from graphs import graph_of, normal
from onnx import helper
from torch import Tensor, nn

import inspector
from inspector.methods import attribute, known_methods

X = normal(0, 1, 3, 8, 8)
TARGET = 1


class Functional(nn.Module):
    """Rectifiers as function calls, one of them in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 6, 3)
        self.norm, self.last = nn.BatchNorm2d(5), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.norm(self.first(x)))
        return self.last(F.relu(self.second(x)).mean((2, 3)))


class Modules(Functional):
    """The same net with a module for each: what libraries that hook modules treat rightly."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.ReLU(inplace=True), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.two(self.second(self.one(self.norm(self.first(x))))).mean((2, 3)))


class Reused(Modules):
    """The same net with one module called twice."""

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.one(self.second(self.one(self.norm(self.first(x))))).mean((2, 3)))


def built(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(4)
    net = kind().eval()
    net.norm.running_mean.copy_(torch.from_numpy(normal(5, 5)))
    net.norm.running_var.copy_(torch.from_numpy(np.abs(normal(6, 5)) + 0.5))
    return net


def saved(kind: type[nn.Module], form: str, folder: Path) -> Path | nn.Module:
    """The net as its source: a module, a traced or scripted archive, or an exported program."""
    net, x = built(kind), torch.from_numpy(X)
    path = folder / f"{kind.__name__}.{form}"
    match form:
        case "module":
            return net
        case "traced.pt":
            torch.jit.trace(net, x).save(path)
        case "scripted.pt":
            torch.jit.script(net).save(path)
        case _:
            torch.export.save(torch.export.export(net, (x,)), path)
    return path


@cache
def right(rule: str) -> np.ndarray:
    """The rule written out."""
    net = built(Functional).double()
    x = torch.from_numpy(X).double()
    before = net.norm(net.first(x))
    later = net.second(before.clamp(min=0))
    back = (net.last.weight[TARGET] / later[0, 0].numel())[None, :, None, None].expand_as(later)
    back = back.clamp(min=0) * ((later > 0) if rule == "guided-backprop" else 1)
    back = F.conv_transpose2d(back, net.second.weight)
    back = back.clamp(min=0) * ((before > 0) if rule == "guided-backprop" else 1)
    scale = net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()
    return F.conv_transpose2d(back * scale[:, None, None], net.first.weight, padding=1).detach().numpy()


SOURCES = [
    (Functional, "module"),
    (Modules, "module"),
    (Reused, "module"),
    (Functional, "traced.pt"),
    (Functional, "scripted.pt"),
    (Functional, "exported.pt2"),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "form"), SOURCES, ids=lambda v: getattr(v, "__name__", v))
def test_every_rectifier_is_found(kind: type[nn.Module], form: str, tmp_path: Path) -> None:
    source = saved(kind, form, tmp_path)
    options = {"example": torch.from_numpy(X)} if form in ("module", "traced.pt") else {}
    if form == "scripted.pt":
        options = {"input_shape": {"x": X.shape}}
    model = inspector.open_model(source, **options)
    for rule in ("guided-backprop", "deconvnet"):
        got = attribute(model, X, rule, TARGET, dtype="float64").values
        assert np.abs(right(rule)).max() > 1e-3
        assert np.abs(got - right(rule)).max() < 1e-10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("traced", [False, True])
def test_captum_gives_the_plain_gradient_instead(traced: bool) -> None:
    net, x = built(Functional).double(), torch.from_numpy(X).double().requires_grad_()
    plain = torch.autograd.grad(net(x)[0, TARGET], x)[0]
    rival = GuidedBackprop(torch.jit.trace(net, x.detach()) if traced else net)
    got = rival.attribute(x, target=TARGET)
    assert float((got - plain).abs().max()) == 0
    assert np.abs(got.detach().numpy() - right("guided-backprop")).max() > 1e-3


@pytest.mark.filterwarnings("ignore")
def test_the_trapezoid_is_complete_on_a_linear_function() -> None:
    """Captum's weights sum to (n - 1) / n: a fifth of the change is lost at 5 steps."""
    weight, x = normal(1, 6, 3), normal(2, 1, 6)
    model = graph_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, ["n", 6])
    got = attribute(model, x, "integrated-gradients", 0, dtype="float64", quadrature="trapezoid", steps=5)
    change = got.score
    assert got.values.sum() == pytest.approx(change, abs=1e-12)
    net = nn.Linear(6, 3, bias=False).double()
    net.weight.data = torch.from_numpy(weight.T).double()
    rival = IntegratedGradients(net).attribute(
        torch.from_numpy(x).double(), target=0, n_steps=5, method="riemann_trapezoid"
    )
    assert float(rival.sum()) / change == pytest.approx(0.8, abs=1e-6)


def state(net: nn.Module) -> dict[str, object]:
    """All of a module that an attribution could leave changed."""
    found: dict[str, object] = {}
    for name, layer in net.named_modules():
        hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks)
        found[f"{name}: hooks"] = sum(map(len, hooks)) + len(layer._backward_pre_hooks)
        found[f"{name}: flags"] = (layer.training, getattr(layer, "inplace", None), type(layer).forward)
    for name, parameter in net.named_parameters():
        found[f"{name}: gradient"] = (parameter.grad is None, parameter.requires_grad)
    for name, value in net.state_dict().items():
        found[f"{name}: bytes"] = value.numpy().tobytes()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_modules_stay_as_they_were(training: bool) -> None:
    net = built(Modules).train(training)
    before = copy.deepcopy(state(net))
    model = inspector.open_model(net, example=torch.from_numpy(X))
    for name in ("guided-backprop", "deconvnet", "grad-cam", "lrp", "deeplift", "integrated-gradients"):
        attribute(model, X, name, TARGET)
    assert state(net) == before


def test_opened_models_stay_as_they_were() -> None:
    """Every method of both families twice on one model: equal bytes, and the model's own unchanged."""
    weights = {"w": normal(1, 4, 3, 3, 3), "b": normal(2, 4), "v": normal(3, 4, 3)}
    nodes: list[object] = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "v"], ["y"]),
    ]
    model = graph_of(nodes, weights, ["n", 3, 6, 6])
    before, x = model.proto.SerializeToString(deterministic=True), X[:, :, :6, :6].copy()
    entered = x.tobytes()
    few: dict[str, Callable[[], dict[str, int]]] = {
        "samples": lambda: {"samples": 3},
        "steps": lambda: {"steps": 3},
    }
    for name, row in known_methods().items():
        if row.family not in ("gradients", "rules"):
            continue
        options = {k: v for key, made in few.items() if key in row.options for k, v in made().items()}
        once, twice = (attribute(model, x, name, TARGET, **options) for _ in range(2))
        assert once.values.tobytes() == twice.values.tobytes(), name
    assert model.proto.SerializeToString(deterministic=True) == before
    assert x.tobytes() == entered


WRITTEN = {
    "gelu": [
        helper.make_node("Div", ["a", "root"], ["e0"]),
        helper.make_node("Erf", ["e0"], ["e1"]),
        helper.make_node("Add", ["e1", "one"], ["e2"]),
        helper.make_node("Mul", ["a", "e2"], ["e3"]),
        helper.make_node("Mul", ["e3", "half"], ["h"]),
    ],
    "gelu, halved first": [
        helper.make_node("Mul", ["half", "a"], ["e0"]),
        helper.make_node("Mul", ["a", "overroot"], ["e1"]),
        helper.make_node("Erf", ["e1"], ["e2"]),
        helper.make_node("Add", ["one", "e2"], ["e3"]),
        helper.make_node("Mul", ["e0", "e3"], ["h"]),
    ],
    "silu": [helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["s", "a"], ["h"])],
    "mish": [
        helper.make_node("Softplus", ["a"], ["s"]),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Mul", ["a", "t"], ["h"]),
    ],
    "hardswish": [
        helper.make_node("Add", ["a", "three"], ["s"]),
        helper.make_node("Clip", ["s", "zero", "six"], ["k"]),
        helper.make_node("Div", ["k", "six"], ["d"]),
        helper.make_node("Mul", ["a", "d"], ["h"]),
    ],
}
FUNCTIONS = {
    "gelu": F.gelu,
    "gelu, halved first": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
}
NUMBERS = {
    "root": 2**0.5, "overroot": 0.5**0.5, "one": 1, "half": 0.5, "three": 3, "zero": 0, "six": 6
}  # fmt: skip


def written(activation: list[object]) -> inspector.Model:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), *activation]
    nodes.append(helper.make_node("MatMul", ["h", "v"], ["y"]))
    weights = {"w": normal(1, 4, 9), "v": normal(2, 9, 3)}
    used = {name for node in nodes for name in node.input}
    weights |= {k: np.float32(v) for k, v in NUMBERS.items() if k in used}
    return graph_of(nodes, weights, ["n", 4])


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("method", ["guided-backprop", "deconvnet"])
def test_activations_written_out_are_one_rectifier(name: str, method: str) -> None:
    x = normal(3, 1, 4)
    got = attribute(written(WRITTEN[name]), x, method, TARGET, dtype="float64").values
    w, v = (torch.from_numpy(normal(seed, *shape)).double() for seed, shape in ((1, (4, 9)), (2, (9, 3))))
    before = (torch.from_numpy(x).double() @ w).requires_grad_()
    slope = torch.autograd.grad(FUNCTIONS[name](before).sum(), before)[0]
    back = v[:, TARGET].clamp(min=0)
    wanted = ((back * slope if method == "guided-backprop" else back) @ w.T).numpy()
    assert np.abs(got - wanted).max() < 1e-6  # the stored root of 2 is float32
    assert np.abs(got).max() > 1e-2


def test_relevance_of_an_activation_written_out_is_that_of_one() -> None:
    x = normal(3, 1, 4)
    fused = [helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["h"])]
    got = attribute(written(fused), x, "lrp", TARGET, dtype="float64", epsilon=0.0)
    w, v = normal(1, 4, 9).astype(float), normal(2, 9, 3).astype(float)
    before = x.astype(float) @ w
    relevance = before / (1 + np.exp(-before)) * v[:, TARGET]
    wanted = x * (relevance / before @ w.T)
    assert np.abs(got.values - wanted).max() < 1e-10
    assert got.residual is not None
    assert got.residual < 1e-10


def test_gates_that_see_other_values_are_none() -> None:
    """A gated linear unit is no activation: its product passes gradients as they are."""
    nodes = [
        helper.make_node("MatMul", ["x", "u"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["s"]),
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Mul", ["a", "s"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["y"]),
    ]
    weights = {"u": normal(4, 4, 9), "w": normal(1, 4, 9), "v": normal(2, 9, 3)}
    got = attribute(graph_of(nodes, weights, ["n", 4]), normal(3, 1, 4), "guided-backprop", TARGET)
    assert "no rectifier" in " ".join(got.notes)
