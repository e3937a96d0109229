"""Which chains of plain operators are one torch function? Attention, Gelu, LayerNorm and a biased product.

Exporters write `scaled_dot_product_attention` as MatMul, Mul, Add, Softmax, MatMul; fast mode reads it back.
A chain is joined only where nothing else reads a value inside it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional

from inspector.autograd.compiler import finished
from inspector.autograd.program import Block, Step

__all__ = ["fused"]

RANK = 4
"""(n, heads, tokens, d): what the fused kernel of attention takes."""


def fused(block: Block, weights: Mapping[str, Any]) -> Block:
    """The block with every recognised chain as one step, which stands where the chain's last node stood."""
    found = _Chains(block, weights)
    for position in range(len(block.steps)):
        step = found.steps[position]
        if step is not None and step.node.domain in ("", "ai.onnx"):
            for match in MATCHES.get(step.node.op_type, ()):
                if match(found, position):
                    break
    return finished(dataclasses.replace(block, steps=tuple(step for step in found.steps if step is not None)))


@dataclass
class _Chains:
    """The steps of a block, with who makes and who reads each value."""

    block: Block
    weights: Mapping[str, Any]
    steps: list[Step | None] = field(default_factory=list["Step | None"])
    makers: dict[str, int] = field(default_factory=dict[str, int])
    readers: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def __post_init__(self) -> None:
        self.steps = list(self.block.steps)
        self.given = {key for key in self.block.outputs if key}
        for index, step in enumerate(self.block.steps):
            self.makers.update((key, index) for key in step.outputs if key)
            inside = [key for inner in step.blocks for key in inner.captures]
            self.given.update(inside)
            for key in {key for key in step.inputs if key}:
                self.readers.setdefault(key, []).append(index)

    def maker(self, key: str | None, *operators: str, alone: bool = True) -> int | None:
        """The step that makes a value, if it is one of these and (`alone`) nothing else reads the value."""
        index = self.makers.get(key or "")
        step = None if index is None else self.steps[index]
        if step is None or step.node.op_type not in operators or len(step.outputs) != 1:
            return None
        if alone and (key in self.given or len(self.readers.get(key or "", ())) != 1):
            return None
        return index

    def reader(self, index: int, *operators: str) -> int | None:
        """The only step that reads what a step makes, if it is one of these."""
        key = self.at(index).outputs[0] or ""
        found = self.readers.get(key, [])
        if len(found) != 1 or key in self.given:
            return None
        step = self.steps[found[0]]
        return found[0] if step is not None and step.node.op_type in operators else None

    def at(self, index: int) -> Step:
        """A step that is still there."""
        step = self.steps[index]
        assert step is not None
        return step

    def number(self, key: str | None) -> float | None:
        """The value of a constant of one element."""
        value = self.weights.get(key or "")
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
            return None
        return float(value.detach())

    def other(self, index: int, key: str | None) -> str | None:
        """The operand beside `key` of a step with two."""
        inputs = self.at(index).inputs
        if len(inputs) != 2 or key not in inputs:
            return None
        return inputs[1] if inputs[0] == key else inputs[0]

    def join(
        self, name: str, chain: list[int], inputs: tuple[str | None, ...], call: Callable[..., Any]
    ) -> bool:
        """Put one step in place of a chain, whose last index is where it ends."""
        last = self.at(chain[-1])
        for index in chain:
            self.steps[index] = None
        node = helper.make_node(name, [key or "" for key in inputs], list(last.node.output), name=last.key)
        self.steps[chain[-1]] = dataclasses.replace(
            last, node=node, function=call, operator=None, attributes={}, takes_context=False, inputs=inputs
        )
        for index in chain:
            for places in self.readers.values():
                if index in places:
                    places.remove(index)
        for key in {key for key in inputs if key}:
            self.readers.setdefault(key, []).append(chain[-1])
        return True


def _near(value: float | None, wanted: float) -> bool:
    return value is not None and math.isclose(value, wanted, rel_tol=1e-6)


def _gelu(found: _Chains, erf: int) -> bool:
    """The chain x / sqrt(2) -> Erf -> + 1 -> * x -> * 1/2, the two products in either order."""
    scaled = found.maker(found.at(erf).inputs[0], "Div", "Mul")
    if scaled is None:
        return False
    x, factor = found.at(scaled).inputs
    if found.number(factor) is None:
        x, factor = factor, x
    wanted = math.sqrt(2) if found.at(scaled).node.op_type == "Div" else math.sqrt(0.5)
    if not _near(found.number(factor), wanted) or (wanted > 1 and x != found.at(scaled).inputs[0]):
        return False
    plus = found.reader(erf, "Add")
    if plus is None or not _near(found.number(found.other(plus, found.at(erf).outputs[0])), 1.0):
        return False
    product = found.reader(plus, "Mul")
    if product is None:
        return False
    beside = found.other(product, found.at(plus).outputs[0])
    if beside == x:
        half = found.reader(product, "Mul")
        if half is None or not _near(found.number(found.other(half, found.at(product).outputs[0])), 0.5):
            return False
        return found.join("Gelu", [scaled, erf, plus, product, half], (x,), functional.gelu)
    half = found.maker(beside, "Mul")
    if half is None or not _near(found.number(found.other(half, x)), 0.5):
        return False
    return found.join("Gelu", [scaled, erf, plus, half, product], (x,), functional.gelu)


