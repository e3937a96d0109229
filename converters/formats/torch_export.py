"""How does an exported program become ONNX? Checked without running it, then translated in a locked child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.frameworks import need
from converters.provenance import Origin
from converters.registry import Conversion, Options, format, live
from converters.torch_checked import convert_archive, run_archive
from converters.torch_conversion import export_in_child, new_folder
from converters.torch_oracle import Outputs, Samples, run_live
from converters.torch_structure import read_exported_program
from converters.verify import register_oracle
from converters.zip_kind import zip_kind

__all__ = ["convert_exported_program", "convert_live_program"]


@format(
    "exported-program",
    suffixes=(".pt2",),
    gives=("model", "structure", "weights"),
    recognises=lambda head, path: zip_kind(head, path) == "exported-program",
)
def convert_exported_program(path: Path, options: Options) -> Conversion:
    """PyTorch exported program (`.pt2`)."""
    return convert_archive(path, options, "program", "exported-program", read_exported_program)


@live("torch.export.exported_program.ExportedProgram")
def convert_live_program(source: Any, options: Options) -> Conversion:
    """A `torch.export.ExportedProgram` in memory."""
    torch = need("torch", "converting an exported program")
    origin = Origin("exported-program", "torch", torch.__version__)
    with new_folder() as keep:
        path = Path(keep.name).resolve() / "program.pt2"
        torch.export.save(source, str(path))
        request = {"kind": "program", "path": str(path)}
        return export_in_child(request, options, origin, keep, locked=True, readable=[path])


@register_oracle("exported-program")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    if isinstance(source, (str, Path)):
        return run_archive(Path(source), options, "program", folder, samples)
    return run_live(source, samples)
