"""How is a source run to check its conversion? Files in the child, live PyTorch objects where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from converters import isolation
from converters.frameworks import need
from converters.registry import Options
from converters.sample_files import Outputs, Samples, read_outputs, write_samples
from converters.torch_conversion import limits

__all__ = ["Outputs", "Samples", "run_file", "run_live"]


def run_live(source: Any, samples: Samples) -> Outputs:
    """Run the user's own object here; its training flags are put back."""
    torch = need("torch", "verifying a conversion")
    calling = need("converters.pytorch.calling", "verifying a conversion")
    layers = source.modules() if hasattr(source, "modules") else ()
    modes = {layer: layer.training for layer in layers if hasattr(layer, "training")}
    try:
        return [
            calling.run_model(source, list(sample), [torch.from_numpy(array) for array in sample.values()])
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
    task: str = "oracle",
) -> Outputs:
    """Run what a request names in a child process; it also learns the names of the graph's inputs."""
    write_samples(folder, samples)
    isolation.run(
        task,
        {"source": dict(request), "samples": len(samples), "names": list(samples[0])},
        folder,
        limits=limits(readable, options),
        locked=locked,
        readable=readable,
        progress=options.extra.get("progress"),
    )
    return read_outputs(folder, len(samples))
