"""Which steps only see a tensor otherwise? Chains of them become one step, and move past products.

Exporters write each head of attention as reshapes and transpositions one by one, around products whose rows
may come in any order. Shapes must be known, and the values inside a chain are not made any more.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import helper
from torch import Tensor

from inspector.autograd.axes import Axes
from inspector.autograd.products import Product
from inspector.autograd.program import Step
from inspector.autograd.registry import Operator

__all__ = ["MOVES", "Known", "simplified"]

MOVES = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"})
"""Operators that change nothing but how the elements are seen."""

PRODUCTS = frozenset({"Linear", "Gemm", "MatMul"})


@dataclass(frozen=True)
class Known:
    """What a run has shown of a block, for good: shapes of float values, and stored numbers by their keys."""

    shapes: Mapping[str, tuple[int, ...]]
    numbers: Mapping[str, int]
    fixed: Collection[str]
    """Keys whose values are shape arithmetic or stored."""


def simplified(
    steps: Sequence[Step], known: Known, kept: Collection[str], closed: Collection[str], product: Product
) -> list[Step]:
    """The steps with fewer of them; values in `kept` are made, steps in `closed` run as they are.

    `product` is what a product with a matrix calls.
    """
    found = _Rewriting(steps, known, kept, closed, product)
    for index, step in enumerate(steps):
        if index not in found.done:
            found.take(index, step)
    return found.emitted


@dataclass
class _Rewriting:
    """A walk over the steps. A move is put off until something else reads its result."""

    steps: Sequence[Step]
    known: Known
    kept: Collection[str]
    closed: Collection[str]
    product: Product
    emitted: list[Step] = field(default_factory=list[Step])
    seen: dict[str, tuple[str, Axes]] = field(default_factory=dict[str, "tuple[str, Axes]"])
    """Values put off: the value they show, and how."""
    readers: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict[str, "tuple[int, ...]"])
    done: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self.shapes = dict(self.known.shapes)
        for index, step in enumerate(self.steps):
            for key in {key for key in step.inputs if key}:
                self.readers.setdefault(key, []).append(index)

    def take(self, index: int, step: Step) -> None:
        """Emit a step, or put it off."""
        if self._moves(index):
            self._put_off(step)
        elif self._picks(index) is not None and self._unbind(step):
            pass
        elif step.node.op_type not in PRODUCTS or step.key in self.closed or not self._product(step):
            for key in step.inputs:
                self._need(key)
            self.emitted.append(step)

    def _moves(self, index: int) -> bool:
        step = self.steps[index]
        ends = (step.inputs[0], step.outputs[0]) if step.inputs and len(step.outputs) == 1 else ()
        return (
            step.node.op_type in MOVES
            and step.node.domain in ("", "ai.onnx")
            and step.key not in self.closed
            and bool(ends)
            and all(0 not in self.shapes.get(key or "", (0,)) for key in ends)
            and all(key is None or key in self.known.fixed for key in step.inputs[1:])
        )

    def _axes(self, key: str) -> tuple[str, Axes]:
        return self.seen.get(key) or (key, Axes.of(self.shapes[key]))

    def _moved(self, axes: Axes, step: Step, shape: Sequence[int]) -> Axes | None:
        if step.node.op_type != "Transpose":
            return axes.reshaped(shape)
        order: list[int] | None = step.attributes["perm"]
        return axes.permuted(range(len(axes.dims))[::-1] if order is None else order)

    def _put_off(self, step: Step) -> None:
        source, result = str(step.inputs[0]), str(step.outputs[0])
        root, axes = self._axes(source)
        after = self._moved(axes, step, self.shapes[result])
        if after is None:
            self._need(source)
            root, axes = source, Axes.of(self.shapes[source])
            after = self._moved(axes, step, self.shapes[result])
        if after is None:
            self.emitted.append(step)
            return
        self.seen[result] = (root, after)
        if not self._is_private(result):
            self._need(result)

    def _is_private(self, key: str) -> bool:
        """Whether one step reads a value, or several that each pick a slice of it."""
        reading = self.readers.get(key, [])
        if key in self.kept or not reading:
            return False
        return len(reading) == 1 or all(self._picks(index) is not None for index in reading)

    def _need(self, key: str | None) -> None:
        """Make a value that was put off."""
        found = self.seen.pop(key or "", None)
        if found is not None and key is not None:
            self._emit("View", (found[0],), (key,), found[1].move())

    def _emit(
        self, name: str, inputs: tuple[str | None, ...], outputs: Sequence[str | None], call: Any
    ) -> None:
        like = self.steps[0]
        label = next(key for key in outputs if key)
        node = helper.make_node(
            name, [key or "" for key in inputs], [key or "" for key in outputs], name=label
        )
        self.emitted.append(
            Step(
                label,
                node,
                like.opset,
                like.opsets,
                call,
                Operator(name, "", 1, call, (), True, (), False),
                {},
                False,
                inputs,
                tuple(outputs),
            )
        )

    def _picks(self, index: int) -> tuple[int, int] | None:
        """The axis and the place at which a Gather takes one slice."""
        step = self.steps[index]
        if step.node.op_type != "Gather" or step.key in self.closed or len(step.inputs) != 2:
            return None
        source, number = self.shapes.get(step.inputs[0] or ""), self.known.numbers.get(step.inputs[1] or "")
        if source is None or number is None or 0 in source:
            return None
        axis = step.attributes["axis"] % len(source)
        return axis, number % source[axis]

    def _unbind(self, first: Step) -> bool:
        """Cut a value at once into the slices that its readers pick one by one."""
        source = str(first.inputs[0])
        picks = {index: self._picks(index) for index in self.readers[source]}
        places = {pick[1] for pick in picks.values() if pick is not None}
        axes_read = {None if pick is None else pick[0] for pick in picks.values()}
        if source in self.kept or None in axes_read or len(axes_read) != 1 or len(places) < 2:
            return False
        axis = int(next(iter(axes_read)) or 0)
        root, axes = self._axes(source)
        count = self.shapes[source][axis]
        if len(axes.dims[axis]) != 1 or count > 2 * len(places):
            return False
        cut = axes.dims[axis][0]
        stored = sorted(atom for dim in axes.dims for atom in dim)
        shape, place = tuple(axes.sizes[atom] for atom in stored), stored.index(cut)
        pieces = [f"{source}[{i}]" if i in places else None for i in range(count)]
        whole = Axes.of(axes.source).reshaped(shape)
        assert whole is not None
        move = whole.move()

        def unbind(x: Tensor) -> tuple[Tensor, ...]:
            return move(x).unbind(place)

        self._emit("Unbind", (root,), pieces, unbind)
        self.seen.pop(source, None)
        rest = [atom for atom in stored if atom != cut]
        names = {atom: (i,) for i, atom in enumerate(rest)}
        dims = tuple(tuple(names[a] for a in dim) for i, dim in enumerate(axes.dims) if i != axis)
        left = tuple(axes.sizes[atom] for atom in rest)
        for index, pick in picks.items():
            piece, result = f"{source}[{pick[1] if pick else 0}]", str(self.steps[index].outputs[0])
            self.shapes[piece] = left
            self.seen[result] = (piece, Axes(left, {names[a]: axes.sizes[a] for a in rest}, dims))
            self.done.add(index)
        for index in picks:
            result = str(self.steps[index].outputs[0])
            if not self._is_private(result):
                self._need(result)
        return True

    def _product(self, step: Step) -> bool:
        """Emit a product with a stored matrix, whose rows may come in any order."""
        x, result = step.inputs[0] or "", str(step.outputs[0])
        shape, outside = self.shapes.get(x), self.shapes.get(result)
        matrix = self._matrix(step)
        if matrix is None or shape is None or outside is None or 0 in (*shape, *outside) or outside[-1] == 1:
            return False
        call, *operands = matrix
        if x not in self.seen or shape[-1] == 1:
            self._need(x)
            self._emit("Linear", (x, *operands), (result,), call)
            return True
        chain, end, before = self._after(step, self.seen[x][1], shape[-1], outside[-1])
        root, axes = self.seen[x]
        if chain:
            entry, last = f"{result}<", str(chain[-1].outputs[0])
            del self.seen[x]
            self.seen[entry] = (root, before)
            self._need(entry)
            self._emit("Linear", (entry, *operands), (last,), call)
            self.done |= end
        elif axes.dims[-1] == ((len(axes.source) - 1,),) and self._is_moved_next(result):
            inside = f"{result}>"
            del self.seen[x]
            self._emit("Linear", (root, *operands), (inside,), call)
            source = (*axes.source[:-1], outside[-1])
            self.shapes[inside] = source
            sizes = {**axes.sizes, axes.dims[-1][0]: outside[-1]}
            self.seen[result] = (inside, Axes(source, sizes, axes.dims))
        else:
            self._need(x)
            self._emit("Linear", (x, *operands), (result,), call)
        return True

    def _is_moved_next(self, key: str) -> bool:
        return self._is_private(key) and all(
            self._moves(index) or self._picks(index) is not None for index in self.readers[key]
        )

    def _after(
        self, step: Step, before: Axes, inside: int, outside: int
    ) -> tuple[list[Step], set[int], Axes]:
        """The moves behind a product that leave its columns alone: they may as well come before it."""
        chain: list[Step] = []
        done: set[int] = set()
        key = str(step.outputs[0])
        while key not in self.kept and len(self.readers.get(key, ())) == 1:
            index = self.readers[key][0]
            following = self.steps[index]
            if not self._moves(index):
                break
            key = str(following.outputs[0])
            shape = self.shapes[key]
            order: list[int] = following.attributes.get("perm") or []
            moved = None
            if shape[-1] == outside and (
                following.node.op_type != "Transpose" or order[-1:] == [len(order) - 1]
            ):
                moved = self._moved(before, following, (*shape[:-1], inside))
            if moved is None:
                break
            before = moved
            chain.append(following)
            done.add(index)
        return chain, done, before

    def _matrix(self, step: Step) -> tuple[Any, ...] | None:
        """How a step multiplies the last axis of its first input by a matrix, and its other inputs."""
        _, key, *more = (*step.inputs, None) if len(step.inputs) == 2 else step.inputs
        held = self.shapes.get(key or "")
        if key is None or held is None or len(held) != 2:
            return None
        bias = more[0] if more else None
        turned = step.node.op_type == "Gemm" and bool(step.attributes["transB"])
        if step.node.op_type == "Gemm":
            wide = held[0] if turned else held[1]
            plain = (step.attributes["alpha"], step.attributes["beta"], step.attributes["transA"])
            if plain != (1.0, 1.0, 0) or (bias is not None and self.shapes.get(bias) != (wide,)):
                return None
        elif len(self.shapes.get(step.inputs[0] or "", ())) < 2:
            return None
        root, axes = self._axes(key)
        if axes.dims == (((1,),), ((0,),)) and len(axes.source) == 2:
            key, turned = root, not turned
        else:
            self._need(key)
        self._need(bias)
        call = self.product if turned else functools.partial(_turned, self.product)
        return call, key, bias


def _turned(product: Product, x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    return product(x, matrix.t(), bias)
