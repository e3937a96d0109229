"""How do arrays travel between a comparison and the child that runs its source? As two `.npz` files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Arrays", "Outputs", "Samples", "answer_samples", "read_outputs", "write_samples"]

Arrays = list[np.ndarray[Any, Any]]
Samples = Sequence[Mapping[str, np.ndarray[Any, Any]]]
Outputs = list[Arrays]

_INPUTS, _OUTPUTS = "inputs.npz", "outputs.npz"


def write_samples(folder: Path, samples: Samples) -> None:
    """Write the inputs, named `sample/position`."""
    arrays = {
        f"{i}/{j}": array for i, sample in enumerate(samples) for j, array in enumerate(sample.values())
    }
    np.savez(folder / _INPUTS, **arrays)  # pyright: ignore[reportArgumentType]  # names hold a slash


def answer_samples(folder: Path, samples: int, inputs: int, run: Callable[[Arrays], Arrays]) -> None:
    """In the child: run each sample and write its outputs."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    with np.load(folder / _INPUTS, allow_pickle=False) as archive:
        for sample in range(samples):
            outputs = run([archive[f"{sample}/{place}"] for place in range(inputs)])
            found.update({f"{sample}/{place}": value for place, value in enumerate(outputs)})
    np.savez(folder / _OUTPUTS, **found)  # pyright: ignore[reportArgumentType]  # names hold a slash


def read_outputs(folder: Path, samples: int) -> Outputs:
    """The outputs of each sample in order."""
    with np.load(folder / _OUTPUTS, allow_pickle=False) as archive:
        counts = [sum(name.startswith(f"{i}/") for name in archive.files) for i in range(samples)]
        return [[archive[f"{i}/{j}"] for j in range(count)] for i, count in enumerate(counts)]
