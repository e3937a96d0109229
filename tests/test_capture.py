"""Is every captured value the one that the file's graph defines?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import inspector
from inspector.execution import capture, prepare, random_feeds, stream
from inspector.execution.moments import measure
from inspector.execution.planner import Strategy
from inspector.execution.runner import WHOLE

REAL = [
    "basic_pitch/nmp.onnx",
    "imagenet_squeezenet1_1/squeezenet1_1_imagenet_op13_ts.onnx",
    "imagenet_squeezenet1_1/squeezenet1_1_imagenet_op18.onnx",
    "mtcnn/onnx/onet.onnx",
    "mtcnn/onnx/pnet.onnx",
    "mtcnn/onnx/rnet.onnx",
    "onnx_misc/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "silero_vad/silero_vad.onnx",
    "silero_vad/silero_vad_16k_op15.onnx",
]


def unfused(path: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every top-level value by ONNX Runtime alone: all outputs added, no optimisation."""
    proto = onnx.load(path)
    have = {o.name for o in proto.graph.output}
    for node in proto.graph.node:
        for name in node.output:
            if name and name not in have:
                proto.graph.output.add(name=name)
                have.add(name)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("file", REAL)
@pytest.mark.parametrize("strategy", ["all", "checkpoint", "segments"])
def test_every_value_equals_an_unfused_run_bit_for_bit(shared_models: Path, file: str, strategy: str) -> None:
    model = inspector.open_model(shared_models / file)
    feeds = random_feeds(model, seed=1)
    expected = unfused(shared_models / file, feeds)
    got = capture(model, feeds, strategy=strategy)
    assert got.graph == "exact"
    assert got.device == "cpu"
    wrong = [key for key in expected if not same(got[key], np.asarray(expected[key]))]
    assert not wrong
    for key in got:  # values of bodies too: they exist, with the type that was inferred
        assert got[key].dtype == np.dtype(model.value(key).dtype or got[key].dtype)


def test_only_branches_that_ran_have_values(shared_models: Path) -> None:
    model = inspector.open_model(shared_models / "silero_vad/silero_vad.onnx")
    got = capture(model, random_feeds(model))
    taken = [key for key in got if key.startswith("If_0.then_branch/")]
    untaken = [key for key in got.absent if key.startswith("If_0.else_branch/")]
    assert len(taken) > 90
    assert len(untaken) > 90
    with pytest.raises(inspector.InspectorError, match="did not run"):
        got[untaken[0]]


def test_fused_is_labelled_and_close(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier, seed=2)
    exact = capture(classifier, feeds)
    fused = capture(classifier, feeds, list(classifier.producers)[20:40:5], mode="fused")
    assert fused.graph == "fused"
    for key in fused:
        scale = np.abs(exact[key]).max()
        assert np.abs(fused[key] - exact[key]).max() <= 1e-5 * scale


def test_other_inputs_give_other_values(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier, seed=2)
    before = capture(classifier, feeds)
    key = next(iter(before))
    other = capture(classifier, {k: v + 1 for k, v in feeds.items()})
    assert not np.array_equal(before[key], other[key])


def test_one_prepared_capture_serves_many_inputs(classifier: inspector.Model) -> None:
    prepared = prepare(classifier, random_feeds(classifier), strategy="checkpoint")
    for seed in (3, 4):
        feeds = random_feeds(classifier, seed=seed)
        lazily, at_once = prepared.run(feeds), capture(classifier, feeds)
        kept = set(lazily.kept)
        assert len(kept) < len(at_once) / 2
        assert all(same(lazily[key], at_once[key]) for key in at_once)


def test_feeds_of_another_shape_need_another_preparation(classifier: inspector.Model) -> None:
    prepared = prepare(classifier, np.zeros((1, 3, 224, 224), np.float32), "features/0")
    with pytest.raises(inspector.InspectorError, match=r"prepared for \(1, 3, 224, 224\)"):
        prepared.run(np.zeros((2, 3, 224, 224), np.float32))


def reshaping() -> inspector.Model:
    """What keeps the elements in order, beside a Transpose, which does not, and a Reshape of an input."""
    nodes = [
        helper.make_node("Reshape", ["x", "six"], ["fed"]),
        helper.make_node("Relu", ["x"], ["made"]),
        helper.make_node("Reshape", ["made", "six"], ["flat"]),
        helper.make_node("Identity", ["flat"], ["same"]),
        helper.make_node("Unsqueeze", ["same", "axis"], ["wider"]),
        helper.make_node("Transpose", ["made"], ["turned"]),
        helper.make_node("Add", ["wider", "wider"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([6]), "six"),
        numpy_helper.from_array(np.array([0]), "axis"),
    ]
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "reshaping", [helper.make_tensor_value_info("x", floats, ["a", 3])],
        [helper.make_tensor_value_info("y", floats, None)], constants,
    )  # fmt: skip
    return inspector.open_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    )


