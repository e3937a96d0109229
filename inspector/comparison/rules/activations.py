"""Which groups of small operators are one activation? SiLU, GELU, hard swish, and clips by their bounds."""

from __future__ import annotations

import math

from inspector.comparison.draft import Draft, Step

__all__ = ["join_gated", "join_gelu", "settle_clips"]

_GATES = {"Sigmoid": "Silu", "HardSigmoid": "HardSwish", "QuickSigmoid": "QuickGelu"}
Steps = dict[str, Step]


def settle_clips(draft: Draft) -> None:
    """Bounds become attributes; a clip at zero alone is a ReLU; clip(x + 3, 0, 6) / 6 is a hard sigmoid."""
    producers, consumers = draft.producers(), draft.consumers()
    gone: set[int] = set()
    for step in draft.steps:
        if step.op == "Clip":
            _bounds(draft, step)
        elif step.op == "Sigmoid":
            inner = producers.get(step.slots[0].value)
            scale = None if inner is None or inner.op != "Mul" else draft.beside(inner, inner.slots[0].value)
            if inner is not None and scale is not None and math.isclose(scale[0], 1.702, abs_tol=1e-3):
                step.op, step.attributes, step.slots = "QuickSigmoid", {"factor": 1.702}, inner.slots[:1]
                step.origins = [*inner.origins, *step.origins]
                gone.add(id(inner))
        elif step.op in ("Div", "Mul"):
            gone |= _hard_sigmoid(draft, step, producers, consumers)
        elif step.op == "HardSigmoid":
            given = step.attributes
            step.attributes = {
                "alpha": float(f"{given.get('alpha', 0.2):.4g}"),
                "beta": float(f"{given.get('beta', 0.5):.4g}"),
            }
    draft.keep(gone, "parts of activations joined")


def _bounds(draft: Draft, step: Step) -> None:
    low = step.attributes.get("min", draft.scalar(step, 1))
    high = step.attributes.get("max", draft.scalar(step, 2))
    step.slots = step.slots[:1]
    low = None if low is None or low < -1e30 else float(low)
    high = None if high is None or high > 1e30 else float(high)
    step.op = "Relu" if low == 0 and high is None else "Clip"
    step.attributes = {} if step.op == "Relu" else {"min": low, "max": high}


def _hard_sigmoid(draft: Draft, step: Step, producers: Steps, consumers: dict[str, list[Step]]) -> set[int]:
    clip = next((p for s in step.slots if (p := producers.get(s.value)) and p.op == "Clip"), None)
    if clip is None or not clip.slots or draft.sole_user(clip.outputs[0], consumers) is not step:
        return set()
    number = draft.beside(step, clip.outputs[0])
    factor = None if number is None else number[0] if step.op == "Mul" else 1 / number[0]
    shift = producers.get(clip.slots[0].value)
    added = None if shift is None or shift.op != "Add" else _added(draft, shift)
    if factor is None or shift is None or added is None or not math.isclose(factor, 1 / 6, rel_tol=1e-3):
        return set()
    _bounds(draft, clip)
    if clip.attributes != {"min": 0.0, "max": 6.0} or added[0] != 3:
        return set()
    step.op, step.attributes = "HardSigmoid", {"alpha": 0.1667, "beta": 0.5}
    step.slots = [shift.slots[added[1]]]
    step.origins = [*shift.origins, *clip.origins, *step.origins]
    return {id(clip), id(shift)}


def _added(draft: Draft, step: Step) -> tuple[float, int] | None:
    """The constant of a sum and the position of the other operand."""
    for at in (0, 1):
        number = draft.scalar(step, 1 - at)
        if number is not None and draft.constant(step, at) is None:
            return number, at
    return None


