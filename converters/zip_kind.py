"""Which kind of model is this zip? Told by its members, since .keras, .pt, .pt2 and .npz all begin alike."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from converters.zip_archive import is_zip, open_archive

__all__ = ["ZipKind", "kind_of_names", "zip_kind"]

ZipKind = Literal[
    "keras",
    "torchscript",
    "exported-program",
    "torch-pickle",
    "torch-package",
    "numpy",
    "mlpackage",
    "saved-model",
]
"""`torch-pickle` is what `torch.save` writes: a state_dict, a checkpoint or a whole module."""


def zip_kind(head: bytes, path: Path) -> ZipKind | None:
    """The kind of model inside a zip; None for a file that is no zip or a zip of something else.

    Raises:
        BadFile: it is a zip, but damaged or built to deceive.
    """
    return kind_of_names(open_archive(path).entries) if is_zip(head) else None


def kind_of_names(names: Iterable[str]) -> ZipKind | None:
    """The kind that these members make."""
    known = set(names)
    if "config.json" in known and {"model.weights.h5", "metadata.json"} & known:
        return "keras"
    inner = {name.partition("/")[2] for name in known}
    if {"archive_format", "serialized_exported_program.json"} & (inner | known):
        return "exported-program"
    if "data.pkl" in inner:
        scripted = "constants.pkl" in inner or any(name.startswith("code/") for name in inner)
        return "torchscript" if scripted else "torch-pickle"
    if ".data/extern_modules" in inner:
        return "torch-package"
    if known and all(name.endswith(".npy") for name in known):
        return "numpy"
    if any(name.endswith(("Manifest.json", ".mlmodel")) for name in known):
        return "mlpackage"
    return "saved-model" if any(name.endswith("saved_model.pb") for name in known) else None
