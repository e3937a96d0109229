"""Does a summary say what the model holds, in numbers checked by hand?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import inspector


def test_the_classifier_in_numbers(classifier: inspector.Model) -> None:
    summary = inspector.summarize(classifier)
    assert summary.parameters == 1_235_496
    assert summary.macs == 349_151_936
    assert summary.cost.statistics == 0
    record = summary.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["flops"] == 2 * summary.macs
    assert record["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": ["batch", 3, 224, 224], "kind": "tensor"}
    ]
    assert record["counted_operators"] == {"Conv": 26}


def test_equal_blocks_look_equal_in_the_default_table(classifier: inspector.Model) -> None:
    rows = inspector.summarize(classifier).rows
    fires = [row for row in rows if row.operator == "Fire"]
    assert len(fires) == 8
    assert not any(row.open for row in fires)
    top = [row for row in rows if row.depth == 0]
    assert sum(row.macs or 0 for row in top) == 349_151_936
    assert sum(row.parameters for row in top) == 1_235_496


def test_running_statistics_are_no_parameters_and_blocks_fold(fixtures: Path) -> None:
    summary = inspector.summarize(fixtures / "models" / "residual.onnx")
    convolutions = 8 * 3 * 9 + 6 * 8 * 8 * 9
    assert summary.parameters == convolutions + 7 * 2 * 8 + 5 * 8 + 5
    assert summary.cost.statistics == 7 * 2 * 8
    assert any(row.repeat == 3 for row in summary.rows)


def test_a_file_of_weights_is_grouped_by_prefix(tmp_path: Path) -> None:
    shapes = {
        "stem.weight": (4, 3),
        "stem.bias": (4,),
        "blocks.0.fc.weight": (4, 4),
        "blocks.1.fc.weight": (4, 4),
    }
    np.savez(tmp_path / "weights.npz", **{name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    summary = inspector.summarize(tmp_path / "weights.npz", depth=1)
    assert [(row.label, row.parameters) for row in summary.rows] == [("stem", 16), ("blocks", 32)]
    opened = inspector.summarize(tmp_path / "weights.npz")
    assert [row.label for row in opened.rows if row.kind == "weight"] == [
        "weight",
        "bias",
        "weight",
        "weight",
    ]
    assert sum(row.share for row in opened.rows if row.depth == 0) == 1
