"""Which operator feeds which? The model as a NetworkX multigraph, bodies of control operators included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import networkx as nx

from inspector.graph.families import family
from inspector.model import Model, Node, Value
from inspector.model.walk import bodies

__all__ = ["INPUT", "OUTPUT", "Link", "dag", "links", "owner_of"]

INPUT = "input:"
"""What the id of a graph input starts with in the graph."""

OUTPUT = "output:"
"""What the id of a graph output starts with in the graph."""

Role = Literal["data", "weight", "passed", "returned"]


@dataclass(frozen=True)
class Link:
    """One value going from its producer to one consumer.

    `positions` are the consumer's input positions it fills (empty for a graph output). `role` is "weight"
    where a `Constant` or filled node made it, "passed" where a `Loop` or `Scan` hands it into its body and
    "returned" where a body hands it back to the operator that holds it; else "data".
    """

    source: str
    target: str
    value: str
    positions: tuple[int, ...]
    role: Role


def owner_of(body: str) -> str:
    """The key of the operator that holds a body, from the body's key prefix; "" at top level."""
    return body.removesuffix("/").rpartition(".")[0] if body else ""


def links(model: Model) -> Iterator[Link]:
    """Every producer–consumer pair, in graph order of the consumers; graph outputs last."""
    sources = {value.key: INPUT + value.key for value in model.inputs}
    sources |= {key: node.key for key, node in model.producers.items()}
    weights = model.weights
    for node in model.nodes.values():
        places: dict[str, list[int]] = {}
        for position, key in enumerate(node.inputs):
            if key in sources:
                places.setdefault(key, []).append(position)
        for key, positions in places.items():
            yield Link(sources[key], node.key, key, tuple(positions), "weight" if key in weights else "data")
        if node.op in ("If", "Loop", "Scan", "SequenceMap"):
            yield from _through_bodies(model, node, sources)
    for output in model.proto.graph.output:
        if output.name in sources:
            yield Link(sources[output.name], OUTPUT + output.name, output.name, (), "data")


def _through_bodies(model: Model, node: Node, sources: dict[str, str]) -> Iterator[Link]:
    for attribute, inner in bodies(node.proto):
        prefix = f"{node.key}.{attribute}/"
        feeds = node.inputs if node.op != "Loop" else ("", *node.inputs[1:])
        if node.op == "Scan" and model.opset < 9:
            feeds = feeds[1:]
        for name, feed in zip(inner.input, feeds, strict=False):
            for reader in model.consumers.get(prefix + name.name, ()) if feed in sources else ():
                places = tuple(i for i, key in enumerate(reader.inputs) if key == prefix + name.name)
                yield Link(sources[feed], reader.key, prefix + name.name, places, "passed")
        for output in inner.output:
            if prefix + output.name in sources:
                yield Link(sources[prefix + output.name], node.key, prefix + output.name, (), "returned")


def dag(model: Model) -> nx.MultiDiGraph[str]:
    """The model as a directed multigraph: nodes are operators, graph inputs and outputs, edges are values.

    Node ids are `Node.key`, or `input:NAME` and `output:NAME`. Node attributes: `kind` ("operator", "input",
    "output"), `op`, `domain`, `name`, `family`, `scope`, `source_class`, `owner` (the operator whose body
    holds it, or
    ""), `body`, `weights` (keys of stored constants it reads, by input position). Edge keys are value keys;
    edge attributes: `value`, `dtype`, `shape`, `bytes` (None while a size is open), `kind`, `role` and
    `positions` as in `Link`.
    """
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=model.name)
    values, weights = model.values, model.weights
    for value in model.inputs:
        graph.add_node(INPUT + value.key, op="", name=value.key, **_typed(value) | {"kind": "input"})
    for node in model.nodes.values():
        graph.add_node(
            node.key,
            kind="operator",
            op=node.op,
            domain=node.domain,
            name=node.proto.name,
            family=family(node.op, node.domain).name,
            scope=node.scope,
            source_class=node.source_class,
            body=node.body,
            owner=owner_of(node.body),
            weights={i: key for i, key in enumerate(node.inputs) if key in weights},
        )
    for value in model.outputs:
        graph.add_node(OUTPUT + value.key, op="", name=value.key, **_typed(value) | {"kind": "output"})
    for link in links(model):
        value = values.get(link.value) or Value(link.value, link.value, "", None, "unknown")
        graph.add_edge(
            link.source,
            link.target,
            key=link.value,
            value=link.value,
            role=link.role,
            positions=link.positions,
            **_typed(value),
        )
    return graph


def _typed(value: Value) -> dict[str, Any]:
    return {"dtype": value.dtype, "shape": value.shape, "bytes": value.nbytes, "kind": value.kind}
