"""A comparison as one HTML page: verdict, both graphs side by side, tables. It asks nothing of any server."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from inspector.comparison.comparing import Comparison
from inspector.comparison.distributions import Histogram
from inspector.comparison.reports.picture import drawn_rows
from inspector.comparison.reports.rows import COLORS, NAMES, Row, rows_of
from inspector.comparison.reports.tables import (
    ACTIVATION_HEAD,
    WEIGHT_HEAD,
    activation_rows,
    facts,
    first_words,
    told_activations,
    told_weights,
    weight_rows,
)

__all__ = ["to_page"]

_MANY = 1200
"""Rows from which runs of equal ones are folded on a page."""


def to_page(found: Comparison) -> str:
    """The whole page; hovering a node shows its details, an edit leads to its node."""
    rows = rows_of(found)
    body, width, height = drawn_rows(found, rows, _MANY)
    a, b = found.alignment.a.model, found.alignment.b.model
    template = files("inspector.comparison.reports").joinpath("page.html").read_text("utf-8")
    parts = {
        "title": escape(f"{a.name} → {b.name}"),
        "verdict": escape(found.verdict[0].upper() + found.verdict[1:]),
        "state": "same" if found.same else "differs",
        "names": f"A {escape(a.name)} <span>({escape(a.origin.format)})</span> · "
        f"B {escape(b.name)} <span>({escape(b.origin.format)})</span>",
        "facts": _list(facts(found)),
        "first": f"<p class='first'>{escape(first_words(found))}</p>" if found.first_divergence else "",
        "edits": _edits(found, rows),
        "legend": _legend(rows),
        "graph": f"<svg viewBox='0 0 {width} {height}' width='{width}' height='{height}'>{body}</svg>",
        "weights": _table(
            "Weights that differ",
            WEIGHT_HEAD,
            weight_rows(found, 500),
            [change.histogram for change in told_weights(found, 500)],
        ),
        "activations": _table(
            "Activations",
            ACTIVATION_HEAD,
            activation_rows(found, 500),
            [change.histogram for change, _ in told_activations(found, 500)],
        ),
        "notes": _list(list(found.notes)),
    }
    for name, text in parts.items():
        template = template.replace(f"{{{{{name}}}}}", text)
    return template


def _list(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def _edits(found: Comparison, rows: list[Row]) -> str:
    if not found.edits:
        return "<p>No edit: every node has a partner with equal operator and attributes.</p>"
    at_a = {row.a.key: i for i, row in enumerate(rows) if row.a is not None}
    at_b = {row.b.key: i for i, row in enumerate(rows) if row.b is not None}
    items: list[str] = []
    for edit in found.edits:
        places = [at_a[k] for k in edit.a_keys if k in at_a] + [at_b[k] for k in edit.b_keys if k in at_b]
        words = escape(edit.text)
        items.append(f"<li><a href='#row-{places[0]}'>{words}</a></li>" if places else f"<li>{words}</li>")
    return f"<ol>{''.join(items)}</ol>"


def _legend(rows: list[Row]) -> str:
    counts = {state: sum(row.state == state for row in rows) for state in NAMES}
    return "".join(
        f"<label style='--ink:{COLORS[state][0]};--ground:{COLORS[state][1]}'>"
        f"<i></i>{name} <b>{counts[state]:,}</b></label>"
        for state, name in NAMES.items()
    )


def _bars(histogram: Histogram | None) -> str:
    """The histogram of a change as a small picture; zero is marked, heights go by the root of the counts."""
    if histogram is None:
        return ""
    counts, edges = histogram
    width = 4
    tops = [24 - max(1.5, 24 * (count / max(counts)) ** 0.5) for count in counts]
    drawn = "".join(
        f"<rect x='{i * width}' y='{top:.1f}' width='{width - 1}' height='24'/>"
        for i, (count, top) in enumerate(zip(counts, tops, strict=True))
        if count
    )
    zero = -edges[0] / (edges[-1] - edges[0]) * width * len(counts)
    mark = f"<path d='M{zero:.1f} 0V24'/>" if 0 <= zero <= width * len(counts) else ""
    told = f"b − a from {edges[0]:.3g} to {edges[-1]:.3g}; the line is zero"
    size = width * len(counts)
    return f"<svg class='bars' width='{size}' height='24'><title>{told}</title>{drawn}{mark}</svg>"


def _table(
    title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], histograms: list[Histogram | None]
) -> str:
    if not rows:
        return ""
    at = head.index("b − a")
    first = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{_bars(shape) if i == at else escape(c)}</td>' for i, c in enumerate(row))}</tr>"
        for row, shape in zip(rows, histograms, strict=True)
    )
    return f"<h2>{escape(title)}</h2><div class='scroll'><table><tr>{first}</tr>{body}</table></div>"
