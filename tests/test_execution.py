"""Do sessions, devices and the feature folder keep their promises?"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import inspector
from inspector.errors import DeviceUnavailable, NotRunnable, OutputExists, TooLarge, UnknownName
from inspector.execution import (
    axes_of_value,
    capture,
    measure_tensor,
    open_session,
    prepare,
    random_feeds,
    run,
    run_bound,
    tensor_of,
)
from inspector.execution.binding import can_stay
from inspector.execution.devices import Device, cuda_obstacle
from inspector.execution.runner import WORKSPACE

OBSTACLE = cuda_obstacle()


def test_cuda_that_cannot_work_is_an_error_with_its_reason(classifier: inspector.Model) -> None:
    if not OBSTACLE:
        pytest.skip("CUDA works here")
    with pytest.raises(DeviceUnavailable, match=r"driver|built without CUDA|libraries"):
        capture(classifier, random_feeds(classifier), device="cuda")
    got = capture(classifier, random_feeds(classifier), device="auto")
    assert got.device == "cpu"
    assert any("Ran on the CPU" in note for note in got.notes)
    with pytest.raises(UnknownName):
        capture(classifier, random_feeds(classifier), device="tpu")


def test_asking_for_cuda_prints_nothing(fixtures: Path) -> None:
    if not OBSTACLE:
        pytest.skip("CUDA works here")
    code = (
        "import inspector; from inspector.execution import capture, random_feeds;"
        f"m = inspector.open_model({str(fixtures / 'squeezenet1_1.onnx')!r});"
        "capture(m, random_feeds(m), device='auto')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout == ""


@pytest.mark.gpu
@pytest.mark.skipif(bool(OBSTACLE), reason=f"no CUDA here: {OBSTACLE}")
def test_cuda_agrees_with_the_cpu(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier, seed=1)
    cpu, gpu = capture(classifier, feeds), capture(classifier, feeds, device="cuda")
    assert gpu.device == "cuda"
    for key in cpu:
        scale = np.abs(cpu[key]).max() or 1
        assert np.abs(gpu[key] - cpu[key]).max() <= 1e-3 * scale


def test_a_given_budget_limits_the_memory_of_a_gpu(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier)
    weights = sum(weight.nbytes for weight in classifier.weights.values())
    runner = prepare(classifier, feeds, budget=50_000_000).runner
    assert runner.memory == weights + 50_000_000 + WORKSPACE
    assert runner.chosen.memory == runner.memory
    ((name, options), cpu) = Device("cuda", memory=runner.memory).providers
    assert (name, cpu) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options["gpu_mem_limit"] == str(runner.memory)
    assert prepare(classifier, feeds).runner.memory is None
    assert "gpu_mem_limit" not in Device("cuda").providers[0][1]


def test_weights_are_mapped_not_copied(tmp_path: Path) -> None:
    """A session over 400 MB of weights exists in a moment."""
    side, count = 4096, 6
    data = tmp_path / "weights.bin"
    with data.open("wb") as file:
        file.truncate(side * side * 4 * count)
    tensors = [
        TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[side, side]) for i in range(count)
    ]
    for i, tensor in enumerate(tensors):
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", data.name),
            ("offset", i * side * side * 4),
            ("length", side * side * 4),
        ):
            tensor.external_data.add(key=key, value=str(value))
    nodes = [
        helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"], name=f"m{i}") for i in range(count)
    ]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, side]) for n in ("x0", f"x{count}")]
    proto = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:], tensors), ir_version=8)
    proto.opset_import[0].version = 17
    onnx.save(proto, tmp_path / "big.onnx")
    model = inspector.open_model(tmp_path / "big.onnx")
    start = time.perf_counter()
    session = open_session(model)
    assert time.perf_counter() - start < 1.0  # reading 400 MB and packing it takes longer
    assert not run(session, {"x0": np.ones((1, side), np.float32)})[0].any()


def test_what_cannot_run_says_why() -> None:
    nodes = [helper.make_node("Lambda", ["x"], ["y"], name="opaque", domain="keras")]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy"]
    proto = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:]), ir_version=8)
    proto.opset_import.add(domain="keras", version=1)
    model = inspector.open_model(proto)
    with pytest.raises(NotRunnable, match="opaque"):
        capture(model, np.zeros(1, np.float32))


def test_memory_that_runs_out_is_said_with_the_next_step() -> None:
    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "shape"], ["y"], "grow")],
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("shape", TensorProto.INT64, [2], [1 << 22, 1 << 22])],
    )
    model = inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    with pytest.raises(TooLarge, match=r"memory ran out.*smaller batch or input, or a budget"):
        run(open_session(model), {"x": np.zeros(1, np.float32)})


def test_features_write_a_folder_that_explains_itself(fixtures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    found = inspector.features(
        fixtures / "squeezenet1_1.onnx", str(fixtures / "coffee.png"), folder, values=["conv2d", "relu_2"]
    )
    index = json.loads((folder / "index.json").read_text())
    assert [row["key"] for row in index["values"]] == [row["key"] for row in found.rows]
    assert index["graph"] == "exact"
    assert index["device"] == "cpu"
    for row in index["values"]:
        assert np.load(folder / row["array"]).shape == tuple(row["shape"])
        assert set(row["pictures"]) == {"maps", "histogram", "surface"}
        for name in row["pictures"].values():
            picture = np.asarray(Image.open(folder / name))
            assert picture.std() > 5
    page = (folder / "index.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert index["outputs"]
    assert [p.name for p in tmp_path.iterdir()] == ["features"]


def test_features_replace_only_their_own_folder(fixtures: Path, tmp_path: Path) -> None:
    model, picture = fixtures / "squeezenet1_1.onnx", str(fixtures / "coffee.png")
    ours = tmp_path / "ours"
    for _ in range(2):
        inspector.features(model, picture, ours, values=["relu"], stats_only=True)
    assert sorted(p.name for p in ours.iterdir()) == ["index.html", "index.json"]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("precious")
    with pytest.raises(OutputExists, match="Name another folder"):
        inspector.features(model, picture, theirs, values=["relu"])
    assert (theirs / "thesis.txt").read_text() == "precious"


def test_a_failed_run_leaves_nothing_behind(fixtures: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(inspector.InspectorError, match=r"broken\.png"):
        inspector.features(fixtures / "squeezenet1_1.onnx", str(tmp_path / "broken.png"), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["broken.png"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_first_kernels_are_colour_tiles(fixtures: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"kernels.{suffix}"
    found = inspector.kernels(fixtures / "squeezenet1_1.onnx", path)
    assert found.array.shape == (64, 3, 3, 3)
    assert path.stat().st_size > 1000
    with pytest.raises(UnknownName, match="Near"):
        inspector.kernels(fixtures / "squeezenet1_1.onnx", layer="nowhere")


def test_axes_are_read_from_the_graph(shared_models: Path, classifier: inspector.Model) -> None:
    assert axes_of_value(classifier, "relu", (1, 64, 111, 111)) == "n c h w"
    rnet = inspector.open_model(shared_models / "mtcnn/onnx/pnet.onnx")
    assert axes_of_value(rnet, "softmax", (1, 5, 5, 2)) == "n h w c"
    assert axes_of_value(rnet, "p_re_lu/add:0", (1, 10, 5, 5)) == "n c h w"


def test_bound_outputs_are_shared_with_torch_without_a_copy(classifier: inspector.Model) -> None:
    """The path that CUDA takes, on memory of the CPU."""
    feeds = random_feeds(classifier, seed=3)
    expected = capture(classifier, feeds, "relu")
    session = open_session(classifier)
    [value] = run_bound(session, feeds, ["logits"], "cpu")
    tensor = tensor_of(value)
    assert tensor.data_ptr() == value.data_ptr()
    assert np.array_equal(tensor.numpy(), capture(classifier, feeds, "logits")["logits"])
    assert np.array_equal(expected.torch("relu").numpy(), expected["relu"])
    on_device, on_host = measure_tensor(expected.torch("relu")), expected.statistics["relu"]
    assert on_device.shape == on_host.shape
    for name in ("minimum", "maximum", "mean", "std", "zeros", "nan", "inf"):
        assert getattr(on_device, name) == pytest.approx(getattr(on_host, name), rel=1e-6)


def test_scalars_and_booleans_keep_shape_and_type_when_bound() -> None:
    """A scalar input stays a scalar, and a boolean output is no tensor of bytes."""
    node = helper.make_node("Greater", ["x", "y"], ["more"], name="more")
    taken = [helper.make_tensor_value_info(n, TensorProto.FLOAT, []) for n in ("x", "y")]
    given = [helper.make_tensor_value_info("more", TensorProto.BOOL, [])]
    proto = helper.make_model(helper.make_graph([node], "g", taken, given), ir_version=8)
    proto.opset_import[0].version = 17
    session = open_session(inspector.open_model(proto))
    feeds = {"x": np.array(2, np.float32), "y": np.array(1, np.float32)}
    [value] = run_bound(session, feeds, ["more"], "cpu", shrink=True)
    tensor = tensor_of(value)
    assert (tuple(tensor.shape), str(tensor.dtype), bool(tensor)) == ((), "torch.bool", True)


def test_strings_and_sequences_cannot_be_bound() -> None:
    nodes = [
        helper.make_node("SequenceConstruct", ["x"], ["listed"], name="listed"),
        helper.make_node("Cast", ["x"], ["spelled"], name="spelled", to=TensorProto.STRING),
        helper.make_node("Neg", ["x"], ["turned"], name="turned"),
    ]
    taken = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])]
    given = [helper.make_empty_tensor_value_info(n) for n in ("listed", "spelled", "turned")]
    proto = helper.make_model(helper.make_graph(nodes, "g", taken, given), ir_version=8)
    proto.opset_import[0].version = 17
    session = open_session(inspector.open_model(proto))
    feeds = {"x": np.ones(2, np.float32)}
    answers = [can_stay(session, feeds, [name]) for name in ("listed", "spelled", "turned")]
    assert answers == [False, False, True]


@pytest.mark.gpu
@pytest.mark.skipif(bool(OBSTACLE), reason=f"no CUDA here: {OBSTACLE}")
def test_values_stay_on_the_gpu(classifier: inspector.Model) -> None:
    got = capture(classifier, random_feeds(classifier), device="cuda")
    assert got.torch("relu").is_cuda
    assert got.statistics["relu"].minimum == 0


def test_commands_want_an_input(fixtures: Path) -> None:
    for ask in (inspector.predict, inspector.features):
        with pytest.raises(inspector.InspectorError, match="--input"):
            ask(fixtures / "squeezenet1_1.onnx")
    assert inspector.profile(fixtures / "squeezenet1_1.onnx", runs=1).overlay


def test_attention_is_drawn_by_head() -> None:
    """softmax(q kᵀ) v with four heads: the weights are drawn as one matrix a head."""
    nodes = [
        helper.make_node("MatMul", ["q", "k"], ["scores"], name="scores"),
        helper.make_node("Softmax", ["scores"], ["weights"], name="weights", axis=-1),
        helper.make_node("MatMul", ["weights", "v"], ["mixed"], name="mixed"),
    ]
    shapes = {"q": [1, 4, 9, 8], "k": [1, 4, 8, 9], "v": [1, 4, 9, 8]}
    taken = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    given = [helper.make_tensor_value_info("mixed", TensorProto.FLOAT, [1, 4, 9, 8])]
    proto = helper.make_model(helper.make_graph(nodes, "g", taken, given), ir_version=8)
    proto.opset_import[0].version = 17
    model = inspector.open_model(proto)
    assert axes_of_value(model, "weights", (1, 4, 9, 9)) == "n heads q k"
    found = inspector.features(model, "random", values=["weights"])
    assert "heads" in found.figures()["weights maps"].caption
