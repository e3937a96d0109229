"""Which measures of a map are there, and what do they need?"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from inspector.errors import UnknownName
from inspector.methods.attribution import Attribution
from inspector.methods.registry import Method
from inspector.methods.subject import Subject
from inspector.methods.target import class_scores

__all__ = [
    "Judged",
    "Measure",
    "Measurement",
    "find_measure",
    "known_measures",
    "measure",
    "over_places",
]

Places = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """A map of one input, and the means to ask the model again."""

    subject: Subject
    method: Method
    options: Mapping[str, Any]
    made: Attribution
    mask: npt.NDArray[np.bool_] | None = None

    @property
    def places(self) -> Places:
        """The map over the input's places, channels and heads summed: (h, w), (t,) or (f,)."""
        return over_places(self.made)

    def answer(self, x: Tensor) -> Tensor:
        """The target class's probability for rows of x, or the score where there is none; (n,) on the CPU."""
        target = self.subject.target
        with torch.no_grad():
            if target.expression:
                return self.subject.score(x).cpu()
            parts: list[Tensor] = []
            for part in self.subject.chunks(x):
                scores = class_scores(self.subject.forward(part, taps=[target.value])[1][target.value], "")
                parts.append(scores)
            scores = torch.cat(parts)
        summed = (scores.sum(1) - 1).abs().max() < 1e-3 and scores.min() >= 0
        shares = scores if summed or scores.shape[1] == 1 else scores.softmax(1)
        return shares[:, target.index].cpu()

    def again(self, subject: Subject) -> Places:
        """The method's raw map of another subject, first row, all axes."""
        return self.method.run(subject, **self.options).values[0].detach().cpu().double().numpy()

    def shown(self, keep: npt.NDArray[np.bool_], other: Tensor) -> Tensor:
        """The input where `keep` (k, places) is true, `other` elsewhere; (k, …)."""
        x = self.subject.x
        mask = torch.from_numpy(keep).to(x.device)
        lead = x.ndim - mask.ndim
        trailing = self.subject.is_embedding
        for _ in range(lead):
            mask = mask.unsqueeze(-1) if trailing else mask.unsqueeze(1)
        return torch.where(mask, x, other)


@dataclass(frozen=True)
class Measurement:
    """A number, the curve it comes from (x, y) and what to know about it."""

    value: float
    curve: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """A registry row; `better` says which way is good, `needs` what must be given."""

    name: str
    paper: str
    better: Literal["higher", "lower"]
    needs: tuple[str, ...]
    function: Callable[[Judged], Measurement]


_MEASURES: dict[str, Measure] = {}


def measure(
    name: str, *, paper: str, better: Literal["higher", "lower"], needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Judged], Measurement]], Callable[[Judged], Measurement]]:
    """Register `function(judged) -> Measurement` under the name users type."""

    def register(function: Callable[[Judged], Measurement]) -> Callable[[Judged], Measurement]:
        if name in _MEASURES:
            raise ValueError(f"measure {name!r} is registered twice, by {function.__module__}")
        _MEASURES[name] = Measure(name, paper, better, needs, function)
        return function

    return register


def known_measures() -> Mapping[str, Measure]:
    """Every measure by name; the modules of this package register themselves."""
    package = importlib.import_module("inspector.methods.judging")
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        importlib.import_module(f"inspector.methods.judging.{module.name}")
    return dict(_MEASURES)


def find_measure(name: str) -> Measure:
    """One measure.

    Raises:
        UnknownName: no measure has this name; near ones are listed.
    """
    known = known_measures()
    if name not in known:
        raise UnknownName.among("measure", name, known)
    return known[name]


def over_places(made: Attribution) -> Places:
    """The first row's map over places, everything else summed."""
    values = made.values[0].astype(np.float64)
    return values.sum(_others(made.axes))


def _others(axes: tuple[str, ...]) -> tuple[int, ...]:
    """Positions of the axes of a row that are no places."""
    kept = axes[1:]
    return tuple(i for i, name in enumerate(kept) if name in ("c", "e", "head") and len(kept) > 1)
