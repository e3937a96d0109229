"""The two jobs of the child: export a PyTorch model to ONNX, and run it as the oracle of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from converters.errors import ConversionFailed
from converters.pytorch import scopes
from converters.pytorch.calling import run_model
from converters.pytorch.captured_script import capture_script, check_outputs
from converters.pytorch.dynamo import export_module, export_program
from converters.pytorch.fidelity import source_tensors
from converters.pytorch.finish import finish
from converters.pytorch.inputs import Inputs, attempts, from_example
from converters.pytorch.legacy import class_names, export_script, script_tensors
from converters.pytorch.load import load
from converters.pytorch.weight_scopes import scope_weights
from converters.sample_files import Arrays, answer_samples

__all__ = ["export", "export_live", "oracle"]

Say = Callable[[str], None]


def export(request: Mapping[str, Any], folder: Path, say: Say) -> Mapping[str, Any]:
    """Load what the request names and write `model.onnx` with `weights.bin` into the folder."""
    say("loading")
    model, example = load(request["source"])
    notes = export_live(model, example, request, folder, say)
    return {"notes": notes, "version": torch.__version__}


def export_live(model: Any, example: Any, request: Mapping[str, Any], folder: Path, say: Say) -> list[str]:
    """Export an object that is loaded; returns the notes."""
    opset = request.get("opset")
    if isinstance(model, torch.export.ExportedProgram):
        say("translating")
        state = {**model.state_dict, **_buffers(model)}
        return finish(
            export_program(model, opset),
            state,
            _named_program_inputs(model, request),
            scopes.scope_dynamo,
            folder,
        )
    tries = (
        [from_example(model, example, request["shapes"])]
        if example is not None
        else attempts(model, request["shapes"])
    )
    failure: ConversionFailed | None = None
    for inputs in tries:
        say("exporting")
        try:
            return _export_module(model, inputs, opset, folder)
        except ConversionFailed as error:
            failure = failure or error
    assert failure is not None
    raise failure


def oracle(request: Mapping[str, Any], folder: Path, say: Say) -> Mapping[str, Any]:
    """Run the source model on the samples in the folder."""
    say("loading")
    model, _ = load(request["source"])
    names = list(map(str, request["names"]))

    def run(arrays: Arrays) -> Arrays:
        say("running")
        return run_model(model, names, [torch.from_numpy(array) for array in arrays])

    answer_samples(folder, int(request["samples"]), len(names), run)
    return {}


def _export_module(model: Any, inputs: Inputs, opset: int | None, folder: Path) -> list[str]:
    guessed = [inputs.note] if inputs.note else []
    if isinstance(model, torch.jit.ScriptModule):
        return [*guessed, *_export_script(model, inputs, opset, folder)]
    graph, fixed = export_module(model, inputs, opset)
    return [*guessed, *finish(graph, source_tensors(model), inputs, scopes.scope_dynamo, folder, fixed)]


def _export_script(model: Any, inputs: Inputs, opset: int | None, folder: Path) -> list[str]:
    """By torch's older exporter, else as a captured program that gives what the archive gives."""
    state, classes = script_tensors(model), class_names(model)
    try:
        graph = export_script(model, inputs, opset, folder)
    except ConversionFailed as refused:
        try:
            graph, taken, note = capture_script(model, inputs, opset)
            notes = finish(
                graph, state, taken, partial(scope_weights, weights=state, classes=classes), folder
            )
            check_outputs(model, taken, folder)
        except ConversionFailed:
            raise refused from None
        return [note.format(refused=str(refused).splitlines()[0].partition("  [")[0]), *notes]
    return finish(graph, state, inputs, partial(scopes.scope_legacy, classes=classes), folder)


def _buffers(program: torch.export.ExportedProgram) -> dict[str, torch.Tensor]:
    return {name: value for name, value in program.constants.items() if isinstance(value, torch.Tensor)}


def _named_program_inputs(program: torch.export.ExportedProgram, request: Mapping[str, Any]) -> Inputs:
    """Names for the axes that the program itself left dynamic: the user's, else "batch" for the first."""
    names = tuple(program.graph_signature.user_inputs)
    shapes = request["shapes"]
    dynamic: list[Mapping[int, str]] = []
    for name in names:
        shape = shapes.get(str(name)) or (shapes.get("") if len(names) == 1 else None)
        dynamic.append({axis: dim for axis, dim in enumerate(shape) if isinstance(dim, str)} if shape else {})
    return Inputs((), {}, tuple(map(str, names)), tuple(dynamic))
