"""Does every measured time belong to a node of the file?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import inspector
from inspector import graph
from inspector.errors import BadInput
from inspector.execution import profile, random_feeds


def test_every_node_has_a_row(classifier: inspector.Model) -> None:
    found = profile(classifier, random_feeds(classifier), runs=2)
    assert [row.key for row in found.rows] == list(classifier.nodes)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    assert found.device == "cpu"
    assert found.graph == "exact"
    assert 0 < found.total_ms <= found.wall_ms * 1.5
    convolution = next(row for row in found.rows if row.op == "Conv")
    assert convolution.output_bytes == 64 * 111 * 111 * 4
    assert convolution.weight_bytes == (64 * 27 + 64) * 4
    assert set(found.overlay) == set(classifier.nodes)


def test_values_that_are_alive_are_counted_at_each_node(classifier: inspector.Model) -> None:
    """By hand: the first map alone, written over by its ReLU; then with it what pooling makes of it."""
    found = profile(classifier, random_feeds(classifier), runs=2)
    first, rectified, pooled, squeezed = found.rows[:4]
    made, smaller, squeeze = 64 * 111 * 111 * 4, 64 * 55 * 55 * 4, 16 * 55 * 55 * 4
    small = 4096  # what the runtime keeps beside values
    for row, expected in (
        (first, made),
        (rectified, made),
        (pooled, made + smaller),
        (squeezed, smaller + squeeze),
    ):
        assert row.live_bytes is not None
        assert expected <= row.live_bytes <= expected + small, row.key
    assert found.peak_bytes is not None
    assert max(row.live_bytes or 0 for row in found.rows) <= found.peak_bytes
    (block,) = found.blocks(dict.fromkeys(classifier.nodes, "all"))
    assert block.live_bytes == max(row.live_bytes or 0 for row in found.rows)


def test_blocks_are_those_of_the_drawing_and_add_up(classifier: inspector.Model) -> None:
    found = inspector.profile(classifier, runs=2)
    assert sum(block.ms for block in found.blocks) == pytest.approx(found.profile.total_ms)
    assert sum(block.nodes for block in found.blocks) == len(classifier.nodes)
    drawn = graph.blocks(classifier)
    fire = next(block for block in found.blocks if block.block == "features/3")
    inside = drawn.find("features/3")
    assert inside is not None
    assert fire.nodes == len(inside.all_nodes)
    rows = {row.key: row for row in found.profile.rows}
    assert fire.weight_bytes == sum(rows[key].weight_bytes for key in inside.all_nodes)
    assert json.loads(json.dumps(found.to_dict()))["blocks"][0]["block"] == found.blocks[0].block


def test_packed_weights_are_counted(shared_models: Path) -> None:
    model = inspector.open_model(shared_models / "mtcnn/onnx/rnet.onnx")
    found = profile(model, random_feeds(model), runs=1)
    dense = [row for row in found.rows if row.op in ("MatMul", "Gemm")]
    assert dense
    for row in dense:
        behind = (model.weight_behind(key) for key in model.nodes[row.key].inputs)
        assert row.weight_bytes == sum(weight.nbytes for weight in behind if weight is not None) > 0


def test_repeated_layers_are_told_apart_and_lone_nodes_stand_alone(shared_models: Path) -> None:
    keras = inspector.profile(shared_models / "imagenet_squeezenet1_1/squeezenet1_1_imagenet.h5", runs=1)
    names = {block.block for block in keras.blocks}
    assert {"conv1", "fire9_expand3x3"} < names
    assert any(block.nodes == 1 and "pool" in block.block.lower() for block in keras.blocks)


def test_bodies_are_timed_once(shared_models: Path) -> None:
    model = inspector.open_model(shared_models / "silero_vad/silero_vad.onnx")
    found = profile(model, random_feeds(model), runs=9)
    inside = [row for row in found.rows if row.key.startswith("If_0.then_branch/")]
    assert len(inside) > 50
    assert not [row for row in found.rows if row.key.startswith("If_0.else_branch/")]
    owner = next(row for row in found.rows if row.key == "If_0")
    direct = [row for row in inside if model.nodes[row.key].body == "If_0.then_branch/"]
    assert owner.ms < sum(row.ms for row in direct)  # counted twice, it would hold all of them and more


def test_fused_run_has_fewer_rows(classifier: inspector.Model) -> None:
    found = profile(classifier, random_feeds(classifier), mode="fused", runs=1)
    assert found.graph == "fused"
    assert len(found.rows) < len(classifier.nodes)


def test_zero_runs_are_refused(classifier: inspector.Model) -> None:
    with pytest.raises(BadInput, match="at least one run"):
        profile(classifier, random_feeds(classifier), runs=0)
