"""A TorchScript module → ONNX: the only place that knows torch's older exporter."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
import torch.onnx

from converters.errors import ConversionFailed
from converters.pytorch.dynamo import quiet
from converters.pytorch.inputs import Inputs

__all__ = ["class_names", "export_script", "script_tensors"]

_NEWEST_OPSET = 20
"""The last one the older exporter writes."""


def export_script(
    module: torch.jit.ScriptModule, inputs: Inputs, opset: int | None, folder: Path
) -> ir.Model:
    """Export a loaded archive as it is: BatchNorm kept, nothing folded, `If` and `Loop` where it branches.

    Raises:
        ConversionFailed: an operator has no ONNX form or the inputs do not fit; the message says which.
    """
    if opset is not None and opset > _NEWEST_OPSET:
        raise ConversionFailed(
            f"TorchScript is written by torch's older exporter, which ends at opset {_NEWEST_OPSET}; {opset} "
            "was asked for. Leave --opset out, or ask for less."
        )
    path = folder / "legacy.onnx"
    axes = {name: dict(dims) for name, dims in zip(inputs.names, inputs.dynamic, strict=False) if dims}
    try:
        with quiet(), torch.no_grad(), _equal_weights_kept_apart():
            torch.onnx.export(
                module,
                (*inputs.args, dict(inputs.kwargs)) if inputs.kwargs else inputs.args,
                str(path),
                input_names=list(inputs.names),
                dynamic_axes=axes,
                opset_version=opset or _NEWEST_OPSET,
                do_constant_folding=False,
                dynamo=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError, TypeError, IndexError) as cause:
        raise ConversionFailed(_reason(cause)) from cause
    return ir.load(path)


@contextlib.contextmanager
def _equal_weights_kept_apart() -> Generator[None]:
    """Switch off a pass that merges initializers of equal content, such as the ones of a fresh BatchNorm."""
    passes: Any = importlib.import_module("torch._C")
    merge = passes._jit_pass_onnx_deduplicate_initializers
    passes._jit_pass_onnx_deduplicate_initializers = lambda graph, tensors, training: tensors
    try:
        yield
    finally:
        passes._jit_pass_onnx_deduplicate_initializers = merge


def script_tensors(module: torch.jit.ScriptModule) -> dict[str, torch.Tensor]:
    """Parameters, buffers and plain tensor attributes of an archive by their path."""
    found: dict[str, torch.Tensor] = {}
    for path, layer in module.named_modules():
        tensors = {**dict(layer.named_parameters(recurse=False)), **dict(layer.named_buffers(recurse=False))}
        for name, tensor in tensors.items():
            found[f"{path}.{name}" if path else name] = tensor.detach()
    return found


def class_names(module: torch.jit.ScriptModule) -> dict[str, str]:
    """Module path → class of the source, without what TorchScript adds to make names unique."""
    found: dict[str, str] = {}
    for path, layer in module.named_modules():
        name = str(layer._c._type().qualified_name())  # pyright: ignore[reportAttributeAccessIssue]
        found[path] = re.sub(r"\.___torch_mangle_\d+", "", name).removeprefix("__torch__.")
    return found


def _reason(error: BaseException) -> str:
    lines: list[str] = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: " + "\n".join(lines[:6])
