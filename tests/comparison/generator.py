"""Which pairs of models have a known answer? Random block programs, random edits, truth by tag."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Block", "Built", "build", "edited", "program", "runs"]

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = ("insert", "insert two", "remove", "kernel", "activation", "inner", "width", "squeeze")
CONVOLUTIONAL = ("residual", "bottleneck", "fire", "inverted")


@dataclass(frozen=True)
class Block:
    """One block: `tag` names it in both models, `seed` draws its weights, a layer at a time."""

    tag: str
    kind: str
    stage: int
    width: int
    inner: int
    kernel: int
    activation: str
    seed: int
    squeeze: bool = False

    @property
    def sign(self) -> tuple[object, ...]:
        """What a copy with other weights has in common with it."""
        return tuple(
            getattr(self, name)
            for name in ("kind", "stage", "width", "inner", "kernel", "activation", "squeeze")
        )


@dataclass
class Built:
    """A model in the making: nodes tagged block/role."""

    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    weights: list[TensorProto] = field(default_factory=list[TensorProto])

    def node(self, op: str, inputs: list[str], tag: str, **attributes: Any) -> str:
        """Add one node; its name is the tag, which the alignment never reads."""
        self.nodes.append(helper.make_node(op, inputs, [f"{tag}:y"], name=tag, **attributes))
        return f"{tag}:y"

    def stored(self, shape: tuple[int, ...], name: str, seed: int) -> str:
        """Add a weight drawn from its own seed: a change elsewhere in the block leaves it alone."""
        role = sum(ord(letter) * 31**i for i, letter in enumerate(name.partition("/")[2])) % 1_000_003
        draw = np.random.default_rng((seed, role))
        self.weights.append(numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name))
        return name

    def conv(self, x: str, shape: tuple[int, int, int], tag: str, seed: int, groups: int = 1) -> str:
        """Add a convolution (inputs, outputs, kernel) that keeps the size."""
        inputs, outputs, kernel = shape
        weight = self.stored((outputs, inputs // groups, kernel, kernel), f"{tag}:w", seed)
        bias = self.stored((outputs,), f"{tag}:b", seed)
        return self.node("Conv", [x, weight, bias], tag, pads=[kernel // 2] * 4, group=groups)

    def dense(self, x: str, shape: tuple[int, int], tag: str, seed: int) -> str:
        """Add a matrix product and its bias."""
        y = self.node("MatMul", [x, self.stored(shape, f"{tag}:w", seed)], tag)
        return self.node("Add", [y, self.stored((shape[1],), f"{tag}:b", seed)], f"{tag}+bias")

    def norm(self, x: str, width: int, tag: str, seed: int) -> str:
        """Add a layer norm over the last axis."""
        inputs = [x, *(self.stored((width,), f"{tag}:{role}", seed) for role in "wb")]
        return self.node("LayerNormalization", inputs, tag)

    def number(self, values: list[int], name: str) -> str:
        """Add a shape."""
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name


def program(seed: int, blocks: int = 12) -> list[Block]:
    """A random network in three stages: convolutional blocks, or one in three times transformer blocks."""
    draw = random.Random(seed)
    found: list[Block] = []
    if draw.random() < 1 / 3:
        activation = draw.choice(["Gelu", "Relu", "Tanh"])
        for i in range(blocks):
            kind = "mlp" if i % 2 else "attention"
            found.append(Block(f"b{i}", kind, 0, 32, 64, 1, activation, seed * 1000 + i))
        return found
    activation = draw.choice(["Relu", "Sigmoid", "Tanh"])
    kinds = [draw.choice(CONVOLUTIONAL) for _ in range(3)]
    for i in range(blocks):
        stage = i * 3 // blocks
        width = 8 * 2**stage
        squeeze = kinds[stage] == "inverted"
        sizes = stage, width, width * 2 if squeeze else width // 2
        found.append(Block(f"b{i}", kinds[stage], *sizes, 3, activation, seed * 1000 + i, squeeze))
    return found


def edited(blocks: list[Block], count: int, seed: int, fresh: bool) -> tuple[list[Block], list[str]]:
    """The program after `count` random edits, and the kinds of edit."""
    draw, made, found = random.Random(seed), list[str](), list(blocks)
    for n in range(count):
        at, kind = draw.randrange(len(found)), draw.choice(KINDS)
        made.append(kind)
        found = _edit(found, at, kind, (n, seed))
    if fresh:
        found = [replace(b, seed=b.seed + 9_000_000) for b in found]
    return found, made


def _edit(blocks: list[Block], at: int, kind: str, number: tuple[int, int]) -> list[Block]:
    n, seed = number
    found, block = list(blocks), blocks[at]
    copy = replace(block, tag=f"new{n}", seed=seed * 7919 + n + 500_000)
    if kind == "insert" or (kind == "insert two" and block.kind in CONVOLUTIONAL):
        found.insert(at, copy)
        if kind == "insert two":
            found.insert(at, replace(copy, tag=f"new{n}b", seed=copy.seed + 100))
    elif kind == "insert two":
        other = "mlp" if block.kind == "attention" else "attention"
        found[at:at] = [copy, replace(copy, tag=f"new{n}b", seed=copy.seed + 100, kind=other)]
    elif kind == "remove":
        del found[at]
    elif kind == "activation":
        found = [replace(b, activation="Elu") for b in found]
    elif kind == "width":
        found = [replace(b, width=b.width + 4) if b.stage == block.stage else b for b in found]
    elif kind == "inner" or block.kind not in CONVOLUTIONAL:
        found[at] = replace(block, inner=block.inner + 4)
    elif kind == "kernel":
        found[at] = replace(block, kernel=block.kernel + 2)
    else:
        found[at] = replace(block, squeeze=not block.squeeze)
    return found


def runs(blocks: list[Block]) -> dict[str, int]:
    """For every tag the number of the run of equal neighbouring blocks it stands in.

    Attention and its perceptron repeat as a pair: equal pairs in a row make one run of each.
    """
    found: dict[str, int] = {}
    last: dict[str, int] = {}
    for i, block in enumerate(blocks):
        back = 1 if block.kind in CONVOLUTIONAL else 2
        same = i >= back and blocks[i - back].sign == block.sign
        if same and back == 2:
            same = i + 1 >= len(blocks) or blocks[i - 1].kind != block.kind
        if not same:
            last[block.kind] = i
        found[block.tag] = found[blocks[i - back].tag] if same else i
    return found


def build(blocks: list[Block], shuffle: int = 0) -> onnx.ModelProto:
    """The ONNX model of a program."""
    built, x, width, stage = Built(), "x", 3, -1
    convolutional = any(block.kind in CONVOLUTIONAL for block in blocks)
    for block in blocks:
        if block.stage != stage:
            tag, stage = f"stage{block.stage}/enter", block.stage
            enter = built.conv if convolutional else built.dense
            shape = (width, block.width, 1) if convolutional else (width, block.width)
            x = enter(x, shape, tag, block.stage)  # type: ignore[operator]
            width = block.width
        x = _attention(built, x, block) if block.kind == "attention" else _add(built, x, block)
    if convolutional:
        x = built.node("Flatten", [built.node("GlobalAveragePool", [x], "head/pool")], "head/flatten")
    x = built.dense(x, (width, 10), "head/dense", 77)
    graph = helper.make_graph(
        list(_shuffled(built.nodes, shuffle)),
        "generated",
        [
            helper.make_tensor_value_info(
                "x", TensorProto.FLOAT, [1, 3, 16, 16] if convolutional else [1, 5, 3]
            )
        ],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)],
        built.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _attention(built: Built, x: str, block: Block) -> str:
    tag, wide, seed = block.tag, block.width, block.seed
    inside = block.inner
    y = built.norm(x, wide, f"{tag}/norm", seed)
    heads: list[str] = []
    for role, axes in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        z = built.dense(y, (wide, inside), f"{tag}/{role}", seed)
        shape = built.number([0, -1, 4, inside // 4], f"{tag}/{role}:heads")
        z = built.node("Reshape", [z, shape], f"{tag}/{role}/split")
        heads.append(built.node("Transpose", [z], f"{tag}/{role}/turn", perm=axes))
    scores = built.node("MatMul", heads[:2], f"{tag}/scores")
    scores = built.node("Softmax", [scores], f"{tag}/softmax", axis=-1)
    y = built.node("MatMul", [scores, heads[2]], f"{tag}/mix")
    y = built.node("Transpose", [y], f"{tag}/back", perm=[0, 2, 1, 3])
    y = built.node("Reshape", [y, built.number([0, -1, inside], f"{tag}:merged")], f"{tag}/merge")
    y = built.dense(y, (inside, wide), f"{tag}/out", seed)
    return built.node("Add", [x, y], f"{tag}/add")


def _add(built: Built, x: str, block: Block) -> str:
    tag, seed = block.tag, block.seed
    wide, inner, k, act = block.width, block.inner, block.kernel, block.activation
    if block.kind == "mlp":
        y = built.dense(built.norm(x, wide, f"{tag}/norm", seed), (wide, inner), f"{tag}/up", seed)
        y = built.dense(built.node(act, [y], f"{tag}/act1"), (inner, wide), f"{tag}/down", seed)
        return built.node("Add", [x, y], f"{tag}/add")
    y = built.conv(x, (wide, inner, 1 if block.kind != "residual" else k), f"{tag}/conv1", seed)
    y = built.node(act, [y], f"{tag}/act1")
    if block.kind == "fire":
        left = built.conv(y, (inner, wide // 2, 1), f"{tag}/left", seed)
        right = built.conv(y, (inner, wide // 2, k), f"{tag}/right", seed)
        y = built.node("Concat", [left, right], f"{tag}/concat", axis=1)
        return built.node(act, [_squeeze(built, y, block)], f"{tag}/act2")
    if block.kind != "residual":
        groups = inner if block.kind == "inverted" else 1
        y = built.conv(y, (inner, inner, k), f"{tag}/conv2", seed, groups)
        y = built.node(act, [y], f"{tag}/act2")
    y = _squeeze(built, built.conv(y, (inner, wide, 1), f"{tag}/conv3", seed), block)
    y = built.node("Add", [x, y], f"{tag}/add")
    return y if block.kind == "inverted" else built.node(act, [y], f"{tag}/act3")


def _squeeze(built: Built, x: str, block: Block) -> str:
    if not block.squeeze:
        return x
    tag, wide = f"{block.tag}/squeeze", block.width
    y = built.node("GlobalAveragePool", [x], f"{tag}/pool")
    y = built.node("Relu", [built.conv(y, (wide, 4, 1), f"{tag}/down", block.seed)], f"{tag}/act")
    y = built.node("Sigmoid", [built.conv(y, (4, wide, 1), f"{tag}/up", block.seed)], f"{tag}/gate")
    return built.node("Mul", [x, y], f"{tag}/mul")


def _shuffled(nodes: list[onnx.NodeProto], seed: int) -> Iterator[onnx.NodeProto]:
    """A random topological order."""
    draw = random.Random(seed)
    makers = {output: node for node in nodes for output in node.output}
    waiting = {id(node): sum(name in makers for name in node.input) for node in nodes}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ready = [node for node in nodes if not waiting[id(node)]]
    while ready:
        node = ready.pop(draw.randrange(len(ready)))
        yield node
        for reader in readers.get(node.output[0], []):
            waiting[id(reader)] -= 1
            if not waiting[id(reader)]:
                ready.append(reader)
