"""What does a model of another framework look like as ONNX, and how does it compare with its source?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.verify import Verification
from inspector.model.model import Model

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Converted"]


@dataclass(frozen=True, eq=False)
class Converted(Model):
    """The converted model, where it was written, and how it compares with its source (if asked)."""

    path: Path | None = None
    verification: Verification | None = None

    @property
    def exit_code(self) -> int:
        """2 when the comparison found the conversion wrong, else 0."""
        return 2 if self.verification is not None and self.verification.verdict == "differs" else 0

    def to_dict(self) -> dict[str, Any]:
        """Counts, notes, where it was written and the comparison."""
        found = self.verification
        compared = None
        if found is not None:
            measured = found.verdict != "unverified"
            compared = {
                "verdict": found.verdict,
                "max_abs_difference": found.max_abs_difference if measured else None,
                "spread": found.spread if measured else None,
                "samples": found.samples,
                "reason": found.reason,
            }
        return {
            "name": self.name,
            "format": self.origin.format,
            "path": None if self.path is None else str(self.path),
            "nodes": len(self.nodes),
            "weights": len(self.weights),
            "opset": self.opset,
            "notes": list(self.notes),
            "verification": compared,
        }

    def to_text(self) -> RenderableType:
        """One line of counts, then what must be known."""
        where = f", written to {self.path}" if self.path is not None else ""
        counts = f"{len(self.nodes)} nodes, {len(self.weights)} weights, opset {self.opset}{where}."
        lines = [f"{self.name} ({self.origin.format}): {counts}", *(f"Note: {note}" for note in self.notes)]
        return "\n".join(lines)

    def figures(self) -> Mapping[str, Any]:
        """None."""
        return {}
