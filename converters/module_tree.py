"""Which modules make a pickled or scripted network? Classes, hyper-parameters and tensors, no code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from converters.errors import BadFile
from converters.lazy_tensor import Composite, LazyTensor
from converters.pickle_machine import Global
from converters.stub_unpickler import Stub
from converters.weight_graph import NamedTensor

__all__ = ["Module", "find_modules", "module_of", "rebuild_plan"]

MAX_MODULES = 100_000
MAX_DEPTH = 100
_MANGLED = re.compile(r"\.___torch_mangle_\d+")
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Module:
    """One module: path in the source (`features.3`), class, plain attributes, own tensors, children."""

    path: str
    cls: str
    config: Mapping[str, Any]
    tensors: Mapping[str, LazyTensor]
    children: tuple[Module, ...]
    source: Stub
    hooked: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def walk(self) -> Iterator[Module]:
        """This module and all below it, in order of registration."""
        yield self
        for child in self.children:
            yield from child.walk()

    def named_tensors(self) -> Iterator[NamedTensor]:
        """Every tensor under its state_dict name."""
        for module in self.walk():
            for name, tensor in module.tensors.items():
                yield (f"{module.path}.{name}" if module.path else name), tensor


def is_module(value: object) -> bool:
    """Whether a stub stands for an `nn.Module`."""
    return isinstance(value, Stub) and "_modules" in value.attributes and "_parameters" in value.attributes


def find_modules(value: object) -> list[Stub]:
    """The outermost modules of a file: the object itself, or values of a checkpoint's dictionary."""
    if isinstance(value, Stub):
        return [value] if is_module(value) else []
    found = [item for item in value.values() if isinstance(item, Stub)] if isinstance(value, dict) else []
    return [item for item in found if is_module(item)]


def module_of(stub: Stub) -> Module:
    """The tree below a module.

    Raises:
        BadFile: the tree has no end, or more modules than any network.
    """
    return _Builder().build(stub, "", 0)


class _Builder:
    def __init__(self) -> None:
        self.count = 0

    def build(self, stub: Stub, path: str, depth: int) -> Module:
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_MODULES:
            raise BadFile(
                f"the module tree is deeper than {MAX_DEPTH} or has more than {MAX_MODULES:,} modules"
            )
        attributes = stub.attributes
        eager = is_module(stub)
        held = {k: v for key in _HELD for k, v in _dict(attributes.get(key)).items()} if eager else attributes
        tensors: dict[str, LazyTensor] = {}
        for name, value in held.items():
            tensors.update(_tensors(str(name), value))
        inner = _dict(attributes.get("_modules")) if eager else attributes
        children = tuple(
            self.build(child, f"{path}.{name}" if path else str(name), depth + 1)
            for name, child in inner.items()
            if isinstance(child, Stub) and (eager or child.path.startswith("__torch__."))
        )
        config = {str(k): v for k, v in attributes.items() if _is_setting(k, v)}
        hooked = any(_dict(v) for k, v in attributes.items() if isinstance(k, str) and k.endswith("_hooks"))
        cls = _MANGLED.sub("", stub.path.removeprefix("__torch__."))
        return Module(path, cls, config, tensors, children, stub, hooked or "forward" in attributes)


_HELD = ("_parameters", "_buffers")


def _dict(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _tensors(name: str, value: object) -> Iterator[NamedTensor]:
    if isinstance(value, LazyTensor):
        if value.storage is not None:
            yield name, value
    elif isinstance(value, Composite):
        for part, inner in value.parts.items():
            yield from _tensors(f"{name}.{part}", inner)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, LazyTensor) for item in value):
        for index, item in enumerate(value):
            yield from _tensors(f"{name}.{index}", item)


def _is_setting(key: object, value: object) -> bool:
    if not isinstance(key, str) or key.startswith("_") or key in ("training", "T_destination"):
        return False
    if isinstance(value, (tuple, list)):
        return len(value) <= 16 and all(isinstance(item, _PLAIN) for item in value)
    return isinstance(value, _PLAIN)


_STOCK = frozenset(
    f"torch.nn.modules.{name}"
    for name in (
        "activation", "adaptive", "batchnorm", "channelshuffle", "conv", "distance", "dropout",
        "flatten", "fold", "instancenorm", "linear", "normalization", "padding", "pixelshuffle",
        "pooling", "rnn", "sparse", "transformer", "upsampling",
    )
)  # fmt: skip
_SEQUENTIAL = "torch.nn.modules.container.Sequential"
_INSIDE_STOCK = frozenset((_SEQUENTIAL, "torch.nn.modules.container.ModuleList"))
"""Containers; a list of modules has no forward of its own, so only stock code may hold one."""

_MACHINERY = frozenset(("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"))


def rebuild_plan(module: Module, inside_stock: bool = False) -> dict[str, Any] | str:
    """How to make the module again from stock `torch.nn` classes, as JSON; a reason if that cannot be.

    The form is the one that `converters.pytorch.rebuild` reads.
    """
    where = module.path or "the module"
    stock = module.cls.rpartition(".")[0] in _STOCK
    if module.hooked:
        return f"{where} has hooks or a forward of its own"
    if not (stock or module.cls == _SEQUENTIAL or (inside_stock and module.cls in _INSIDE_STOCK)):
        return f"{where} is a {module.cls}, whose forward is code"
    prefix = f"{module.path}." if module.path else ""
    children: dict[str, Any] = {}
    for child in module.children:
        plan = rebuild_plan(child, inside_stock=stock or inside_stock)
        if isinstance(plan, str):
            return plan
        children[child.name] = plan
    attributes = module.source.attributes
    holders = [_dict(attributes.get(key)) for key in _HELD]
    parameters, buffers = ({k: prefix + k if k in module.tensors else None for k in held} for held in holders)
    absent = {str(k): None for k, v in _dict(attributes.get("_modules")).items() if v is None}
    return {
        "class": module.cls,
        "attributes": {str(k): _encoded(v) for k, v in attributes.items() if _is_state(k, v)},
        "parameters": parameters,
        "buffers": buffers,
        "children": {**children, **absent},
    }


def _is_state(key: object, value: object) -> bool:
    """Whether an attribute is part of the layer: a plain value, or one of torch's own functions."""
    if not isinstance(key, str) or key in _MACHINERY or "hook" in key:
        return False
    return _is_encodable(value, 4)


def _is_encodable(value: object, depth: int) -> bool:
    if isinstance(value, (list, tuple)):
        return depth > 0 and len(value) <= 1000 and all(_is_encodable(item, depth - 1) for item in value)
    return isinstance(value, (*_PLAIN, Global))


def _encoded(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"tuple": [_encoded(item) for item in value]}
    if isinstance(value, Global):
        return {"function": value.path}
    return [_encoded(item) for item in value] if isinstance(value, list) else value
