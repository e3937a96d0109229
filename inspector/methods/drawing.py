"""How are maps shown? Coloured text for tokens, bars for tables, the curve of signals, else heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspector.methods.registry import find_method
from inspector.views import (
    Figure,
    draw_bars,
    draw_heatmap,
    draw_heatmaps,
    draw_matrix,
    draw_signal_map,
    draw_tokens,
    stack,
)
from inspector.views.figure import HTML
from inspector.views.wording import number

if TYPE_CHECKING:
    from inspector.methods.attribution import Array, Attribution

__all__ = ["draw_map", "draw_maps"]

BARS = 20
"""Numbers of a table that are drawn, the strongest."""


def draw_map(made: Attribution, vocabulary: Sequence[str], media: Any) -> Figure:
    """The first row of a map, in the form that fits its input; the caption says how it was made."""
    title = f"{made.method} for {made.target}"
    note, unit = _how(made), find_method(made.method).unit
    cells = made.cells()
    if (words := _words(made, vocabulary)) is not None:
        if _has_heads(made) and media != HTML:
            heads = [f"head {k}" for k in range(len(cells))]
            return draw_matrix(
                cells, row_labels=heads, column_labels=words, label=unit, title=title, note=note,
                media=media,
            )  # fmt: skip
        return draw_tokens(
            words, _flat(made).reshape(-1), signed=None, title=title, note=note, label=unit, media=media
        )
    if _is_table(made):
        return draw_bars(
            cells[0], top=BARS, order="strongest", title=title, note=note, label=unit, noun="feature",
            media=media,
        )  # fmt: skip
    if (signal := _signal(made)) is not None:
        return draw_signal_map(cells, signal, title=title, note=note, label=unit, media=media)
    if _has_heads(made):
        heads = [f"head {k}" for k in range(len(cells))]
        return draw_heatmaps(
            [list(cells)], made.picture, column_labels=heads, title=title, note=note, media=media
        )
    return draw_heatmap(
        cells,
        made.picture,
        method=made.method,
        target=str(made.target),
        score=made.score,
        layer=made.layer,
        residual=made.residual,
        note=" ".join(made.notes),
        label=unit,
        media=media,
    )


def draw_maps(
    rows: Sequence[Sequence[Attribution | None]],
    methods: Sequence[str],
    model: str,
    *,
    columns: int | None,
    vocabulary: Sequence[str],
    media: Any,
) -> Figure:
    """Maps of one input, a row a target and a column a method, in one sheet; None where a method refused.

    What is no picture stands one below the other, as `draw_map` shows it.
    """
    maps = [made for row in rows for made in row if made is not None]
    if not all(_is_picture(made) for made in maps):
        return stack([draw_map(made, vocabulary, media) for made in maps])
    targets = [_target_of(row) for row in rows]
    alone = len(targets) == 1
    layers = dict.fromkeys(made.layer for made in maps if made.layer)
    facts = [f"Model: {model}."] if alone else []
    facts += [f"Maps of a layer are read at {', '.join(layers)}."] if layers else []
    if any(made.residual is not None for made in maps):
        facts += ["The residual is what a map misses of the score it should distribute."]
    facts += dict.fromkeys(note for made in maps for note in made.notes)
    below = [[_under(made) for made in row] for row in rows]
    return draw_heatmaps(
        [[None if made is None else _flat(made) for made in row] for row in rows],
        maps[0].picture,
        row_labels=None if alone else targets,
        column_labels=methods,
        texts=below if any(words for row in below for words in row) else None,
        columns=columns,
        title=f"What speaks for {targets[0]}" if alone else f"What speaks for the answers of {model}",
        note=" ".join(facts),
        media=media,
    )


def _is_picture(made: Attribution) -> bool:
    return _words(made, ()) is None and _signal(made) is None and not _is_table(made)


def _words(made: Attribution, vocabulary: Sequence[str]) -> list[str] | None:
    """The text of every token that the map has a column for."""
    if made.tokens is None or made.cells().shape[-1] != made.tokens.size:
        return None
    ids: list[int] = made.tokens.tolist()
    return [vocabulary[token] if 0 <= token < len(vocabulary) else str(token) for token in ids]


def _has_heads(made: Attribution) -> bool:
    return made.axes[1:2] == ("head",)


def _is_table(made: Attribution) -> bool:
    return made.axes == ("n", "f") and made.signal is None


def _signal(made: Attribution) -> Array | None:
    signal, shape = made.signal, made.cells().shape
    return signal if signal is not None and shape in (signal.shape, (1, signal.shape[-1])) else None


def _flat(made: Attribution) -> Array:
    """A map of a sheet: of attention, the mean over heads."""
    return made.cells().mean(0) if _has_heads(made) else made.cells()


def _target_of(row: Sequence[Attribution | None]) -> str:
    made = next((made for made in row if made is not None), None)
    return "refused" if made is None else f"{made.target} = {number(made.score)}"


def _under(made: Attribution | None) -> str:
    if made is None:
        return "refused"
    unit = find_method(made.method).unit
    if _has_heads(made):
        return f"{unit}\nmean of {made.values.shape[1]} heads"
    return unit if made.residual is None else f"{unit}\nresidual {number(made.residual, 2)}"


def _how(made: Attribution) -> str:
    """Notes, the score, the layer and the residual as sentences."""
    facts = [*made.notes, f"Target: {made.target} = {number(made.score, 4)}.", f"Method: {made.method}."]
    facts += [f"Layer: {made.layer}."] if made.layer else []
    facts += [f"Residual: {number(made.residual)}."] if made.residual is not None else []
    return " ".join(facts)
