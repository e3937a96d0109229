"""How do several models compare in size, work, depth and build?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from inspector import comparison
from inspector import model as models
from inspector.actions.parameters import OutputFile, Source
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput, InspectorError
from inspector.progress import track
from inspector.views import media_for

if TYPE_CHECKING:
    from inspector.comparison import Architecture, Distances
    from inspector.views import Figure

__all__ = ["ArchitectureTable", "architecture"]

_DISTANCE = " (1 - similarity of the matched structures)"
_SHOWN = 12
"""Operators listed in the table, the most frequent first."""


@dataclass(frozen=True)
class ArchitectureTable(Result):
    """Models side by side, and how far each is from each."""

    models: tuple[Architecture, ...]
    distances: Distances
    skipped: Mapping[str, str]
    path: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Figures by model, and the distances."""
        return {
            "models": [model.to_dict() for model in self.models],
            "distances": self.distances.values.tolist(),
            "skipped": dict(self.skipped),
        }

    def to_text(self) -> RenderableType:
        """A column a model; then its blocks, and the distances."""
        table = Table("", *(model.name for model in self.models), box=None, pad_edge=False)
        for label, cells in self._rows():
            table.add_row(label, *cells)
        parts: list[RenderableType] = [table]
        for model in self.models:
            parts += ["", Text(model.name, style="bold"), _blocks(model)]
        if len(self.models) > 1:
            parts += [
                "",
                Text("Distance (1 - similarity of the matched structures)", style="bold"),
                self._matrix(),
            ]
        parts += [f"Skipped {name}: {why}" for name, why in self.skipped.items()]
        parts += [f"Written to {self.path}."] if self.path else []
        return Group(*parts)

    def figures(self) -> Mapping[str, Figure]:
        """The dendrogram."""
        return {"distances": comparison.draw_distances(self.distances)}

    def _rows(self) -> list[tuple[str, list[str]]]:
        found = self.models
        rows = [
            ("parameters", [f"{m.parameters:,}" for m in found]),
            ("MACs", [_count(m.macs) for m in found]),
            ("depth (layers with weights)", [str(m.depth) for m in found]),
            ("receptive field", [_size(m.receptive) for m in found]),
            ("activation memory", [_bytes(m.activations) for m in found]),
            ("nodes", [f"{m.nodes:,}" for m in found]),
        ]
        totals: dict[str, int] = {}
        for model in found:
            for op, count in model.operators.items():
                totals[op] = totals.get(op, 0) + count
        for op in sorted(totals, key=lambda op: (-totals[op], op))[:_SHOWN]:
            rows.append((f"  {op}", [f"{m.operators.get(op, 0) or '·'}" for m in found]))
        return rows

    def _matrix(self) -> Table:
        table = Table("", *(str(i + 1) for i in range(len(self.models))), box=None, pad_edge=False)
        for i, (name, row) in enumerate(zip(self.distances.names, self.distances.values, strict=True)):
            table.add_row(f"{i + 1} {name}", *(f"{value:.3f}" for value in row))
        return table


@action(
    group="Compare",
    examples=(
        "inspector architecture a.onnx b.keras c.pt2",
        "inspector architecture net.onnx --folder models/ -o tree.png",
    ),
)
def architecture(
    files: list[str],
    output: OutputFile | None = None,
    *,
    folder: Annotated[Path | None, Source()] = None,
) -> ArchitectureTable:
    """Put models side by side: parameters, MACs, depth, receptive field, operators, memory, block by block.

    Args:
        files: The model files.
        output: Picture of the distances as a tree to write (.png, .svg).
        folder: Folder whose model files are compared with them; what cannot be opened is listed.
    """
    paths = [*files, *(sorted(map(str, folder.iterdir())) if folder is not None else [])]
    opened: dict[str, models.Model] = {}
    skipped: dict[str, str] = {}
    for path in track(list(dict.fromkeys(paths)), "Opening the models"):
        try:
            opened[path] = models.open_model(path)
        except InspectorError as fact:
            if path in files:
                raise
            skipped[Path(path).name] = str(fact).split(". ")[0]
    if not opened:
        raise BadInput("no model to compare: give files or a folder that holds some.")
    found = comparison.distances(list(opened.values()))
    if output is not None:
        comparison.draw_distances(found, media=media_for(output)).save(output)
    rows = tuple(comparison.architecture(model) for model in opened.values())
    return ArchitectureTable(rows, found, skipped, output)


def _blocks(model: Architecture) -> Table:
    table = Table(
        "block", "operators", "output", "parameters", "MACs", "activations", box=None, pad_edge=False
    )
    for row in model.blocks:
        name = f"{row.label} × {row.repeat}" if row.repeat > 1 else row.label
        operators = ", ".join(row.operators[:3]) + (" …" if len(row.operators) > 3 else "")
        table.add_row(
            name, operators, row.output, f"{row.parameters:,}", _count(row.macs),
            _bytes(row.activations),
        )  # fmt: skip
    return table


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _bytes(number: int | None) -> str:
    return "–" if number is None else f"{number / 2**20:.2f} MiB"


def _size(sizes: tuple[int, ...] | None) -> str:
    return "–" if sizes is None else "×".join(map(str, sizes))
