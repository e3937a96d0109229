"""How does a net become a torch.fx graph, for torch.compile, printing or export?

Weights that an operator reads as a shape become Python numbers, so nothing breaks the graph; `If`, `Loop` and
`Scan` choose at run time and stay with the interpreter.
"""

from __future__ import annotations

import operator as python
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from inspector.autograd.network import Network
from inspector.autograd.program import Step
from inspector.autograd.registry import Context
from inspector.errors import NotRunnable, UnsupportedOperator

__all__ = ["Known", "to_fx"]


class Known:
    """A small constant tensor as Python numbers, with the few methods that operators call on shapes."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def tolist(self) -> Any:
        """The numbers, nested as the axes."""
        return self.values

    def reshape(self, *_: int) -> Known:
        """One axis: operators flatten their shapes only."""
        return Known(_flat(self.values))

    def double(self) -> Known:
        """The same numbers; Python's are exact already."""
        return self

    def numel(self) -> int:
        """How many numbers."""
        return len(_flat(self.values))

    def item(self) -> Any:
        """The only number."""
        return _flat(self.values)[0]

    def __getitem__(self, index: int) -> Any:
        return self.values[index]

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())


def _flat(values: Any) -> list[Any]:
    return [n for v in values for n in _flat(v)] if isinstance(values, list) else [values]


def to_fx(net: Network, inputs: Sequence[Tensor]) -> fx.GraphModule:
    """A GraphModule with the parameters of `net`, for inputs of these shapes.

    Shape arithmetic is evaluated on the given inputs, once. Every fx node carries its ONNX node in
    `meta["onnx"]`.
    """
    graph, root = fx.Graph(), torch.nn.Module()
    values: dict[str, Any] = {}
    for index, key in enumerate(net.input_names):
        values[key] = graph.placeholder(f"input_{index}")
    constants = {**net.weights, **_shapes(net, inputs)}
    for step in net.block.steps:
        if any(key is not None and key not in constants for key in step.outputs):
            _emit(step, net, graph, root, values, constants)
    graph.output(tuple(_read(key, graph, root, values, constants) for key in net.block.outputs))
    return fx.GraphModule(root, graph)


def _shapes(net: Network, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """The values that depend on the shapes of the inputs only."""
    known = set(net.weights)
    steps: list[Step] = []
    for step in net.block.steps:
        asks = step.node.op_type in ("Shape", "Size")
        if (asks or all(key is None or key in known for key in step.inputs)) and not step.blocks:
            steps.append(step)
            known.update(key for key in step.outputs if key)
    names = [key for step in steps for key in step.outputs if key]
    with torch.no_grad():
        return net.run(inputs, taps=names).taps


def _emit(
    step: Step,
    net: Network,
    graph: fx.Graph,
    root: torch.nn.Module,
    values: dict[str, Any],
    constants: Mapping[str, Any],
) -> None:
    if step.blocks or step.state == "body":
        domain = step.node.domain or "ai.onnx"
        raise UnsupportedOperator(
            f"{step.node.op_type} {step.key!r} ({domain} opset {step.opset}) runs a subgraph, which torch.fx "
            "cannot hold; use the net as it is"
        )
    host = step.operator.host if step.operator is not None else ()
    arguments: list[Any] = []
    for position, key in enumerate(step.inputs):
        if key is not None and position in host and key in constants and key not in values:
            arguments.append(Known(constants[key].tolist()))
        else:
            arguments.append(_read(key, graph, root, values, constants))
    node = graph.call_function(
        _bound(step, net, arguments), tuple(a for a in arguments if isinstance(a, fx.Node))
    )
    node.meta["onnx"] = step.key
    kept = [key for key in step.outputs if key]
    if len(step.outputs) == 1 and kept:
        values[kept[0]] = node
        return
    for position, key in enumerate(step.outputs):
        if key is not None:
            values[key] = graph.call_function(python.getitem, (node, position))


def _read(
    key: str | None,
    graph: fx.Graph,
    root: torch.nn.Module,
    values: dict[str, Any],
    constants: Mapping[str, Any],
) -> Any:
    if key is None or key in values:
        return None if key is None else values[key]
    held = constants[key]
    if not isinstance(held, Tensor):
        raise NotRunnable(f"weight {key!r} is not a torch tensor; use the net as it is")
    name = f"weight_{len(values)}"
    if isinstance(held, torch.nn.Parameter):
        root.register_parameter(name, held)
    else:
        root.register_buffer(name, held)
    values[key] = graph.get_attr(name)
    values[key].meta["onnx"] = key
    return values[key]


def _bound(step: Step, net: Network, arguments: list[Any]) -> Callable[..., Any]:
    """The operator with attributes, absent inputs and shapes bound; it takes the tensors in order."""
    function, attributes, one = step.function, dict(step.attributes), len(step.outputs) == 1
    template = [None if isinstance(a, fx.Node) else a for a in arguments]
    places = [i for i, a in enumerate(arguments) if isinstance(a, fx.Node)]
    if step.takes_context:
        attributes["context"] = _context(step, net)

    def call(*tensors: Tensor) -> Any:
        full = list(template)
        for place, tensor in zip(places, tensors, strict=True):
            full[place] = tensor
        result = function(*full, **attributes)
        return result[0] if one and isinstance(result, tuple) else result

    call.__name__ = f"onnx_{step.node.op_type.lower()}"
    call.__module__ = __name__
    return call


def _context(step: Step, net: Network) -> Context:
    def no_subgraph(*_: Any) -> tuple[Any, ...]:
        raise UnsupportedOperator(f"{step.key!r} runs a subgraph; use the net as it is")

    generator = torch.Generator()
    generator.manual_seed(net.seed)
    return Context(
        node=step.node,
        name=step.key,
        opset=step.opset,
        outputs=tuple(step.node.output),
        generator=generator,
        run_graph=no_subgraph,
        device=net.device,
        dtype=net.dtype,
        straight_through=net.straight_through,
        opsets=step.opsets,
    )
