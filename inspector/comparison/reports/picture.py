"""A comparison as a picture: both graphs from top to bottom, matched nodes linked, coloured by state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from inspector.comparison.alignment import Atom, CanonicalGraph
from inspector.comparison.comparing import Comparison
from inspector.comparison.reports.lanes import Lane, lanes
from inspector.comparison.reports.rows import COLORS, NAMES, Row, rows_of
from inspector.comparison.reports.tables import facts, first_words
from inspector.views.figure import SVG, Figure

__all__ = ["draw_comparison", "drawn_rows", "to_svg"]

_TEXT = 330
"""Width of the words beside a node."""
_STEP = 15
"""Distance of lanes."""
_LINK = 96
"""Gap between the graphs, where matched nodes are linked."""
_PLAIN, _LINE = 36, 15
"""Height of a row, and of each line of changes added to it."""
_HEAD = 118
_MARGIN = 24
_MANY = 160
"""Rows from which runs of equal ones are folded in a picture."""
_CONTEXT = 2
_FONT = "font-family='system-ui, Segoe UI, Helvetica, Arial, sans-serif'"
_LETTERS = 46


@dataclass(frozen=True)
class _Shown:
    """A row at its height; `hidden` above 0 stands for so many equal rows."""

    row: Row
    index: int
    top: float
    height: float
    hidden: int = 0


def draw_comparison(found: Comparison) -> Figure:
    """The picture as a figure."""
    text, width, height = _svg(found, _MANY)
    name = f"{found.alignment.a.model.name} → {found.alignment.b.model.name}"
    return Figure(text.encode(), SVG, width, height, name, found.verdict)


def to_svg(found: Comparison) -> str:
    """The picture as SVG text; runs of equal nodes are folded where there are many."""
    return _svg(found, _MANY)[0]


def _svg(found: Comparison, most: int) -> tuple[str, int, int]:
    rows = rows_of(found)
    body, width, height = drawn_rows(found, rows, most)
    total = height + _HEAD
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{total}' "
        f"viewBox='0 0 {width} {total}' {_FONT}>"
        f"<rect width='100%' height='100%' fill='white'/>{_head(found, width)}"
        f"<g transform='translate(0 {_HEAD})'>{body}</g></svg>\n",
        width,
        total,
    )


def _head(found: Comparison, width: int) -> str:
    a, b = found.alignment.a.model, found.alignment.b.model
    lines = [
        _words(_MARGIN, 32, found.verdict[0].upper() + found.verdict[1:] + ".", 17, "#1c2128", bold=True),
        _words(_MARGIN, 52, _cut(first_words(found) or facts(found)[0], width // 7), 12, "#4d5661"),
    ]
    x = float(_MARGIN)
    for state, name in NAMES.items():
        ink, ground = COLORS[state]
        lines.append(f"<circle cx='{x + 6}' cy='72' r='5' fill='{ground}' stroke='{ink}' stroke-width='2'/>")
        lines.append(_words(x + 17, 76, name, 11.5, "#4d5661"))
        x += 34 + 6.3 * len(name)
    left, right = f"A  {_cut(a.name, 40)}", f"B  {_cut(b.name, 40)}"
    lines.append(_words(_MARGIN + _TEXT, 108, left, 13, "#1c2128", bold=True, end=True))
    lines.append(_words(width - _MARGIN - _TEXT, 108, right, 13, "#1c2128", bold=True))
    return "".join(lines)


def drawn_rows(found: Comparison, rows: list[Row], most: int) -> tuple[str, int, int]:
    """Both columns without heading: SVG elements, width, height."""
    shown = _folded(rows, most)
    at = {s.index + n: s.top + _PLAIN / 2 for s in shown for n in range(max(1, s.hidden))}
    sides = [
        lanes(_places(rows, side), [(e.source, e.target) for e in graph.edges])
        for side, graph in (("a", found.alignment.a), ("b", found.alignment.b))
    ]
    widths = [_STEP * (1 + max(place.values(), default=0)) for place, _ in sides]
    base = (_MARGIN + _TEXT + 14 + widths[0], _MARGIN + _TEXT + 14 + widths[0] + _LINK)
    width = base[1] + widths[1] + 14 + _TEXT + _MARGIN
    grounds, runs, dots = list[str](), list[str](), list[str]()
    for (place, edges), x, turn, side in zip(sides, base, (-1, 1), ("a", "b"), strict=True):
        keys = {row: key for key, row in _places(rows, side).items()}
        ends = {row: x + turn * _STEP * place[key] for row, key in keys.items()}
        runs += [_edge(edge, ends, x + turn * _STEP * edge.lane, at) for edge in edges]
    for one in shown:
        grounds.append(_gap(one, width) if one.hidden else _row(one, found, width))
        dots.append("" if one.hidden else _dots(one, sides, base))
    height = shown[-1].top + shown[-1].height + _MARGIN if shown else _MARGIN
    quiet = f"<g pointer-events='none'>{''.join([*runs, *dots])}</g>"
    return "".join(grounds) + quiet, int(width), int(height)


def _places(rows: list[Row], side: str) -> dict[str, int]:
    atoms = [(row.a if side == "a" else row.b) for row in rows]
    return {atom.key: i for i, atom in enumerate(atoms) if atom is not None}


def _folded(rows: list[Row], most: int) -> list[_Shown]:
    keep = set(range(len(rows)))
    if len(rows) > most:
        marked = [i for i, row in enumerate(rows) if row.state != "equal"] or [0, len(rows) - 1]
        keep = {j for i in marked for j in range(i - _CONTEXT, i + _CONTEXT + 1)} & keep
    shown: list[_Shown] = []
    top, i = 0.0, 0
    while i < len(rows):
        run = i
        while run < len(rows) and run not in keep:
            run += 1
        if run > i:
            shown.append(_Shown(rows[i], i, top, _PLAIN, run - i))
            top, i = top + _PLAIN, run
            continue
        height = _PLAIN + _LINE * len(_told(rows[i]))
        shown.append(_Shown(rows[i], i, top, height))
        top, i = top + height, i + 1
    return shown


def _told(row: Row) -> list[str]:
    if row.state in ("values", "only_a", "only_b"):
        return []
    told = [_cut(change, _LETTERS + 8) for change in row.changes[:3]]
    return [*told, f"… and {len(row.changes) - 3} more"] if len(row.changes) > 3 else told


def _edge(edge: Lane, ends: Mapping[int, float], x: float, at: Mapping[int, float]) -> str:
    start, end = at[edge.start], at[edge.end]
    if start == end:
        return ""
    turn = min(_PLAIN, (end - start) / 2)
    return (
        f"<path d='M{ends[edge.start]:g} {start:g}"
        f"C{ends[edge.start]:g} {start + turn / 2:g} {x:g} {start + turn / 2:g} {x:g} {start + turn:g}"
        f"V{end - turn:g}"
        f"C{x:g} {end - turn / 2:g} {ends[edge.end]:g} {end - turn / 2:g} {ends[edge.end]:g} {end:g}' "
        "fill='none' stroke='#b4bcc6' stroke-width='1.5'/>"
    )


def _gap(one: _Shown, width: float) -> str:
    y = one.top + _PLAIN / 2
    return (
        f"<rect x='0' y='{one.top + 4:g}' width='{width:g}' height='{_PLAIN - 8}' fill='#f3f5f7'/>"
        + _words(width / 2, y + 4, f"{one.hidden} equal nodes", 11.5, "#6b7480", middle=True)
    )


def _row(one: _Shown, found: Comparison, width: float) -> str:
    """The ground and the words of a row; those of its changes stand below B's node."""
    row, y = one.row, one.top + _PLAIN / 2
    ink, ground = COLORS[row.state]
    fill, seen = (ground, 0.8) if row.state != "equal" else ("transparent", 0)
    frame = f" stroke='{ink}' stroke-width='2'" if row.parts else ""
    parts = [
        f"<g class='row {row.state}' id='row-{one.index}'>"
        f"<rect class='ground' x='6' y='{one.top + 1:g}' width='{width - 12:g}' rx='5' "
        f"height='{one.height - 2:g}' fill='{fill}' fill-opacity='{seen}'{frame}/>"
    ]
    left, right = _MARGIN + _TEXT, width - _MARGIN - _TEXT
    for atom, graph, x, end in (
        (row.a, found.alignment.a, left, True),
        (row.b, found.alignment.b, right, False),
    ):
        if atom is not None:
            parts += _node(graph, atom, x, y, end)
    for i, change in enumerate(_told(row)):
        below = one.top + _PLAIN + _LINE * i + 7
        parts.append(_words(right, below, change, 11.5, ink, bold=i == 0 and row.parts))
    if row.state == "values":
        parts.append(_words(width - _MARGIN, y + 12, row.changes[-1], 11, ink, end=True))
    return "".join([*parts, "</g>"])


