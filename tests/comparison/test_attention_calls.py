"""Are operators that hold a whole attention the same network as the steps they stand for?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import inspector

WIDTH, HEADS, LENGTH = 16, 4, 5
EACH = WIDTH // HEADS
ROLES = ("q", "k", "v")


def weights(wrong: bool) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(3)
    found = {f"{role}w": draw.standard_normal((WIDTH, WIDTH)).astype(np.float32) for role in ROLES}
    found |= {f"{role}b": draw.standard_normal(WIDTH).astype(np.float32) for role in ROLES}
    if wrong:
        found["kw"], found["qw"] = found["qw"], found["kw"]
    found["split"] = np.array([0, LENGTH, HEADS, EACH], np.int64)
    found["merged"] = np.array([0, LENGTH, WIDTH], np.int64)
    found["scale"] = np.array(EACH**-0.5, np.float32)
    return found


def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def projected(biased: bool = True) -> list[onnx.NodeProto]:
    found = [node("MatMul", f"x {r}w", f"{r}x" if biased else r) for r in ROLES]
    return found + [node("Add", f"{r}x {r}b", r) for r in ROLES] * biased


def in_heads() -> list[onnx.NodeProto]:
    found = projected()
    for role in ROLES:
        found.append(node("Reshape", f"{role} split", f"{role}s"))
        found.append(node("Transpose", f"{role}s", f"{role}h", perm=[0, 2, 1, 3]))
    return found


MERGE = [
    node("Transpose", "mixed", "turned", perm=[0, 2, 1, 3]),
    node("Reshape", "turned merged", "y"),
]
STEPS = [
    *in_heads(),
    node("Transpose", "kh", "kt", perm=[0, 1, 3, 2]),
    node("MatMul", "qh kt", "raw"),
    node("Mul", "raw scale", "scores"),
    node("Softmax", "scores", "share"),
    node("MatMul", "share vh", "mixed"),
    *MERGE,
]
RUNTIME = {"domain": "com.microsoft", "num_heads": HEADS}
FORMS = {
    "joint weights": [node("Attention", "x w b", "y", **RUNTIME)],
    "separate": [*projected(), node("MultiHeadAttention", "q k v", "y", **RUNTIME)],
    "biases in one": [*projected(biased=False), node("MultiHeadAttention", "q k v b", "y", **RUNTIME)],
    "standard": [*in_heads(), node("Attention", "qh kh vh", "mixed"), *MERGE],
    "standard, heads counted": [
        *projected(),
        node("Attention", "q k v", "y", q_num_heads=HEADS, kv_num_heads=HEADS),
    ],
}


def saved(nodes: list[onnx.NodeProto], path: Path, wrong: bool = False) -> Path:
    stored = weights(wrong)
    stored["w"] = np.concatenate([stored[f"{role}w"] for role in ROLES], 1)
    stored["b"] = np.concatenate([stored[f"{role}b"] for role in ROLES])
    read = {name for one in nodes for name in one.input}
    shape = [1, LENGTH, WIDTH]
    nodes = [*nodes, node("Relu", "y", "z")]
    graph = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, name) for name, array in stored.items() if name in read],
    )
    domains = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=11), path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_an_attention_in_one_operator(tmp_path: Path, form: str) -> None:
    steps = saved(STEPS, tmp_path / "steps.onnx")
    found = inspector.compare(steps, saved(FORMS[form], tmp_path / "form.onnx"))
    assert found.same, (found.verdict, found.edits, found.notes)
    assert found.weights_agree
    assert (len(found.pairs), len(found.weights)) == (7, 6)


@pytest.mark.parametrize("form", FORMS)
def test_queries_and_keys_exchanged_are_noticed(tmp_path: Path, form: str) -> None:
    steps = saved(STEPS, tmp_path / "steps.onnx")
    found = inspector.compare(steps, saved(FORMS[form], tmp_path / "form.onnx", wrong=True))
    assert not found.same
    assert found.first_divergence is not None


def test_another_scale_is_an_edit(tmp_path: Path) -> None:
    other = [*projected(), node("MultiHeadAttention", "q k v", "y", scale=0.25, **RUNTIME)]
    found = inspector.compare(saved(STEPS, tmp_path / "a.onnx"), saved(other, tmp_path / "b.onnx"))
    assert [edit.text for edit in found.edits] == ["MatMul factor 0.5 -> 0.25 at 1 of 2"]
