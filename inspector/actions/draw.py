"""What does the model look like? A picture of its graph, blocks collapsed to a readable depth."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

from inspector import graph
from inspector.actions.parameters import Flag, OutputFile
from inspector.actions.registry import action
from inspector.actions.result import Result
from inspector.errors import BadInput

if TYPE_CHECKING:
    from inspector.graph import Drawing, Media
    from inspector.model import Model
    from inspector.views import Figure

__all__ = ["DrawnFile", "draw"]

_MEDIA: tuple[Media, ...] = ("svg", "png", "pdf", "dot", "json")


@dataclass(frozen=True)
class DrawnFile(Result):
    """What was drawn and where it lies."""

    path: Path
    drawing: Drawing

    def to_dict(self) -> dict[str, Any]:
        """The file, its format, what is visible in it and what was left out."""
        made = self.drawing
        return {
            "file": str(self.path),
            "format": made.media,
            "bytes": len(made.data),
            "boxes": made.boxes,
            "edges": made.edges,
            "engine": made.engine,
            "note": made.note,
        }

    def to_text(self) -> str:
        """One line, and the note where there is one."""
        made = self.drawing
        line = f"{made.boxes} boxes and {made.edges} edges, written to {self.path}"
        return f"{line}\n{made.note}" if made.note else line

    def figures(self) -> Mapping[str, Figure]:
        """None: the picture is the file."""
        return {}


@action(
    group="Look inside",
    examples=(
        "inspector draw net.onnx -o net.svg",
        "inspector draw net.onnx -o net.png --depth 1",
        "inspector draw net.onnx -o attention.pdf --select '*/attn'",
    ),
)
def draw(
    model: Model,
    path: OutputFile,
    *,
    depth: int | None = None,
    select: Annotated[str | None, Flag(("--select",))] = None,
    seconds: float = 20.0,
) -> DrawnFile:
    """Draw the model's graph into a file: svg, png, pdf, dot or json, by the file's ending.

    Args:
        model: The model file.
        path: File to write; its ending chooses the format.
        depth: Open blocks to this nesting level; by default until the picture stops being readable.
        select: Only nodes whose name, scope or operator matches this glob ('*attn*') or, after 're:', this
            regular expression, with their neighbours.
        seconds: Time the layout may take before a coarser view is drawn.
    """
    path = Path(path)
    media: Media | None = next((known for known in _MEDIA if path.suffix.lower() == f".{known}"), None)
    if media is None:
        raise BadInput(f"{path}: the ending must be one of {', '.join('.' + known for known in _MEDIA)}.")
    drawing = graph.draw(model, media, depth=depth, select=select, seconds=seconds)
    _write(path, drawing.data)
    return DrawnFile(path, drawing)


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".inspector-", delete=False) as file:
        scratch = Path(file.name)
        try:
            file.write(data)
        except OSError:
            scratch.unlink()
            raise
    os.chmod(scratch, 0o644)
    os.replace(scratch, path)
