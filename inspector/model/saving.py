"""Write a model as one .onnx file, or as a graph with a weight file beside it."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from converters.provenance import write_model
from converters.weight_file import WeightFile
from inspector.model.model import Model
from inspector.model.walk import all_tensors
from inspector.model.weight import tensor_bytes
from inspector.progress import track

__all__ = ["save_model"]

_INLINE_LIMIT = 1 << 30
"""Above this many bytes of weights a file beside the graph holds them (protobuf itself ends at 2 GiB)."""

_CHUNK = 1 << 24


def save_model(model: Model, path: str | Path, *, external: bool | None = None) -> Path:
    """Write the model with its provenance; nothing half-written is left behind.

    `external` puts the weights into `<name>.data` beside the graph; by default only above 1 GiB.
    """
    path = Path(path)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    write_model(proto, model.origin, model.notes)
    large = [t for t in all_tensors(proto) if t.data_location == onnx.TensorProto.EXTERNAL]
    total = sum(tensor_bytes(t, model.folder).nbytes for t in large)
    if external is None:
        external = total > _INLINE_LIMIT
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".inspector-", dir=path.parent) as scratch:
        folder = Path(scratch)
        if external:
            with WeightFile(folder, path.name + ".data") as file:
                for tensor in track(large, "Writing weights"):
                    _move(tensor, model.folder, file)
            os.replace(folder / file.name, path.parent / file.name)
        else:
            for tensor in large:
                raw = tensor_bytes(tensor, model.folder).tobytes()
                tensor.ClearField("external_data")
                tensor.ClearField("data_location")
                tensor.raw_data = raw
        (folder / path.name).write_bytes(proto.SerializeToString())
        os.replace(folder / path.name, path)
    return path


def _move(tensor: onnx.TensorProto, folder: Path, file: WeightFile) -> None:
    raw = tensor_bytes(tensor, folder)
    chunks = (raw[start : start + _CHUNK].data for start in range(0, raw.nbytes, _CHUNK))
    stored = file.add_bytes(tensor.name, tensor.data_type, list(tensor.dims), chunks)
    tensor.ClearField("external_data")
    tensor.external_data.extend(stored.external_data)
