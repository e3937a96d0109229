"""What does the model cost? Parameters, multiply–accumulates and activation bytes, by node and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from inspector.errors import BadInput
from inspector.graph.digraph import owner_of
from inspector.graph.macs import COUNTED, HEAVY_UNCOUNTED, Call, OpenShape
from inspector.graph.parameters import owned_weights
from inspector.model import Model, Node, Value

__all__ = ["Cost", "NodeCost", "Sizes", "cost", "settle"]

Sizes = Mapping[str, int | Sequence[int]]
"""Open sizes: by the name of a dynamic size, or the whole shape by the name of an input."""


@dataclass(frozen=True)
class NodeCost:
    """What one operator costs.

    `macs` are multiply–accumulates of one execution times `times`, its executions in one run (0 for the
    branch of an `If` that is not counted); None where they cannot be known, and `why` says the reason.
    `activations` are the bytes of its outputs in one execution, None while a size is open.
    """

    key: str
    op: str
    parameters: int
    statistics: int
    macs: int | None
    activations: int | None
    times: int = 1
    why: str = ""


@dataclass(frozen=True)
class Cost:
    """What a model costs for one run with the sizes in `sizes`.

    `parameters` counts trainable numbers: every float and quantised weight once, without running statistics
    (`statistics`), integer shape constants, scales, zero points, and scalars. FLOPs are two per
    multiply–accumulate. `counted` and `uncounted` list operators that do heavy work, by how many nodes;
    uncounted ones are in no total. `macs` is None when open sizes hide any countable operator.
    """

    nodes: Mapping[str, NodeCost]
    parameters: int
    statistics: int
    bytes_by_dtype: Mapping[str, int]
    macs: int | None
    activations: int | None
    sizes: Mapping[str, int]
    counted: Mapping[str, int]
    uncounted: Mapping[str, int]
    notes: tuple[str, ...] = field(default=())

    @property
    def flops(self) -> int | None:
        """Floating-point operations: two per multiply–accumulate."""
        return None if self.macs is None else 2 * self.macs


def cost(model: Model, sizes: Sizes | None = None) -> Cost:
    """Count a model. An open first axis of an input is a batch of 1 unless `sizes` says otherwise.

    Biases and element-wise work are not multiply–accumulates. Of the branches of an `If` the dearest counts;
    a `Scan` body counts once a step; a `Loop` body once where its number of steps is not a stored constant.

    Raises:
        BadInput: `sizes` names something that the model has not.
    """
    settled, fixed = settle(model, sizes or {})
    notes: list[str] = []
    owned: dict[str, list[int]] = {}
    totals = [0, 0]
    by_dtype: Counter[str] = Counter()
    for row in owned_weights(model):
        by_dtype[row.weight.dtype] += row.weight.nbytes
        if row.role not in ("parameter", "statistic"):
            continue
        place = 0 if row.role == "parameter" else 1
        totals[place] += row.count
        if row.owner is not None:
            owned.setdefault(row.owner.key, [0, 0])[place] += row.count
    times = _executions(settled, notes)
    nodes: dict[str, NodeCost] = {}
    for node in settled.nodes.values():
        macs, why = _macs(settled, node)
        own = owned.get(node.key, (0, 0))
        nodes[node.key] = NodeCost(
            node.key, node.op, own[0], own[1], macs, _activations(settled, node), times.get(node.body, 1), why
        )
    nodes = _one_branch(settled, nodes, notes)
    return _sum(model, nodes, (totals[0], totals[1]), by_dtype, fixed, notes)


def _sum(
    model: Model,
    nodes: Mapping[str, NodeCost],
    totals: tuple[int, int],
    by_dtype: Mapping[str, int],
    sizes: Mapping[str, int],
    notes: list[str],
) -> Cost:
    counted: Counter[str] = Counter()
    uncounted: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for row in nodes.values():
        if row.why:
            uncounted[row.op] += 1
            reasons[row.why] += 1
        elif row.macs or (model.nodes[row.key].domain, row.op) in COUNTED:
            counted[row.op] += 1
    for why, number in reasons.most_common(5):
        notes.append(f"{number} operator{'s' if number > 1 else ''} not counted: {why}.")
    macs = [row.macs * row.times for row in nodes.values() if row.macs is not None and not row.why]
    bytes_ = [row.activations * row.times for row in nodes.values() if row.activations is not None]
    known = all(row.activations is not None for row in nodes.values())
    partial = any((model.nodes[row.key].domain, row.op) in COUNTED for row in nodes.values() if row.why)
    return Cost(
        nodes,
        totals[0],
        totals[1],
        dict(by_dtype),
        None if partial else sum(macs),
        sum(bytes_) if known else None,
        sizes,
        dict(sorted(counted.items())),
        dict(sorted(uncounted.items())),
        tuple(notes),
    )


def settle(model: Model, sizes: Sizes) -> tuple[Model, dict[str, int]]:
    """The model with open input sizes fixed as far as known, and the sizes that were set, by name.

    Raises:
        BadInput: a size is not positive, or nothing in the model has that name or rank.
    """
    open_ = any(not isinstance(d, int) for value in model.inputs for d in value.shape or ())
    if not open_ and not sizes:
        return model, {}
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    wanted = {name: size for name, size in sizes.items() if isinstance(size, int)}
    shapes = {name: tuple(size) for name, size in sizes.items() if not isinstance(size, int)}
    stored = {value.key for value in model.inputs}
    fixed: dict[str, int] = {}
    names: set[str] = set()
    for info in proto.graph.input:
        if info.name in stored:
            _settle_input(info, wanted, shapes.pop(info.name, None), fixed, names)
    unknown = sorted(({*wanted} - names) | {*shapes})
    if unknown:
        raise BadInput(
            f"no open size or input is called {unknown[0]!r}. "
            f"Open sizes: {', '.join(sorted(names)) or 'none'}; "
            f"inputs: {', '.join(sorted(stored)) or 'none'}."
        )
    again = Model(proto, model.folder, model.origin, model.notes, model.keep)
    return again.bind(**fixed), fixed


_NAMELESS = ("", "?", "-1", "None")
"""What exporters write for a size that has no name of its own."""


def _settle_input(
    info: onnx.ValueInfoProto,
    wanted: Mapping[str, int],
    shape: Sequence[int] | None,
    fixed: dict[str, int],
    names: set[str],
) -> None:
    dims = info.type.tensor_type.shape.dim
    if shape is not None and len(shape) != len(dims):
        raise BadInput(f"input {info.name!r} has {len(dims)} axes, the sizes given are {list(shape)}.")
    for axis, dim in enumerate(dims):
        if dim.dim_value > 0:
            if shape is not None and shape[axis] != dim.dim_value:
                raise BadInput(f"axis {axis} of input {info.name!r} is {dim.dim_value}, not {shape[axis]}.")
            continue
        if dim.dim_param in _NAMELESS or dim.dim_param.startswith("unk__"):
            dim.dim_param = f"{info.name}[{axis}]"
        name = dim.dim_param
        names.add(name)
        size = shape[axis] if shape is not None else wanted.get(name, 1 if axis == 0 else None)
        if size is None:
            continue
        if size < 1:
            raise BadInput(f"the size {size} for {name!r} is not positive.")
        if axis or name not in fixed or shape is not None or name in wanted:
            fixed[name] = size


def _shapes(model: Model, keys: Sequence[str]) -> list[tuple[int, ...] | None]:
    return [_closed(model.values.get(key)) if key else None for key in keys]


def _closed(value: Value | None) -> tuple[int, ...] | None:
    if value is None or value.shape is None:
        return None
    closed = tuple(d for d in value.shape if isinstance(d, int))
    return closed if len(closed) == len(value.shape) else None


def _macs(model: Model, node: Node) -> tuple[int | None, str]:
    formula = COUNTED.get((node.domain, node.op))
    if formula is None:
        if node.op in HEAVY_UNCOUNTED:
            return None, f"no formula for {node.op}"
        if (node.domain, node.op) in {(f.domain, f.name) for f in model.proto.functions}:
            return None, f"{node.op} is a function of the model"
        if node.domain not in ("", "ai.onnx.ml", "com.microsoft") and node.domain:
            return None, f"{node.op} of domain {node.domain} is not known"
        return 0, ""
    call = Call(_shapes(model, node.inputs), _shapes(model, node.outputs), node.attributes)
    try:
        return formula(call), ""
    except OpenShape as fact:
        return None, f"{fact}"
    except (ValueError, IndexError, KeyError):
        return None, "its shapes do not fit the operator"


def _activations(model: Model, node: Node) -> int | None:
    total = 0
    returned = {value.key for value in model.outputs}
    for key in node.outputs:
        if not key or key in model.weights or not (key in model.consumers or key in returned):
            continue
        value = model.values.get(key)
        nbytes = value.nbytes if value is not None else None
        if nbytes is None:
            return None
        total += nbytes
    return total


def _executions(model: Model, notes: list[str]) -> dict[str, int]:
    """How often each body runs in one run of the model, by key prefix."""
    times: dict[str, int] = {"": 1}
    unknown = 0
    for node in model.nodes.values():
        if node.op not in ("If", "Loop", "Scan", "SequenceMap"):
            continue
        steps = _steps(model, node)
        unknown += steps is None
        for attribute in node.proto.attribute:
            if attribute.HasField("g"):
                times[f"{node.key}.{attribute.name}/"] = times.get(node.body, 1) * (
                    1 if steps is None else steps
                )
    if unknown:
        notes.append(f"{unknown} loop bodies run an unknown number of times; they are counted once.")
    return times


def _steps(model: Model, node: Node) -> int | None:
    if node.op == "If":
        return 1
    if node.op == "Scan" and model.opset >= 9:
        inputs = int(node.attributes.get("num_scan_inputs", 0))
        axis = int(next(iter(node.attributes.get("scan_input_axes") or (0,))))
        shape = model.values[node.inputs[-inputs]].shape if 0 < inputs <= len(node.inputs) else None
        size = dict(enumerate(shape or ())).get(axis)
        return size if isinstance(size, int) else None
    if node.op == "Loop" and node.inputs and node.inputs[0]:
        limit = model.weight_behind(node.inputs[0])
        condition = "".join(node.inputs[1:2])
        fixed = not condition or model.weight_behind(condition) is not None
        if limit is not None and limit.size == 1 and fixed:
            number = int(limit.array().reshape(-1)[0])
            return number if 0 <= number < 1 << 31 else None
    return None


def _one_branch(model: Model, nodes: dict[str, NodeCost], notes: list[str]) -> dict[str, NodeCost]:
    """Keep the dearest branch of every `If`; the nodes of the others run 0 times."""
    branches = [node for node in model.nodes.values() if node.op == "If"]
    if not branches:
        return nodes
    macs: Counter[str] = Counter()
    dropped: set[str] = set()
    for row in reversed(list(nodes.values())):
        node = model.nodes[row.key]
        if node.op == "If":
            sides = [f"{node.key}.then_branch/", f"{node.key}.else_branch/"]
            best = max(sides, key=lambda side: (macs[side], side.endswith("then_branch/")))
            dropped.update(side for side in sides if side != best)
            macs[node.body] += macs[best]
        else:
            macs[node.body] += (row.macs or 0) * row.times
            if node.op in ("Loop", "Scan"):
                macs[node.body] += macs[f"{node.key}.body/"]
    notes.append(f"{len(branches)} If operators: the branch with the most multiply–accumulates is counted.")
    off: dict[str, bool] = {"": False}

    def is_off(body: str) -> bool:
        if body not in off:
            off[body] = body in dropped or is_off(model.nodes[owner_of(body)].body)
        return off[body]

    return {
        key: NodeCost(row.key, row.op, row.parameters, row.statistics, row.macs, row.activations, 0, row.why)
        if is_off(model.nodes[key].body)
        else row
        for key, row in nodes.items()
    }
