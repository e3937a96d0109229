"""How does a live `torch.nn.Module` become ONNX? In a child process, wherever it can be sent there."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.frameworks import need
from converters.provenance import Origin
from converters.registry import Conversion, Options, live
from converters.torch_conversion import assemble, export_in_child, new_folder, request_of
from converters.torch_oracle import Outputs, Samples, run_live
from converters.verify import register_oracle

__all__ = ["convert_module"]

_HERE = (
    "the module was exported in this process, without limits: {reason}. "
    "Defining its class in an importable file lets a child process do it."
)


@live("torch.nn.modules.module.Module")
def convert_module(source: Any, options: Options) -> Conversion:
    """A `torch.nn.Module` in memory, with example inputs or input shapes."""
    torch = need("torch", "exporting a module")
    origin = Origin("torch-module", "torch", torch.__version__, "", type(source).__qualname__)
    with new_folder() as keep:
        path = Path(keep.name) / "module.pt"
        reason = _why_not_sent(torch, source, options.example, path)
        if reason:
            return _export_here(source, options, origin, keep, reason)
        request = {"kind": "module", "path": str(path), "mmap": True}
        return export_in_child(request, options, origin, keep, locked=False, readable=[path])


def _why_not_sent(torch: Any, module: Any, example: Any, path: Path) -> str:
    """Write the module for the child; the reason if that cannot be done, else an empty string."""
    unreachable = sorted(
        {
            type(layer).__qualname__
            for layer in module.modules()
            if type(layer).__module__ == "__main__" or type(layer).__module__ not in sys.modules
        }
    )
    if unreachable:
        return f"the class {unreachable[0]} belongs to the running script"
    try:
        torch.save({"module": module, "example": _on_cpu(torch, example)}, path)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError, NotImplementedError) as cause:
        path.unlink(missing_ok=True)
        return f"it cannot be sent to another process ({(str(cause).splitlines() or ['no reason given'])[0]})"
    return ""


def _on_cpu(torch: Any, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {name: _on_cpu(torch, item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_on_cpu(torch, item) for item in value)
    return value


def _export_here(source: Any, options: Options, origin: Origin, keep: Any, reason: str) -> Conversion:
    tasks = need("converters.pytorch.tasks", "exporting a module")
    say = options.extra.get("progress") or (lambda text: None)
    notes = tasks.export_live(source, options.example, request_of({}, options), Path(keep.name), say)
    return assemble(keep, origin, [_HERE.format(reason=reason), *notes])


@register_oracle("torch-module")
def _run(source: Any, options: Options, folder: Path, samples: Samples) -> Outputs:
    return run_live(source, samples)
