"""Are values of types that NumPy lacks (bfloat16, float8, int4) captured, replayed, measured and drawn?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import inspector
from inspector.actions.features import features
from inspector.execution import capture

KINDS: dict[int, Any] = {
    TensorProto.BFLOAT16: ml_dtypes.bfloat16,
    TensorProto.FLOAT8E4M3FN: ml_dtypes.float8_e4m3fn,
    TensorProto.FLOAT8E4M3FNUZ: ml_dtypes.float8_e4m3fnuz,
    TensorProto.FLOAT8E5M2: ml_dtypes.float8_e5m2,
    TensorProto.FLOAT8E5M2FNUZ: ml_dtypes.float8_e5m2fnuz,
    TensorProto.INT4: ml_dtypes.int4,
    TensorProto.UINT4: ml_dtypes.uint4,
}
NAMES = {kind: np.dtype(dtype).name for kind, dtype in KINDS.items()}
X = np.random.default_rng(3).integers(0, 8, (2, 3, 5, 5)).astype(np.float32)
"""Whole numbers that every one of the types holds; 75 a picture, so that packed bytes end in half a pair."""


def narrowed(kind: int, *, fed: bool = False) -> onnx.ModelProto:
    """relu(x) → narrow type → float32 → + 1, cut anywhere; `fed` starts at the narrow value."""
    first = [] if fed else [
        helper.make_node("Relu", ["x"], ["r"], name="relu"),
        helper.make_node("Cast", ["r"], ["narrow"], name="narrowing", to=kind),
    ]  # fmt: skip
    nodes = [
        *first,
        helper.make_node("Cast", ["narrow"], ["wide"], name="widening", to=TensorProto.FLOAT),
        helper.make_node("Add", ["wide", "one"], ["y"], name="adding"),
    ]
    given = ("narrow", kind) if fed else ("x", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes,
        "narrowed",
        [helper.make_tensor_value_info(*given, list(X.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(X.shape))],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("strategy", ["all", "checkpoint", "segments", "statistics"])
@pytest.mark.parametrize("kind", KINDS, ids=NAMES.get)
def test_narrow_values_are_captured(kind: int, strategy: str) -> None:
    got = capture(narrowed(kind), X, strategy=strategy)  # pyright: ignore[reportArgumentType]
    assert got["narrow"].dtype == KINDS[kind]
    np.testing.assert_array_equal(got["narrow"].astype(np.float32), X)
    np.testing.assert_array_equal(got["y"], X + 1)
    moments = got.statistics["narrow"]
    assert (moments.minimum, moments.maximum, moments.nan) == (0, 7, 0)
    assert moments.mean == pytest.approx(X.mean())


@pytest.mark.parametrize("kind", KINDS, ids=NAMES.get)
def test_narrow_inputs_are_fed(kind: int) -> None:
    got = capture(narrowed(kind, fed=True), X.astype(KINDS[kind]))
    np.testing.assert_array_equal(got["y"], X + 1)
    converted = capture(narrowed(kind, fed=True), X)  # whole numbers of a wider type lose nothing
    np.testing.assert_array_equal(converted["y"], X + 1)
    if "int" in NAMES[kind]:
        with pytest.raises(inspector.InspectorError, match="would change"):
            capture(narrowed(kind, fed=True), X + 0.5)


def test_a_narrow_value_of_a_branch_leaves_it() -> None:
    inner = [
        helper.make_node("Cast", ["x"], ["inside"], name="inside", to=TensorProto.BFLOAT16),
        helper.make_node("Cast", ["inside"], ["out"], name="out", to=TensorProto.FLOAT),
    ]
    info = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    other = helper.make_tensor_value_info("same", TensorProto.FLOAT, None)
    branches: dict[str, Any] = {
        "then_branch": helper.make_graph(inner, "then", [], [info]),
        "else_branch": helper.make_graph(
            [helper.make_node("Identity", ["x"], ["same"], name="same")], "else", [], [other]
        ),
    }
    graph = helper.make_graph(
        [helper.make_node("If", ["yes"], ["y"], name="choice", **branches)],
        "branching",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(X.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("yes", TensorProto.BOOL, [], [True])],
    )
    got = capture(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), X)
    assert got["choice.then_branch/inside"].dtype == ml_dtypes.bfloat16


def test_narrow_values_are_written_as_float32_and_said_so(tmp_path: Path) -> None:
    onnx.save(narrowed(TensorProto.BFLOAT16), tmp_path / "net.onnx")
    features(str(tmp_path / "net.onnx"), ["random"], str(tmp_path / "out"))
    index = json.loads((tmp_path / "out" / "index.json").read_text("utf-8"))
    row = next(row for row in index["values"] if row["key"] == "narrow")
    assert (row["dtype"], row["stored_as"]) == ("bfloat16", "float32")
    stored = np.load(tmp_path / "out" / row["array"])
    assert stored.dtype == np.float32
    assert row["minimum"] == stored.min()
    assert (tmp_path / "out" / row["pictures"]["histogram"]).exists()
