"""How is a PyTorch source run to check its conversion? Files in the child, live objects where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converters import isolation
from converters.frameworks import need
from converters.registry import Options
from converters.torch_conversion import limits

__all__ = ["run_file", "run_live"]

Samples = Sequence[Mapping[str, np.ndarray[Any, Any]]]
Outputs = list[list[np.ndarray[Any, Any]]]


def run_live(source: Any, samples: Samples) -> Outputs:
    """Run the user's own object here; its training flags are put back."""
    torch = need("torch", "verifying a conversion")
    tasks = need("converters.pytorch.tasks", "verifying a conversion")
    layers = source.modules() if hasattr(source, "modules") else ()
    modes = {layer: layer.training for layer in layers if hasattr(layer, "training")}
    try:
        return [
            tasks.run_model(source, [torch.from_numpy(array) for array in sample.values()])
            for sample in samples
        ]
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def run_file(
    request: Mapping[str, Any],
    folder: Path,
    samples: Samples,
    options: Options,
    *,
    locked: bool,
    readable: Sequence[Path],
) -> Outputs:
    """Run what a request names in a child process; arguments go by position."""
    arrays = {
        f"{i}/{j}": array for i, sample in enumerate(samples) for j, array in enumerate(sample.values())
    }
    np.savez(folder / "inputs.npz", **arrays)  # pyright: ignore[reportArgumentType]  # names hold a slash
    isolation.run(
        "oracle",
        {"source": dict(request), "samples": len(samples)},
        folder,
        limits=limits(readable, options),
        locked=locked,
        readable=readable,
    )
    with np.load(folder / "outputs.npz", allow_pickle=False) as archive:
        counts = [sum(name.startswith(f"{i}/") for name in archive.files) for i in range(len(samples))]
        return [[archive[f"{i}/{j}"] for j in range(count)] for i, count in enumerate(counts)]
