"""Which module does a node belong to when only the weights' names say so?"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import onnx

from converters.provenance import describe_node

__all__ = ["scope_weights"]


def scope_weights(graph: onnx.GraphProto, weights: Container[str], classes: Mapping[str, str]) -> None:
    """Nodes that read a weight belong to its module; others to what the nearest such nodes share.

    `classes` maps the dotted path of each module to its class.
    """
    own = [_module(node.input, weights, classes) for node in graph.node]
    before = _nearest(graph.node, own)
    after = _nearest(graph.node, own, backwards=True)
    for node, path, first, last in zip(graph.node, own, before, after, strict=True):
        around = _shared(first, last) if node.input else last or ""
        scope = around if path is None else path
        describe_node(node, scope.replace(".", "/"), classes.get(scope, ""))


def _module(inputs: Iterable[str], weights: Container[str], classes: Mapping[str, str]) -> str | None:
    """The module that owns the first weight among these names."""
    for name in inputs:
        path = name.rpartition(".")[0]
        if name in weights and path in classes:
            return path
    return None


def _nearest(
    nodes: Iterable[onnx.NodeProto], own: list[str | None], *, backwards: bool = False
) -> list[str | None]:
    """For each node, the module of the nearest node upstream (or downstream) that has one."""
    rows = list(zip(nodes, own, strict=True))
    known: dict[str, str] = {}
    found: list[str | None] = []
    for node, path in reversed(rows) if backwards else rows:
        sources, results = (node.output, node.input) if backwards else (node.input, node.output)
        reached = path if path is not None else next((known[n] for n in sources if n in known), None)
        found.append(reached)
        if reached is not None:
            known.update(dict.fromkeys(results, reached))
    return found[::-1] if backwards else found


def _shared(first: str | None, last: str | None) -> str:
    """The path both lie below; a missing one counts as the top."""
    shared: list[str] = []
    for a, b in zip((first or "").split("."), (last or "").split("."), strict=False):
        if a != b:
            break
        shared.append(a)
    return ".".join(shared)
