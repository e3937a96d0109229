"""Turn any source into the normal form: the one entry point of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.errors import UnknownFormat
from converters.registry import Conversion, Options, find_format, find_live

__all__ = ["to_onnx"]


def to_onnx(source: Any, **options: Any) -> Conversion:
    """Convert a path or a live object (`onnx.ModelProto`, `torch.nn.Module`, `keras.Model`) to ONNX.

    Keyword options are the fields of `converters.Options`. Nothing from the file is executed unless
    `trust=True`.

    Raises:
        InspectorError: one of the children in `converters.errors`, each saying what to do next.
    """
    parsed = Options(**options)
    if isinstance(source, (str, Path)):
        path = Path(source)
        return find_format(path).convert(path, parsed)
    convert = find_live(source)
    if convert is None:
        raise UnknownFormat(
            f"a {type(source).__module__}.{type(source).__qualname__} cannot be opened: expected a path, "
            "an onnx.ModelProto, a torch.nn.Module, a torch.export.ExportedProgram or a keras.Model."
        )
    return convert(source, parsed)
