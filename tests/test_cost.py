"""Are parameters and multiply–accumulates right? Closed forms written out by hand for each architecture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from structures import Builder, transformer

import inspector
from inspector.errors import BadInput
from inspector.graph import cost, cost_table

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def conv(h: int, w: int, c_in: int, c_out: int, k: int, groups: int = 1) -> tuple[int, int]:
    """Parameters with bias and multiply–accumulates of a k×k convolution with an h×w result."""
    each = c_in // groups * k * k
    return c_out * (each + 1), h * w * c_out * each


def dense(inputs: int, outputs: int) -> tuple[int, int]:
    return outputs * (inputs + 1), inputs * outputs


def total(*layers: tuple[int, int]) -> tuple[int, int]:
    return sum(p for p, _ in layers), sum(m for _, m in layers)


def alexnet() -> tuple[int, int]:
    """Krizhevsky 2012 in Caffe's form: convolutions 2, 4 and 5 in two groups, 54×54 after the first."""
    return total(
        conv(54, 54, 3, 96, 11),
        conv(26, 26, 96, 256, 5, 2),
        conv(12, 12, 256, 384, 3),
        conv(12, 12, 384, 384, 3, 2),
        conv(12, 12, 384, 256, 3, 2),
        dense(256 * 6 * 6, 4096),
        dense(4096, 4096),
        dense(4096, 1000),
    )


def vgg19() -> tuple[int, int]:
    """Simonyan 2014, table 1 column E."""
    layers, c, size = [], 3, 224
    for width, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            layers.append(conv(size, size, c, width, 3))
            c = width
        size //= 2
    return total(*layers, dense(512 * 49, 4096), dense(4096, 4096), dense(4096, 1000))


def squeezenet() -> tuple[int, int]:
    """SqueezeNet 1.1: stem of 64, eight fire modules, 1×1 classifier of 1000."""
    layers, c = [conv(111, 111, 3, 64, 3)], 64
    for size, squeeze, expand in (
        *((55, 16, 64),) * 2,
        *((27, 32, 128),) * 2,
        *((13, 48, 192),) * 2,
        *((13, 64, 256),) * 2,
    ):
        layers += [
            conv(size, size, c, squeeze, 1),
            conv(size, size, squeeze, expand, 1),
            conv(size, size, squeeze, expand, 3),
        ]
        c = 2 * expand
    return total(*layers, conv(13, 13, c, 1000, 1))


def resnet50() -> tuple[int, int, int]:
    """He 2015, the stride in the 3×3 of a stage's first block; BatchNorm instead of biases."""

    def plain(h: int, c_in: int, c_out: int, k: int) -> tuple[int, int]:
        nonlocal channels
        channels += c_out
        return c_out * c_in * k * k + 2 * c_out, h * h * c_out * c_in * k * k

    channels = 0
    layers, c = [plain(112, 3, 64, 7)], 64
    for size, width, count in ((56, 64, 3), (28, 128, 4), (14, 256, 6), (7, 512, 3)):
        for index in range(count):
            if index == 0:
                layers.append(plain(size, c, 4 * width, 1))
            before = size if size == 56 or index else 2 * size
            layers.append(plain(before, c, width, 1))
            layers.append(plain(size, width, width, 3))
            layers.append(plain(size, width, 4 * width, 1))
            c = 4 * width
    parameters, macs = total(*layers, dense(2048, 1000))
    return parameters, macs, 2 * channels


@pytest.mark.parametrize(
    ("file", "expected"),
    [("bvlc_alexnet", alexnet()), ("vgg19", vgg19()), ("squeezenet", squeezenet())],
)
def test_plain_networks(file: str, expected: tuple[int, int]) -> None:
    found = cost(inspector.open_model(LIGHT / f"light_{file}.onnx"))
    assert (found.parameters, found.macs) == expected
    assert found.flops == 2 * expected[1]
    assert not found.uncounted


def test_resnet50_keeps_running_statistics_apart() -> None:
    found = cost(inspector.open_model(LIGHT / "light_resnet50.onnx"))
    parameters, macs, statistics = resnet50()
    assert (found.parameters, found.macs, found.statistics) == (parameters, macs, statistics)
    assert parameters == 25_557_032


@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize("both", [False, True])
def test_recurrent_layers_multiply_at_every_step(op: str, gates: int, both: bool) -> None:
    steps, batch, width, hidden, directions = 7, 2, 5, 6, 2 if both else 1
    b = Builder(scoped=False)
    rows = gates * hidden
    ports = [
        b.weight("w", directions, rows, width),
        b.weight("r", directions, rows, hidden),
        b.weight("b", directions, 2 * rows),
        "",
        b.weight("h0", directions, batch, hidden),
    ]
    y = b.add(op, "", "x", *ports, hidden_size=hidden, direction="bidirectional" if both else "forward")
    found = cost(inspector.open_model(b.model([("x", [steps, batch, width])], y)))
    assert found.macs == steps * batch * directions * rows * (width + hidden)
    assert found.parameters == directions * rows * (width + hidden + 2), "the initial state is no parameter"


