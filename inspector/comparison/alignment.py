"""What is a match of two models? Canonical nodes, pairs, edits, and the calls that make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from inspector.model.model import Model

__all__ = ["Alignment", "Atom", "CanonicalGraph", "Edge", "Edit", "EditKind", "Pair", "Part"]

Array = np.ndarray[Any, np.dtype[Any]]
EditKind = Literal["insert", "remove", "attribute", "width", "operator", "weights", "layout"]


@dataclass(frozen=True)
class Part:
    """One stored weight in a canonical node.

    `key` names it in `Model.weights`; `notes` say what the comparison did to reach its canonical form.
    """

    key: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Atom:
    """One node of the canonical view.

    `origins` are the keys in `Model.nodes` it absorbed, in graph order; `value` is the original value key
    that carries its output; `weights` go by role ("weight", "bias", "scale", "shift", "constant0", ...);
    `layout` holds what was dropped between its inputs and its computation, one note each.
    """

    key: str
    op: str
    label: str
    origins: tuple[str, ...]
    weights: Mapping[str, Part]
    value: str
    layout: tuple[str, ...] = ()
    scope: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class Edge:
    """Data that flows from atom (or graph input) `source` into operand `operand` of atom `target`.

    `notes` are the layout steps dropped on the way, such as "axes 0,2,3,1" or "flatten".
    """

    source: str
    target: str
    operand: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CanonicalGraph:
    """The comparison view of one model: atoms by key in topological order, edges, and what was dropped.

    `arrays` holds the canonical values of the weights by atom key and role: dense ones as (out, in), batch
    norms folded in.
    """

    model: Model
    atoms: Mapping[str, Atom]
    edges: tuple[Edge, ...]
    notes: tuple[str, ...] = ()
    arrays: Mapping[str, Mapping[str, Array]] = field(default_factory=dict[str, Mapping[str, Array]])


@dataclass(frozen=True)
class Pair:
    """Two atoms that do the same job.

    `evidence` names the signals ("weights", "context", "neighbours", "order", "names"); `ambiguous` means
    that another copy of the block would have served as well; `confidence` lies in 0 to 1.
    """

    a: Atom
    b: Atom
    evidence: tuple[str, ...]
    confidence: float
    ambiguous: bool = False


@dataclass(frozen=True, eq=False)
class Alignment:
    """Which atoms of two models match; `similarity` is 2 x pairs with equal operator / all atoms."""

    a: CanonicalGraph
    b: CanonicalGraph
    pairs: tuple[Pair, ...]
    only_a: tuple[Atom, ...]
    only_b: tuple[Atom, ...]
    similarity: float


@dataclass(frozen=True)
class Edit:
    """One difference in words, with the atoms it touches on either side."""

    kind: EditKind
    text: str
    a_keys: tuple[str, ...]
    b_keys: tuple[str, ...]
    confidence: float
