"""Which function translates which Keras class? Filled by the family modules when they are imported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from converters.keras_translation.call import Call

__all__ = ["Layer", "State", "find_layer", "find_operation", "layer", "layers", "operation", "operations"]

State = Literal["translated", "identity", "opaque", "base"]
"""`identity` does nothing at inference, `opaque` has no translation, `base` is no layer of its own."""

Translate = Callable[[Call], Any]


@dataclass(frozen=True)
class Layer:
    """A registry row: how one class is translated."""

    name: str
    translate: Translate | None
    state: State
    masks: bool
    about: str
    module: str


_LAYERS: dict[str, Layer] = {}
_OPERATIONS: dict[str, Callable[..., Any]] = {}
_SKIP = frozenset({"registry", "coverage"})


def layer(
    *names: str, masks: bool = False, state: State = "translated", about: str = ""
) -> Callable[[Translate], Translate]:
    """Register the translator of Keras classes; `masks` says that the input's mask goes on to the output."""

    def register(translate: Translate) -> Translate:
        for name in names:
            _add(Layer(name, translate, state, masks, about, translate.__module__))
        return translate

    return register


def opaque(reason: str, *names: str) -> None:
    """Register classes that have no translation, and why."""
    for name in names:
        _add(Layer(name, None, "opaque", False, reason, __name__))


def base(reason: str, *names: str) -> None:
    """Register exported classes that are no layers of their own."""
    for name in names:
        _add(Layer(name, None, "base", False, reason, __name__))


def _add(row: Layer) -> None:
    if row.name in _LAYERS:
        raise ValueError(
            f"layer {row.name!r} is registered twice: {_LAYERS[row.name].module} and {row.module}"
        )
    _LAYERS[row.name] = row


def operation(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the translator of `keras.ops` classes or Keras 2 function names: `(call, *args, **kwargs)`."""

    def register(translate: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            if name in _OPERATIONS:
                raise ValueError(f"operation {name!r} is registered twice")
            _OPERATIONS[name] = translate
        return translate

    return register


@cache
def _load() -> None:
    """Import every family once."""
    folder = importlib.import_module("converters.keras_layers").__path__
    for module in pkgutil.iter_modules(folder):
        if module.name not in _SKIP:
            importlib.import_module(f"converters.keras_layers.{module.name}")


def layers() -> Mapping[str, Layer]:
    """Every registered class."""
    _load()
    return dict(_LAYERS)


def operations() -> Mapping[str, Callable[..., Any]]:
    """Every registered operation."""
    _load()
    return dict(_OPERATIONS)


def find_layer(name: str) -> Layer | None:
    """The row of a class, or None."""
    _load()
    return _LAYERS.get(name)


def find_operation(name: str) -> Callable[..., Any] | None:
    """The translator of an operation, or None."""
    _load()
    return _OPERATIONS.get(name)
