"""How is the comparison view built? A small rewritable graph whose steps remember the original nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.comparison.alignment import Part

if TYPE_CHECKING:
    from inspector.model.model import Model

__all__ = ["Array", "Draft", "Operand", "Step", "draft_of"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Operand:
    """A computed value read by a step, with the layout steps dropped on the way."""

    value: str
    notes: tuple[str, ...] = ()


@dataclass
class Step:
    """A canonical node in the making; `slots` holds its inputs by position, constants included."""

    key: str
    op: str
    slots: list[Operand]
    outputs: list[str]
    attributes: dict[str, Any]
    origins: list[str]
    scope: str = ""
    value: str = ""
    weights: dict[str, Part] = field(default_factory=dict[str, Part])
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])


@dataclass
class Draft:
    """Steps in topological order, and the constants they read."""

    model: Model
    steps: list[Step]
    constants: dict[str, Array]
    parts: dict[str, Part]
    outputs: list[str]
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def producers(self) -> dict[str, Step]:
        """The step that makes each value."""
        return {value: step for step in self.steps for value in step.outputs if value}

    def consumers(self) -> dict[str, list[Step]]:
        """The steps that read each value."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            for value in dict.fromkeys(slot.value for slot in step.slots):
                found.setdefault(value, []).append(step)
        return found

    def sole_user(self, value: str, consumers: dict[str, list[Step]]) -> Step | None:
        """The only step that reads a value which is no model output."""
        users = consumers.get(value, [])
        return users[0] if len(users) == 1 and value not in self.outputs else None

    def constant(self, step: Step, position: int) -> Array | None:
        """The constant in a slot, or None."""
        if position >= len(step.slots):
            return None
        return self.constants.get(step.slots[position].value)

    def keep(self, gone: set[int], reason: str) -> None:
        """Remove the steps with these identities and count them under a reason."""
        self.steps = [step for step in self.steps if id(step) not in gone]
        if gone:
            self.counts[reason] = self.counts.get(reason, 0) + len(gone)

    def forward(self, links: dict[str, Operand]) -> None:
        """Let everybody who reads a key of `links` read what it stands for, notes added up."""
        for step in self.steps:
            step.slots = [_followed(slot, links) for slot in step.slots]
        self.outputs = [_followed(Operand(value), links).value for value in self.outputs]


def _followed(slot: Operand, links: dict[str, Operand]) -> Operand:
    while (link := links.get(slot.value)) is not None:
        slot = Operand(link.value, (*link.notes, *slot.notes))
    return slot


def draft_of(model: Model) -> Draft:
    """Every node of the main graph as a step, every stored constant as an array (mapped, not copied)."""
    constants: dict[str, Array] = {}
    parts: dict[str, Part] = {}
    for key, weight in model.weights.items():
        if weight.dtype != "string":
            constants[key] = weight.array()
            parts[key] = Part(key)
    steps = [
        Step(
            node.key,
            node.op,
            [Operand(value) for value in node.inputs],
            list(node.outputs),
            dict(node.attributes),
            [node.key],
            node.scope,
            node.outputs[0] if node.outputs else "",
        )
        for node in model.nodes.values()
        if not node.body and node.op != "Constant"
    ]
    return Draft(model, steps, constants, parts, [output.name for output in model.outputs])
