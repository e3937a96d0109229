"""Is a size that the file leaves open, and a node does not take, explained by sizes that it takes?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import inspector
from inspector.errors import BadInput
from inspector.execution import capture, predict, prepare, profile


def windowed() -> inspector.Model:
    """Sums over 4 pieces of 16 numbers, so that only 64 numbers can be fed, which the input does not say."""
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "pieces"], ["cut"], "cutting"),
            helper.make_node("ReduceMax", ["cut"], ["y"], "largest", axes=[3], keepdims=0),
        ],
        "windowed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("pieces", TensorProto.INT64, [4], [1, 1, 4, 16])],
    )
    return inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


SAID = r"leaves sizes of input 'x' open.*1×1000 was given; 1×64 can be run"


def test_every_way_to_run_names_the_size_that_runs() -> None:
    model = windowed()
    x = np.zeros((1, 1000), np.float32)
    with pytest.raises(BadInput, match=SAID):
        capture(model, x)
    with pytest.raises(BadInput, match=SAID):
        capture(model, x, strategy="checkpoint")
    with pytest.raises(BadInput, match=SAID):
        list(prepare(model, x, strategy="segments").runner.stream({"x": x}))
    with pytest.raises(BadInput, match=SAID):
        profile(model, {"x": x})
    assert capture(model, x[:, :64])["y"].shape == (1, 1, 4)


def test_nothing_is_promised_where_nothing_runs() -> None:
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "odd"], ["y"], "cutting")],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("odd", TensorProto.INT64, [2], [7, 11])],
    )
    model = inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    with pytest.raises(BadInput, match="cutting") as told:
        capture(model, np.zeros((1, 1000), np.float32))
    assert "can be run" not in str(told.value)


def test_sound_for_a_net_of_short_pieces(shared_models: Path, tmp_path: Path) -> None:
    sound: Any = tmp_path / "second.npy"
    np.save(sound, np.zeros((1, 16000), np.float32))
    model = inspector.open_model(shared_models / "silero_vad" / "silero_vad.onnx")
    with pytest.raises(BadInput, match=r"1×16000 was given; 1×512 .*can be run"):
        predict(model, [f"input={sound}"])


def test_weights_alone_name_the_way_to_an_architecture() -> None:
    graph = onnx.GraphProto(name="weights")
    graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]))
    model = inspector.open_model(helper.make_model(graph))
    with pytest.raises(inspector.InspectorError, match=r"--factory package\.module:function"):
        capture(model, {})
