"""Which operators does the engine have, and how? In general, or for one model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import GraphProto, NodeProto

from inspector.autograd import bodies
from inspector.autograd.attributes import schema_of
from inspector.autograd.registry import Operator, canonical, find, operators

__all__ = ["OperatorRow", "operator_table", "operator_table_markdown"]

NATIVE, BODY, FLAT, MISSING = "native", "by function body", "not differentiable by nature", "unsupported"


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One operator: the opset asked about, its state, the family file, and how many nodes use it."""

    name: str
    domain: str
    opset: int
    state: str
    family: str
    versions: tuple[int, ...]
    nodes: int = 0


def operator_table(model: Any = None) -> tuple[OperatorRow, ...]:
    """A row an operator: of the model (also inside subgraphs and functions), or of every known domain."""
    if model is None:
        return tuple(_row(name, domain, opset) for domain, name, opset in _every())
    proto = model if isinstance(model, onnx.ModelProto) else model.proto
    opsets = {canonical(item.domain): item.version for item in proto.opset_import}
    local = {(canonical(f.domain), f.name) for f in proto.functions}
    nodes = [*proto.graph.node, *(node for f in proto.functions for node in f.node)]
    counts = Counter((canonical(n.domain), n.op_type) for n in _walk(nodes))
    return tuple(
        _row(name, domain, opsets.get(domain, 1), count, (domain, name) in local)
        for (domain, name), count in sorted(counts.items())
    )


def operator_table_markdown() -> str:
    """The table as a page: a section a domain, operators by family."""
    rows = operator_table()
    totals = Counter(row.state for row in rows)
    counted = ", ".join(f"{count} {state}" for state, count in totals.most_common())
    lines = ["# Operators", "", f"What the differentiable engine knows: {counted}.", ""]
    for domain in sorted({row.domain for row in rows}):
        mine = [row for row in rows if row.domain == domain]
        lines += [
            f"## {domain or 'ai.onnx'}",
            "",
            "| operator | state | family | from opset |",
            "|---|---|---|---|",
        ]
        for row in sorted(mine, key=lambda r: (r.family or "~", r.name)):
            since = ", ".join(map(str, row.versions)) or "–"
            lines.append(f"| {row.name} | {row.state} | {row.family or '–'} | {since} |")
        lines.append("")
    return "\n".join(lines)


def _walk(nodes: Any) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            graphs: list[GraphProto] = [*attribute.graphs]
            if attribute.type == onnx.AttributeProto.GRAPH:
                graphs.append(attribute.g)
            for graph in graphs:
                yield from _walk(graph.node)


def _every() -> list[tuple[str, str, int]]:
    """Every operator that onnx or the registry knows, with the newest opset of its domain."""
    known = {
        (canonical(s.domain), s.name): onnx.defs.onnx_opset_version()
        if canonical(s.domain) == ""
        else s.since_version
        for s in onnx.defs.get_all_schemas()
        if not s.deprecated
    }
    for entry in operators():
        newest = onnx.defs.onnx_opset_version() if entry.domain == "" else entry.since
        known.setdefault((entry.domain, entry.name), newest)
    return sorted((domain, name, opset) for (domain, name), opset in known.items())


def _row(name: str, domain: str, opset: int, nodes: int = 0, local: bool = False) -> OperatorRow:
    found = None if local else find(name, domain, opset)
    versions = tuple(o.since for o in operators() if (o.domain, o.name) == (domain, name))
    return OperatorRow(
        name, domain, opset, _state(name, domain, opset, found, local), _family(found), versions, nodes
    )


def _state(name: str, domain: str, opset: int, found: Operator | None, local: bool) -> str:
    if found is not None:
        return NATIVE if found.differentiable else FLAT
    if name == "Constant" and domain == "":
        return NATIVE
    return BODY if local or bodies.has_body(schema_of(name, domain, opset)) else MISSING


def _family(found: Operator | None) -> str:
    return "" if found is None else found.function.__module__.rsplit(".", 1)[-1]
