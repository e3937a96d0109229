"""How does an ONNX graph become a block of steps? Names, operators and lifetimes are resolved once."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto
from torch import Tensor

from inspector.autograd import bodies, conforming, narrow
from inspector.autograd.attributes import Loader, collect, resolve, schema_of
from inspector.autograd.program import Block, Step
from inspector.autograd.registry import canonical, find, operators
from inspector.errors import BadFile, UnsupportedOperator

__all__ = ["Compiler", "Scope", "finished"]

BLOCKED = "com.microsoft.nchwc"
"""Convolutions over blocks of 8 or 16 channels, as wide as the processor's registers."""

GRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)


@dataclass(slots=True)
class Scope:
    """Value names visible in one graph, with their keys; inner graphs see the outer ones."""

    prefix: str
    outer: Scope | None = None
    keys: dict[str, str] = field(default_factory=dict[str, str])
    captures: dict[str, None] = field(default_factory=dict[str, None])
    nodes: set[str] = field(default_factory=set[str])

    def define(self, name: str) -> str | None:
        """The key of a value born here; None for the empty name."""
        if not name:
            return None
        self.keys[name] = self.prefix + name
        return self.keys[name]

    def look_up(self, name: str, reader: str) -> str | None:
        """The key of a value that `reader` reads here; None for the empty name."""
        if not name:
            return None
        if name in self.keys:
            return self.keys[name]
        if self.outer is None:
            raise BadFile(
                f"{reader} reads value {name!r}, and nothing before it makes one of that name "
                "(ONNX nodes stand in the order in which they run)"
            )
        key = self.outer.look_up(name, reader)
        if key is not None:
            self.captures[key] = None
        return key

    def node_key(self, node: NodeProto, position: int) -> str:
        """A key for the node that no other node of this graph has."""
        outputs = [name for name in node.output if name]
        wanted = node.name or (outputs[0] if outputs else f"{node.op_type}_{position}")
        key = wanted if wanted not in self.nodes else f"{wanted}#{position}"
        self.nodes.add(key)
        return self.prefix + key


@dataclass(slots=True)
class Compiler:
    """Compiles the graphs of one model.

    `weights` collects its initializers and constants by value key, `numbers` the keys of constants that are
    one float; `within` are the functions whose bodies are being compiled.
    """

    opsets: dict[str, int]
    functions: Mapping[tuple[str, str, str], FunctionProto]
    load: Loader
    prefer_bodies: bool = False
    within: tuple[tuple[str, str, str], ...] = ()
    weights: dict[str, Any] = field(default_factory=dict[str, Any])
    numbers: set[str] = field(default_factory=set[str])

    def graph(self, graph: GraphProto, scope: Scope) -> Block:
        """A block for a graph or subgraph; its initializers go to `weights`."""
        for tensor in graph.initializer:
            self.weights[str(scope.define(tensor.name))] = narrow.to_value(self.load(tensor))
        for sparse in graph.sparse_initializer:
            holder = AttributeProto(type=AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse)
            key = scope.define(sparse.values.name)
            self.weights[str(key)] = collect({"value": holder}, None, self.load)["value"]
        inputs = tuple(str(scope.define(value.name)) for value in graph.input)
        steps = self._steps(graph.node, scope, {})
        outputs = tuple(scope.look_up(value.name, "the output list") for value in graph.output)
        return finished(Block(scope.prefix, inputs, outputs, steps, tuple(scope.captures)))

    def function(
        self, function: FunctionProto, references: Mapping[str, AttributeProto], prefix: str
    ) -> Block:
        """A block for a function body called with these attributes; its constants stay inside the block."""
        called = (canonical(function.domain), function.name, function.overload)
        if called in self.within:
            raise BadFile(
                f"function {function.domain}::{function.name} calls itself, at {prefix.rstrip('/')!r}"
            )
        opsets = {canonical(item.domain): item.version for item in function.opset_import}
        inner = Compiler({**self.opsets, **opsets}, self.functions, self.load, within=(*self.within, called))
        scope = Scope(prefix)
        inputs = tuple(str(scope.define(name)) for name in function.input)
        steps = inner._steps(function.node, scope, references)
        outputs = tuple(scope.keys.get(name) for name in function.output)  # an unwanted one is not made
        return finished(Block(prefix, inputs, outputs, steps, constants=inner.weights))

    def _steps(
        self, nodes: Iterable[NodeProto], scope: Scope, references: Mapping[str, AttributeProto]
    ) -> tuple[Step, ...]:
        steps: list[Step] = []
        for position, node in enumerate(nodes):
            key = scope.node_key(node, position)
            given = resolve(node.attribute, references)
            if node.op_type == "Constant" and canonical(node.domain) == "":
                name, value = str(scope.define(node.output[0])), _constant(given, self.load)
                self.weights[name] = value
                if isinstance(value, Tensor) and value.is_floating_point() and value.numel() == 1:
                    self.numbers.add(name)
                continue
            inputs = tuple(scope.look_up(name, f"{node.op_type} {key!r}") for name in node.input)
            step = self._step(node, key, given, inputs, scope)
            steps.append(dataclasses.replace(step, outputs=tuple(scope.define(name) for name in node.output)))
        return tuple(steps)

    def _step(
        self,
        node: NodeProto,
        key: str,
        given: Mapping[str, AttributeProto],
        inputs: tuple[str | None, ...],
        scope: Scope,
    ) -> Step:
        domain = canonical(node.domain)
        opset = self.opsets.get(domain, onnx.defs.onnx_opset_version() if domain == "" else 1)
        opsets = tuple(self.opsets.items())
        schema = schema_of(node.op_type, domain, opset)
        local = self.functions.get((domain, node.op_type, node.overload))
        found = None if local is not None else find(node.op_type, domain, opset)
        where = f"{node.op_type} {key!r} ({domain or 'ai.onnx'} opset {opset})"
        if local is None:
            conforming.check(node, where, given, schema)
        if found is not None and not (self.prefer_bodies and bodies.has_body(schema)):
            blocks = {
                name: self._subgraphs(attribute, f"{key}.{name}/", scope)
                for name, attribute in given.items()
                if attribute.type in GRAPHS
            }
            plain = {name: a for name, a in given.items() if a.type not in GRAPHS}
            values = {**collect(plain, schema, self.load), **blocks}
            every = tuple(block for item in blocks.values() for block in _listed(item))
            attributes = {n: v for n, v in values.items() if found.takes_any or n in found.parameters}
            unknown = [n for n in given if n not in attributes and n in values]
            if unknown:
                raise UnsupportedOperator(
                    f"{where}: attribute {unknown[0]!r} is not known; "
                    f"known are {', '.join(found.parameters) or 'none'}"
                )
            return Step(
                key,
                node,
                opset,
                opsets,
                found.function,
                found,
                attributes,
                found.takes_context,
                inputs,
                (),
                every,
            )
        if local is not None:
            defaults = {item.name: item for item in local.attribute_proto}
            block = self.function(local, {**defaults, **given}, f"{key}/")
            return Step(
                key, node, opset, opsets, bodies.caller(block), None, {}, True, inputs, (), (block,), "body"
            )
        if bodies.has_body(schema) and schema is not None:
            function, block = bodies.instance(self, schema, node, given, opset, f"{key}/")
            blocks_of = (block,) if block is not None else ()
            return Step(key, node, opset, opsets, function, None, {}, True, inputs, (), blocks_of, "body")
        raise UnsupportedOperator(_unknown(node, key, domain, opset))

    def _subgraphs(self, attribute: AttributeProto, prefix: str, scope: Scope) -> Block | list[Block]:
        if attribute.type == AttributeProto.GRAPH:
            return self._subgraph(attribute.g, prefix, scope)
        return [self._subgraph(g, f"{prefix}{i}/", scope) for i, g in enumerate(attribute.graphs)]

    def _subgraph(self, graph: GraphProto, prefix: str, scope: Scope) -> Block:
        return self.graph(graph, Scope(prefix, scope))


