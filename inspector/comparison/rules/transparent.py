"""Which operators move or rename data only? They leave a note on the edge and go."""

from __future__ import annotations

from inspector.comparison.draft import Draft, Operand, Step

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
        notes = (_note(step),) if step.op in _MOVING else ()
        if source in draft.constants:
            continue
        links[step.outputs[0]] = Operand(source, notes)
        gone.add(id(step))
    draft.keep(gone, "layout and pass-through nodes ignored")
    draft.forward(links)


def _note(step: Step) -> str:
    if step.op == "Transpose":
        axes = step.attributes.get("perm")
        return "axes " + ",".join(map(str, axes)) if axes else "axes reversed"
    return step.op.lower()
