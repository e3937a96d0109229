"""Whole modules that `torch.save` pickled: tree, hyper-parameters and weights, without running their code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.registry import Conversion, Options, format
from converters.torch_file import is_pickle, read_torch_file
from converters.torch_loading import convert_loaded, run_loaded
from converters.torch_oracle import Outputs, Samples
from converters.verify import register_oracle
from converters.zip_kind import zip_kind

__all__ = ["convert_torch_pickle"]

_MODULE_KEYS = (b"_modules", b"_parameters")
_SEARCHED = 16 << 20
"""Bytes searched for the attributes that every pickled module has; pickles come before storages."""


def _recognises(head: bytes, path: Path) -> bool:
    if not is_pickle(head) and zip_kind(head, path) != "torch-pickle":
        return False
    with path.open("rb") as file:
        start = file.read(_SEARCHED)
    return all(key in start for key in _MODULE_KEYS)


@format(
    "torch-module-pickle",
    suffixes=(".pt", ".pth"),
    gives=("model", "structure", "weights"),
    recognises=_recognises,
)
def convert_torch_pickle(path: Path, options: Options) -> Conversion:
    """Pickled PyTorch module: rebuilt where it is made of stock layers, else shown; `trust` runs its code."""
    return convert_loaded(path, read_torch_file(path), options)


@register_oracle("torch-module-pickle")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    return run_loaded(Path(source), read_torch_file(Path(source)), options, folder, samples)
