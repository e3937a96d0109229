"""Which Keras layers convert, and which do not? The table for the documentation."""

from __future__ import annotations

from collections.abc import Mapping

from converters.keras_layers.registry import layers, operations

__all__ = ["coverage", "coverage_markdown"]


def coverage() -> Mapping[str, tuple[str, str]]:
    """Class name to its state (`translated`, `identity`, `opaque`, `base`) and what it becomes or why not."""
    return {name: (row.state, row.about or _said(row.translate)) for name, row in sorted(layers().items())}


def _said(translate: object) -> str:
    return (getattr(translate, "__doc__", None) or "").strip().splitlines()[0].rstrip(".")


_TITLES = {
    "translated": "becomes",
    "identity": "does nothing at inference",
    "opaque": "shown, not run:",
    "base": "",
}


def coverage_markdown() -> str:
    """A Markdown table of all layers, then the list of translated operations."""
    rows = ["| Keras layer | state | |", "|---|---|---|"]
    for name, (state, about) in coverage().items():
        rows.append(f"| `{name}` | {state} | {_TITLES[state]} {about} |".replace("  ", " "))
    names = ", ".join(f"`{name}`" for name in sorted(operations()))
    return "\n".join(rows) + f"\n\nOperations (`keras.ops`) in functional graphs: {names}.\n"