@pytest.mark.parametrize("strategy", ["all", "segments", "checkpoint"])
def test_a_reshaped_value_is_a_view_of_its_source(strategy: Strategy) -> None:
    model, feeds = reshaping(), {"x": np.arange(-2, 4, dtype=np.float32).reshape(2, 3)}
    prepared = prepare(model, feeds, strategy=strategy)
    captured = prepared.run(feeds)
    relu = np.maximum(feeds["x"], 0)
    for key, value in {"flat": relu.ravel(), "same": relu.ravel(), "wider": relu.reshape(1, 6)}.items():
        np.testing.assert_array_equal(captured[key], value)
        assert strategy != "all" or np.shares_memory(captured[key], captured["made"])
    np.testing.assert_array_equal(captured["turned"], relu.T)
    np.testing.assert_array_equal(captured["fed"], feeds["x"].ravel())
    if strategy == "all":
        whole = prepared.runner.shelf.get(WHOLE)
        assert whole.outputs == ["fed", "made", "turned", "y"]


def test_streaming_gives_every_value_once(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier, seed=5)
    expected = capture(classifier, feeds)
    seen: list[str] = []
    for key, value in stream(classifier, feeds):
        seen.append(key)
        assert same(value, expected[key])
    assert sorted(seen) == sorted(expected)


def test_budget_decides_and_the_plan_says_why(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier)
    small = capture(classifier, feeds, budget=1_000_000)
    assert small.plan.strategy == "checkpoint"
    assert "exceed the given budget" in small.plan.explain()
    assert capture(classifier, feeds).plan.strategy == "all"


def test_a_sweep_over_budget_is_streamed_and_the_plan_says_why(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier)
    prepared = prepare(classifier, feeds, budget=4_000_000, sweep=True)
    assert prepared.plan.strategy == "segments"
    assert "every value is used once" in prepared.plan.explain()
    seen = {key: np.array(v) for found, _ in prepared.runner.stream(feeds) for key, v in found.items()}
    whole = prepare(classifier, feeds, sweep=True)
    assert whole.plan.strategy == "all"
    ((everything, _),) = whole.runner.stream(feeds)
    assert seen.keys() == everything.keys()
    assert all(same(seen[key], everything[key]) for key in seen)


def test_statistics_in_the_graph_equal_numpy(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier, seed=6)
    counted, raw = capture(classifier, feeds, strategy="statistics"), capture(classifier, feeds)
    assert len(counted.statistics) == len(raw)
    for key in raw:
        got, want = counted.statistics[key], measure(raw[key])
        assert got.minimum == want.minimum
        assert got.maximum == want.maximum
        size = max(abs(want.minimum), abs(want.maximum))
        assert got.mean == pytest.approx(want.mean, abs=1e-5 * size)
        assert got.std == pytest.approx(want.std, abs=1e-4 * size)
    assert not any(key in counted.kept for key in raw)  # only numbers left the graph


def test_the_spread_is_right_where_the_mean_is_far_from_zero() -> None:
    """Channels around 1,000 and -3,000 with a spread of 0.01: sums of squares in float32 would lose it."""
    shift = np.array([1000.0, -3000.0, 0.0], np.float32).reshape(1, 3, 1, 1)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "shift"], ["far"], name="add")],
        "far",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 9, 9])],
        [helper.make_tensor_value_info("far", TensorProto.FLOAT, [2, 3, 9, 9])],
        [onnx.numpy_helper.from_array(shift, "shift")],
    )
    model = inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    feeds = {"x": np.random.default_rng(0).normal(0, 0.01, (2, 3, 9, 9)).astype(np.float32)}
    counted, raw = capture(model, feeds, strategy="statistics"), capture(model, feeds)["far"]
    wanted = raw.astype(np.float64)
    assert counted.statistics["far"].std == pytest.approx(wanted.std(), rel=1e-6)
    channels = counted.runner.counters.channels("far", counted.kept)
    assert channels is not None
    np.testing.assert_allclose(np.sqrt(channels["variance"]), wanted.std((2, 3)), rtol=0.02)


def test_graphs_too_old_for_counters_are_measured_outside(fixtures: Path) -> None:
    model = inspector.open_model(fixtures / "models" / "initializers_as_inputs.onnx")
    assert model.proto.opset_import[0].version < 7
    feeds = random_feeds(model)
    counted, raw = capture(model, feeds, strategy="statistics"), capture(model, feeds)
    assert {key: counted.statistics[key] for key in raw} == {key: measure(raw[key]) for key in raw}


