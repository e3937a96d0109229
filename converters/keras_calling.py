"""Keras itself as the oracle of a comparison: load, call with inputs by name, flatten what comes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import BadFile, ConversionFailed
from converters.frameworks import need
from converters.sample_files import Arrays, answer_samples

__all__ = ["call_model", "oracle"]

_PURPOSE = "verifying a Keras model"


def oracle(request: Mapping[str, Any], folder: Path, say: Callable[[str], None]) -> Mapping[str, Any]:
    """Load what the request names and run it on the samples in the folder."""
    say("loading")
    need("torch", _PURPOSE)
    environment = os.environ  # noqa: TID251  # Keras takes its backend and its folder from there only
    environment.setdefault("KERAS_BACKEND", "torch")
    environment["KERAS_HOME"] = str(folder)
    model = _load(need("keras", _PURPOSE), request["source"])
    names = list(map(str, request["names"]))

    def run(arrays: Arrays) -> Arrays:
        say("running")
        return call_model(model, dict(zip(names, arrays, strict=True)))

    answer_samples(folder, int(request["samples"]), len(names), run)
    return {}


def _load(keras: Any, source: Mapping[str, str]) -> Any:
    """The model of a `.keras` or `.h5` file, or of a configuration beside its weights."""
    try:
        if "config" not in source:
            return keras.saving.load_model(_named(source), compile=False)
        model = keras.models.model_from_json(Path(source["config"]).read_text())
        model.load_weights(source["weights"])
    except (ValueError, TypeError, KeyError, AttributeError, OSError, NotImplementedError) as cause:
        line = (str(cause).splitlines() or [type(cause).__name__])[0]
        raise BadFile(f"Keras itself cannot load it: {line}") from cause
    else:
        return model


def _named(source: Mapping[str, str]) -> str:
    """The file under a suffix that Keras goes by, which content decides here."""
    kind, path = next(iter(source.items()))
    if path.endswith((f".{kind}", ".hdf5" if kind == "h5" else ".keras")):
        return path
    link = Path(f"model.{kind}")
    link.symlink_to(path)
    return str(link)


def call_model(model: Any, sample: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
    """The flat outputs of a model for inputs by name, or in order where the names differ.

    Raises:
        ConversionFailed: it takes another number of inputs.
    """
    keras = need("keras", _PURPOSE)
    wanted = keras.tree.flatten(model.inputs)
    if len(wanted) != len(sample):
        raise ConversionFailed(f"the model takes {len(wanted)} inputs, the graph has {len(sample)}.")
    named = all(tensor.name in sample for tensor in wanted)
    arrays = iter([sample[tensor.name] for tensor in wanted] if named else sample.values())
    given = [keras.ops.convert_to_tensor(array) for array in arrays]
    result = model(_nested(keras, model, given), training=False)
    return [np.asarray(keras.ops.convert_to_numpy(value)) for value in keras.tree.flatten(result)]


def _nested(keras: Any, model: Any, given: list[Any]) -> Any:
    structure = getattr(model, "_inputs_struct", None)
    if structure is not None and len(given) > 1:
        return keras.tree.pack_sequence_as(structure, given)
    return given if len(given) > 1 else given[0]
