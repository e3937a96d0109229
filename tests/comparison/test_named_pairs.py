"""Are known pairs explained: ResNet-18 against ResNet-34, Basic Pitch under other names, small edits?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from generator import Block, Built, build, program
from onnx import TensorProto, helper, numpy_helper
from test_forms import renamed

from inspector.comparison.aligning import align
from inspector.comparison.edits import edits
from inspector.model import open_model

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def norm(built: Built, x: str, width: int, tag: str) -> str:
    draw = np.random.default_rng(width)
    for role in ("gamma", "beta", "mean", "var"):
        values = draw.uniform(0.5, 2, width).astype(np.float32)
        built.weights.append(numpy_helper.from_array(values, f"{tag}:{role}"))
    return built.node(
        "BatchNormalization", [x, *(f"{tag}:{r}" for r in ("gamma", "beta", "mean", "var"))], tag
    )


def conv(built: Built, x: str, shape: tuple[int, int, int], tag: str, stride: int = 1) -> str:
    inputs, outputs, kernel = shape
    weight = built.stored((outputs, inputs, kernel, kernel), f"{tag}:w", int(tag.partition("/")[0]))
    y = built.node("Conv", [x, weight], tag, pads=[kernel // 2] * 4, strides=[stride] * 2)
    return norm(built, y, outputs, f"{tag}/norm")


def resnet(depth: int, seed: int) -> onnx.ModelProto:
    """A ResNet with basic blocks, an eighth as wide."""
    built, width = Built(), 8
    x = built.node("Relu", [conv(built, "x", (3, width, 7), f"{seed}/stem", 2)], f"{seed}/stem/relu")
    x = built.node("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, blocks in enumerate(DEPTHS[depth]):
        for block in range(blocks):
            tag, wide = f"{seed}/{stage}.{block}", 8 * 2**stage
            stride = 2 if stage and not block else 1
            y = built.node("Relu", [conv(built, x, (width, wide, 3), f"{tag}/1", stride)], f"{tag}/1/relu")
            y = conv(built, y, (wide, wide, 3), f"{tag}/2")
            if width != wide:
                x = conv(built, x, (width, wide, 1), f"{tag}/down", stride)
            x = built.node("Relu", [built.node("Add", [y, x], f"{tag}/add")], f"{tag}/relu")
            width = wide
    x = built.node("Flatten", [built.node("GlobalAveragePool", [x], "mean")], "flatten")
    x = built.dense(x, (width, 10), "head", 3)
    graph = helper.make_graph(
        built.nodes,
        f"resnet{depth}",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)],
        built.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_resnet_18_against_34_is_explained() -> None:
    found = align(open_model(resnet(18, 1)), open_model(resnet(34, 2)))
    assert found.only_a == ()
    assert [edit.text.partition(":")[0] for edit in edits(found)] == [
        "one more block in stage 1",
        "two more blocks in stage 2",
        "four more blocks in stage 3",
        "one more block in stage 4",
    ]
    assert any(pair.ambiguous for pair in found.pairs)


def test_a_model_under_other_names_is_the_same(shared_models: Path, tmp_path: Path) -> None:
    file = next((shared_models / "basic_pitch").rglob("nmp.onnx"))
    found = align(open_model(file), open_model(renamed(file, tmp_path / "renamed.onnx")))
    assert found.only_a == found.only_b == ()
    assert found.similarity == 1.0
    assert edits(found) == ()
    assert all(pair.a.op == pair.b.op for pair in found.pairs)
    assert sum("weights" in pair.evidence for pair in found.pairs) >= 8


def told(before: list[Block], after: list[Block]) -> list[str]:
    return [edit.text for edit in edits(align(open_model(build(before, 1)), open_model(build(after, 2))))]


RESIDUAL = [Block(f"b{i}", "residual", 0, 8, 4, 3, "Relu", i) for i in range(4)]
TRANSFORMER = [Block(f"b{i}", ("attention", "mlp")[i % 2], 0, 32, 64, 1, "Gelu", i) for i in range(6)]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            RESIDUAL,
            [*RESIDUAL[:2], replace(RESIDUAL[2], tag="new", seed=9), *RESIDUAL[2:]],
            ["one more copy of a block that occurs 5 times (2 Conv, 2 Relu, Add)"],
        ),
        (
            RESIDUAL,
            RESIDUAL[:2],
            ["two fewer copies of a block that occurs 4 times (2 Conv, 2 Relu, Add)"],
        ),
        (
            RESIDUAL,
            [*RESIDUAL[:2], replace(RESIDUAL[2], kernel=5), RESIDUAL[3]],
            ["Conv kernel 3×3 -> 5×5 at 1 of 9"],
        ),
        (RESIDUAL, [replace(b, activation="Elu") for b in RESIDUAL], ["Relu -> Elu everywhere"]),
        (RESIDUAL, [replace(b, inner=6) for b in RESIDUAL], ["Conv width 4 -> 6 at 4 of 9"]),
        (
            RESIDUAL,
            [*RESIDUAL[:3], replace(RESIDUAL[3], squeeze=True)],
            ["Mean, 2 Conv, Relu, Sigmoid, Mul only in B"],
        ),
        (
            TRANSFORMER,
            [*TRANSFORMER, *(replace(b, tag=f"new{b.tag}", seed=b.seed + 50) for b in TRANSFORMER[:2])],
            [
                "one more copy of a block that occurs 4 times "
                "(2 LayerNormalization, 6 Dense, 2 MatMul, Softmax, 2 Add, Gelu)"
            ],
        ),
    ],
)
def test_an_edit_in_words(before: list[Block], after: list[Block], words: list[str]) -> None:
    assert told(before, after) == words


@pytest.mark.parametrize("seed", [810_100, 810_101, 810_102])
def test_fresh_weights_alone_are_no_edit(seed: int) -> None:
    before = program(seed)
    assert told(before, [replace(b, seed=b.seed + 9_000_000) for b in before]) == []
