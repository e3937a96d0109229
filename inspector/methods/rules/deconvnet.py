"""Which pattern in the input does the score project back to? The deconvolutional net."""

from __future__ import annotations

from typing import Literal

from inspector.autograd.overrides import deconvolution, rectifier_overrides
from inspector.errors import UnknownName
from inspector.methods.axes import axes_of
from inspector.methods.registry import Map, method
from inspector.methods.rules.guided_backprop import notes_on
from inspector.methods.rules.unpooling import overwriting_pools
from inspector.methods.subject import Subject

__all__ = ["deconvnet"]

OVERLAPS = ("sum", "overwrite")


@method(
    "deconvnet",
    family="rules",
    paper="arXiv:1311.2901",
    unit="score per unit of input",
    needs=("gradient",),
    cost="1 backward",
)
def deconvnet(subject: Subject, *, overlaps: Literal["sum", "overwrite"] = "sum") -> Map:
    """The score sent back through transposed filters, rectified at every rectifier (Zeiler and Fergus, 2.1).

    Max pooling goes back to its switches. Where overlapping windows share one, `overlaps` sums them, as a
    gradient does, or lets the later window overwrite the earlier, as unpooling by index does.
    """
    if overlaps not in OVERLAPS:
        raise UnknownName.among("treatment of overlaps", overlaps, OVERLAPS)
    rules = rectifier_overrides(subject.net, deconvolution)
    pools = overwriting_pools(subject.net) if overlaps == "overwrite" else {}
    return Map(subject.gradient(overrides=rules | pools), axes_of(subject.x), notes=notes_on(subject, rules))
