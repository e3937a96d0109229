"""A TorchScript module that the older exporter refuses: captured as a program, held to its own outputs."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from converters.errors import ConversionFailed
from converters.frameworks import need
from converters.pytorch.calling import run_model
from converters.pytorch.dynamo import export_as_it_is, quiet
from converters.pytorch.inputs import Inputs, random_tensor
from converters.torch_conversion import MODEL_FILE

__all__ = ["capture_script", "check_outputs"]

_TOLERANCE = 1e-4
"""Largest difference over the spread of the outputs, as in `converters.verify`."""

_NOTE = (
    "torch's older exporter refused the archive ({{refused}}); it was captured as a program instead, "
    "{axes}, and its outputs agree with the archive's."
)


def capture_script(
    module: torch.jit.ScriptModule, inputs: Inputs, opset: int | None
) -> tuple[ir.Model, Inputs, str]:
    """The graph, the inputs with those axes dynamic that stayed so, and a note that names the refusal.

    Raises:
        ConversionFailed: the archive branches or loops, or has an operator without ONNX form.
    """
    if inputs.kwargs:
        raise ConversionFailed("a captured archive takes its inputs in order.")
    program = _captured(module, inputs).module()
    failure: ConversionFailed | None = None
    for taken in (inputs, replace(inputs, dynamic=())) if any(inputs.dynamic) else (inputs,):
        try:
            graph, _ = export_as_it_is(program, taken, opset)
        except ConversionFailed as error:
            failure = error
            continue
        sizes = ", ".join(str(list(value.shape)) for value in taken.args)
        free = any(taken.dynamic)
        return graph, taken, _NOTE.format(axes="axes kept dynamic" if free else f"every axis fixed ({sizes})")
    assert failure is not None
    raise failure


def _captured(module: torch.jit.ScriptModule, inputs: Inputs) -> torch.export.ExportedProgram:
    try:
        converter: Any = importlib.import_module("torch._export.converter")
        with quiet(), torch.no_grad():
            return converter.TS2EPConverter(module, inputs.args, {}).convert()
    except (ImportError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, IndexError) as cause:
        raise ConversionFailed(f"it cannot be captured: {cause}") from cause


def check_outputs(module: torch.jit.ScriptModule, inputs: Inputs, folder: Path) -> None:
    """Hold the written model to the archive on other inputs of the same sizes.

    Raises:
        ConversionFailed: the outputs differ, or do not depend on the inputs, so that nothing is proved.
    """
    ort = need("onnxruntime", "checking a captured archive")
    session = ort.InferenceSession(str(folder / MODEL_FILE), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    outputs: list[np.ndarray[Any, Any]] = []
    for turn in range(2):
        values = [_other(module, value, turn) for value in inputs.args]
        expected = run_model(module, list(inputs.names), values)
        found = session.run(None, {n: v.numpy() for n, v in zip(names, values, strict=True)})
        outputs += expected[:1]
        for a, b in zip(expected, found, strict=True):
            if a.shape != b.shape or not np.abs(a - b).max(initial=0) <= _TOLERANCE * max(np.std(a), 1e-30):
                raise ConversionFailed("the captured program computes something else than the archive.")
    if np.array_equal(outputs[0], outputs[1]):
        raise ConversionFailed("its outputs do not depend on its inputs, so nothing shows it is right.")


def _other(module: Any, value: torch.Tensor, turn: int) -> torch.Tensor:
    """Random values like an example's, other ones at each turn."""
    fresh = random_tensor(module, list(value.shape), value.dtype)
    return fresh if turn == 0 or value.ndim == 0 else fresh.flip(0) + (value.is_floating_point() * 0.5)
