"""How does a TorchScript archive become ONNX? Checked without running it, then exported in a locked child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.frameworks import need
from converters.provenance import Origin
from converters.registry import Conversion, Options, format, live
from converters.torch_checked import convert_archive, run_archive
from converters.torch_conversion import export_in_child, new_folder
from converters.torch_oracle import Outputs, Samples, run_live
from converters.torch_structure import read_torchscript
from converters.verify import register_oracle
from converters.zip_kind import zip_kind

__all__ = ["convert_live_script", "convert_torchscript"]


@format(
    "torchscript",
    suffixes=(".pt", ".pth", ".ts", ".jit"),
    gives=("model", "structure", "weights"),
    recognises=lambda head, path: zip_kind(head, path) == "torchscript",
)
def convert_torchscript(path: Path, options: Options) -> Conversion:
    """TorchScript archive (traced, scripted or frozen)."""
    return convert_archive(path, options, "script", "torchscript", read_torchscript)


@live("torch.jit._script.ScriptModule")
def convert_live_script(source: Any, options: Options) -> Conversion:
    """A TorchScript module in memory."""
    torch = need("torch", "converting a TorchScript archive")
    origin = Origin("torchscript", "torch", torch.__version__)
    with new_folder() as keep:
        path = Path(keep.name).resolve() / "script.pt"
        torch.jit.save(source, str(path))
        request = {"kind": "script", "path": str(path)}
        return export_in_child(request, options, origin, keep, locked=True, readable=[path])


@register_oracle("torchscript")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    if isinstance(source, (str, Path)):
        return run_archive(Path(source), options, "script", folder, samples)
    return run_live(source, samples)
