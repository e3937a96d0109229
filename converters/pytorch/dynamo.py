"""An `nn.Module` or exported program → ONNX by torch's own exporter, unoptimised: weights stay themselves."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Generator, Mapping
from typing import Any

import onnx_ir as ir
import torch
import torch.onnx

from converters.errors import ConversionFailed
from converters.pytorch.inputs import Inputs

__all__ = ["export_as_it_is", "export_module", "export_program", "quiet"]


def export_module(
    module: torch.nn.Module, inputs: Inputs, opset: int | None
) -> tuple[ir.Model, dict[str, int]]:
    """Capture a module in evaluation mode; its training flags are put back afterwards.

    The second result maps symbols of axes that the code fixes after all to their only size.

    Raises:
        ConversionFailed: torch.export refused the module; the message says why in a few lines.
    """
    _forget_dispatch()
    modes = {layer: layer.training for layer in module.modules()}
    module.eval()
    try:
        return export_as_it_is(module, inputs, opset)
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def export_as_it_is(
    module: torch.nn.Module, inputs: Inputs, opset: int | None
) -> tuple[ir.Model, dict[str, int]]:
    """`export_module` for a module whose mode must not or cannot be set.

    Raises:
        ConversionFailed: torch.export refused the module; the message says why in a few lines.
    """
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                inputs.args,
                kwargs=dict(inputs.kwargs),
                input_names=list(inputs.names) or None,
                dynamic_shapes=_dynamic_shapes(inputs),
                opset_version=opset,
                dynamo=True,
                optimize=False,
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError, TypeError) as cause:
        raise ConversionFailed(_reason(cause)) from cause
    assert program is not None
    assert program.exported_program is not None
    return program.model, _fixed_sizes(program.exported_program)


def export_program(program: torch.export.ExportedProgram, opset: int | None) -> ir.Model:
    """Translate a program that is captured already.

    Raises:
        ConversionFailed: an operator has no ONNX form; the message names it.
    """
    try:
        with quiet(), torch.no_grad():
            exported = torch.onnx.export(
                program, opset_version=opset, dynamo=True, optimize=False, verbose=False
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError, TypeError) as cause:
        raise ConversionFailed(_reason(cause)) from cause
    assert exported is not None
    return exported.model


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Keep torch's warnings and log lines from the user's terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _fixed_sizes(program: torch.export.ExportedProgram) -> dict[str, int]:
    """Symbols that may take one size only: the exporter still writes them as if they were free."""
    ranges = {
        str(symbol): (bounds.lower, bounds.upper) for symbol, bounds in program.range_constraints.items()
    }
    return {symbol: int(lower) for symbol, (lower, upper) in ranges.items() if lower == upper}


def _forget_dispatch() -> None:
    """Make a second export of a recurrent net in one process as right as the first.

    The exporter swaps the kernels of these operators for ones with dynamic sequence lengths, but an
    operator remembers which kernel it resolved to: the second export would silently run the ordinary
    kernel, unroll the loop and fix the length.
    """
    for operator in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
        cache = getattr(operator, "_dispatch_cache", None)
        if cache is not None:
            cache.clear()


def _dynamic_shapes(inputs: Inputs) -> Any:
    if not any(inputs.dynamic):
        return None
    auto = torch.export.Dim.AUTO

    def wanted(value: Any, axes: Mapping[int, str]) -> Any:
        if isinstance(value, (tuple, list)):
            return [wanted(item, {}) for item in value]
        if isinstance(value, Mapping):
            return {key: wanted(item, {}) for key, item in value.items()}
        return dict.fromkeys(axes, auto) or None

    count = len(inputs.args)
    if inputs.kwargs and not inputs.args:
        return {
            name: wanted(value, axes)
            for (name, value), axes in zip(inputs.kwargs.items(), inputs.dynamic, strict=True)
        }
    values = (*inputs.args, *inputs.kwargs.values())
    return tuple(
        wanted(value, axes) for value, axes in zip(values[:count], inputs.dynamic[:count], strict=True)
    )


def _reason(error: BaseException) -> str:
    """The innermost cause in at most a few lines, without the exporter's own advertisement."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    lines = [line for line in str(root).splitlines() if line.strip()]
    return f"{type(root).__name__}: " + "\n".join(lines[:4])