def _layer_norm(found: _Chains, quotient: int) -> bool:
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + e) over the last axis."""
    away, root = found.at(quotient).inputs
    sqrt = found.maker(root, "Sqrt")
    centred = found.maker(away, "Sub", alone=False)
    if sqrt is None or centred is None or away in found.given:
        return False
    plus = found.maker(found.at(sqrt).inputs[0], "Add")
    if plus is None:
        return False
    spread_key, epsilon_key = found.at(plus).inputs
    if found.number(epsilon_key) is None:
        spread_key, epsilon_key = epsilon_key, spread_key
    epsilon = found.number(epsilon_key)
    spread = found.maker(spread_key, "ReduceMean")
    power = None if spread is None else found.maker(found.at(spread).inputs[0], "Pow", "Mul")
    x, mean_key = found.at(centred).inputs
    mean = found.maker(mean_key, "ReduceMean")
    if epsilon is None or spread is None or power is None or mean is None or found.at(mean).inputs[0] != x:
        return False
    squares = found.at(power).inputs
    squared = squares == (away, away) or (squares[0] == away and _near(found.number(squares[1]), 2.0))
    alone = set(found.readers.get(away or "", ())) == {power, quotient}
    if not squared or not alone or not (_last_axis(found, mean) and _last_axis(found, spread)):
        return False
    if found.at(power).node.op_type == "Pow" and squares == (away, away):
        return False

    def normalised(value: Tensor) -> Tensor:
        return functional.layer_norm(value, value.shape[-1:], eps=epsilon)

    chain = [mean, centred, power, spread, plus, sqrt, quotient]
    return found.join("LayerNormalization", chain, (x,), normalised)


def _last_axis(found: _Chains, mean: int) -> bool:
    step = found.at(mean)
    axes: Any = step.attributes.get("axes")
    if axes is None and len(step.inputs) > 1:
        held = found.weights.get(step.inputs[1] or "")
        axes = held.reshape(-1).tolist() if isinstance(held, Tensor) else None
    return axes == [-1] and step.attributes.get("keepdims", 1) == 1


def _biased(found: _Chains, add: int) -> bool:
    """A product with a stored matrix, plus a stored vector."""
    for key in found.at(add).inputs:
        product = found.maker(key, "MatMul")
        if product is None:
            continue
        bias_key = found.other(add, key)
        x, matrix_key = found.at(product).inputs
        bias, matrix = found.weights.get(bias_key or ""), found.weights.get(matrix_key or "")
        if not isinstance(bias, Tensor) or not isinstance(matrix, Tensor) or matrix.ndim != 2:
            continue
        if bias.shape == matrix.shape[1:]:
            return found.join("Linear", [product, add], (x, matrix_key, bias_key), _linear)
    return False


def _linear(x: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    return functional.linear(x, matrix.t(), bias) if x.ndim > 1 else x @ matrix + bias


def _attention(found: _Chains, outer: int) -> bool:
    """softmax(q k^T * scale + mask) v, the factors at the scores, or at q and k."""
    weights_key, v = found.at(outer).inputs
    softmax = found.maker(weights_key, "Softmax")
    if softmax is None or found.at(softmax).attributes.get("axis") != -1:
        return False
    chain, scores, mask = [softmax, outer], found.at(softmax).inputs[0], None
    added = found.maker(scores, "Add")
    if added is not None:
        inside = [
            key for key in found.at(added).inputs if found.maker(key, "MatMul", "Mul", "Div") is not None
        ]
        if len(inside) != 1:
            return False
        scores, mask = inside[0], found.other(added, inside[0])
        chain.insert(0, added)
    scale, scaled = 1.0, found.maker(scores, "Mul", "Div")
    if scaled is not None:
        a, b = found.at(scaled).inputs
        divides = found.at(scaled).node.op_type == "Div"
        scores, constant = (b, a) if not divides and found.maker(a, "MatMul") is None else (a, b)
        number = found.number(constant)
        if not number:
            return False
        scale = 1 / number if divides else number
        chain.insert(0, scaled)
    inner = found.maker(scores, "MatMul")
    if inner is None:
        return False
    q, keys = found.at(inner).inputs
    return found.join("Attention", [inner, *chain], (q, keys, v, mask), functools.partial(_attend, scale))


def _attend(scale: float, q: Tensor, keys: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """One fused kernel; `keys` is (..., d, tokens) as it enters the product."""
    alike = q.ndim == keys.ndim == v.ndim == RANK and q.shape[:2] == keys.shape[:2] == v.shape[:2]
    if alike and (mask is None or (mask.dtype == q.dtype and mask.ndim <= RANK)):
        return functional.scaled_dot_product_attention(q, keys.mT, v, mask, scale=scale)
    scores = q @ keys * scale
    return torch.softmax(scores if mask is None else scores + mask, -1) @ v


MATCHES: Mapping[str, tuple[Callable[[_Chains, int], bool], ...]] = {
    "Erf": (_gelu,),
    "Div": (_layer_norm,),
    "Add": (_biased,),
    "MatMul": (_attention,),
}
"""Chains by an operator that each of them holds."""
