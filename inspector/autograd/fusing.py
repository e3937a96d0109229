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

from inspector.autograd.attending import attend
from inspector.autograd.compiler import finished
from inspector.autograd.products import Product
from inspector.autograd.program import Block, Step
from inspector.autograd.registry import Operator
from inspector.autograd.shapes import arithmetic

__all__ = ["fused"]

RANK = 4
"""(n, heads, tokens, d): what the fused kernel of attention takes."""


def fused(
    block: Block, weights: Mapping[str, Any], *, attention: bool = True, product: Product = functional.linear
) -> Block:
    """The block with every recognised chain as one step, which stands where the chain's last node stood.

    `product` is what a biased product calls.
    On a GPU the fused kernel of attention has no second derivative: without `attention` its chains stay.
    """
    found = _Chains(block, weights, product)
    for position in range(len(block.steps)):
        step = found.steps[position]
        if step is not None and step.node.domain in ("", "ai.onnx"):
            match = MATCHES.get(step.node.op_type)
            if match is not None and (attention or match is not _attention):
                match(found, position)
    return finished(dataclasses.replace(block, steps=tuple(step for step in found.steps if step is not None)))


@dataclass
class _Chains:
    """The steps of a block, with who makes and who reads each value."""

    block: Block
    weights: Mapping[str, Any]
    product: Product
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
        plain = {k for k, v in self.weights.items() if isinstance(v, Tensor) and v.numel() <= 1}
        sized = arithmetic(self.block.steps, plain)
        self.factors = plain | {key for s in self.block.steps if s.key in sized for key in s.outputs if key}

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

    def stored(self, key: str | None) -> torch.Size | None:
        """The shape of a weight, also of one that is transposed or renamed."""
        value = self.weights.get(key or "")
        if isinstance(value, Tensor):
            return value.shape
        index = self.maker(key, "Transpose", "Identity", alone=False)
        held = None if index is None else self.stored(self.at(index).inputs[0])
        if index is None or held is None or self.at(index).node.op_type == "Identity":
            return held
        order: list[int] = self.at(index).attributes["perm"] or list(range(len(held)))[::-1]
        return torch.Size(held[axis] for axis in order)

    def other(self, index: int, key: str | None) -> str | None:
        """The operand beside `key` of a step with two."""
        inputs = self.at(index).inputs
        if len(inputs) != 2 or key not in inputs:
            return None
        return inputs[1] if inputs[0] == key else inputs[0]

    def join(
        self,
        name: str,
        chain: list[int],
        inputs: tuple[str | None, ...],
        call: Callable[..., Any],
        host: tuple[int, ...] = (),
    ) -> bool:
        """Put one step in place of a chain, whose last index is where it ends."""
        last = self.at(chain[-1])
        parts = tuple(self.at(index) for index in chain)
        for index, step in zip(chain, parts, strict=True):
            self.steps[index] = None
            for key in {key for key in step.inputs if key}:
                self.readers[key].remove(index)
        node = helper.make_node(name, [key or "" for key in inputs], list(last.node.output), name=last.key)
        self.steps[chain[-1]] = dataclasses.replace(
            last,
            node=node,
            function=call,
            operator=Operator(name, "", 1, call, host, True, (), False),
            attributes={},
            takes_context=False,
            inputs=inputs,
            parts=parts,
        )
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
        bias, matrix = found.stored(bias_key), found.stored(matrix_key)
        if matrix is not None and len(matrix) == 2 and bias == matrix[1:]:
            call = functools.partial(_linear, found.product)
            return found.join("Linear", [product, add], (x, matrix_key, bias_key), call)
    return False


def _linear(product: Product, x: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    if x.ndim > 1 and matrix.ndim == 2 and bias.shape == matrix.shape[1:]:
        return product(x, matrix.t(), bias)
    return x @ matrix + bias


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
    chain.insert(0, inner)
    q, keys = found.at(inner).inputs
    q, q_factor = _without_factor(found, q, chain)
    keys, k_factor = _without_factor(found, keys, chain)
    inputs = (q, keys, v, mask, q_factor, k_factor)
    return found.join("Attention", chain, inputs, functools.partial(_attend, scale), host=(4, 5))


def _without_factor(found: _Chains, key: str | None, chain: list[int]) -> tuple[str | None, str | None]:
    """What a product multiplies, and by which stored number or function of a shape."""
    product = found.maker(key, "Mul")
    if product is None:
        return key, None
    a, b = found.at(product).inputs
    if (a in found.factors) == (b in found.factors):
        return key, None
    chain.insert(0, product)
    return (b, a) if a in found.factors else (a, b)


def _attend(scale: float, q: Tensor, keys: Tensor, v: Tensor, mask: Tensor | None, *factors: Any) -> Tensor:
    """One fused kernel; `keys` is (..., d, tokens) as it enters the product; `factors` of q and keys."""
    for place, factor in enumerate(factors):
        if factor is None:
            continue
        if factor.numel() == 1 and not (isinstance(factor, Tensor) and _is_trained_or_far(factor)):
            scale *= float(factor)
        elif place == 0:
            q = q * factor
        else:
            keys = keys * factor
    alike = q.ndim == keys.ndim == v.ndim == RANK and q.shape[:2] == keys.shape[:2] == v.shape[:2]
    if not alike or not (mask is None or (mask.dtype == q.dtype and mask.ndim <= RANK)):
        scores = q @ keys * scale
        return torch.softmax(scores if mask is None else scores + mask, -1) @ v
    if mask is None:
        return attend(q, keys.mT, v, None, scale)
    mask = mask if mask.ndim > 1 else mask.reshape(1, -1)
    # a query that may see no key gives NaN, as the chain does; kernels differ there
    blind = torch.isneginf(mask).all(-1, keepdim=True)
    finite = mask.clamp(min=torch.finfo(mask.dtype).min)
    y = attend(q, keys.mT, v, finite, scale)
    return torch.where(blind, torch.nan, y)


def _is_trained_or_far(factor: Tensor) -> bool:
    return factor.device.type != "cpu" or (factor.requires_grad and torch.is_grad_enabled())


MATCHES: Mapping[str, Callable[[_Chains, int], bool]] = {
    "Erf": _gelu,
    "Div": _layer_norm,
    "Add": _biased,
    "MatMul": _attention,
}
"""Chains by an operator that each of them holds."""
