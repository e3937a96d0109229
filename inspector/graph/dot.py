"""How does a view look as Graphviz text? A pydot graph with generated ids and escaped labels."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pydot

from inspector.graph.collapsing import Box, Edge, Frame, Portal, View
from inspector.graph.costing import Cost
from inspector.graph.families import FAMILIES, Family, family
from inspector.graph.hierarchy import Block
from inspector.graph.labels import count_text, node_rows, plain, shape_text
from inspector.model import Model

__all__ = ["Look", "to_dot"]

_INK, _FAINT, _EDGE = "#16202c", "#52606f", "#6b7787"
_BLOCK_FILL, _BLOCK_LINE = "#e7eef8", "#5b7196"
_TINTS = ("#f7f9fc", "#edf2f9", "#e3ebf5", "#d7e3f3", "#cadbf0")
_FONT = "Arial"
_MANY = 150
"""From so many boxes on Graphviz gets its fast settings."""


@dataclass(frozen=True)
class Look:
    """What a drawing says besides the graph: header lines, and the nodes to show faded."""

    title: str
    lines: tuple[str, ...]
    faded: frozenset[str] = frozenset()
    dpi: int = 72


def to_dot(model: Model, view: View, cost: Cost, names: Mapping[str, str], look: Look) -> pydot.Dot:
    """The drawing as pydot objects; `names` are short names of nodes from their scopes."""
    return _Drawer(model, view, cost, names, look).graph()


class _Drawer:
    def __init__(self, model: Model, view: View, cost: Cost, names: Mapping[str, str], look: Look) -> None:
        self.model, self.view, self.cost, self.names, self.look = model, view, cost, names, look
        self.used: set[str] = set()
        self.boxes = {box.id: box for box in view.boxes}

    def graph(self) -> pydot.Dot:
        graph = pydot.Dot("model", graph_type="digraph", **self._settings())
        graph.set_node_defaults(
            shape="box", fontname=_FONT, fontsize="12", margin='"0.11,0.05"', height="0.3", width="0.6"
        )
        graph.set_edge_defaults(
            fontname=_FONT,
            fontsize="9",
            fontcolor=_quoted(_FAINT),
            color=_quoted(_EDGE),
            arrowsize="0.6",
            penwidth="1.1",
        )
        inner: dict[str, pydot.Subgraph] = {}
        depth = {"": 0}
        for frame in self.view.frames:
            depth[frame.id] = depth[frame.parent] + 1
            inner[frame.id] = self._frame(frame, depth[frame.id])
        frames: dict[str, pydot.Graph] = {"": graph, **inner}
        for box in self.view.boxes:
            frames[box.frame].add_node(self._box(box))
        for number, portal in enumerate(self.view.portals):
            self._portal(portal, number, frames)
        for frame in reversed(self.view.frames):
            frames[frame.parent].add_subgraph(inner[frame.id])
        self._edges(graph)
        graph.set("label", self._header())
        return graph

    def _settings(self) -> dict[str, str]:
        settings = {
            "rankdir": "TB",
            "bgcolor": '"#ffffff"',
            "fontname": _FONT,
            "fontsize": "12",
            "labelloc": "t",
            "labeljust": "l",
            "nodesep": "0.28",
            "ranksep": "0.36",
            "pad": "0.25",
            "compound": "true",
            "newrank": "false",
        }
        if self.look.dpi != 72:
            settings["dpi"] = str(self.look.dpi)
        if len(self.view.boxes) > _MANY:
            settings |= {"nslimit": "2", "nslimit1": "2", "mclimit": "0.5", "splines": "line"}
        return settings

    def _box(self, box: Box) -> pydot.Node:
        if box.kind == "node":
            return self._node(box)
        if box.kind == "block" and box.block is not None:
            return self._block(box, box.block)
        value = next((v for v in (*self.model.inputs, *self.model.outputs) if v.key == box.key), None)
        title = _line(plain(box.key), 12, bold=True)
        rows = [_line(plain(str(value)), 10, _FAINT)] if value is not None else []
        label = _table([title, *rows])
        return _pydot_node(
            box.id,
            label=label,
            tooltip=_tooltip(f"{box.kind} {box.key}"),
            style='"rounded,filled"',
            shape="box",
            fillcolor=_quoted("#ffffff"),
            color=_quoted(_INK),
            penwidth="1.8",
        )

    def _node(self, box: Box) -> pydot.Node:
        node = self.model.nodes[box.key]
        look = family(node.op, node.domain)
        self.used.add(look.name)
        op = node.op if not node.domain or look.name != "unknown" else f"{node.domain}.{node.op}"
        faded = box.key in self.look.faded
        fill, text, line = ("#ffffff", _FAINT, look.border) if faded else (look.fill, look.text, look.border)
        name = self.names.get(box.key, "")
        rows = [_line(plain(op), 12, text, bold=True)]
        rows += [_line(plain(name), 10, text, italic=True)] if name else []
        rows += [_line(row, 10, text) for row in node_rows(self.model, node)]
        dashed = faded or look.name == "unknown"
        return _pydot_node(
            box.id,
            label=_table(rows),
            tooltip=_tooltip(f"{node.op} {box.key}"),
            style='"rounded,filled,dashed"' if dashed else '"rounded,filled"',
            fillcolor=_quoted(fill),
            color=_quoted(line),
        )

    def _block(self, box: Box, block: Block) -> pydot.Node:
        nodes = [self.model.nodes[key] for key in block.all_nodes if key not in self.view.hidden]
        families = Counter(family(node.op, node.domain).name for node in nodes)
        self.used.update(families)
        parameters = sum(self.cost.nodes[key].parameters for key in block.all_nodes)
        facts = [_counted(len(nodes), "operator")]
        if parameters:
            facts.append(f"{count_text(parameters)} parameters")
        rows = [_line(f"{plain(block.label, 44)}{_times(block)}", 12, bold=True)]
        if block.source_class:
            rows.append(_line(plain(block.source_class), 10, _FAINT, italic=True))
        rows += [_line(" · ".join(facts), 10, _FAINT), _mix(families)]
        return _pydot_node(
            box.id,
            label=_table(rows),
            tooltip=_tooltip(block.key),
            style='"rounded,filled"',
            fillcolor=_quoted(_BLOCK_FILL),
            color=_quoted(_BLOCK_LINE),
            penwidth="1.25",
            peripheries="2" if block.repeat > 1 else "1",
        )

    def _frame(self, frame: Frame, depth: int) -> pydot.Subgraph:
        block = frame.block
        title = f"{plain(block.label, 44)}{_times(block)}"
        label = f"<{_line(title, 11, bold=True)}>"
        if block.source_class:
            label = f"<{_line(title, 11, bold=True)}{_line('  ' + plain(block.source_class), 10, _FAINT)}>"
        return pydot.Subgraph(
            frame.id,
            label=label,
            tooltip=_tooltip(block.key),
            labeljust="l",
            labelloc="t",
            fontname=_FONT,
            fontcolor=_quoted(_INK),
            style='"rounded,filled"',
            fillcolor=_quoted(_TINTS[min(depth - 1, len(_TINTS) - 1)]),
            color=_quoted(_BLOCK_LINE if block.repeat > 1 else "#b3c0d1"),
            penwidth="2" if block.repeat > 1 else "1",
            margin="10",
        )

    def _portal(self, portal: Portal, number: int, frames: Mapping[str, pydot.Graph]) -> None:
        name = plain(portal.value.removeprefix("input:"), 24)
        source = self.boxes[portal.source]
        ends = [(portal.source, f"p{number}")]
        frames[source.frame].add_node(self._pill(f"p{number}", name, portal.value))
        for index, target in enumerate(portal.targets):
            pill = f"p{number}_{index}"
            frames[self.boxes[target].frame].add_node(self._pill(pill, name, portal.value))
            ends.append((pill, target))
        for start, stop in ends:
            frames[""].add_edge(pydot.Edge(start, stop, style="dashed", arrowsize="0.5"))

    def _pill(self, id_: str, name: str, value: str) -> pydot.Node:
        return _pydot_node(
            id_,
            label=_table([_line(name, 9, _INK)]),
            tooltip=_tooltip(value),
            style='"rounded,filled"',
            fillcolor=_quoted("#fff7d6"),
            color=_quoted("#9a7d0a"),
            height="0.2",
            width="0.3",
            margin='"0.06,0.02"',
        )

    def _edges(self, graph: pydot.Dot) -> None:
        labels = {(edge.source, edge.target): self._shape(edge) for edge in self.view.edges}
        above: dict[str, list[str]] = {}
        for (_, target), label in labels.items():
            above.setdefault(target, []).append(label)
        below = Counter(edge.source for edge in self.view.edges)
        for edge in self.view.edges:
            label = labels[edge.source, edge.target]
            came = above.get(edge.source, [])
            known = self.boxes[edge.source].kind == "input" or (bool(came) and set(came) == {label})
            known = known or (below[edge.source] > 1 and label == self._said(edge, labels))
            options = {} if known or not label else {"label": _quoted(f" {label} ")}
            graph.add_edge(pydot.Edge(edge.source, edge.target, None, **options))

    def _said(self, edge: Edge, labels: Mapping[tuple[str, str], str]) -> str:
        """The label that an earlier edge of the same source carries."""
        first = next(other for other in self.view.edges if other.source == edge.source)
        return "" if first is edge else labels[first.source, first.target]

    def _shape(self, edge: Edge) -> str:
        texts = {shape_text(self.model.values.get(value)) for value in edge.values}
        if len(texts) == 1:
            text = texts.pop()
            return f"{len(edge.values)} × {text}" if len(edge.values) > 1 and text else text
        return f"{len(edge.values)} values"

    def _header(self) -> str:
        rows = [f"<TR><TD ALIGN='LEFT'>{_line(plain(self.look.title, 60), 16, bold=True)}</TD></TR>"]
        rows += [f"<TR><TD ALIGN='LEFT'>{_line(line, 10, _FAINT)}</TD></TR>" for line in self.look.lines]
        body = "".join(rows) + self._legend()
        return f"<<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='0' CELLPADDING='2'>{body}</TABLE>>"

    def _legend(self) -> str:
        known = [_chip(look) for look in FAMILIES.values() if look.name in self.used]
        known += ["<TD></TD><TD></TD>"] * (-len(known) % _CHIPS)
        lines = ["".join(known[i : i + _CHIPS]) for i in range(0, len(known), _CHIPS)]
        rows = "".join(f"<TR>{line}</TR>" for line in lines)
        return (
            f"<TR><TD ALIGN='LEFT'><TABLE BORDER='0' CELLBORDER='0' CELLSPACING='3'>{rows}</TABLE></TD></TR>"
        )


_CHIPS = 3
"""Families in a line of the legend."""


def _chip(look: Family) -> str:
    size = "WIDTH='12' HEIGHT='10' FIXEDSIZE='TRUE'"
    return (
        f"<TD BORDER='1' COLOR='{look.border}' BGCOLOR='{look.fill}' {size}></TD>"
        f"<TD ALIGN='LEFT'>{_line(look.label + '  ', 9, _FAINT)}</TD>"
    )


def _mix(families: Mapping[str, int]) -> str:
    """A thin strip whose colours show how many operators of each family a block holds."""
    total = sum(families.values())
    widths = {name: max(2, round(_STRIP * number / total)) for name, number in families.items()}
    cells = ""
    for look in FAMILIES.values():
        if look.name in widths:
            fill = look.border if look.name in ("data", "unknown") else look.fill
            cells += f"<TD FIXEDSIZE='TRUE' HEIGHT='4' WIDTH='{widths[look.name]}' BGCOLOR='{fill}'></TD>"
    size = f"FIXEDSIZE='TRUE' WIDTH='{sum(widths.values())}' HEIGHT='4'"
    return f"<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='0' CELLPADDING='0' {size}><TR>{cells}</TR></TABLE>"


_STRIP = 84
"""Points."""


def _times(block: Block) -> str:
    if block.repeat > 1:
        return f"  ×{block.repeat}"
    return f"  ({len(block.children)} alike)" if block.kind == "similar" else ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _line(text: str, size: int, color: str = _INK, *, bold: bool = False, italic: bool = False) -> str:
    """Text in one look. A backslash ends a run of text: Graphviz would read what follows as an escape."""
    style = "B" if bold else "I" if italic else f"FONT POINT-SIZE='{size}'"
    runs = (html.escape(run, quote=True) for run in re.split(r"(?<=\\)", text) if run)
    inner = "".join(f"<{style}>{run}</{style.split(' ')[0]}>" for run in runs) or " "
    return f'<FONT POINT-SIZE="{size}" COLOR="{color}">{inner}</FONT>'


def _table(rows: list[str]) -> str:
    cells = "".join(f"<TR><TD>{row}</TD></TR>" for row in rows)
    return f"<<TABLE BORDER='0' CELLBORDER='0' CELLSPACING='0' CELLPADDING='1'>{cells}</TABLE>>"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tooltip(text: str) -> str:
    return _quoted(plain(text, 200))


def _pydot_node(id_: str, **options: str) -> pydot.Node:
    return pydot.Node(id_, None, **options)
