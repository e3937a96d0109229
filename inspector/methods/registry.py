"""Which attribution methods are there, where do they come from, and what do they need?"""

from __future__ import annotations

import importlib
import inspect
import numbers
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from inspector.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from torch import Tensor

    from inspector.methods.subject import Subject

__all__ = ["Map", "Method", "find_method", "known_methods", "method"]

Family = Literal["gradients", "rules", "cams", "perturbation", "attention"]
Need = Literal["gradient", "layer", "attention", "linear head"]


@dataclass(frozen=True)
class Map:
    """What a method found: signed raw values, not normalised, not clipped beyond the method's own definition.

    `values` has the shape of the attributed value, or (n, h, w) for maps of a layer, upsampled to the
    input's height and width by bilinear interpolation; `at_layer` keeps the map before upsampling.
    `residual` is the completeness or conservation error where the method promises one: the score difference
    that should have been distributed minus what was, per row. `layer` names the value a map of no input
    belongs to; `kept` is what stored values hold of what was handed back, by name, over all rows.
    """

    values: Tensor
    axes: tuple[str, ...]
    residual: Tensor | None = None
    at_layer: Tensor | None = None
    baseline: str = ""
    layer: str = ""
    kept: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A registry row; `unit` is what the numbers of its maps are."""

    name: str
    family: Family
    paper: str
    unit: str
    needs: tuple[Need, ...]
    cost: str
    function: Callable[..., Map]
    options: Mapping[str, inspect.Parameter] = field(repr=False)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]

    def run(self, subject: Subject, **options: Any) -> Map:
        """Apply the method.

        Raises:
            UnknownName: the method has no such option.
            BadInput: text where a number is wanted, and the like.
        """
        for name, value in options.items():
            if name not in self.options:
                raise UnknownName.among(f"option of {self.name}", name, self.options)
            _check_kind(name, value, self.options[name].default)
        return self.function(subject, **options)


def _check_kind(name: str, value: Any, default: Any) -> None:
    """An option is of the kind of its default: whole number, number, true or false."""
    truth = isinstance(value, bool | np.bool_)
    match default:
        case bool():
            fits, wanted = truth, "true or false"
        case int():
            fits, wanted = isinstance(value, numbers.Integral) and not truth, "a whole number"
        case float():
            fits, wanted = isinstance(value, numbers.Real) and not truth, "a number"
        case _:
            return
    if not fits:
        raise BadInput(f"option {name}: expected {wanted} such as {default}, got {value!r}.")


_METHODS: dict[str, Method] = {}
_FAMILIES: tuple[Family, ...] = ("gradients", "rules", "cams", "perturbation", "attention")


def method(
    name: str, *, family: Family, paper: str, unit: str, needs: tuple[Need, ...] = (), cost: str = ""
) -> Callable[[Callable[..., Map]], Callable[..., Map]]:
    """Register `function(subject, *, option=default, …) -> Map` under the name users type.

    `paper` is an arXiv number or a short citation; `unit` stands at the scale of its maps;
    `cost` counts passes ("1 backward", "n forwards").
    """

    def register(function: Callable[..., Map]) -> Callable[..., Map]:
        if name in _METHODS:
            raise ValueError(f"method {name!r} is registered twice, by {function.__module__}")
        parameters = list(inspect.signature(function).parameters.values())[1:]
        options = {p.name: p for p in parameters}
        _METHODS[name] = Method(name, family, paper, unit, needs, cost, function, options)
        return function

    return register


def known_methods() -> Mapping[str, Method]:
    """Every method by name; the modules of the families register themselves."""
    for family in _FAMILIES:
        package = importlib.import_module(f"inspector.methods.{family}")
        for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
            importlib.import_module(f"inspector.methods.{family}.{module.name}")
    return dict(sorted(_METHODS.items(), key=lambda item: _FAMILIES.index(item[1].family)))


def find_method(name: str) -> Method:
    """One method.

    Raises:
        UnknownName: no method has this name; near ones are listed.
    """
    known = known_methods()
    if name not in known:
        raise UnknownName.among("method", name, known, "`inspector methods` lists them all.")
    return known[name]
