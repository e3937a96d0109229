"""Are two models the same network, and where do they part? Structure, weights and activations together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table

from inspector import comparison
from inspector.cards import card
from inspector.comparison.activations import (
    TOLERANCE,
    ActivationChange,
    Measured,
    compare_activations,
)
from inspector.comparison.aligning import align_graphs
from inspector.comparison.alignment import Alignment, Atom, CanonicalGraph, Edit, Pair
from inspector.comparison.bodies import compare_bodies
from inspector.comparison.canonical import canonical
from inspector.comparison.causes import Cause, likely_cause
from inspector.comparison.differences import aligned
from inspector.comparison.edits import edits
from inspector.comparison.mirrored import mirrored, turned
from inspector.comparison.probing import Probe, input_links, probes
from inspector.comparison.sequence import ordered
from inspector.comparison.weight_changes import WeightChange, by_change
from inspector.comparison.weight_pairs import compare_weights, keeps_values
from inspector.errors import BadInput, Cancelled, InspectorError
from inspector.model import Model, open_model

__all__ = ["Comparison", "Divergence", "compare"]


@dataclass(frozen=True)
class Divergence:
    """The first matched pair, in graph order, whose values disagree.

    `since` are the nodes of A that feed it and still agree; `layout` what was moved on the way to it.
    """

    pair: Pair
    change: ActivationChange
    cause: Cause
    reason: str
    since: tuple[str, ...]
    layout: tuple[str, ...]

    @property
    def node(self) -> str:
        """The node of A where the values part."""
        return self.pair.a.origins[-1] if self.pair.a.origins else self.pair.a.key

    def to_dict(self) -> dict[str, Any]:
        """The divergence as JSON-able data."""
        return {
            "a": self.pair.a.key,
            "b": self.pair.b.key,
            "cause": self.cause,
            "reason": self.reason,
            "since": list(self.since),
            "layout": list(self.layout),
            "change": self.change.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two models share and where they differ.

    `node_weights` go by the key of the pair in A, `activations` in graph order (empty where none were
    compared), `outputs` are those of the whole models. `notes` say what was normalised away, and what could
    not be compared. `mirrored` says that B works on pictures with height and width exchanged: its values
    were compared with its inputs turned.
    """

    alignment: Alignment
    edits: tuple[Edit, ...]
    node_weights: Mapping[str, tuple[WeightChange, ...]]
    activations: tuple[ActivationChange, ...]
    outputs: tuple[ActivationChange, ...]
    first_divergence: Divergence | None
    samples: int
    unseen: str
    notes: tuple[str, ...]
    mirrored: bool = False

    def _repr_html_(self) -> str:
        a, b = self.alignment.a.model, self.alignment.b.model
        lines = [f"{self.verdict[0].upper()}{self.verdict[1:]}.", f"A: {a.name}, B: {b.name}"]
        lines += [*comparison.facts(self), *(f"  • {edit.text}" for edit in self.edits)]
        lines += [comparison.first_words(self)] if self.first_divergence is not None else []
        tables = [Table(*head) for head in (comparison.WEIGHT_HEAD, comparison.ACTIVATION_HEAD)]
        for table, rows in zip(
            tables, (comparison.weight_rows(self), comparison.activation_rows(self)), strict=True
        ):
            for row in rows:
                table.add_row(*row)
        notes = [f"Note: {note}" for note in self.notes]
        return card(Group(*lines, *(t for t in tables if t.row_count), *notes))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Matched nodes."""
        return self.alignment.pairs

    @property
    def only_a(self) -> tuple[Atom, ...]:
        """Nodes without partner in B."""
        return self.alignment.only_a

    @property
    def only_b(self) -> tuple[Atom, ...]:
        """Nodes without partner in A."""
        return self.alignment.only_b

    @cached_property
    def weights(self) -> tuple[WeightChange, ...]:
        """Every weight of every pair, the largest change first."""
        return tuple(by_change(change for changes in self.node_weights.values() for change in changes))

    @property
    def similarity(self) -> float:
        """2 x pairs with equal operator / all nodes, 0 to 1."""
        return self.alignment.similarity

    @property
    def bare(self) -> bool:
        """Whether a side holds weights only."""
        return not (self.alignment.a.edges and self.alignment.b.edges)

    @cached_property
    def structure_agrees(self) -> bool:
        """Whether every node has a partner with equal operator and attributes."""
        return not self.bare and not (self.edits or self.only_a or self.only_b) and bool(self.pairs)

    @cached_property
    def weights_agree(self) -> bool:
        """Whether every stored number has an equal partner, folding and layout apart."""
        lost = any(atom.weights for atom in (*self.only_a, *self.only_b))
        return not lost and all(keeps_values(change, self.bare) for change in self.weights)

    @property
    def activations_agree(self) -> bool:
        """Whether values were compared and are within their limits, without turning any input."""
        return self.values_agree and not self.mirrored

    @property
    def values_agree(self) -> bool:
        """Whether what was measured is within its limits, be the pictures of B turned or not."""
        found = (*self.activations, *self.outputs)
        return bool(self.outputs) and all(change.agrees for change in found)

    @property
    def changed(self) -> tuple[WeightChange, ...]:
        """Weights that changed in a way that no other form explains and rounding does not."""
        return tuple(
            change
            for change in self.weights
            if change.state in ("changed", "incomparable")
            and (change.difference is None or change.difference.relative > TOLERANCE)
        )

    @property
    def same(self) -> bool:
        """Whether the two are the same network: structure and activations agree, no weight was changed."""
        return self.structure_agrees and self.activations_agree and not self.unseen and not self.changed

    @property
    def verdict(self) -> str:
        """One sentence; "the same network" only where structure and activations agree."""
        return _verdict(self)


def compare(
    a: Any,
    b: Any,
    inputs: Any = None,
    *,
    random: int = 1,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    preprocess: str | None = None,
    device: str = "cpu",
) -> Comparison:
    """Match two models and compare structure, weights and activations.

    `a` and `b` are anything that can be opened. `inputs` are pictures, which each model prepares its own
    way, or arrays and files as `read_inputs` takes them for A; without them `random` samples are drawn
    (0: activations are not compared). `tolerance` is the relative L2 up to which values agree.
    """
    alignment = _aligned(canonical(open_model(a)), canonical(open_model(b)))
    weights = compare_weights(alignment)
    mirror = mirrored(alignment, (change for changes in weights.values() for change in changes))
    found_edits = (*edits(alignment, mirror), *compare_bodies(alignment))
    notes = [f"A: {note}." for note in alignment.a.notes] + [f"B: {note}." for note in alignment.b.notes]
    measured, samples = Measured((), ()), list[Probe]()
    obstacle = _obstacle(alignment.a.model, "A") or _obstacle(alignment.b.model, "B")
    if obstacle:
        notes.append(f"Activations were not compared: {obstacle}.")
    elif random or inputs is not None:
        try:
            samples = probes(alignment, inputs, count=random, seed=seed, preprocess=preprocess)
            samples = [turned(alignment, probe) for probe in samples] if mirror else samples
            measured = compare_activations(alignment, samples, tolerance=tolerance, device=device)
        except InspectorError as fact:
            if isinstance(fact, Cancelled) or (inputs is not None and isinstance(fact, BadInput)):
                raise
            notes.append(f"Activations were not compared: {str(fact).rstrip('.')}.")
            samples = []
    notes += list(dict.fromkeys(note for probe in samples for note in probe.notes))
    differ = _inputs_differ(alignment, samples[0]) if samples else ""
    divergence = _first(alignment, measured, weights, differ)
    unseen = _unseen(alignment, measured)
    return Comparison(
        alignment, found_edits, weights, measured.nodes, measured.outputs, divergence, len(samples), unseen,
        (*notes, *_output_layout(measured)), mirror,
    )  # fmt: skip


def _aligned(a: CanonicalGraph, b: CanonicalGraph) -> Alignment:
    """The match; two graphs that are equal node for node, names included, need no search."""
    twins = zip(a.atoms.values(), b.atoms.values(), strict=False)
    equal = len(a.atoms) == len(b.atoms) and a.edges == b.edges and bool(a.edges)
    if not equal or any((x.key, x.op, x.attributes) != (y.key, y.op, y.attributes) for x, y in twins):
        return align_graphs(a, b)
    pairs = tuple(Pair(a.atoms[key], b.atoms[key], ("names",), 1.0) for key in ordered(a))
    return Alignment(a, b, pairs, (), (), 1.0)


def _obstacle(model: Model, side: str) -> str:
    if model.runnable:
        return ""
    return f"{side} cannot be run, {model.obstacles[0]}" if model.obstacles else f"{side} cannot be run"


def _first(
    alignment: Alignment, measured: Measured, weights: Mapping[str, tuple[WeightChange, ...]], differ: str
) -> Divergence | None:
    by_value = {change.a: change for change in measured.nodes}
    agreeing: set[str] = set()
    for pair in alignment.pairs:
        change = by_value.get(pair.a.value)
        if change is None or change.agrees:
            agreeing.add(pair.a.key)
            continue
        above = [edge for edge in alignment.a.edges if edge.target == pair.a.key]
        since = tuple(edge.source for edge in above if edge.source in agreeing)
        layout = tuple(note for edge in above for note in edge.notes)
        layout += tuple(n for e in alignment.b.edges if e.target == pair.b.key for n in e.notes)
        fed = any(edge.source not in alignment.a.atoms for edge in above)
        own = tuple(c for c in weights.get(pair.a.key, ()) if not keeps_values(c, False))
        cause, reason = likely_cause(alignment, pair, own, differ if fed else "")
        if cause == "unknown" and _is_coarse(weights):
            cause, reason = "precision", "one side computes in fewer bits"
        return Divergence(pair, change, cause, reason, since, layout)
    return None


def _is_coarse(weights: Mapping[str, tuple[WeightChange, ...]]) -> bool:
    return any(change.state in ("quantised", "rounded") for found in weights.values() for change in found)


def _inputs_differ(alignment: Alignment, probe: Probe) -> str:
    """How what the two models were fed differs, once the layouts are taken out."""
    for link in input_links(alignment):
        one, other = probe.a.get(link.a), probe.b.get(link.b)
        if one is None or other is None or one.dtype.kind != "f" or other.dtype.kind != "f":
            continue
        found = aligned(one, other, TOLERANCE)
        if found is None:
            return f"A is fed {list(one.shape)}, B {list(other.shape)}"
        if found[0].relative > TOLERANCE:
            return _prepared_otherwise(one.transpose(found[1]) if one.ndim == other.ndim else one, other)
    return ""


def _prepared_otherwise(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> str:
    for axis in range(1, one.ndim):
        if one.shape == other.shape and one.shape[axis] == 3:
            flipped = aligned(np.flip(one, axis), other, TOLERANCE)
            if flipped is not None and flipped[0].relative <= TOLERANCE:
                return "the inputs are prepared as RGB on one side and BGR on the other"
    ranges = [f"{float(array.min()):.3g} … {float(array.max()):.3g}" for array in (one, other)]
    return f"the inputs are prepared differently: {ranges[0]} in A, {ranges[1]} in B"


def _unseen(alignment: Alignment, measured: Measured) -> str:
    if alignment.a.edges and alignment.b.edges and measured.outputs and not measured.nodes:
        return "no inner value could be compared"
    return ""


def _output_layout(measured: Measured) -> list[str]:
    return [
        f"Output {c.b!r} of B holds the numbers of A's {c.a!r} with axes {','.join(map(str, c.order))}."
        for c in measured.outputs
        if c.agrees and c.order != tuple(range(len(c.order)))
    ]


_FORMS = {"quantised": "quantised", "rounded": "in half precision"}


def _coarser(found: Comparison) -> str:
    """How one of two equal structures stores the other's weights in fewer bits, or ""."""
    states = {change.state for change in found.weights}
    told = [words for state, words in _FORMS.items() if state in states]
    kept = states <= {"equal", "folded", *_FORMS}
    return " and ".join(told) if found.structure_agrees and not found.mirrored and kept else ""


