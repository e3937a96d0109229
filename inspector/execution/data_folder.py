"""Which files of a folder can be fed to a model? Pictures, arrays and sounds, in a fixed order."""

from __future__ import annotations

from pathlib import Path

from inspector.errors import BadInput
from inspector.execution.picture_files import PICTURE_SUFFIXES

__all__ = ["data_files"]

DATA_SUFFIXES = PICTURE_SUFFIXES | {".npy", ".npz", ".wav"}


def data_files(folder: Path) -> list[Path]:
    """Every picture, .npy, .npz and .wav of a folder and those below it, by name.

    Raises:
        BadInput: it is no folder, or none is in it.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder.")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in DATA_SUFFIXES and p.is_file())
    if not found:
        raise BadInput(f"{folder}: no picture, .npy, .npz or .wav is in it.")
    return found
