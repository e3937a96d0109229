"""Where does the same structure come again? Signatures of groups of nodes, and runs of equal ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import onnx

from inspector.graph.drafts import Draft
from inspector.model import Model, Node, Weight

__all__ = ["Run", "Signatures", "find_runs"]

_SMALL = 16
"""Integer constants up to this many elements (target shapes, axes) are structure; longer ones are data."""


class Signatures:
    """Numbers that are equal exactly when two groups of nodes have the same structure.

    Structure is operators, attributes, shapes and element types of weights, the values of small integer
    constants, the wiring inside, which inputs from outside are the same value, and the names of inner blocks.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._numbers: dict[Hashable, int] = {}
        self._own: dict[str, int] = {}
        self._of_draft: dict[Draft, int] = {}
        self._loose: dict[Draft, int] = {}

    def _number(self, row: Hashable) -> int:
        return self._numbers.setdefault(row, len(self._numbers))

    def of(self, member: str | Draft) -> int:
        """The signature of one member of a block."""
        if isinstance(member, str):
            return self._group([member], ())
        found = self._of_draft.get(member)
        if found is None:
            found = self._of_draft[member] = self._group(list(member.nodes()), _shape(member))
        return found

    def loose(self, member: str | Draft) -> int:
        """Like `of`, but only operator types and nesting count, and copies in a row count once."""
        if isinstance(member, str):
            node = self._model.nodes[member]
            return self._number((node.domain, node.op))
        found = self._loose.get(member)
        if found is None:
            copies = member.kind in ("repeat", "similar")
            parts = tuple(self.loose(inner) for inner in (member.members[:1] if copies else member.members))
            found = self._loose[member] = parts[0] if copies else self._number(("draft", parts))
        return found

    def _group(self, keys: Sequence[str], shape: Hashable) -> int:
        nodes = self._model.nodes
        local: dict[str, int] = {}
        outside: dict[str, int] = {}
        rows: list[Hashable] = [shape]
        for key in keys:
            node = nodes[key]
            wires: list[int] = []
            for value in node.inputs:
                if value in local:
                    wires.append(local[value])
                elif value == "" or value in self._model.weights:
                    wires.append(-1)
                else:
                    wires.append(-2 - outside.setdefault(value, len(outside)))
            rows.append((self._static(node), *wires))
            for value in node.outputs:
                if value:
                    local[value] = len(local)
        return self._number(tuple(rows))

    def _static(self, node: Node) -> int:
        found = self._own.get(node.key)
        if found is None:
            weights = self._model.weights
            parts: list[Hashable] = [node.domain, node.op]
            parts += sorted(map(_attribute, node.proto.attribute), key=repr)
            parts += [(i, _stored(weights[v])) for i, v in enumerate(node.inputs) if v in weights]
            found = self._own[node.key] = self._number(tuple(parts))
        return found


def _shape(draft: Draft) -> Hashable:
    return tuple((m.label, _shape(m)) if isinstance(m, Draft) else "" for m in draft.members)


def _attribute(attribute: onnx.AttributeProto) -> Hashable:
    if attribute.HasField("g") or attribute.graphs:
        return attribute.name
    if attribute.HasField("t"):
        return attribute.name, _tensor(attribute.t)
    return attribute.SerializeToString(deterministic=True)


def _tensor(tensor: onnx.TensorProto) -> Hashable:
    facts = (tensor.data_type, tuple(tensor.dims))
    size = 1
    for dim in tensor.dims:
        size *= dim
    floating = tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    if size > _SMALL or (floating and tensor.dims) or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return facts
    return (*facts, tensor.raw_data, *tensor.int64_data, *tensor.int32_data, *tensor.float_data)


def _stored(weight: Weight) -> Hashable:
    if isinstance(weight.tensor, onnx.SparseTensorProto) or weight.kind == "filled":
        return weight.dtype, weight.shape
    return _tensor(weight.tensor)


@dataclass(frozen=True)
class Run:
    """A sequence holds `count` equal periods of `period` elements from `start` on."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        """The first element behind the run."""
        return self.start + self.period * self.count


def find_runs(row: Sequence[int], *, longest: int = 64, starts: Sequence[bool] | None = None) -> list[Run]:
    """Runs of equal periods, left to right, without overlap; each covers as much as it can.

    A period may begin only where `starts` is true (everywhere by default). Time is linear in the sequence but
    for a small factor: a position tries only the distances to the next few elements equal to its own.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(row):
        places[number].append(index)
    rank = {index: place for found in places.values() for place, index in enumerate(found)}
    prefix = _Prefix(row)
    runs: list[Run] = []
    index = 0
    while index < len(row):
        best = Run(index, 1, 1)
        if starts is None or starts[index]:
            mine = places[row[index]]
            for other in mine[rank[index] + 1 : rank[index] + 9]:
                period = other - index
                if period > longest:
                    break
                count = prefix.repeats(index, period)
                if count > 1 and count * period > best.period * best.count * (best.count > 1):
                    best = Run(index, period, count)
        if best.count > 1:
            runs.append(best)
            index = best.stop
        else:
            index += 1
    return runs


class _Prefix:
    """Constant-time comparison of two slices by rolling hash modulo a Mersenne prime."""

    _MODULUS = (1 << 61) - 1
    _BASE = 1_000_003

    def __init__(self, row: Sequence[int]) -> None:
        self._sums, self._powers = [0], [1]
        for number in row:
            self._sums.append((self._sums[-1] * self._BASE + number + 1) % self._MODULUS)
            self._powers.append(self._powers[-1] * self._BASE % self._MODULUS)

    def _slice(self, start: int, stop: int) -> int:
        return (self._sums[stop] - self._sums[start] * self._powers[stop - start]) % self._MODULUS

    def repeats(self, start: int, period: int) -> int:
        """How many equal periods stand in a row from `start` on."""
        first = self._slice(start, start + period) if start + period < len(self._sums) else None
        if first is None:
            return 1
        count = 1
        place = start + period
        while place + period < len(self._sums) and self._slice(place, place + period) == first:
            count += 1
            place += period
        return count