def _listed(item: Block | list[Block]) -> list[Block]:
    return item if isinstance(item, list) else [item]


def _constant(given: Mapping[str, AttributeProto], load: Loader) -> Any:
    ((name, attribute),) = given.items()
    value = collect({name: attribute}, None, load)[name]
    if name in ("value", "sparse_value"):
        return value
    kinds = {"value_float": np.float32, "value_int": np.int64, "value_string": object}
    return narrow.to_value(np.array(value, dtype=kinds[name.removesuffix("s")]))


def _unknown(node: NodeProto, key: str, domain: str, opset: int) -> str:
    newer = [o.since for o in operators() if (o.domain, o.name) == (domain, node.op_type)]
    same = sorted({o.name for o in operators() if o.domain == domain})
    alike = {name.lower(): name for name in same}
    near = [(alike[n], domain) for n in difflib.get_close_matches(node.op_type.lower(), alike, cutoff=0.75)]
    elsewhere = sorted({(o.name, o.domain) for o in operators() if o.name == node.op_type})
    if domain == BLOCKED:
        exists = (
            "ONNX Runtime wrote it when it optimised the file for one processor, whose blocks of channels no "
            "other program reads; open the file as it was before, or optimise it at level extended"
        )
    elif newer:
        exists = f"it exists from opset {min(newer)} on"
    elif near or elsewhere:
        known = [f"{name} of {item or 'ai.onnx'}" for name, item in (*near, *elsewhere)]
        exists = f"near are {', '.join(known)}"
    elif same:
        exists = f"this domain has {len(same)} others"
    else:
        exists = f"no operator of this domain is known; known domains: {_domains()}"
    return (
        f"{node.op_type} {key!r}: domain {domain or 'ai.onnx'}, opset {opset} has no torch implementation; "
        f"{exists}. `inspector operators` lists them all."
    )


def _domains() -> str:
    return ", ".join(sorted({o.domain or "ai.onnx" for o in operators()}))


def finished(block: Block) -> Block:
    """The block with, on every step, the values that nobody reads after it."""
    kept = {key for key in block.outputs if key}
    seen: set[str] = set(kept)
    own = set(block.inputs) | {key for step in block.steps for key in step.outputs if key}
    steps: list[Step] = []
    for step in reversed(block.steps):
        reads = [key for key in step.inputs if key]
        for inner in step.blocks:
            reads.extend(inner.captures)
        touched = [*reads, *(key for key in step.outputs if key)]
        frees = tuple(dict.fromkeys(key for key in touched if key in own and key not in seen))
        seen.update(reads)
        steps.append(dataclasses.replace(step, frees=frees))
    return dataclasses.replace(block, steps=tuple(reversed(steps)))
