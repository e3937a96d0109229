"""A comparison as Markdown, to be read in a pull request."""

from __future__ import annotations

from inspector.comparison.comparing import Comparison
from inspector.comparison.reports.tables import (
    ACTIVATION_HEAD,
    WEIGHT_HEAD,
    Row,
    activation_rows,
    facts,
    first_words,
    weight_rows,
)

__all__ = ["to_markdown"]

_MARKS = {True: "✅", False: "❌"}


def to_markdown(found: Comparison) -> str:
    """Verdict, edits, first divergence and tables; long tables are folded away."""
    a, b = found.alignment.a.model.name, found.alignment.b.model.name
    parts = [
        f"## {_MARKS[found.same]} {_plain(a)} → {_plain(b)}",
        f"**{found.verdict[0].upper()}{found.verdict[1:]}.**",
    ]
    if found.edits:
        parts.append("\n".join(f"- {_plain(edit.text)}" for edit in found.edits))
    if found.first_divergence is not None:
        parts.append(_plain(first_words(found)))
    parts.append("\n".join(f"- {_plain(fact)}" for fact in facts(found)))
    parts += _folded("Weights that differ", WEIGHT_HEAD, weight_rows(found, 100))
    parts += _folded("Activations", ACTIVATION_HEAD, activation_rows(found, 100))
    parts.append("\n".join(f"> {_plain(note)}" for note in found.notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def _folded(title: str, head: Row, rows: list[Row]) -> list[str]:
    if not rows:
        return []
    lines = [_line(head), "|" + " --- |" * len(head), *(_line(row) for row in rows)]
    return [f"<details><summary>{title} ({len(rows)})</summary>\n\n" + "\n".join(lines) + "\n\n</details>"]


def _line(cells: Row) -> str:
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text without anything that Markdown or a table would read as markup."""
    text = text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    for mark in "*_`<[":
        text = text.replace(mark, "\\" + mark)
    return text
