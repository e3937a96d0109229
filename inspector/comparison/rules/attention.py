"""Where does attention scale its scores? Factors on queries, keys or scores become one attribute."""

from __future__ import annotations

from inspector.comparison.draft import Draft, Operand, Step

__all__ = ["join_factors"]


def join_factors(draft: Draft) -> None:
    """Move scalar factors before and behind a product of two computed matrices into its `factor`."""
    producers, consumers = draft.producers(), draft.consumers()
    gone: set[int] = set()
    for step in draft.steps:
        if step.op != "MatMul" or any(slot.value in draft.constants for slot in step.slots):
            continue
        factor = float(step.attributes.get("factor", 1.0))
        for position in range(len(step.slots)):
            while (found := _before(draft, step, position, producers, consumers)) is not None:
                maker, number, slot = found
                factor *= number
                step.slots[position] = slot
                step.origins = [*maker.origins, *step.origins]
                gone.add(id(maker))
        while (user := draft.sole_user(step.outputs[0], consumers)) is not None:
            number = _factor(draft, user, step.outputs[0])
            if number is None:
                break
            factor *= number
            draft.absorb(step, user, consumers)
            gone.add(id(user))
        step.attributes = {} if abs(factor - 1) < 1e-4 else {"factor": float(f"{factor:.3g}")}
    draft.keep(gone, "scalar factors joined with matrix products")


def _before(
    draft: Draft, step: Step, position: int, producers: dict[str, Step], consumers: dict[str, list[Step]]
) -> tuple[Step, float, Operand] | None:
    slot = step.slots[position]
    maker = producers.get(slot.value)
    if maker is None or draft.sole_user(slot.value, consumers) is not step or len(maker.slots) != 2:
        return None
    for inner in maker.slots:
        number = _factor(draft, maker, inner.value)
        if number is not None and inner.value not in draft.constants:
            return maker, number, Operand(inner.value, (*inner.notes, *slot.notes))
    return None


def _factor(draft: Draft, step: Step, value: str) -> float | None:
    found = draft.beside(step, value) if step.op in ("Mul", "Div") else None
    if found is None or (step.op == "Div" and not (found[1] and found[0])):
        return None
    return found[0] if step.op == "Mul" else 1 / found[0]
