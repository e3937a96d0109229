"""Tensors that `torch.save` or pickle wrote: state_dicts, checkpoints, pickled NumPy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.registry import Conversion, Options, format
from converters.torch_file import is_pickle, read_torch_file
from converters.torch_loading import convert_loaded, run_loaded
from converters.torch_oracle import Outputs, Samples
from converters.verify import register_oracle
from converters.zip_kind import zip_kind

__all__ = ["convert_state_dict"]


def _recognises(head: bytes, path: Path) -> bool:
    return is_pickle(head) or zip_kind(head, path) == "torch-pickle"


@format(
    "state-dict",
    suffixes=(".pt", ".pth", ".ckpt", ".bin", ".pkl", ".tar"),
    gives=("weights",),
    recognises=_recognises,
)
def convert_state_dict(path: Path, options: Options) -> Conversion:
    """PyTorch weights and checkpoints (zip, legacy and tar containers), pickled NumPy arrays."""
    return convert_loaded(path, read_torch_file(path), options)


@register_oracle("state-dict")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    return run_loaded(Path(source), read_torch_file(Path(source)), options, folder, samples)
