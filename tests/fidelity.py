"""Is every source tensor in a conversion, bit for bit? And what does ONNX Runtime make of it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from converters import Conversion
from converters.provenance import read_sources, restore


def assert_every_tensor(conversion: Conversion, state: Mapping[str, torch.Tensor]) -> int:
    """Check each tensor of a state_dict bit for bit; returns how many were found."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    for tensor in conversion.model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor, str(conversion.folder))
        for source in read_sources(tensor):
            found[source.name] = restore(array, source.restore)
    assert set(state) <= set(found), sorted(set(state) - set(found))
    for name, tensor in state.items():
        expected = tensor.detach().numpy()
        assert found[name].dtype == expected.dtype, name
        assert found[name].tobytes() == expected.tobytes(), name
    return len(state)


def run_onnx(model: onnx.ModelProto, folder: Path, *inputs: torch.Tensor) -> list[np.ndarray[Any, Any]]:
    """The outputs of a model whose external data lie in a folder."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
