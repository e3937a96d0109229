"""Do values stay on a CUDA device, within the memory that was allowed, and does the result say what ran?"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import inspector
from inspector.actions.features import features
from inspector.execution import capture, drain, open_session, prepare, random_feeds, run_bound
from inspector.execution.devices import cuda_obstacle
from inspector.execution.moments import measure
from inspector.execution.runner import WORKSPACE

OBSTACLE = cuda_obstacle()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(OBSTACLE), reason=f"no CUDA: {OBSTACLE}")]
sees = pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch finds no CUDA device")

MB = 1_000_000
OTHER = 400 * MB
"""Kernels, handles of cuBLAS and cuDNN and what they set aside, beside weights and values."""


@dataclass
class Peak:
    """Bytes of the device in use, above those at the start."""

    nbytes: int = 0


@contextmanager
def watched() -> Generator[Peak]:
    """The most device memory in use while the block runs, whoever allocated it, asked every millisecond."""
    done, peak = threading.Event(), Peak()
    torch.cuda.synchronize()
    free_before, _ = torch.cuda.mem_get_info()

    def watch() -> None:
        while not done.wait(0.001):
            peak.nbytes = max(peak.nbytes, free_before - torch.cuda.mem_get_info()[0])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


@pytest.fixture
def feeds(classifier: inspector.Model) -> dict[str, np.ndarray[Any, Any]]:
    return dict(random_feeds(classifier, seed=5))


def close(a: Any, b: Any) -> bool:
    scale = max(1e-30, float(np.abs(b).max(initial=0)))
    return bool(np.abs(np.asarray(a, np.float64) - b).max(initial=0) <= 1e-4 * scale)


def test_bound_values_stay_on_the_device(classifier: inspector.Model, feeds: dict[str, Any]) -> None:
    session = open_session(classifier, device="cuda")
    assert session.device == "cuda"
    (value,) = run_bound(session, feeds, session.output_names[:1], "cuda")
    assert value.device_name().lower() == "cuda"
    (expected,) = open_session(classifier).ort.run(list(session.output_names[:1]), feeds)
    assert close(value.numpy(), expected)


@pytest.mark.parametrize("strategy", ["all", "checkpoint", "segments"])
def test_every_value_agrees_with_the_cpu_and_repeats(
    classifier: inspector.Model, feeds: dict[str, Any], strategy: Any
) -> None:
    here = capture(classifier, feeds)
    there = capture(classifier, feeds, device="cuda", strategy=strategy)
    again = capture(classifier, feeds, device="cuda", strategy=strategy)
    assert (there.device, there.graph) == ("cuda", "exact")
    assert list(there) == list(here)
    for key in here:
        assert close(there[key], here[key]), key
        assert there[key].tobytes() == again[key].tobytes(), key


@sees
def test_torch_reads_the_devices_memory_without_a_copy(
    classifier: inspector.Model, feeds: dict[str, Any]
) -> None:
    got = capture(classifier, feeds, "relu*", device="cuda")
    for key in got:
        held = got.on_device(key)
        tensor = got.torch(key)
        assert tensor.is_cuda
        assert tensor.data_ptr() == held.data_ptr()
        np.testing.assert_array_equal(tensor.cpu().numpy(), got[key])


def test_statistics_are_reduced_on_the_device(classifier: inspector.Model, feeds: dict[str, Any]) -> None:
    counted = capture(classifier, feeds, device="cuda", strategy="statistics")
    raw = capture(classifier, feeds)
    assert not any(key in counted.kept for key in raw)
    for key in raw:
        got, want = counted.statistics[key], measure(raw[key])
        size = max(abs(want.minimum or 0), abs(want.maximum or 0))
        for one, other in ((got.minimum, want.minimum), (got.maximum, want.maximum), (got.std, want.std)):
            assert one == pytest.approx(other, abs=1e-4 * size), key
    assert not counted.recent  # nothing had to be replayed either


@sees
def test_statistics_of_raw_values_are_reduced_on_the_device(
    classifier: inspector.Model, feeds: dict[str, Any]
) -> None:
    got = capture(classifier, feeds, "relu*", device="cuda")
    for key in got:
        found, want = got.statistics[key], measure(got[key])
        assert (found.minimum, found.maximum, found.nan, found.inf) == (want.minimum, want.maximum, 0, 0)
        assert found.zeros == pytest.approx(want.zeros, abs=1e-9)
        assert found.mean == pytest.approx(want.mean, rel=1e-6)
        assert found.std == pytest.approx(want.std, rel=1e-6)


def test_the_command_counts_on_the_device_and_names_it(
    classifier: inspector.Model, feeds: dict[str, Any]
) -> None:
    found = features(classifier, ["random"], device="cuda", stats_only=True)
    assert found.device == "cuda"
    assert found.plan.strategy == "statistics"
    assert len(found.rows) == len(capture(classifier, feeds))


@sees
def test_a_whole_batch_is_streamed_within_the_budget(classifier: inspector.Model) -> None:
    """All values of 64 pictures are several times the budget; the device never holds more than it."""
    budget = 500 * MB
    batch = {k: np.repeat(v, 64, 0) for k, v in random_feeds(classifier, seed=2).items()}
    warm = prepare(classifier, random_feeds(classifier), device="cuda")
    warm.run(random_feeds(classifier))
    del warm
    prepared = prepare(classifier, batch, device="cuda", budget=budget, sweep=True)
    weights = sum(weight.nbytes for weight in classifier.weights.values())
    assert prepared.plan.strategy == "segments"
    assert prepared.plan.nbytes > 3 * budget
    seen = 0
    with watched() as peak:
        for found, _ in prepared.runner.stream(batch):
            seen += sum(value.nbytes for _, value in drain(found))
    assert seen == prepared.plan.nbytes
    assert prepared.runner.device == "cuda"
    assert 0 < peak.nbytes <= budget + weights + WORKSPACE + OTHER
    made, parts = prepared.runner.shelf.made, len(prepared.plan.segments)
    with watched() as peak:
        for found, _ in prepared.runner.stream(batch):
            found.clear()
    assert prepared.runner.shelf.made - made < parts == made  # those that fit are still there
    assert 0 < peak.nbytes <= budget + weights + WORKSPACE + OTHER


@sees
def test_checkpoints_and_replays_keep_within_the_budget(classifier: inspector.Model) -> None:
    budget = 1000 * MB
    batch = {k: np.repeat(v, 64, 0) for k, v in random_feeds(classifier, seed=2).items()}
    capture(classifier, random_feeds(classifier), device="cuda")
    with watched() as peak:
        got = capture(classifier, batch, device="cuda", budget=budget)
        assert got.plan.strategy == "checkpoint"
        for key in list(got)[:: max(1, len(got) // 12)]:
            assert np.isfinite(got[key]).all()
    weights = sum(weight.nbytes for weight in classifier.weights.values())
    assert peak.nbytes <= 2 * (budget + weights + WORKSPACE) + OTHER  # the whole graph and one part


def test_nodes_without_a_kernel_for_cuda_are_named() -> None:
    """No CUDA kernel is known for Det; the result says that it ran elsewhere, and the rest did not."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "x"], ["squared"], name="product"),
            helper.make_node("Det", ["squared"], ["y"], name="determinant"),
        ],
        "mixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    model = inspector.open_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    x = np.random.default_rng(0).standard_normal((2, 3, 3)).astype(np.float32)
    got = capture(model, x, device="cuda")
    assert got.device == "cuda"
    assert got.left_to_cpu == ("Det determinant",)
    assert any("Det determinant" in note for note in got.notes)
    np.testing.assert_allclose(got["y"], np.linalg.det(x @ x), rtol=1e-4)


def test_bfloat16_values_come_back_from_the_device() -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["narrow"], name="narrowing", to=TensorProto.BFLOAT16),
            helper.make_node("Cast", ["narrow"], ["y"], name="widening", to=TensorProto.FLOAT),
        ],
        "narrowed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 5])],
    )
    proto: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    )
    x = np.arange(15, dtype=np.float32).reshape(3, 5)
    got = capture(proto, x, device="cuda")
    assert got["narrow"].dtype.name == "bfloat16"
    np.testing.assert_array_equal(got["narrow"].astype(np.float32), x)
    np.testing.assert_array_equal(got["y"], x)
