"""Which groups of small operators are one activation? SiLU and hard swish."""

from __future__ import annotations

from inspector.comparison.draft import Draft, Step

__all__ = ["join_gated"]

_GATES = {"Sigmoid": "Silu", "HardSigmoid": "HardSwish"}


def join_gated(draft: Draft) -> None:
    """Join x · sigmoid(x) to SiLU and x · hard_sigmoid(x) to hard swish."""
    producers, consumers = draft.producers(), draft.consumers()
    gone: set[int] = set()
    for step in draft.steps:
        gate = _gate(draft, step, producers, consumers)
        if gate is not None:
            step.op, step.attributes = _GATES[gate.op], {}
            step.slots = gate.slots
            step.origins = [*gate.origins, *step.origins]
            gone.add(id(gate))
    draft.keep(gone, "gates joined with their product")


def _gate(
    draft: Draft, step: Step, producers: dict[str, Step], consumers: dict[str, list[Step]]
) -> Step | None:
    if step.op != "Mul" or len(step.slots) != 2:
        return None
    for here, there in ((0, 1), (1, 0)):
        gate = producers.get(step.slots[here].value)
        if gate is None or gate.op not in _GATES or not gate.slots:
            continue
        alone = draft.sole_user(gate.outputs[0], consumers) is step
        if alone and gate.slots[0].value == step.slots[there].value:
            return gate
    return None