def _dots(one: _Shown, sides: list[tuple[dict[str, int], list[Lane]]], base: tuple[float, float]) -> str:
    row, y = one.row, one.top + _PLAIN / 2
    ink, ground = COLORS[row.state]
    places = [
        x + turn * _STEP * place[atom.key]
        for atom, (place, _), x, turn in zip((row.a, row.b), sides, base, (-1, 1), strict=True)
        if atom is not None
    ]
    faint = "" if row.state != "equal" else " stroke-opacity='0.45'"
    link = ""
    if len(places) == 2:
        link = f"<path d='M{places[0]:g} {y:g}H{places[1]:g}' stroke='{ink}' stroke-width='1.5'{faint}/>"
    return link + "".join(
        f"<circle cx='{x:g}' cy='{y:g}' r='5' fill='{ground}' stroke='{ink}' stroke-width='2'/>"
        for x in places
    )


def _node(graph: CanonicalGraph, atom: Atom, x: float, y: float, end: bool) -> list[str]:
    model = graph.model
    operators = [model.nodes[key].op for key in atom.origins if key in model.nodes] or [atom.op]
    weight = graph.arrays.get(atom.key, {}).get("weight")
    sizes = f"  {'×'.join(map(str, weight.shape))}" if weight is not None and weight.ndim > 1 else ""
    told = _cut(" + ".join(dict.fromkeys(operators)), _LETTERS - len(sizes)) + sizes
    title = "\n".join(
        [" + ".join(operators), *atom.origins, *(f"{k}: {v}" for k, v in atom.attributes.items())]
    )
    return [
        f"<title>{escape(title)}</title>" if not end else "",
        _words(x, y - 2, told, 12.5, "#1c2128", bold=True, end=end),
        _words(x, y + 12, _cut(atom.scope or atom.key, _LETTERS + 4), 10.5, "#6b7480", end=end),
    ]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _words(
    x: float,
    y: float,
    text: str,
    size: float,
    color: str,
    *,
    bold: bool = False,
    end: bool = False,
    middle: bool = False,
) -> str:
    anchor = " text-anchor='end'" if end else " text-anchor='middle'" if middle else ""
    weight = " font-weight='600'" if bold else ""
    return (
        f"<text x='{x:g}' y='{y:g}' font-size='{size:g}' fill='{color}'{anchor}{weight} "
        f"xml:space='preserve'>{escape(text)}</text>"
    )
