"""Which chain of means, squares and roots is a layer norm? It becomes one step with scale and shift."""

from __future__ import annotations

from inspector.comparison.draft import Draft, Operand, Step

__all__ = ["gather_norms", "join_norms"]

_NORMS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")


def join_norms(draft: Draft) -> None:
    """Join (x - mean) / sqrt(variance + epsilon), and x / sqrt(mean square + epsilon)."""
    producers, gone = draft.producers(), set[int]()
    readers = draft.consumers()
    for step in draft.steps:
        found = _quotient(draft, step, producers)
        if found is None:
            continue
        source, epsilon, chain, centred = found
        inner = {id(part) for part in chain}
        outputs = {value for part in chain for value in part.outputs}
        if any(id(user) not in inner | {id(step)} for value in outputs for user in readers.get(value, [])):
            continue
        step.op = "LayerNormalization" if centred else "RMSNormalization"
        step.attributes = {"epsilon": epsilon, "axis": -1}
        step.slots, step.proto = [source], None
        step.read = next(part.read[:1] for part in chain if part.op == "ReduceMean")
        step.origins = [*dict.fromkeys(o for part in (*chain, step) for o in part.origins)]
        gone |= inner
    draft.keep(gone, "steps of layer norms joined")


Found = tuple[Operand, float, list[Step], bool]


def _quotient(draft: Draft, step: Step, producers: dict[str, Step]) -> Found | None:
    """The centred value over a root, or its product with one over a root."""
    if step.op not in ("Div", "Mul") or len(step.slots) != 2:
        return None
    for top, bottom in ((0, 1), (1, 0)) if step.op == "Mul" else ((0, 1),):
        root = producers.get(step.slots[bottom].value)
        chain: list[Step] = []
        power = 0.5 if step.op == "Div" else -0.5
        if root is not None and step.op == "Mul" and root.op == "Reciprocal":
            chain, root, power = [root], producers.get(root.slots[0].value), 0.5
        if root is None or not _is_root(draft, root, power):
            continue
        found = _variance(draft, [*chain, root], step.slots[top], producers)
        if found is not None:
            return found
    return None


def _is_root(draft: Draft, step: Step, power: float) -> bool:
    return (step.op == "Sqrt" and power > 0) or (step.op == "Pow" and draft.scalar(step, 1) == power)


def _variance(draft: Draft, chain: list[Step], top: Operand, producers: dict[str, Step]) -> Found | None:
    total = producers.get(chain[-1].slots[0].value)
    if total is None or total.op != "Add":
        return None
    at = next((i for i in (0, 1) if draft.scalar(total, i) is not None), None)
    mean = None if at is None else producers.get(total.slots[1 - at].value)
    if at is None or mean is None or mean.op != "ReduceMean":
        return None
    square = producers.get(mean.slots[0].value)
    epsilon = float(f"{draft.scalar(total, at):.2g}")
    if square is None or square.slots[0].value != top.value or not _is_square(draft, square):
        return None
    chain = [square, mean, total, *reversed(chain)]
    centred = producers.get(top.value)
    if centred is not None and centred.op == "Sub":
        middle = producers.get(centred.slots[1].value)
        same = middle is not None and middle.slots[0].value == centred.slots[0].value
        if middle is not None and middle.op == "ReduceMean" and same:
            return centred.slots[0], epsilon, [middle, centred, *chain], True
    return top, epsilon, chain, False


def _is_square(draft: Draft, step: Step) -> bool:
    if step.op == "Pow":
        return draft.scalar(step, 1) == 2
    return step.op == "Mul" and step.slots[0].value == step.slots[1].value


def gather_norms(draft: Draft) -> None:
    """Take scale and shift of layer norms from their slots, or from the product and sum behind them."""
    consumers, gone = draft.consumers(), set[int]()
    for step in draft.steps:
        if step.op not in _NORMS:
            continue
        if step.op == "SimplifiedLayerNormalization":
            step.op = "RMSNormalization"
        step.attributes = {"epsilon": float(f"{step.attributes.get('epsilon', 1e-5):.2g}")}
        for position, role in ((1, "weight"), (2, "bias")):
            _hold(draft, step, step, position, role)
        step.slots, step.outputs = step.slots[:1], step.outputs[:1]
        for op, role in (("Mul", "weight"), ("Add", "bias")):
            user = draft.sole_user(step.outputs[0], consumers)
            if user is None or user.op != op or role in step.arrays or len(user.slots) != 2:
                continue
            at = 1 if user.slots[0].value == step.outputs[0] else 0
            array = draft.constant(user, at)
            if array is None or (array.ndim > 1 and array.size != array.shape[-1]):
                continue
            _hold(draft, step, user, at, role)
            draft.absorb(step, user, consumers)
            gone.add(id(user))
    draft.keep(gone, "scales and shifts of layer norms joined")


def _hold(draft: Draft, step: Step, owner: Step, position: int, role: str) -> None:
    array = draft.constant(owner, position)
    if array is not None:
        step.arrays[role] = array.reshape(-1)
        value = owner.slots[position].value
        if value in draft.parts:
            step.weights[role] = draft.parts[value]