def join_gated(draft: Draft) -> None:
    """Join x · sigmoid(x) to SiLU and x · hard_sigmoid(x) to hard swish."""
    producers, consumers = draft.producers(), draft.consumers()
    gone: set[int] = set()
    for step in draft.steps:
        gate = _gate(draft, step, producers, consumers)
        if gate is not None:
            step.op, step.attributes = _GATES[gate.op], dict(gate.attributes) if "Quick" in gate.op else {}
            step.slots = gate.slots
            step.origins = [*gate.origins, *step.origins]
            gone.add(id(gate))
    draft.keep(gone, "gates joined with their product")


def _gate(draft: Draft, step: Step, producers: Steps, consumers: dict[str, list[Step]]) -> Step | None:
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


def join_gelu(draft: Draft) -> None:
    """Join x · (1 + erf(x / √2)) / 2, and its form with tanh, in any order of the products."""
    producers, consumers = draft.producers(), draft.consumers()
    gone: set[int] = set()
    for curve in draft.steps:
        if curve.op not in ("Erf", "Tanh") or id(curve) in gone:
            continue
        plus = draft.sole_user(curve.outputs[0], consumers)
        if plus is None or plus.op != "Add" or draft.beside(plus, curve.outputs[0]) not in _ONE:
            continue
        found = _argument(draft, curve, producers)
        if found is None:
            continue
        source, inner = found
        parts = _products(draft, plus, source, (producers, consumers))
        if parts:
            last = parts[-1]
            approximate = "tanh" if curve.op == "Tanh" else "none"
            last.op, last.attributes = "Gelu", {"approximate": approximate}
            last.slots = [next(s for p in inner for s in p.slots if s.value == source)]
            last.proto = None
            last.origins = [o for p in (*inner, curve, plus, *parts) for o in p.origins]
            gone |= {id(p) for p in (*inner, curve, plus, *parts[:-1])}
    draft.keep(gone, "parts of GELU joined")


_ONE = ((1.0, True), (1.0, False))


def _argument(draft: Draft, curve: Step, producers: Steps) -> tuple[str, list[Step]] | None:
    """The value a curve is taken of, behind factors, and for tanh behind x + 0.0447 x³; steps on the way."""
    inner: dict[int, Step] = {}
    ends: dict[str, None] = {}
    waiting = [curve.slots[0].value]
    while waiting:
        value = waiting.pop()
        step = producers.get(value)
        limit = 8 if curve.op == "Tanh" else 1
        cubic = curve.op == "Tanh" and step is not None and step.op in ("Mul", "Add", "Pow", "Div")
        factor = step is not None and step.op in ("Mul", "Div") and _times(draft, step)
        if step is None or len(inner) >= limit or not (factor or cubic) or value in ends:
            ends[value] = None
        else:
            inner[id(step)] = step
            waiting += [slot.value for slot in step.slots if slot.value not in draft.constants]
    return (next(iter(ends)), list(inner.values())) if len(ends) == 1 and inner else None


def _times(draft: Draft, step: Step) -> bool:
    """Whether a step multiplies with, or divides by, one number."""
    return any(draft.beside(step, slot.value) is not None for slot in step.slots)


def _products(
    draft: Draft, plus: Step, source: str, around: tuple[Steps, dict[str, list[Step]]]
) -> list[Step]:
    """Products behind 1 + erf that multiply with x and with one half, each once."""
    producers, consumers = around
    parts: list[Step] = []
    factor, times, value = 1.0, 0, plus.outputs[0]
    while not (math.isclose(factor, 0.5, rel_tol=1e-4) and times == 1):
        user = draft.sole_user(value, consumers)
        if user is None or user.op not in ("Mul", "Div") or len(user.slots) != 2 or len(parts) > 2:
            return []
        number = draft.beside(user, value)
        other = user.slots[1 if user.slots[0].value == value else 0].value
        half = producers.get(other)
        if number is not None:
            factor *= number[0] if user.op == "Mul" else 1 / number[0]
        elif other == source:
            times += 1
        elif half is not None and half.op in ("Mul", "Div") and (inner := draft.beside(half, source)):
            factor *= inner[0] if half.op == "Mul" else 1 / inner[0]
            times += 1
            parts.append(half)
        else:
            return []
        parts.append(user)
        value = user.outputs[0]
    return parts
