"""Get the object that a request names, inside the child: exported program, archive, module or factory."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx_ir import tensor_adapters

from converters.errors import BadFile, MissingOption
from converters.provenance import read_sources
from converters.pytorch.dynamo import quiet
from converters.pytorch.rebuild import rebuild

__all__ = ["load"]


def load(source: Mapping[str, Any]) -> tuple[Any, Any]:
    """The model and, where the source carries one, an example input (else None).

    `source["kind"]` is "program" (`.pt2`), "script" (TorchScript), "module" (a pickled `nn.Module`, trusted),
    "plan" (`plan` as in `rebuild`) or "factory" (`package.module:function`, trusted). The last two take
    their tensors from the initializers of the ONNX file `tensors`, whose external data lie below `base`.
    """
    with quiet():
        return _LOADERS[source["kind"]](source)


def _program(source: Mapping[str, Any]) -> tuple[Any, Any]:
    try:
        return torch.export.load(source["path"]), None
    except (RuntimeError, ValueError, KeyError, AssertionError) as cause:
        raise BadFile(
            f"{source['path']}: torch cannot read this exported program: {_first(cause)}"
        ) from cause


def _script(source: Mapping[str, Any]) -> tuple[Any, Any]:
    try:
        module = torch.jit.load(source["path"], map_location="cpu")
    except (RuntimeError, ValueError) as cause:
        raise BadFile(f"{source['path']}: torch cannot read this archive: {_first(cause)}") from cause
    if hasattr(module, "training"):
        module.eval()
    return module, None


def _module(source: Mapping[str, Any]) -> tuple[Any, Any]:
    saved = torch.load(source["path"], map_location="cpu", weights_only=False, mmap=source.get("mmap", False))
    module = saved["module"] if isinstance(saved, dict) and "module" in saved else saved
    if not isinstance(module, torch.nn.Module):
        raise BadFile(f"{source['path']}: holds a {type(module).__name__}, not a module.")
    return module, saved.get("example") if isinstance(saved, dict) else None


def _factory(source: Mapping[str, Any]) -> tuple[Any, Any]:
    where, _, function = str(source["factory"]).partition(":")
    try:
        build = getattr(importlib.import_module(where), function)
    except (ImportError, AttributeError, ValueError) as cause:
        raise MissingOption(
            f"factory {source['factory']!r}: {cause}. Expected package.module:function, importable from here."
        ) from cause
    module = build()
    if not isinstance(module, torch.nn.Module):
        raise MissingOption(
            f"factory {source['factory']!r} returned a {type(module).__name__}, not a module."
        )
    tensors = _tensors(source)
    found = module.load_state_dict(tensors, strict=False, assign=True)
    lost = [*found.missing_keys, *found.unexpected_keys]
    if lost:
        shown = ", ".join(lost[:5])
        raise MissingOption(
            f"factory {source['factory']!r}: its state_dict does not fit the file; "
            f"{len(found.missing_keys)} missing, {len(found.unexpected_keys)} unexpected: {shown}."
        )
    return module, None


def _plan(source: Mapping[str, Any]) -> tuple[Any, Any]:
    return rebuild(source["plan"], _tensors(source)), None


def _tensors(source: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Tensors by source name, mapped from the files where they lie."""
    model = ir.load(source["tensors"])
    ir.external_data.set_base_dir(model.graph, source["base"])
    proto = onnx.load(source["tensors"], load_external_data=False)
    names = {tensor.name: [row.name for row in read_sources(tensor)] for tensor in proto.graph.initializer}
    found: dict[str, torch.Tensor] = {}
    for held, value in model.graph.initializers.items():
        assert value.const_value is not None
        tensor = _torch_tensor(value.const_value)
        found.update(dict.fromkeys(names.get(held, [held]), tensor))
    return found


def _torch_tensor(value: ir.TensorProtocol) -> torch.Tensor:
    dtype = tensor_adapters.to_torch_dtype(value.dtype)
    shape = tuple(value.shape.numpy())
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    array = np.ascontiguousarray(value.numpy())
    return torch.from_numpy(array.reshape(-1).view(np.uint8)).view(dtype).reshape(shape)


_LOADERS = {
    "program": _program,
    "script": _script,
    "module": _module,
    "factory": _factory,
    "plan": _plan,
}


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
