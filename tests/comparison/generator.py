"""Which pairs of models have a known answer? Random block programs, random edits, truth by tag."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Block", "Built", "build", "edited", "program"]

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = ("insert", "remove", "kernel", "activation", "inner")


@dataclass(frozen=True)
class Block:
    """One block: `tag` names it in both models, `seed` draws its weights."""

    tag: str
    kind: str
    width: int
    inner: int
    kernel: int
    activation: str
    seed: int


@dataclass
class Built:
    """A model in the making: nodes tagged block/role."""

    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    weights: list[TensorProto] = field(default_factory=list[TensorProto])

    def node(self, op: str, inputs: list[str], tag: str, **attributes: Any) -> str:
        """Add one node; its name is the tag, which the alignment never reads."""
        self.nodes.append(helper.make_node(op, inputs, [f"{tag}:y"], name=tag, **attributes))
        return f"{tag}:y"

    def conv(self, x: str, shape: tuple[int, int, int], tag: str, draw: np.random.Generator) -> str:
        """Add a convolution (inputs, outputs, kernel) that keeps the size."""
        inputs, outputs, kernel = shape
        weight = draw.standard_normal((outputs, inputs, kernel, kernel)).astype(np.float32)
        for name, array in (("w", weight), ("b", draw.standard_normal(outputs).astype(np.float32))):
            self.weights.append(numpy_helper.from_array(array, f"{tag}:{name}"))
        return self.node("Conv", [x, f"{tag}:w", f"{tag}:b"], tag, pads=[kernel // 2] * 4)


def program(seed: int, blocks: int = 12) -> list[Block]:
    """A random network of residual, bottleneck and fire blocks in three stages."""
    draw = random.Random(seed)
    activation = draw.choice(["Relu", "Sigmoid", "Tanh"])
    kinds = [draw.choice(["residual", "bottleneck", "fire"]) for _ in range(3)]
    found: list[Block] = []
    for i in range(blocks):
        stage = i * 3 // blocks
        width = 8 * 2**stage
        found.append(Block(f"b{i}", kinds[stage], width, width // 2, 3, activation, seed * 1000 + i))
    return found


def edited(blocks: list[Block], count: int, seed: int, fresh: bool) -> tuple[list[Block], list[str]]:
    """The program after `count` random edits, and the kinds of edit."""
    draw, made, found = random.Random(seed), list[str](), list(blocks)
    for n in range(count):
        at, kind = draw.randrange(len(found)), draw.choice(KINDS)
        made.append(kind)
        if kind == "insert":
            found.insert(at, replace(found[at], tag=f"new{n}", seed=seed * 7919 + n + 500_000))
        elif kind == "remove":
            del found[at]
        elif kind == "kernel":
            found[at] = replace(found[at], kernel=5)
        elif kind == "inner":
            found[at] = replace(found[at], inner=found[at].inner + 4)
        else:
            found = [replace(b, activation="Elu") for b in found]
    if fresh:
        found = [replace(b, seed=b.seed + 9_000_000) for b in found]
    return found, made


def build(blocks: list[Block], shuffle: int = 0) -> onnx.ModelProto:
    """The ONNX model of a program."""
    built, x, width = Built(), "x", 3
    for block in blocks:
        if block.width != width:
            draw = np.random.default_rng(block.width)
            x = built.conv(x, (width, block.width, 1), f"stage{block.width}/conv", draw)
            width = block.width
        x = _add(built, x, block)
    x = built.node("GlobalAveragePool", [x], "head/pool")
    graph = helper.make_graph(
        list(_shuffled(built.nodes, shuffle)),
        "generated",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)],
        built.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _add(built: Built, x: str, block: Block) -> str:
    tag, draw = block.tag, np.random.default_rng(block.seed)
    wide, inner, k, act = block.width, block.inner, block.kernel, block.activation
    y = built.conv(x, (wide, inner, 1 if block.kind != "residual" else k), f"{tag}/conv1", draw)
    y = built.node(act, [y], f"{tag}/act1")
    if block.kind == "fire":
        left = built.conv(y, (inner, wide // 2, 1), f"{tag}/left", draw)
        right = built.conv(y, (inner, wide // 2, k), f"{tag}/right", draw)
        y = built.node("Concat", [left, right], f"{tag}/concat", axis=1)
        return built.node(act, [y], f"{tag}/act2")
    if block.kind == "bottleneck":
        y = built.conv(y, (inner, inner, k), f"{tag}/conv2", draw)
        y = built.node(act, [y], f"{tag}/act2")
    y = built.conv(y, (inner, wide, 1), f"{tag}/conv3", draw)
    y = built.node("Add", [x, y], f"{tag}/add")
    return built.node(act, [y], f"{tag}/act3")


def _shuffled(nodes: list[onnx.NodeProto], seed: int) -> Iterator[onnx.NodeProto]:
    """A random topological order."""
    draw, left = random.Random(seed), list(nodes)
    made = {"x", *(name for node in nodes for name in node.input if name.endswith((":w", ":b")))}
    while left:
        ready = [node for node in left if made.issuperset(node.input)]
        node = draw.choice(ready)
        left.remove(node)
        made.update(node.output)
        yield node
