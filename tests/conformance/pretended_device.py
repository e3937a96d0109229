"""A device whose memory the host cannot see, without a GPU: every read of a value of it is an error.

torch's private backend is set up in Python; what lies on it lives in the CPU's memory, wrapped. Inside
`pretending()` two things raise: the host reads a value (`Waited`: on a GPU it would wait for it), and an
operation gets tensors of both places (a number of the CPU beside them is allowed, as torch allows it).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from inspector.autograd.narrow import Narrow

__all__ = ["DEVICE", "Waited", "back", "pretending", "there"]

NAME = "pretended"
READS = frozenset({"_local_scalar_dense", "equal", "is_nonzero", "item"})
SHAPED_BY_DATA = frozenset({"nonzero", "masked_select", "_unique2", "unique_dim", "repeat_interleave"})
INDEXED = frozenset({"index", "index_put", "index_put_", "_index_put_impl_"})
COPIES = frozenset({"_to_copy", "copy_"})


class Waited(RuntimeError):
    """The host read what lies on the device."""


class OnDevice(Tensor):
    """A tensor that says it lies on the device; `held` is its memory."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        made = Tensor._make_wrapper_subclass(
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, device=DEVICE
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, strict=False)


class Pretending(TorchDispatchMode):
    """Sees every operation, also what makes a tensor on the device from nothing."""

    def __init__(self, strict: bool) -> None:
        super().__init__()
        self.strict = strict

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self.strict)


def _run(func: Any, args: Any, kwargs: dict[str, Any], strict: bool) -> Any:
    name = func.name().removeprefix("aten::").split(".")[0]
    tensors = [value for value in pytree.tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
    held = [value for value in tensors if isinstance(value, OnDevice)]
    wanted = kwargs.get("device")
    lands = bool(held) if wanted is None else torch.device(wanted).type == NAME
    if name == "copy_":
        lands = isinstance(args[0], OnDevice)
    if held and strict:
        _refuse_reads(name, args, lands)
    if held and name not in COPIES | INDEXED and any(v.ndim for v in tensors if not isinstance(v, OnDevice)):
        raise RuntimeError(f"{name} has tensors on two devices")
    plain, named = pytree.tree_map_only(OnDevice, lambda value: value.held, (args, kwargs))
    result = func(*plain, **({**named, "device": torch.device("cpu")} if "device" in named else named))
    own = {id(value.held): value for value in held}  # what is written in place is the tensor that was given
    return (
        pytree.tree_map_only(Tensor, lambda v: own[id(v)] if id(v) in own else OnDevice(v), result)
        if lands
        else result
    )


def _refuse_reads(name: str, args: Any, lands: bool) -> None:
    if name in READS | SHAPED_BY_DATA:
        raise Waited(f"{name} reads a value of the device")
    if name in COPIES and not lands:
        raise Waited("a value of the device is copied to the host")
    places = pytree.tree_leaves(args[1]) if name in INDEXED else []
    if any(isinstance(v, OnDevice) and v.dtype in (torch.bool, torch.uint8) for v in places):
        raise Waited("a mask on the device picks elements")


@contextmanager
def pretending(*, strict: bool = True) -> Generator[None]:
    """The device is there; `strict` refuses to give its values to the host."""
    with Pretending(strict):
        yield


def there(value: Any) -> Any:
    """A value of the engine on the device."""
    if isinstance(value, list):
        return [there(item) for item in value]
    if isinstance(value, Narrow):
        return value.with_storage(there(value.storage))
    return OnDevice(value.detach()) if isinstance(value, Tensor) else value


def back(value: Any) -> Any:
    """A value of the engine on the CPU again."""
    if isinstance(value, (list, tuple)):
        return [back(item) for item in value]
    if isinstance(value, Narrow):
        return value.with_storage(back(value.storage))
    value = value.detach() if isinstance(value, Tensor) else value
    return value.held if isinstance(value, OnDevice) else value


_setup_privateuseone_for_python_backend(NAME)
DEVICE = torch.device(f"{NAME}:0")