def test_counters_stand_right_behind_their_producers(classifier: inspector.Model) -> None:
    runner = prepare(classifier, random_feeds(classifier), strategy="statistics").runner
    nodes = runner.counters.proto.graph.node
    for index, node in enumerate(nodes):
        if node.name.startswith("inspector:"):
            continue
        follower = nodes[index + 1] if index + 1 < len(nodes) else None
        assert follower is not None
        assert follower.name.endswith(node.output[0])


def loop_model(growing: bool) -> onnx.ModelProto:
    """y(i + 1) = y(i) * 2 for three turns; `growing` also doubles a vector's length each turn."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["y", "y"], ["twice"], name="add"),
            helper.make_node("Concat", ["g", "g"], ["longer"], name="grow", axis=0),
            helper.make_node("Identity", ["twice"], ["y_out"], name="y_out"),
            helper.make_node("Identity", ["longer" if growing else "g"], ["g_out"], name="g_out"),
            helper.make_node("Identity", ["go"], ["go_out"], name="go_out"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("g", TensorProto.FLOAT, [None]),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y_out", TensorProto.FLOAT, [2]),
            helper.make_tensor_value_info("g_out", TensorProto.FLOAT, [None]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "yes", "x", "x"], ["y_end", "g_end"], name="loop", body=body)],
        "loops",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y_end", TensorProto.FLOAT, [2])],
        [
            helper.make_tensor("turns", TensorProto.INT64, [], [3]),
            helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_values_of_a_loop_are_stacked_by_iteration() -> None:
    model = inspector.open_model(loop_model(growing=False))
    got = capture(model, np.array([1.0, 3.0], np.float32))
    assert got["loop.body/twice"].tolist() == [[2, 6], [4, 12], [8, 24]]
    assert got["loop.body/y_out"].tolist() == got["loop.body/twice"].tolist()
    assert got["loop.body/go_out"].tolist() == [True] * 3


def test_values_that_grow_in_a_loop_give_their_last_iteration() -> None:
    model = inspector.open_model(loop_model(growing=True))
    got = capture(model, np.array([1.0, 3.0], np.float32))
    assert got["loop.body/longer"].shape == (16,)
    assert got["loop.body/twice"].tolist() == [8, 24]


def test_values_of_a_scan_are_stacked_by_step() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["sum_in", "item"], ["sum_out"], name="add"),
            helper.make_node("Neg", ["sum_out"], ["inner"], name="neg"),
            helper.make_node("Mul", ["inner", "item"], ["scanned"], name="mul"),
        ],
        "body",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("sum_in", "item")],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("sum_out", "scanned")],
    )
    scan = helper.make_node(
        "Scan", ["start", "x"], ["end", "rows"], name="scan", num_scan_inputs=1, body=body
    )
    proto = helper.make_model(
        helper.make_graph(
            [scan],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 1])],
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [3, 1])],
            [helper.make_tensor("start", TensorProto.FLOAT, [1], [10.0])],
        ),
        ir_version=8,
    )
    proto.opset_import[0].version = 17
    got = capture(inspector.open_model(proto), np.array([[1.0], [2.0], [3.0]], np.float32))
    assert got["scan.body/inner"].tolist() == [[-11], [-13], [-16]]
    assert got["rows"].tolist() == [[-11], [-26], [-48]]


def test_replayed_values_do_not_pile_up(classifier: inspector.Model) -> None:
    got = capture(classifier, random_feeds(classifier), strategy="checkpoint")
    sizes = [got[key].nbytes for key in got]
    held = sum(array.nbytes for array in (*got.kept.values(), *got.recent.values()))
    assert held < sum(sizes) / 2


def test_nodes_out_of_order_and_a_newer_ir_run() -> None:
    nodes = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Neg", ["x"], ["a"])]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in ("x", "b")]
    proto = helper.make_model(helper.make_graph(nodes, "g", info[:1], info[1:]), ir_version=99)
    proto.opset_import[0].version = 17
    model = inspector.open_model(proto)
    got = capture(model, np.array([-1, 2, -3], np.float32), strategy="segments")
    assert got["a"].tolist() == [1, -2, 3]
    assert got["b"].tolist() == [1, 0, 3]


def test_unknown_values_are_answered_with_near_ones(classifier: inspector.Model) -> None:
    with pytest.raises(inspector.InspectorError, match="Near"):
        capture(classifier, random_feeds(classifier), "relu_nowhere")
    got = capture(classifier, random_feeds(classifier))
    assert "nowhere" not in got
    with pytest.raises(KeyError):
        got["nowhere"]


def test_inputs_and_stored_constants_can_be_looked_up(classifier: inspector.Model) -> None:
    feeds = random_feeds(classifier)
    got = capture(classifier, feeds)
    name, weight = next(iter(classifier.weights.items()))
    assert np.array_equal(got[name], weight.array())
    assert got[classifier.inputs[0].key] is next(iter(got.feeds.values()))
