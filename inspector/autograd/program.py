"""What is left of an ONNX graph once names, attributes and operators are resolved? Blocks of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import onnx

from inspector.autograd.registry import Operator

__all__ = ["Block", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One node, ready to call.

    `key` is the node's key in the model; `inputs` and `outputs` are value keys (None: absent or unwanted);
    `frees` are the values whose last reader this step is. `attributes` fit the function's keywords, graph
    attributes are Blocks. `state` is "native" or "body". `parts` are the steps of a chain that this one
    joins, as they run without it.
    """

    key: str
    node: onnx.NodeProto
    opset: int
    opsets: tuple[tuple[str, int], ...]
    function: Callable[..., Any]
    operator: Operator | None
    attributes: dict[str, Any]
    takes_context: bool
    inputs: tuple[str | None, ...]
    outputs: tuple[str | None, ...]
    blocks: tuple[Block, ...] = ()
    state: str = "native"
    frees: tuple[str, ...] = ()
    parts: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A graph, a subgraph or a function body: the values it binds, its steps and the values it returns.

    `captures` are the outer values its steps read; `constants` are the values that live inside a function
    body (those of graphs and subgraphs are weights of the net). `numbers` are the weights that are floats
    written into the graph, one by one: no parameters, nobody trains the 2 in x / 2.
    """

    prefix: str
    inputs: tuple[str, ...]
    outputs: tuple[str | None, ...]
    steps: tuple[Step, ...]
    captures: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    numbers: frozenset[str] = frozenset()

    def every_step(self) -> list[Step]:
        """Its steps and those of all blocks inside, in order of execution."""
        found: list[Step] = []
        for step in self.steps:
            found.append(step)
            for block in step.blocks:
                found.extend(block.every_step())
        return found
