"""Does verification notice a broken conversion, and refuse to praise one that proves nothing?"""

from __future__ import annotations

import math

import onnx
import pytest
import torch
from architectures import ARCHITECTURES
from torch import nn

from converters import Conversion, Options, to_onnx
from converters.verify import TOLERANCE, verify


@pytest.fixture(scope="module")
def resnet() -> tuple[nn.Module, Conversion]:
    row = ARCHITECTURES["resnet"]
    net = row.module()
    return net, to_onnx(net, input_shape={"": row.shape}, example=row.inputs(row.traced))


def _changed(conversion: Conversion, operator: str, attribute: str, value: object) -> Conversion:
    model = onnx.ModelProto()
    model.CopyFrom(conversion.model)
    node = next(n for n in model.graph.node if n.op_type == operator)
    kept = [a for a in node.attribute if a.name != attribute]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(attribute, value)])
    return Conversion(model, conversion.origin, conversion.notes, conversion.folder, conversion.keep)


def test_a_right_conversion_is_equal(resnet: tuple[nn.Module, Conversion]) -> None:
    net, conversion = resnet
    training = {name: layer.training for name, layer in net.named_modules()}
    found = verify(conversion, net)
    assert found.verdict == "equal", found
    assert found.spread > 0.1
    assert found.max_abs_difference <= TOLERANCE * found.spread
    assert "verified" in found.sentence()
    assert {name: layer.training for name, layer in net.named_modules()} == training


@pytest.mark.parametrize(
    ("operator", "attribute", "value"),
    [("BatchNormalization", "epsilon", 1.5e-2), ("Conv", "pads", [2, 4, 4, 2])],
)
def test_a_broken_conversion_differs(
    resnet: tuple[nn.Module, Conversion], operator: str, attribute: str, value: object
) -> None:
    net, conversion = resnet
    found = verify(_changed(conversion, operator, attribute, value), net)
    assert found.verdict == "differs"
    assert found.max_abs_difference > 10 * TOLERANCE * found.spread


def test_outputs_that_ignore_inputs_are_void() -> None:
    net = nn.Linear(4, 3)
    with torch.no_grad():
        net.weight.zero_()
    found = verify(to_onnx(net, input_shape={"": ("batch", 4)}), net)
    assert found.verdict == "void"
    assert "do not depend" in found.sentence()


def test_without_an_oracle_it_is_unverified() -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [out]))
    found = verify(to_onnx(model), model, Options())
    assert found.verdict == "unverified"
    assert math.isnan(found.max_abs_difference)
    assert found.sentence().startswith("unverified: ")
