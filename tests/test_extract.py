"""Is a part of a model the same computation? Its numbers are those of the whole, at every cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from structures import Builder, transformer
from test_graph import looped

import inspector
from inspector.errors import BadInput, MissingOption, UnknownName


def _run(path: Path, feeds: dict[str, Any], wanted: list[str]) -> list[Any]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return list(session.run(wanted, feeds))


def _check(model: inspector.Model, part: Any, path: Path) -> None:
    """Feed the part with the whole's values at its inputs; its outputs must be the whole's."""
    onnx.checker.check_model(path, full_check=True)
    inputs = inspector.execution.read_inputs(model, ["random"])
    whole = inspector.capture(model, inputs.feeds)
    feeds = {value.name: whole[value.key] for value in part.model.inputs}
    wanted = [value.name for value in part.model.outputs]
    for name, found in zip(wanted, _run(path, feeds, wanted), strict=True):
        assert np.ptp(whole[name]) > 0, "a constant value would prove nothing"
        scale = float(np.abs(whole[name]).max())
        np.testing.assert_allclose(found, whole[name], rtol=0, atol=1e-5 * scale)


def test_between_two_values(fixtures: Path, tmp_path: Path) -> None:
    model = inspector.open_model(fixtures / "squeezenet1_1.onnx")
    values = [node.outputs[0] for node in model.nodes.values()]
    path = tmp_path / "part.onnx"
    part = inspector.extract(model, path, begin=[values[3]], end=[values[20]])
    assert [v.key for v in part.model.inputs] == [values[3]]
    assert len(part.model.nodes) == 17
    _check(model, part, path)
    again = inspector.open_model(path)
    assert list(again.nodes) == list(part.model.nodes)
    for key, weight in again.weights.items():
        np.testing.assert_array_equal(weight.array(), model.weight(key).array())


@pytest.mark.parametrize("pattern", ["*features/3*", "re:features/(5|6)/", "Concat"])
def test_nodes_by_pattern(fixtures: Path, tmp_path: Path, pattern: str) -> None:
    model = inspector.open_model(fixtures / "squeezenet1_1.onnx")
    path = tmp_path / "part.onnx"
    part = inspector.extract(model, path, nodes=[pattern])
    _check(model, part, path)


def test_every_single_node_runs_alone(tmp_path: Path) -> None:
    model = inspector.open_model(transformer(1))
    path = tmp_path / "part.onnx"
    for key in model.nodes:
        part = inspector.extract(model, path, nodes=[key])
        assert key in part.model.nodes
        assert part.model.runnable, part.model.obstacles
        ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_a_needed_input_is_kept_and_told() -> None:
    b = Builder(scoped=False)
    first = b.add("Relu", "", "x")
    last = b.add("Add", "", first, "y")
    model = inspector.open_model(b.model([("x", [2]), ("y", [2])], last))
    part = inspector.extract(model, begin=[first]).model
    assert [v.key for v in part.inputs] == [first, "y"]
    assert any("Needs y too" in note for note in part.notes)


def test_a_loop_keeps_what_its_body_reads() -> None:
    model = inspector.open_model(looped())
    (loop,) = (key for key, node in model.nodes.items() if node.op == "Loop")
    inner = next(key for key, node in model.nodes.items() if node.body)
    whole, by_inner = (inspector.extract(model, nodes=[key]).model for key in (loop, inner))
    assert list(whole.nodes) == list(by_inner.nodes)
    assert "outer" in {v.key for v in whole.inputs} | set(whole.weights)


def test_what_cannot_be_cut_is_told() -> None:
    model = inspector.open_model(transformer(1))
    with pytest.raises(MissingOption, match="which part"):
        inspector.extract(model)
    with pytest.raises(UnknownName, match="value"):
        inspector.extract(model, end=["nothing"])
    first = model.inputs[0].key
    with pytest.raises(BadInput, match="no operator"):
        inspector.extract(model, begin=[first], end=[first])
