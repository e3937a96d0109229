"""How does a value inside the graph, or inside a body, become an output of the graph?

A value of an `If` branch becomes one more output of the `If`; the other branch returns an empty
placeholder, and one more boolean output says which branch ran. A value of a `Loop` or `Scan` body becomes
a scan output, so iterations are stacked along a new first axis; where its shape changes from iteration
to iteration the last one is kept instead (`last=True`), carried along as one more loop variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import onnx
from onnx import helper

from inspector import dtypes
from inspector.model import Node, Value
from inspector.model.walk import bodies, walk

__all__ = ["Exposed", "Outlet", "expose"]


@dataclass(frozen=True)
class Outlet:
    """Where a value leaves the graph.

    `taken` is the boolean output that tells whether the value was computed at all ("" when it always is);
    `stacked` counts leading axes that number the iterations of the bodies around it.
    """

    key: str
    output: str
    taken: str = ""
    stacked: int = 0


@dataclass(frozen=True)
class Exposed:
    """The changed graph, its outlets by value key, and the keys that cannot leave, with the reason."""

    proto: onnx.ModelProto
    outlets: Mapping[str, Outlet]
    refused: Mapping[str, str]
    flags: Mapping[str, str]

    @property
    def outputs(self) -> list[str]:
        """Every graph output needed to read the outlets and the flags."""
        names = [outlet.output for outlet in self.outlets.values()]
        names += [outlet.taken for outlet in self.outlets.values() if outlet.taken]
        return list(dict.fromkeys([*names, *self.flags.values()]))


def expose(
    proto: onnx.ModelProto,
    keys: Iterable[str],
    values: Mapping[str, Value],
    *,
    last: bool = False,
    flagged: Iterable[str] = (),
) -> Exposed:
    """A copy of the graph with the keyed values as outputs; the graph's own outputs stay.

    Names of nodes must be unique in their graph (`ordered_graph` sees to it). `values` gives the element
    types that placeholders need. For `flagged` keys only the output that tells whether they are computed
    is added (`flags`), when they lie in a branch.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    work = _Lifting(copy, values, last)
    outlets: dict[str, Outlet] = {}
    refused: dict[str, str] = {}
    for key in keys:
        reason = work.obstacle(key)
        if reason:
            refused[key] = reason
        else:
            outlets[key] = work.outlet(key)
    flags = {key: work.taken(key) for key in flagged if key in work.homes and not work.obstacle(key)}
    return Exposed(copy, outlets, refused, {key: flag for key, flag in flags.items() if flag})


@dataclass
class _Body:
    """One body and the node that holds it."""

    graph: onnx.GraphProto
    owner: Node
    attribute: str