def _loudest(found: Comparison) -> str:
    """How far the outputs are apart."""
    snr = [change.difference.snr for change in found.outputs if change.difference is not None]
    return f"; outputs agree to {min(snr):.0f} dB" if snr else "; activations were not compared"


def _verdict(found: Comparison) -> str:
    if found.bare:
        state = "the same weights" if found.weights_agree else "not the same weights"
        return f"{state}; a file holds weights only, so structure and activations were not compared"
    if found.same:
        how = "" if found.weights_agree else ", weights differ in form only"
        return f"the same network: structure and activations agree{how}"
    if found.mirrored and found.structure_agrees and found.values_agree:
        return (
            "the same network for turned pictures: structure agrees, and activations do once height and "
            "width of B's input are exchanged"
        )
    coarse = _coarser(found)
    if coarse:
        return f"the same structure, {coarse}: weights agree but for rounding{_loudest(found)}"
    weights = "equal weights" if found.weights_agree else "other weights"
    if found.structure_agrees:
        if not found.outputs:
            return f"the same structure with {weights}; activations were not compared"
        if found.activations_agree:
            return f"the same structure with {weights}; activations agree within the tolerance all the same"
        if all(change.agrees for change in found.outputs):
            return f"the same structure with {weights}; the outputs agree, inner values do not"
        return f"the same structure with {weights}; activations differ"
    if not found.pairs:
        return "different networks: no node has a partner"
    agree = "; the outputs agree" if found.outputs and all(c.agrees for c in found.outputs) else ""
    count = len(found.edits)
    edited = f"{count} difference{'s' * (count != 1)} in structure" if count else "nodes differ"
    return f"not the same network: {edited}, {found.similarity:.0%} of the nodes match{agree}"
