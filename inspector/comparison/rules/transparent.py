"""Which operators move or rename data only? They leave a note on the edge and go."""

from __future__ import annotations

from inspector.comparison.draft import Draft, Operand, Step
from inspector.comparison.layout import reshaped, turned

__all__ = ["drop_transparent"]

_SILENT = frozenset(("Identity", "Dropout", "Cast", "CastLike", "ReorderInput", "ReorderOutput"))
_MOVING = frozenset(("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"))


def drop_transparent(draft: Draft) -> None:
    """Drop steps that compute nothing; transposes and reshapes stay readable as edge notes."""
    links: dict[str, Operand] = {}
    gone: set[int] = set()
    for step in draft.steps:
        if step.op not in _SILENT | _MOVING or not step.slots:
            continue
        source = step.slots[0].value
        notes = _notes(draft, step) if step.op in _MOVING else ()
        if source in draft.constants and step.op not in _SILENT:
            continue
        links[step.outputs[0]] = Operand(source, notes)
        gone.add(id(step))
    draft.keep(gone, "layout and pass-through nodes ignored")
    draft.forward(links)


def _notes(draft: Draft, step: Step) -> tuple[str, ...]:
    before = draft.shape(step.read[0]) if step.read else None
    if step.op == "Expand":
        return ("expand",)
    if step.op != "Transpose":
        return (reshaped(before, draft.shape(step.outputs[0])),)
    axes = step.attributes.get("perm") or (range(len(before))[::-1] if before is not None else None)
    return (turned(axes, before) if axes is not None else "axes reversed",)
