"""Open any source as a Model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from converters.conversion import to_onnx
from converters.registry import Conversion
from inspector.errors import BadFile
from inspector.model.checks import find_faults
from inspector.model.model import Model

__all__ = ["as_model", "open_model", "open_unchecked"]


def open_model(source: Any, **options: Any) -> Model:
    """Open a path or a live object; weights are mapped, not read.

    Options are those of `converters.to_onnx` (`input_shape`, `trust`, `factory`, `opset`, …). A `Model`
    is returned as it is.

    Raises:
        BadFile: the file is damaged or contradicts itself; `inspector check` lists every fault.
        InspectorError: any other reason, with what to do next.
    """
    if isinstance(source, Model):
        return source
    model = open_unchecked(source, **options)
    faults = [fault for fault in find_faults(model) if fault.fatal]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        where = source if isinstance(source, (str, Path)) else model.name
        raise BadFile(
            f"{where}: {faults[0].where}: {faults[0].what}{more}. `inspector check` lists all faults."
        )
    return model


def open_unchecked(source: Any, **options: Any) -> Model:
    """Open a source without looking for faults: for `check`, which lists them all."""
    return as_model(to_onnx(source, **options))


def as_model(conversion: Conversion) -> Model:
    """The model of a conversion, unchecked."""
    keep, folder = conversion.keep, conversion.folder
    if folder is None:
        keep = TemporaryDirectory(prefix="inspector-", ignore_cleanup_errors=True)
        folder = Path(keep.name)
    return Model(conversion.model, folder, conversion.origin, conversion.notes, keep)
