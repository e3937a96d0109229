"""Is every tensor of the source in the graph, bit for bit, under a name that leads back to it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
import torch
from onnx_ir.tensor_adapters import TorchTensor

from converters.errors import ConversionFailed
from converters.provenance import Source

__all__ = ["Account", "account", "adopt_constants", "source_tensors"]

_SHOWN = 3


@dataclass
class Account:
    """Where each source tensor went: initializer name → the sources it holds."""

    sources: dict[str, list[Source]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """One sentence about tensors that the graph does not read."""
        if not self.unread:
            return []
        shown = ", ".join(self.unread[:_SHOWN]) + (" …" if len(self.unread) > _SHOWN else "")
        plural = (
            "s that inference does not read are"
            if len(self.unread) > 1
            else " that inference does not read is"
        )
        return [f"{len(self.unread)} source tensor{plural} kept as unused initializers: {shown}."]


def source_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Every parameter and buffer by its state_dict name; tied ones under each of their names."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        found[name] = tensor.detach()
    for name, tensor in module.named_buffers(remove_duplicate=False):
        found[name] = tensor.detach()
    return found


def account(
    model: ir.Model, state: Mapping[str, torch.Tensor], packed: Mapping[str, list[Source]]
) -> Account:
    """Check that weights kept their bits, find renamed ones by content, add those the exporter dropped.

    `packed` says which sources are part of a larger initializer already.

    Raises:
        ConversionFailed: an initializer carries a source name with other values.
    """
    result = Account({name: list(rows) for name, rows in packed.items()})
    placed = {row.name for rows in packed.values() for row in rows}
    initializers = model.graph.initializers
    for name, tensor in state.items():
        if name in placed or name not in initializers:
            continue
        if not _same_bits(initializers[name].const_value, tensor):
            raise ConversionFailed(
                f"the exporter changed the weight {name!r}: its initializer holds other values."
            )
        placed.add(name)
    missing = {name: tensor for name, tensor in state.items() if name not in placed}
    _adopt(model, missing, state, result)
    for name in missing:
        _register(model, name, missing)
        result.unread.append(name)
    return result


def _adopt(
    model: ir.Model,
    missing: dict[str, torch.Tensor],
    state: Mapping[str, torch.Tensor],
    result: Account,
) -> None:
    """Tie missing source names to initializers that hold exactly their tensor; they leave `missing`."""
    for name, tensor in list(missing.items()):
        for held in model.graph.initializers:
            if held in state and _tied(state[held], tensor):
                result.sources.setdefault(held, [Source(held)]).append(Source(name))
                del missing[name]
                break


def adopt_constants(model: ir.Model, state: Mapping[str, torch.Tensor]) -> None:
    """Give constants that are bit-equal to a source tensor its name, also inside `If` and `Loop` bodies.

    Exporters bake some weights into anonymous constants; as named initializers they stay themselves.
    """
    wanted: dict[tuple[int, ...], list[str]] = {}
    for name, tensor in state.items():
        if name not in model.graph.initializers and tensor.nbytes > _TELLING_BYTES:
            wanted.setdefault(tuple(tensor.shape), []).append(name)
    for node in list(model.graph.all_nodes()):
        if node.op_type != "Constant" or "value" not in node.attributes:
            continue
        constant = node.attributes["value"].as_tensor()
        for name in wanted.get(tuple(constant.shape.numpy()), []):
            if _same_bits(constant, state[name]):
                held = model.graph.initializers.get(name)
                ir.convenience.replace_all_uses_with(node.outputs[0], held or _register(model, name, state))
                break
    for value in list(model.graph.initializers.values()):
        if value.name in state or value.const_value is None:
            continue
        for name in wanted.get(tuple(value.const_value.shape.numpy()), []):
            if name not in model.graph.initializers and _same_bits(value.const_value, state[name]):
                ir.convenience.replace_all_uses_with(value, _register(model, name, state))
                break


def _register(model: ir.Model, name: str, state: Mapping[str, torch.Tensor]) -> ir.Value:
    tensor = TorchTensor(state[name].contiguous(), name=name)
    value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=tensor.shape, const_value=tensor)
    model.graph.register_initializer(value)
    return value


def _tied(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two names mean one tensor."""
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride() and a.numel() > 0


_TELLING_BYTES = 8
"""Equal content of fewer bytes (a counter, a flag) says nothing about where a tensor came from."""


def _same_bits(stored: ir.TensorProtocol | None, tensor: torch.Tensor) -> bool:
    """Whether an initializer holds a tensor bit for bit; large ones are not copied to find out."""
    if stored is None or tuple(stored.shape.numpy()) != tuple(tensor.shape):
        return False
    held = getattr(stored, "raw", None)
    if isinstance(held, torch.Tensor) and held.dtype == tensor.dtype and _tied(held, tensor):
        return True
    source = TorchTensor(tensor.contiguous())
    if stored.dtype != source.dtype:
        return False
    a = np.frombuffer(stored.tobytes(), np.uint8)
    return bool(np.array_equal(a, np.frombuffer(source.tobytes(), np.uint8)))
