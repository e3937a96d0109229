"""Does an opened model hold everything the file holds, in every corner where ONNX lets weights hide?"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import inspector
from inspector.errors import UnknownName
from inspector.model import save_model

INDEX = tomllib.loads((Path(__file__).parent.parent / "fixtures" / "index.toml").read_text())


@pytest.mark.parametrize("name", INDEX["models"])
def test_counts_are_those_of_the_index(name: str, fixtures: Path) -> None:
    model = inspector.open_model(fixtures / "models" / name)
    row = INDEX["models"][name]
    assert (len(model.nodes), len(model.weights)) == (row["nodes"], row["weights"])


@pytest.mark.parametrize("name", ["squeezenet1_1.onnx", *(f"models/{n}" for n in INDEX["models"])])
def test_weights_equal_those_of_the_onnx_package(name: str, fixtures: Path) -> None:
    model = inspector.open_model(fixtures / name)
    full = onnx.load(fixtures / name)
    assert full.graph.initializer or model.weights
    for tensor in full.graph.initializer:
        expected = numpy_helper.to_array(tensor)
        found = model.weights[tensor.name].array()
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes() or found.dtype == object


def test_large_weights_are_mapped_not_copied(classifier: inspector.Model) -> None:
    array = classifier.weights["classifier.1.weight"].array()
    base = array
    while base.base is not None and isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    assert not array.flags.writeable
    assert classifier.proto.ByteSize() < 60_000


def test_bodies_have_keys_of_their_own(fixtures: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "if_body.onnx")
    assert "choose.then_branch/k" in model.weights
    assert "choose.else_branch/k" in model.weights
    inner = model.nodes["choose.then_branch/shift"]
    assert inner.inputs == ("choose.then_branch/h", "outer")
    assert model.values["choose.then_branch/h"].shape == (2, 4)
    assert model.producers["choose.else_branch/h"].key == "choose.else_branch/inner"


def test_a_weight_is_found_behind_identity(fixtures: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "identity_shared.onnx")
    assert model.weight("w_2") is model.weights["w"]
    with pytest.raises(UnknownName, match="no weight is called 'h'"):
        model.weight("h")


def test_sparse_and_filled_weights_have_values(fixtures: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "sparse_and_filled.onnx")
    dense = model.weights["sparse"].array()
    assert dense.shape == (4, 4)
    assert dense[0, 0] == 1
    assert dense[1, 1] == -2
    assert dense[3, 3] == 3
    assert np.count_nonzero(dense) == 3
    filled = model.weights["filled"]
    assert filled.kind == "filled"
    assert filled.shape == (4, 2)
    assert (filled.array() == 2.5).all()


def test_symbolic_sizes_are_kept_and_can_be_bound(fixtures: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "residual.onnx")
    assert model.values["b3"].shape == ("batch", 8, 16, 16)
    assert model.bind(batch=4).values["b3"].shape == (4, 8, 16, 16)
    assert model.bind(batch=4).values["b3"].nbytes == 4 * 8 * 16 * 16 * 4


def test_initializers_listed_as_inputs_are_no_inputs(fixtures: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "initializers_as_inputs.onnx")
    assert [v.name for v in model.inputs] == ["x"]


def test_a_proto_in_memory_opens_and_is_not_changed(fixtures: Path) -> None:
    proto = onnx.load(fixtures / "squeezenet1_1.onnx")
    before = proto.SerializeToString(deterministic=True)
    model = inspector.open_model(proto)
    assert proto.SerializeToString(deterministic=True) == before
    assert model.digest == inspector.open_model(fixtures / "squeezenet1_1.onnx").digest


@pytest.mark.parametrize("external", [False, True])
def test_a_saved_model_opens_with_the_same_digest(
    external: bool, classifier: inspector.Model, tmp_path: Path
) -> None:
    save_model(classifier, tmp_path / "copy.onnx", external=external)
    again = inspector.open_model(tmp_path / "copy.onnx")
    assert again.digest == classifier.digest
    onnx.checker.check_model(tmp_path / "copy.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.onnx"] + ["copy.onnx.data"] * external


def test_a_renamed_file_and_text_forms_open(
    classifier: inspector.Model, fixtures: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "holiday.jpg"
    renamed.write_bytes((fixtures / "models" / "residual.onnx").read_bytes())
    assert len(inspector.open_model(renamed).nodes) == 27
    for suffix in ("textproto", "onnxjson"):
        path = tmp_path / f"net.{suffix}"
        onnx.save(onnx.load(fixtures / "models" / "residual.onnx"), path)
        assert inspector.open_model(path).digest == inspector.open_model(renamed).digest


@pytest.mark.parametrize("opset", range(1, 27))
def test_every_opset_opens(opset: int) -> None:
    attributes = {"consumed_inputs": [0]} if opset < 6 else {}
    node = helper.make_node("Relu", ["x"], ["y"], **attributes)
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in "xy")
    graph = helper.make_graph([node], "g", [x], [y])
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if opset < 9 else 10
    )
    model = inspector.open_model(proto)
    assert model.opset == opset
    assert model.values["y"].shape == ("n", 3)


def test_every_shared_model_gives_all_its_weights(shared_models: Path) -> None:
    ocr = inspector.open_model(shared_models / "onnx_misc" / "ch_ppocr_mobile_v2.0_cls_infer.onnx")
    assert len(ocr.weights) == 308
    assert all(w.kind == "constant" for w in ocr.weights.values())
    vad = inspector.open_model(shared_models / "silero_vad" / "silero_vad.onnx")
    assert len(vad.nodes) == 689
    assert sum(1 for n in vad.nodes.values() if not n.body) == 5


def test_shapes_behind_shape_arithmetic_are_those_of_a_run(shared_models: Path) -> None:
    """The OCR classifier resizes by computed sizes; once its inputs are fixed every shape is known."""
    path = shared_models / "onnx_misc" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
    proto = onnx.load(path)
    for dim, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, (2, 3, 48, 192), strict=True):
        dim.dim_value = size
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    model = inspector.open_model(proto)
    assert list(model.nodes) == list(inspector.open_model(path).nodes)
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 3, 48, 192)).astype(np.float32)}
    captured = inspector.capture(model, feeds)
    assert len(captured) > 200
    for key in captured:
        assert model.values[key].shape == captured[key].shape, key
