"""From the exporter's graph to the normal form: tidy, weights accounted for, scopes, dims, two files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import onnx
import onnx_ir as ir
import torch

from converters.provenance import write_sources
from converters.pytorch import fidelity, scopes
from converters.pytorch.inputs import Inputs
from converters.pytorch.recurrent import pack_recurrent
from converters.pytorch.tidy import tidy
from converters.torch_conversion import MODEL_FILE, WEIGHTS_FILE
from converters.weight_file import INLINE_BYTES

__all__ = ["finish"]


def finish(
    model: ir.Model,
    state: Mapping[str, torch.Tensor],
    inputs: Inputs,
    scope: Callable[[onnx.GraphProto], None],
    folder: Path,
    fixed: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """Write `model.onnx` and `weights.bin`; returns the notes. `fixed` holds symbols with one size only.

    Raises:
        ConversionFailed: a weight did not survive bit for bit.
    """
    fidelity.adopt_constants(model, state)
    tidy(model, state)
    packed = pack_recurrent(model, state)
    ledger = fidelity.account(model, state, packed)
    path = folder / MODEL_FILE
    ir.save(model, path, external_data=WEIGHTS_FILE, size_threshold_bytes=INLINE_BYTES - 1)
    proto = onnx.load(path, load_external_data=False)
    scope(proto.graph)
    scopes.fix_dims(proto.graph, fixed)
    scopes.merge_constants(proto.graph)
    scopes.name_nodes(proto.graph)
    notes = [*ledger.notes(), *_dims(proto.graph, inputs)]
    for tensor in proto.graph.initializer:
        if tensor.name in ledger.sources:
            write_sources(tensor, ledger.sources[tensor.name])
    del proto.metadata_props[:]
    path.write_bytes(proto.SerializeToString())
    return notes


def _dims(graph: onnx.GraphProto, inputs: Inputs) -> list[str]:
    """Give dynamic axes the names the user asked for, and say which could not stay dynamic."""
    notes: list[str] = []
    names: dict[str, str] = {}
    for value, axes in zip(graph.input, inputs.dynamic, strict=False):
        dims = value.type.tensor_type.shape.dim
        for axis, wanted in axes.items():
            if axis >= len(dims):
                continue
            if dims[axis].HasField("dim_param"):
                names.setdefault(dims[axis].dim_param, wanted)
            else:
                notes.append(
                    f"axis {axis} of input {value.name!r} was asked to be dynamic ({wanted}), "
                    f"but the model's code fixes it to {dims[axis].dim_value}."
                )
    scopes.rename_dims(graph, names)
    return notes