@pytest.mark.parametrize("batch", [1, 3])
def test_transformer(batch: int) -> None:
    layers, d, n = 3, 16, 8
    model = inspector.open_model(transformer(layers, width=d, tokens=n))
    found = cost(model, {"batch": batch})
    per_layer = n * (4 * d * d + 8 * d * d) + 2 * n * n * d
    assert found.macs == batch * (n * d * d + layers * per_layer + n * d * 32)
    norms, linears = 2 * 2 * d, 4 * (d * d + d) + (4 * d * d + 4 * d) + (4 * d * d + d)
    assert found.parameters == d * d + layers * (norms + linears) + 2 * d + d * 32
    assert found.sizes == {"batch": batch}


def test_depthwise_separable() -> None:
    """MobileNet's unit: 3×3 per channel, then 1×1 across channels, each with BatchNorm."""
    c, out, size = 8, 12, 10
    b = Builder(scoped=False)
    x = b.add("Conv", "", "x", b.weight("dw", c, 1, 3, 3), group=c, pads=[1, 1, 1, 1])
    x = b.add("BatchNormalization", "", x, *(b.weight(f"bn1.{k}", c) for k in "sbmv"))
    x = b.add("Conv", "", x, b.weight("pw", out, c, 1, 1))
    x = b.add("BatchNormalization", "", x, *(b.weight(f"bn2.{k}", out) for k in "sbmv"))
    found = cost(inspector.open_model(b.model([("x", [2, c, size, size])], x)))
    assert found.macs == 2 * size * size * (c * 9 + c * out)
    assert found.parameters == c * 9 + c * out + 2 * (c + out)
    assert found.statistics == 2 * (c + out)


def one(
    op: str, ports: list[str], inputs: dict[str, list[object]], b: Builder, **attributes: object
) -> int | None:
    domain = attributes.pop("domain", "")
    y = b.add(op, "", *ports, **attributes)
    b.nodes[-1].domain = str(domain)
    proto = b.model(list(inputs.items()), y, opset=23)
    if domain:
        proto.opset_import.append(helper.make_opsetid(str(domain), 1))
    return cost(inspector.open_model(proto)).macs


def test_single_operators() -> None:
    def weight(*shape: int) -> tuple[Builder, str]:
        b = Builder(scoped=False)
        return b, b.weight("w", *shape)

    b, w = weight(4, 3, 3, 3)
    assert one("ConvTranspose", ["x", w], {"x": [2, 4, 5, 5]}, b) == 2 * 4 * 25 * 3 * 9
    b, w = weight(7, 6)
    assert one("Gemm", ["x", w], {"x": [6, 5]}, b, transA=1, transB=1) == 5 * 6 * 7
    b, w = weight(6, 7)
    assert one("Einsum", ["x", w], {"x": [2, 5, 6]}, b, equation="btd,de->bte") == 2 * 5 * 6 * 7
    b, w = weight(6, 7)
    assert one("Einsum", ["x", w], {"x": [2, 5, 6]}, b, equation="...d,de->...e") == 2 * 5 * 6 * 7
    b = Builder(scoped=False)
    shape: list[object] = [2, 4, 9, 8]
    assert one("MatMul", ["x", "y"], {"x": shape, "y": [1, 4, 8, 3]}, b) == 2 * 4 * 9 * 8 * 3
    b = Builder(scoped=False)
    assert one("Attention", list("qkv"), dict.fromkeys("qkv", shape), b) == 2 * (2 * 4 * 9 * 9 * 8)
    b, w = weight(8, 24)
    macs = one("Attention", ["x", w], {"x": [2, 5, 8]}, b, num_heads=2, domain="com.microsoft")
    assert macs == 2 * 5 * 8 * 24 + 2 * 2 * 5 * 5 * 8


def test_quantised_weights_are_parameters_but_scales_are_not() -> None:
    b = Builder(scoped=False)
    w = b.weight("w", 4, 3, 3, 3, dtype="int8")
    scale, zero = b.weight("scale", 4), b.weight("zero", 4, dtype="int8")
    dequantised = b.add("DequantizeLinear", "", w, scale, zero, axis=0)
    y = b.add("Conv", "", "x", dequantised)
    found = cost(inspector.open_model(b.model([("x", [1, 3, 8, 8])], y)))
    assert found.parameters == 4 * 27
    assert found.macs == 6 * 6 * 4 * 27
    conv_row = next(row for row in found.nodes.values() if row.op == "Conv")
    assert conv_row.parameters == 4 * 27, "the weight belongs to the operator that uses it"


