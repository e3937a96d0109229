"""How is the comparison view built? A small rewritable graph whose steps remember the original nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.comparison.alignment import Part

if TYPE_CHECKING:
    import onnx

    from inspector.model.model import Model
    from inspector.model.walk import Node

__all__ = ["Array", "Draft", "Operand", "Step", "draft_of", "plain", "step_of"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Operand:
    """A computed value read by a step, with the layout steps dropped on the way."""

    value: str
    notes: tuple[str, ...] = ()


@dataclass
class Step:
    """A canonical node in the making; `slots` holds its inputs by position, constants included.

    `proto` is the ONNX node it was, `read` the values that node read: their shapes tell its own layout.
    """

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
    proto: onnx.NodeProto | None = None
    read: tuple[str, ...] = ()

    def spawned(self, role: str, op: str, slots: list[Operand], **attributes: Any) -> Step:
        """A further step for the same original node; it makes the value `<first output>/<role>`."""
        made = f"{self.outputs[0]}/{role}"
        return Step(f"{self.key}/{role}", op, slots, [made], attributes, list(self.origins), self.scope, made)


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
            for slot in step.slots:
                users = found.setdefault(slot.value, [])
                if not users or users[-1] is not step:
                    users.append(step)
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

    def scalar(self, step: Step, position: int) -> float | None:
        """The only number of the constant in a slot, or None."""
        array = self.constant(step, position)
        return float(array.reshape(())) if array is not None and array.size == 1 else None

    def beside(self, step: Step, value: str) -> tuple[float, bool] | None:
        """The number that a step of two operands combines a value with, and whether the value comes first."""
        if len(step.slots) != 2:
            return None
        for at in (0, 1):
            number = self.scalar(step, 1 - at)
            if number is not None and step.slots[at].value == value:
                return number, at == 0
        return None

    def shape(self, value: str) -> tuple[int | str | None, ...] | None:
        """The inferred shape of an original value, or None."""
        known = self.model.values.get(value)
        return known.shape if known else None

    def absorb(self, step: Step, user: Step, consumers: dict[str, list[Step]]) -> None:
        """Let a step make what its only user made; layout notes between the two move on to the readers."""
        notes = next(slot.notes for slot in user.slots if slot.value == step.outputs[0])
        for reader in consumers.get(user.outputs[0], []) if notes else []:
            for slot in reader.slots:
                if slot.value == user.outputs[0]:
                    slot.notes = (*notes, *slot.notes)
        step.origins += user.origins
        step.outputs, step.value = user.outputs[:1], user.value

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
    steps = [step_of(node) for node in model.nodes.values() if not node.body and node.op != "Constant"]
    return Draft(model, steps, constants, parts, [output.name for output in model.outputs])


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with text as text."""
    return {name: v.decode() if isinstance(v, bytes) else v for name, v in attributes.items()}


def step_of(node: Node) -> Step:
    """The step that stands for one node as it is."""
    return Step(
        node.key,
        node.op,
        [Operand(value) for value in node.inputs],
        list(node.outputs),
        plain(node.attributes),
        [node.key],
        node.scope,
        node.outputs[0] if node.outputs else "",
        proto=node.proto,
        read=node.inputs,
    )
