"""What does a model of another framework look like as ONNX? Convert, save, compare with the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import converters
from inspector import model as models
from inspector.actions.parameters import OutputFile, parse_shapes
from inspector.actions.registry import action
from inspector.progress import report

if TYPE_CHECKING:
    from inspector.model import Converted

__all__ = ["convert"]


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
    parsed = converters.Options(**options, extra=steps)
    conversion = converters.to_onnx(source, **options, extra=steps)
    found = converters.verify.verify(conversion, source, parsed) if verify else None
    notes = conversion.notes if found is None else (*conversion.notes, found.sentence())
    model = models.as_model(replace(conversion, notes=notes))
    written = None if path is None else models.save_model(model, path)
    return models.Converted(model.proto, model.folder, model.origin, model.notes, model.keep, written, found)


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
        return parse_shapes(given)
    return {"": tuple(given)}
