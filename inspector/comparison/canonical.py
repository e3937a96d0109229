"""What is left of a model when framework habits are removed? Its canonical view, for comparison only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.comparison.alignment import Atom, CanonicalGraph, Edge
from inspector.comparison.collecting import collector_paused
from inspector.comparison.draft import Draft, Step, draft_of
from inspector.comparison.layout import push_layout
from inspector.comparison.rules.activations import join_gated, join_gelu, settle_clips
from inspector.comparison.rules.affine import fold_affine, gather_rest, gather_weights
from inspector.comparison.rules.attention import join_factors
from inspector.comparison.rules.attention_calls import expand_attention
from inspector.comparison.rules.bare import draft_of_weights
from inspector.comparison.rules.calls import describe_bodies, inline_functions
from inspector.comparison.rules.constants import fold_constants
from inspector.comparison.rules.duplicates import merge_duplicates
from inspector.comparison.rules.fused import expand_fused
from inspector.comparison.rules.integers import write_out_integers
from inspector.comparison.rules.names import settle_names
from inspector.comparison.rules.norms import gather_norms, join_norms
from inspector.comparison.rules.padding import merge_pads
from inspector.comparison.rules.parts import settle_parts
from inspector.comparison.rules.quantised import drop_quantisation
from inspector.comparison.rules.transparent import drop_transparent

if TYPE_CHECKING:
    from inspector.model.model import Model

__all__ = ["canonical", "drafted"]

RULES = (
    inline_functions,
    describe_bodies,
    fold_constants,
    write_out_integers,
    drop_quantisation,
    expand_fused,
    expand_attention,
    drop_transparent,
    fold_constants,
    merge_duplicates,
    join_norms,
    settle_clips,
    join_gelu,
    merge_pads,
    settle_parts,
    join_factors,
    gather_weights,
    fold_affine,
    gather_norms,
    join_gated,
    push_layout,
    settle_names,
    merge_duplicates,
    gather_rest,
)
"""In this order: each rule sees what the ones before it left."""


def drafted(model: Model) -> Draft:
    """The rewritten steps of a model, with the canonical values of their weights."""
    draft = draft_of(model)
    if not draft.steps:
        draft_of_weights(draft)
        return draft
    for rule in RULES:
        rule(draft)
    _drop_dead(draft)
    return draft


def canonical(model: Model) -> CanonicalGraph:
    """The canonical view; it need not be executable and is never shown as the model."""
    with collector_paused():
        return graph_of(drafted(model))


def graph_of(draft: Draft) -> CanonicalGraph:
    """Freeze a finished draft."""
    producers = draft.producers()
    edges: list[Edge] = []
    for step in draft.steps:
        computed = [s for s in step.slots if s.value and s.value not in draft.constants]
        for position, slot in enumerate(computed):
            source = producers.get(slot.value)
            edges.append(Edge(source.key if source else slot.value, step.key, position, slot.notes))
    atoms = {step.key: _atom(step) for step in draft.steps}
    notes = tuple(f"{count} {reason}" for reason, count in draft.counts.items())
    arrays = {step.key: dict(step.arrays) for step in draft.steps if step.arrays}
    return CanonicalGraph(draft.model, atoms, tuple(edges), notes, arrays)


def _atom(step: Step) -> Atom:
    layout = tuple(note for slot in step.slots for note in slot.notes)
    kernel = "×".join(map(str, step.arrays["weight"].shape)) if "weight" in step.arrays else ""
    label = f"{step.op} {kernel}".strip()
    return Atom(
        step.key,
        step.op,
        label,
        tuple(step.origins),
        dict(step.weights),
        step.value,
        layout,
        step.scope,
        dict(step.attributes),
    )


def _drop_dead(draft: Draft) -> None:
    needed, gone = set(draft.outputs), set[int]()
    for step in reversed(draft.steps):
        if needed.isdisjoint(step.outputs):
            gone.add(id(step))
        else:
            needed.update(slot.value for slot in step.slots)
    draft.keep(gone, "unused nodes ignored")
