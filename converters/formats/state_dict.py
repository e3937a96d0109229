"""Tensors that `torch.save` or pickle wrote: state_dicts, checkpoints, pickled NumPy arrays."""

from __future__ import annotations

from pathlib import Path

from converters.checkpoint import weights_of
from converters.errors import BadFile
from converters.provenance import Origin
from converters.registry import Conversion, Options, format
from converters.torch_file import TorchFile, is_pickle, read_torch_file
from converters.weight_graph import weight_conversion
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
    return weights_only(path, read_torch_file(path))


def weights_only(path: Path, file: TorchFile) -> Conversion:
    """The weight graph of a file that was read."""
    found = weights_of(file.value)
    would = [f"not run: {sentence}" for sentence in file.report.sentences()]
    if not found.weights:
        raise BadFile(f"{path}: holds no tensors. {' '.join([*would, *found.notes])}".rstrip())
    origin = Origin("state-dict", "numpy" if file.container == "pickle" else "torch", "", "", path.name)
    return weight_conversion(path, found.weights, origin, [*would, *file.notes, *found.notes])
