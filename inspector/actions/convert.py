"""What does a model of another framework look like as ONNX? Convert, save, and compare with the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from converters.verify import Verification
from converters.verify import verify as compare_with_source
from inspector.actions.parameters import OutputFile
from inspector.actions.registry import action
from inspector.errors import MissingOption
from inspector.model import Model, as_model, save_model
from inspector.progress import report

if TYPE_CHECKING:
    from rich.console import RenderableType

    from inspector.views import Figure

__all__ = ["Converted", "convert"]


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

    def figures(self) -> Mapping[str, Figure]:
        """None."""
        return {}


@action(
    examples=(
        "inspector convert net.pt2 -o net.onnx --verify",
        "inspector convert net.pt -o net.onnx --input-shape batch,3,224,224",
        "inspector convert weights.safetensors -o net.onnx --factory package.module:build",
    ),
)
def convert(
    source: str,
    path: OutputFile | None = None,
    *,
    input_shape: list[str] | None = None,
    trust: bool = False,
    factory: str | None = None,
    opset: int | None = None,
    verify: bool = False,
) -> Converted:
    """Convert a model of any framework to ONNX, with every weight bit for bit.

    Args:
        source: The file to convert; in Python also a live module, program or Keras model.
        path: The .onnx file to write.
        input_shape: Sizes or names of dynamic axes, as batch,3,224,224 or name=batch,3,224,224. Repeatable.
        trust: Run code from the file where it needs that. Only for files whose author you know.
        factory: Function that builds the architecture of a weights-only file, as package.module:function.
        opset: ONNX operator set to write.
        verify: Compare with the source's own framework on random inputs.
    """
    options: dict[str, Any] = {
        "input_shape": _shapes(input_shape),
        "trust": trust,
        "factory": factory,
        "opset": opset,
    }
    steps = {"progress": lambda text: report(f"Converting: {text}", 0)}
    conversion = converters.to_onnx(source, **options, extra=steps)
    found = compare_with_source(conversion, source, converters.Options(**options)) if verify else None
    notes = conversion.notes if found is None else (*conversion.notes, found.sentence())
    model = as_model(replace(conversion, notes=notes))
    written = None if path is None else save_model(model, path)
    return Converted(model.proto, model.folder, model.origin, model.notes, model.keep, written, found)


def _shapes(given: Any) -> dict[str, tuple[int | str, ...]]:
    """Shapes by input name, from texts of the command line or from Python values."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {str(name): tuple(shape) for name, shape in given.items()}
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Sequence) and any(
        isinstance(row, str) and ("," in row or "=" in row) for row in given
    ):
        return dict(map(_parse, given))
    return {"": tuple(given)}


def _parse(text: str) -> tuple[str, tuple[int | str, ...]]:
    name, _, sizes = text.rpartition("=")
    parts = [part.strip() for part in sizes.split(",")]
    if not all(parts):
        raise MissingOption(f"--input-shape {text!r}: expected sizes or names such as batch,3,224,224.")
    return name.strip(), tuple(int(part) if part.isdigit() else part for part in parts)
