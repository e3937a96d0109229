"""Taps, overrides, weights, memory and errors of a torch net made from ONNX."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor

import inspector
from inspector import autograd
from inspector.errors import BadInput, NoGradientPath, NotRunnable, UnknownName, UnsupportedOperator


def model(body: str, opset: int = 20, **weights: Any) -> ModelProto:
    proto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>\n{body}'
    )
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name.replace("__", "."))
        for name, value in weights.items()
    )
    return proto


CHAIN = "g (float[2, 3] x) => (float[2, 4] y) { a = MatMul(x, w) b = Add(a, c) h = Relu(b) y = Mul(h, h) }"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def chain() -> ModelProto:
    rng = np.random.default_rng(0)
    return model(CHAIN, w=rng.standard_normal((3, 4)), c=rng.standard_normal(4))


class GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return g.clamp(min=0) * (x > 0)


def test_weights_are_parameters_under_their_onnx_names(chain: ModelProto) -> None:
    net = inspector.to_torch(chain)
    assert set(dict(net.named_parameters())) == {"w", "c"}
    y = net(torch.randn(2, 3))[0]
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_names_with_dots_and_state_dicts_round_trip() -> None:
    body = 'g (float[1, 2] x) => (float[1, 2] y) { y = Mul(x, "0.weight") }'.replace('"0.weight"', "w")
    proto = model(body, w=[1.0, 2.0])
    proto.graph.initializer[0].name = proto.graph.node[0].input[1] = "features.0.weight"
    net, other = inspector.to_torch(proto), inspector.to_torch(proto)
    with torch.no_grad():
        next(net.parameters()).mul_(3)
    other.load_state_dict(net.state_dict())
    assert dict(other.named_parameters())["features.0.weight"].tolist() == [3.0, 6.0]


def test_taps_are_differentiable(chain: ModelProto) -> None:
    net = inspector.to_torch(chain)
    x = torch.randn(2, 3, requires_grad=True)
    run = net.run({"x": x}, taps=["h", "b"])
    (gradient,) = torch.autograd.grad(run.outputs[0].sum(), run.taps["h"], retain_graph=True)
    assert torch.equal(gradient, 2 * run.taps["h"])
    assert net.gradient(run.outputs[0].sum(), run, ["b"])[0].shape == (2, 4)


def test_an_override_by_operator_node_or_value_is_the_reference(chain: ModelProto) -> None:
    chain.graph.node[2].name = "the_relu"
    net = inspector.to_torch(chain)
    x = torch.randn(2, 3, requires_grad=True)
    w, c = net.weights["w"], net.weights["c"]
    h = GuidedRelu.apply(x @ w + c)
    (expected,) = torch.autograd.grad((h * h * -1).sum(), x)
    (vanilla,) = torch.autograd.grad(-net(x)[0].sum(), x)
    for key in ("Relu", "the_relu", ("node", "the_relu")):
        run = net.run({"x": x}, overrides={key: GuidedRelu.apply})
        (got,) = torch.autograd.grad(-run.outputs[0].sum(), x)
        assert torch.equal(got, expected)
        assert not torch.equal(got, vanilla)
    silent = net.run({"x": x}, overrides={"h": lambda h: h * 0}).outputs[0]
    assert silent.abs().max() == 0
    fixed = net.run({"x": x}, overrides={"h": torch.ones(2, 4)}).outputs[0]
    assert torch.equal(fixed, torch.ones(2, 4))


def test_an_override_may_ask_for_attributes_and_the_original() -> None:
    net = inspector.to_torch(model("g (float[3] x) => (float[3] y) { y = LeakyRelu<alpha = 0.5>(x) }"))

    def rule(x: Tensor, *, alpha: float, original: Any) -> Tensor:
        return original(x) + alpha

    x = torch.tensor([-2.0, 0.0, 2.0])
    assert net.run({"x": x}, overrides={"LeakyRelu": rule}).outputs[0].tolist() == [-0.5, 0.5, 2.5]


def test_nothing_is_left_behind(chain: ModelProto) -> None:
    net = inspector.to_torch(chain)
    x = torch.randn(2, 3, requires_grad=True)
    before = net(x)[0]
    flags = [(n, p.requires_grad) for n, p in net.named_parameters()]
    run = net.run({"x": x}, taps=["h"], overrides={"Relu": GuidedRelu.apply})
    torch.autograd.grad(run.outputs[0].sum(), x)
    assert torch.equal(net(x)[0], before)
    assert all(p.grad is None for p in net.parameters())
    assert flags == [(n, p.requires_grad) for n, p in net.named_parameters()]
    assert not net._forward_hooks
    assert not net._backward_hooks


def test_values_are_freed_after_their_last_reader() -> None:
    steps = " ".join(f"v{i + 1} = Add(v{i}, v{i})" for i in range(6))
    net = inspector.to_torch(model(f"g (float[4] x) => (float[4] v7) {{ v0 = Neg(x) {steps} v7 = Neg(v6) }}"))
    alive: list[int] = []
    made: list[weakref.ref[Tensor]] = []

    def watched(a: Tensor, b: Tensor) -> Tensor:
        gc.collect()
        alive.append(sum(ref() is not None for ref in made))
        result = a + b
        made.append(weakref.ref(result))
        return result

    with torch.no_grad():
        net.run({"x": torch.ones(4)}, overrides={"Add": watched})
    assert max(alive) <= 1


def test_checkpointing_gives_the_same_gradients_and_taps(chain: ModelProto) -> None:
    x = torch.randn(2, 3, requires_grad=True)
    plain = inspector.to_torch(chain).run({"x": x}, taps=["a", "h"])
    saved = inspector.to_torch(chain, checkpoint=2).run({"x": x}, taps=["a", "h"])
    for run in (plain, saved):
        assert torch.equal(run.outputs[0], plain.outputs[0])
        (g,) = torch.autograd.grad(run.outputs[0].sum(), x, retain_graph=True)
        assert torch.equal(g, torch.autograd.grad(plain.outputs[0].sum(), x, retain_graph=True)[0])
        (t,) = torch.autograd.grad(run.outputs[0].sum(), run.taps["h"], retain_graph=True)
        assert torch.equal(t, 2 * run.taps["h"])


def test_one_initializer_used_three_times_is_one_parameter() -> None:
    net = inspector.to_torch(
        model("g (float[2] x) => (float[2] y) { a = Mul(x, w) b = Mul(a, w) y = Mul(b, w) }", w=[2.0, 3.0])
    )
    assert len(list(net.parameters())) == 1
    assert net(torch.ones(2))[0].tolist() == [8.0, 27.0]


def test_an_identity_of_a_weight_is_the_weight() -> None:
    net = inspector.to_torch(
        model("g (float[2] x) => (float[2] y) { v = Identity(w) a = Mul(x, v) y = Add(a, w) }", w=[2.0, 3.0])
    )
    net(torch.ones(2))[0].sum().backward()
    ((name, parameter),) = net.named_parameters()
    assert name == "w"
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [2.0, 2.0]


def test_a_second_output_alone_and_an_input_as_output() -> None:
    net = inspector.to_torch(
        model("g (float[4] x) => (float[2] b, float[4] x) { a, b = Split<axis = 0, num_outputs = 2>(x) }")
    )
    b, x = net(torch.arange(4.0))
    assert b.tolist() == [2.0, 3.0]
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]


IF = """g (float[2] x, bool c) => (float[2] y) {
  y = If(c) <then_branch = t () => (float[2] r) { r = Mul(x, w) },
             else_branch = e () => (float[2] s) { q = Relu(x) s = Neg(q) }>
}"""


def test_branches_see_outer_values_and_can_be_tapped() -> None:
    proto = model(IF, w=[2.0, 3.0])
    proto.graph.node[0].name = "choice"
    net = inspector.to_torch(proto)
    x = torch.tensor([1.0, -1.0], requires_grad=True)
    run = net.run({"x": x, "c": torch.tensor(True)}, taps=["choice.then_branch/r"])
    assert torch.autograd.grad(run.outputs[0].sum(), x)[0].tolist() == [2.0, 3.0]
    assert run.taps["choice.then_branch/r"] is run.outputs[0]
    replaced = net.run({"x": x, "c": torch.tensor(False)}, overrides={"Relu": lambda v: v}).outputs[0]
    assert replaced.tolist() == [-1.0, 1.0]
    with pytest.raises(UnknownName, match="not computed"):
        net.run({"x": x, "c": torch.tensor(False)}, taps=["choice.then_branch/r"])


def test_double_computes_everything_in_float64() -> None:
    body = """g (float[3] x) => (float[3] y) {
      z = Constant<value = float[1] {0.1}>() h = Cast<to = 1>(x) y = Mul(h, z) }"""
    net = inspector.to_torch(model(body)).double()
    (y,) = net(torch.ones(3, dtype=torch.float64) / 3)
    assert y.dtype == torch.float64
    assert torch.allclose(y, torch.full((3,), float(np.float32(0.1)) / 3, dtype=torch.float64), rtol=1e-15)


def test_a_half_precision_model_doubles_too() -> None:
    body = "g (float16[3] x) => (float16[3] y) { h = Cast<to = 1>(x) k = Cast<to = 10>(h) y = Add(k, x) }"
    net = inspector.to_torch(model(body))
    assert net(torch.ones(3, dtype=torch.float16))[0].dtype == torch.float16
    (y,) = net.double()(torch.full((3,), 1 / 3, dtype=torch.float64))
    assert y.tolist() == [2 / 3] * 3


def test_shape_errors_name_the_node_and_the_shapes_once(chain: ModelProto) -> None:
    chain.graph.node[0].name = "projection"
    chain.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
    with pytest.raises(NotRunnable) as caught:
        inspector.to_torch(chain)(torch.ones(2, 5))
    text = str(caught.value)
    assert "MatMul 'projection'" in text
    assert "opset 20" in text
    assert text.count("float32[2, 5], float32[3, 4]") == 1


def test_a_file_optimised_for_one_processor_says_so() -> None:
    text = "g (float[1, 8, 4, 4] x) => (float[1, 8, 4, 4] y) { y = com.microsoft.nchwc.Conv(x, w) }"
    proto = model(text, w=np.zeros((8, 8, 1, 1)))
    proto.opset_import.add(domain="com.microsoft.nchwc", version=1)
    with pytest.raises(UnsupportedOperator, match=r"optimised the file for one processor.*level extended"):
        inspector.to_torch(proto)


def test_an_unknown_operator_says_what_exists() -> None:
    proto = model("g (float[3] x) => (float[3] y) { y = Gelu(x) }", opset=13)
    with pytest.raises(UnsupportedOperator, match=r"Gelu 'y': domain ai.onnx, opset 13.*from opset 20"):
        inspector.to_torch(proto)
    proto = model("g (float[3] x) => (float[3] y) { y = Relu<wrong = 1>(x) }")
    with pytest.raises(UnsupportedOperator, match="attribute 'wrong' is not known"):
        inspector.to_torch(proto)


def test_wrong_inputs_are_refused_by_name(chain: ModelProto) -> None:
    net = inspector.to_torch(chain)
    with pytest.raises(BadInput, match="2 inputs given, the model has 1: x"):
        net(torch.ones(2, 3), torch.ones(1))
    with pytest.raises(BadInput, match="'x': expected 2 axes"):
        net(torch.ones(3))
    with pytest.raises(BadInput, match=r"'x': expected torch\.float32"):
        net(torch.ones(2, 3, dtype=torch.int64))
    with pytest.raises(UnknownName, match="no value is called 'hh'"):
        net.run({"x": torch.ones(2, 3)}, taps=["hh"])


def test_asking_for_a_gradient_that_does_not_exist_names_the_node() -> None:
    body = """g (float[3] x) => (float[3] y) {
      i = ArgMax<axis = 0, keepdims = 1>(x) f = Cast<to = 1>(i) y = Mul(f, k) }"""
    net = inspector.to_torch(model(body, k=[1.0, 2.0, 3.0]))
    x = torch.rand(3, requires_grad=True)
    run = net.run({"x": x}, taps=["x"])
    with pytest.raises(NoGradientPath, match="ArgMax 'i'"):
        net.gradient(run.outputs[0].sum(), run, ["x"])


def test_a_body_and_a_native_function_agree() -> None:
    body = "g (float[2, 6] x, float[6] s, float[6] b) => (float[2, 6] y) { y = LayerNormalization(x, s, b) }"
    inputs = [torch.randn(2, 6), torch.randn(6), torch.randn(6)]
    native, by_body = (inspector.to_torch(model(body), prefer_bodies=p) for p in (False, True))
    assert torch.allclose(native(*inputs)[0], by_body(*inputs)[0], atol=1e-5)
    assert {row.state for row in autograd.operator_table(model(body))} == {"native"}


def test_the_opened_classifier_verifies_and_explains(classifier: inspector.Model) -> None:
    net = inspector.to_torch(classifier)
    x = torch.rand(1, 3, 224, 224) * 100 - 50
    agreement = net.verify(classifier, [x])
    assert agreement.spread > 1e-3
    assert agreement.worst.relative < 1e-5
    x.requires_grad_()
    assert torch.autograd.grad(net(x)[0][0, 3], x)[0].abs().max() > 0


def test_a_disturbed_weight_fails_verification(classifier: inspector.Model) -> None:
    net = inspector.to_torch(classifier)
    with torch.no_grad():
        next(net.parameters()).mul_(1.01)
    assert net.verify(classifier, [torch.rand(1, 3, 224, 224)]).worst.relative > 1e-3


def test_external_data_is_read_from_its_folder(tmp_path: Path, chain: ModelProto) -> None:
    moved = ModelProto()
    moved.CopyFrom(chain)  # saving moves the data out of the object too
    onnx.save(moved, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    bare = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    x = torch.randn(2, 3)
    assert torch.equal(inspector.to_torch(bare, folder=tmp_path)(x)[0], inspector.to_torch(chain)(x)[0])


@pytest.mark.gpu
def test_on_cuda_shape_arithmetic_stays_on_the_cpu(classifier: inspector.Model) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    net = inspector.to_torch(classifier).to("cuda")
    x = torch.rand(1, 3, 224, 224, device="cuda", requires_grad=True)
    cpu = inspector.to_torch(classifier)(x.detach().cpu())[0]
    assert torch.allclose(net(x)[0].cpu(), cpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("RandomNormal", [], {"shape": [3, 40]}),
        ("RandomUniform", [], {"shape": [3, 40]}),
        ("RandomNormalLike", ["x"], {}),
        ("RandomUniformLike", ["x"], {}),
        ("Bernoulli", ["x"], {}),
        ("Multinomial", ["x"], {"sample_size": 40}),
    ],
)
def test_chance_follows_the_seed_of_the_net_or_of_the_node(
    op: str, inputs: list[str], attributes: dict[str, Any]
) -> None:
    x = torch.full((2, 40), 0.5)

    def drawn(of_net: int, **more: Any) -> list[Any]:
        shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
        node = helper.make_node(op, inputs, ["y"], **attributes, **more)
        graph = helper.make_graph([node], "g", shown[:1], shown[1:])
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])
        net = inspector.to_torch(proto, seed=of_net)
        assert torch.equal(net(x)[0], net(x)[0])
        return net(x)[0].tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(1, seed=3.0) == drawn(2, seed=3.0) != drawn(1, seed=4.0)