def test_a_shared_weight_counts_once_and_shapes_and_scalars_never() -> None:
    b = Builder(scoped=False)
    w = b.weight("w", 4, 4)
    y = b.add("MatMul", "", "x", w)
    y = b.add("MatMul", "", y, w)
    y = b.add("Mul", "", y, b.constant("half", np.float32(0.5)))
    y = b.add("Reshape", "", y, b.constant("shape", np.array([2, 8])))
    found = cost(inspector.open_model(b.model([("x", [4, 4])], y)))
    assert (found.parameters, found.macs) == (16, 128)


def test_open_sizes_are_never_guessed() -> None:
    b = Builder(scoped=False)
    y = b.add("Conv", "", "x", b.weight("w", 4, 3, 3, 3))
    model = inspector.open_model(b.model([("x", ["n", 3, "height", "width"])], y))
    unknown = cost(model)
    assert unknown.macs is None
    assert unknown.uncounted == {"Conv": 1}
    assert "open" in " ".join(unknown.notes)
    assert cost(model, {"height": 8, "width": 10}).macs == 6 * 8 * 4 * 27
    assert cost(model, {"x": [2, 3, 8, 10]}).macs == 2 * 6 * 8 * 4 * 27
    with pytest.raises(BadInput, match="depth"):
        cost(model, {"depth": 3})


def body(name: str, c: int, count: int) -> onnx.GraphProto:
    nodes, x = [], "x"
    for index in range(count):
        nodes.append(helper.make_node("MatMul", [x, f"{name}.w"], [f"{name}{index}"]))
        x = f"{name}{index}"
    weight = numpy_helper.from_array(np.zeros((c, c), "float32"), f"{name}.w")
    return helper.make_graph(
        nodes, name, [], [helper.make_tensor_value_info(x, TensorProto.FLOAT, [2, c])], [weight]
    )


def test_the_dearest_branch_of_an_if_counts() -> None:
    node = helper.make_node(
        "If", ["c"], ["y"], "if", then_branch=body("a", 4, 1), else_branch=body("b", 4, 3)
    )
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
    )
    found = cost(inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])))
    assert found.macs == 3 * 2 * 4 * 4
    assert found.parameters == 2 * 16
    assert any("branch" in note for note in found.notes)


def test_the_branch_that_a_known_condition_takes_gives_the_shape() -> None:
    """If(rank of x == 2): y is x, else its flat form; inside another If, whose condition is an input."""

    def chosen(name: str, inside: list[onnx.NodeProto], output: str) -> onnx.GraphProto:
        return helper.make_graph(
            inside, name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        )

    def node(operator: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(operator, inputs, [output], output, **attributes)

    def outer(name: str) -> onnx.GraphProto:
        same = chosen(f"{name}.same", [node("Relu", ["x"], f"{name}.kept")], f"{name}.kept")
        flat = chosen(f"{name}.flat", [node("Flatten", ["x"], f"{name}.row", axis=0)], f"{name}.row")
        nodes = [
            node("Shape", ["x"], f"{name}.shape"),
            node("Size", [f"{name}.shape"], f"{name}.rank"),
            node("Equal", [f"{name}.rank", "two"], f"{name}.is2"),
            node("If", [f"{name}.is2"], f"{name}.y", then_branch=same, else_branch=flat),
            node("MatMul", [f"{name}.y", "w"], f"{name}.z"),
        ]
        return chosen(name, nodes, f"{name}.z")

    graph = helper.make_graph(
        [node("If", ["c"], "z", then_branch=outer("a"), else_branch=outer("b"))],
        "g",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.asarray(2), "two"),
            numpy_helper.from_array(np.zeros((4, 5), "float32"), "w"),
        ],
    )
    model = inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert cost(model, {"n": 3}).macs == 3 * 4 * 5


def test_silero_is_counted_through_its_nested_branches(shared_models: Path) -> None:
    """The sum over its four convolutions, the spectrum's, the LSTM cell and the last 1×1 convolution."""
    model = inspector.open_model(shared_models / "silero_vad/silero_vad_16k_op15.onnx")
    found = cost(model, {"input": [1, 512], "state": [2, 1, 128]})
    counted = {key: node.macs for key, node in found.nodes.items() if node.macs and node.times}
    cell = 4 * 128 * (128 + 128)
    assert cell in counted.values()
    assert found.macs == sum(counted.values()) > 4 * cell


def test_the_table_adds_up() -> None:
    rows = cost_table(inspector.open_model(transformer(12)), depth=1)
    found = cost(inspector.open_model(transformer(12)))
    assert sum(row.parameters for row in rows if row.depth == 0) == found.parameters
    assert sum(row.macs or 0 for row in rows if row.depth == 0) == found.macs
    assert sum(row.share for row in rows if row.depth == 0) == pytest.approx(1)
    folded = [row for row in cost_table(inspector.open_model(transformer(12)), depth=2) if row.repeat == 12]
    assert [row.label for row in folded] == ["layers"]
