"""How is a map shown? Coloured text for tokens, bars for tables, the curve of signals, else a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inspector.views import Figure, draw_bars, draw_heatmap, draw_signal_map, draw_tokens

if TYPE_CHECKING:
    from inspector.methods.attribution import Attribution

__all__ = ["draw_map"]

BARS = 20
"""Numbers of a table that are drawn, the strongest."""


def draw_map(made: Attribution, vocabulary: Sequence[str], media: Any) -> Figure:
    """The first row of a map, in the form that fits its input; the caption says how it was made."""
    title = f"{made.method} for {made.target}"
    note = _how(made)
    cells = made.cells()
    if made.tokens is not None and cells.shape == (1, made.tokens.size):
        words = [_word(int(token), vocabulary) for token in made.tokens]
        return draw_tokens(words, cells[0], title=title, note=note, media=media)
    if made.axes == ("n", "f"):
        return draw_bars(
            cells[0], top=BARS, order="strongest", title=title, note=note, label="relevance", noun="feature",
            media=media,
        )  # fmt: skip
    if made.signal is not None and cells.shape in (made.signal.shape, (1, made.signal.shape[-1])):
        return draw_signal_map(cells, made.signal, title=title, note=note, media=media)
    return draw_heatmap(
        cells,
        made.picture,
        method=made.method,
        target=str(made.target),
        score=made.score,
        layer=made.layer,
        residual=made.residual,
        note=" ".join(made.notes),
        media=media,
    )


def _how(made: Attribution) -> str:
    """Notes, the score, the layer and the residual as sentences."""
    facts = [*made.notes, f"Target: {made.target} ({made.score:.4g}).", f"Method: {made.method}."]
    facts += [f"Layer: {made.layer}."] if made.layer else []
    facts += [f"Residual: {made.residual:.3g}."] if made.residual is not None else []
    return " ".join(facts)


def _word(token: int, vocabulary: Sequence[str]) -> str:
    return vocabulary[token] if 0 <= token < len(vocabulary) else str(token)