@dataclass
class _Lifting:
    proto: onnx.ModelProto
    values: Mapping[str, Value]
    last: bool
    bodies: dict[str, _Body] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        for node in walk(self.proto.graph):
            for key in node.outputs:
                self.homes[key] = node.body
            for attribute, graph in bodies(node.proto):
                prefix = f"{node.key}.{attribute}/"
                self.bodies[prefix] = _Body(graph, node, attribute)
                for info in graph.input:
                    self.homes[prefix + info.name] = prefix
        self.listed = {info.name for info in self.proto.graph.output}

    def obstacle(self, key: str) -> str:
        """Why a value cannot become an output, or ""."""
        if key not in self.homes:
            return "no node of the graph makes it"
        home = self.homes[key]
        if not home:
            return ""
        known = self.values.get(key)
        if known is None or known.kind != "tensor" or not known.dtype:
            return "its element type is not known, and a value leaving a body needs one"
        while home:
            owner = self.bodies[home].owner
            if owner.op not in ("If", "Loop", "Scan"):
                return f"it lies in a body of {owner.op}, which has a fixed number of outputs"
            home = owner.body
        return ""

    def taken(self, key: str) -> str:
        """The boolean output that tells whether a value is computed; "" when it always is."""
        level = self.homes[key]
        while level:
            if self.bodies[level].owner.op == "If":
                return self._flag(level)
            level = self.bodies[level].owner.body
        return ""

    def outlet(self, key: str) -> Outlet:
        """Make one value an output."""
        home = self.homes[key]
        if not home:
            self._list(key)
            return Outlet(key, key)
        elem_type = dtypes.number_of(self.values[key].dtype)
        stacked, level = 0, home
        while level:
            body = self.bodies[level]
            stacked += body.owner.op == "Scan" or (body.owner.op == "Loop" and not self.last)
            level = body.owner.body
        lifted = self._lift(home, key.removeprefix(home), elem_type)
        return Outlet(key, lifted, self.taken(key), stacked)

    def _flag(self, branch: str) -> str:
        """The boolean output that is true when this branch of an `If` ran."""
        if branch not in self.flags:
            name = self._fresh()
            true = helper.make_tensor(name, onnx.TensorProto.BOOL, [], [True])
            self.bodies[branch].graph.node.append(_constant(name, true))
            self.flags[branch] = self._lift(branch, name, onnx.TensorProto.BOOL, flag=True)
        return self.flags[branch]

    def _lift(self, home: str, name: str, elem_type: int, *, flag: bool = False) -> str:
        """Carry a value from its body to the top; gives the name of the graph output."""
        while home:
            body = self.bodies[home]
            if name in {o.name for o in (*body.graph.output, *body.graph.input)}:
                name = self._copied(body.graph, name)
            empty = ([], [False]) if flag else ([0], [])
            filler = helper.make_tensor("filler", elem_type, *empty)
            lifted = self._fresh()
            if body.owner.op == "If":
                self._leave_branch(body, name, filler, lifted)
            elif body.owner.op == "Loop" and self.last:
                self._carry(body, name, filler, lifted)
            else:
                self._scan_out(body, name, lifted)
            home, name = body.owner.body, lifted
        self._list(name)
        return name

    def _leave_branch(self, body: _Body, name: str, filler: onnx.TensorProto, lifted: str) -> None:
        body.graph.output.add(name=name)
        for attribute, other in bodies(body.owner.proto):
            if attribute != body.attribute:
                missing = self._fresh()
                other.node.append(_constant(missing, filler))
                other.output.add(name=missing)
        body.owner.proto.output.append(lifted)

    def _scan_out(self, body: _Body, name: str, lifted: str) -> None:
        node = body.owner.proto
        offset = 1 if body.owner.op == "Loop" else 0
        while len(node.output) < len(body.graph.output) - offset:
            node.output.append(self._fresh())
        body.graph.output.add(name=name)
        node.output.append(lifted)
        for attribute in node.attribute:
            if attribute.name in ("scan_output_axes", "scan_output_directions"):
                attribute.ints.append(0)

    def _carry(self, body: _Body, name: str, filler: onnx.TensorProto, lifted: str) -> None:
        node = body.owner.proto
        carried = len(node.input) - 2
        while len(node.output) < len(body.graph.output) - 1:
            node.output.append(self._fresh())
        start, entering = self._fresh(), self._fresh()
        outer = self.bodies[body.owner.body].graph if body.owner.body else self.proto.graph
        outer.node.insert(0, _constant(start, filler))
        node.input.append(start)
        node.output.insert(carried, lifted)
        info = onnx.ValueInfoProto(name=entering)
        info.type.tensor_type.elem_type = filler.data_type
        body.graph.input.append(info)
        leaving = onnx.ValueInfoProto(name=name)
        leaving.type.tensor_type.elem_type = filler.data_type
        body.graph.output.insert(1 + carried, leaving)

    def _copied(self, graph: onnx.GraphProto, name: str) -> str:
        copy = self._fresh()
        graph.node.append(helper.make_node("Identity", [name], [copy], name=copy))
        return copy

    def _list(self, name: str) -> None:
        if name not in self.listed:
            self.listed.add(name)
            self.proto.graph.output.add(name=name)

    def _fresh(self) -> str:
        self.count += 1
        return f"inspector:{self.count}"


def _constant(name: str, tensor: onnx.TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], name=name, value=tensor)
