"""How does a net become a torch.fx graph, for torch.compile, printing or export?

Weights that an operator reads as a shape become Python numbers, so nothing breaks the graph. Function bodies,
and the branches and loops that follow from shapes, are written out; what values choose or repeat stays with
the interpreter.
"""

from __future__ import annotations

import dataclasses
import operator as python
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from inspector.autograd.interpreter import Watch, run_steps
from inspector.autograd.network import Network
from inspector.autograd.program import Step
from inspector.autograd.registry import Context
from inspector.autograd.retyping import retyped, widened
from inspector.autograd.shapes import CHANCE
from inspector.autograd.unrolling import straight
from inspector.errors import NotRunnable, UnsupportedOperator

__all__ = ["Known", "to_fx"]


class Known:
    """A small constant tensor as Python numbers, with the few methods that operators call on shapes."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.shape = _lengths(values)
        self.ndim = len(self.shape)

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


def _lengths(values: Any) -> tuple[int, ...]:
    inner = values[0] if isinstance(values, list) and values else None
    return (len(values), *_lengths(inner)) if isinstance(values, list) else ()


def _flat(values: Any) -> list[Any]:
    return [n for v in values for n in _flat(v)] if isinstance(values, list) else [values]


def to_fx(net: Network, inputs: Sequence[Tensor]) -> fx.GraphModule:
    """A GraphModule with the parameters of `net`, for inputs of these shapes.

    It takes the steps that a run takes: chains joined, shape arithmetic evaluated on the given inputs, once,
    and so are the conditions of `If` and the turns of `Loop` that follow from shapes. Every fx node carries
    in `meta["onnx"]` its ONNX node, of a chain the last one, of joined views the value they give.

    Raises:
        UnsupportedOperator: a node chooses or repeats by values, which a graph cannot hold, or repeats too
            often; it is named.
    """
    graph, root = fx.Graph(), torch.nn.Module()
    values: dict[str, Any] = {}
    for index, key in enumerate(net.input_names):
        values[key] = graph.placeholder(f"input_{index}")
    feeds = dict(zip(net.input_names, inputs, strict=True))
    with torch.no_grad():
        block = straight(net, feeds)
        state = net.state(feeds, None)
        state.env.update(block.constants)
        steps, remembered = net.planner(block).settled(state)
        constants = {**net.weights, **block.constants, **remembered}
        constants.update(_read_on_host(steps, net, feeds, constants))
    numbers = {step.inputs[i] for step in steps for i in _host(step) if i < len(step.inputs)}
    for step in steps:
        if not _evaluated(step, net, constants, numbers):
            _emit(step, net, graph, root, values, constants)
    graph.output(tuple(_read(key, graph, root, values, constants) for key in net.block.outputs))
    graph.eliminate_dead_code()
    return fx.GraphModule(root, graph)


def _host(step: Step) -> Collection[int]:
    """Which inputs an operator reads as numbers."""
    return step.operator.host if step.operator is not None else ()


def _evaluated(step: Step, net: Network, constants: dict[str, Any], numbers: set[str | None]) -> bool:
    """Whether a step reads constants only; its results are constants then. Parameters stay parameters, but
    where the result is read as `numbers`.
    """
    held = [None if key is None else constants.get(key, net) for key in step.inputs]
    kinds = (Tensor, torch.nn.Parameter) if numbers.intersection(step.outputs) else (Tensor,)
    settled = all(value is None or type(value) in kinds for value in held)
    if not settled or step.blocks or step.state == "body" or step.node.op_type in CHANCE:
        return False
    host = _host(step)
    arguments = [Known(x.tolist()) if i in host and x is not None else x for i, x in enumerate(held)]
    with torch.no_grad():
        result = _bound(step, net, arguments)()
    results = (result,) if len(step.outputs) == 1 else result
    constants.update((key, value) for key, value in zip(step.outputs, results, strict=False) if key)
    return True


def _read_on_host(
    steps: Sequence[Step], net: Network, feeds: Mapping[str, Any], constants: Mapping[str, Any]
) -> dict[str, Any]:
    """What operators read as Python numbers, where it is made of weights alone."""
    fixed, asked = set(constants) - set(net.input_names), set[str]()
    for step in steps:
        if all(key is None or key in fixed for key in step.inputs) and not step.blocks:
            fixed.update(key for key in step.outputs if key)
        host = step.operator.host if step.operator is not None else ()
        asked.update(key for position, key in enumerate(step.inputs) if key and position in host)
    watch = Watch(taps=frozenset(fixed & asked - constants.keys()))
    if watch.taps:
        run_steps(steps, dataclasses.replace(net.state(feeds, watch), env={**constants, **feeds}))
    return {key: values[0] for key, values in watch.tapped.items()}


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
            f"{step.node.op_type} {step.key!r} ({domain} opset {step.opset}) runs a subgraph that values of "
            "the run choose or repeat, which torch.fx cannot hold; use the net as it is, or cut around the "
            "node with autograd.between"
        )
    host = _host(step)
    arguments: list[Any] = []
    for position, key in enumerate(step.inputs):
        if key is not None and position in host and key in constants:
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
    function, one, dtype = step.function, len(step.outputs) == 1, net.dtype
    plain = dtype == torch.float32
    attributes = dict(step.attributes if plain else retyped(step.attributes, dtype))
    template = [None if isinstance(a, fx.Node) else a for a in arguments]
    places = [i for i, a in enumerate(arguments) if isinstance(a, fx.Node)]
    if step.takes_context:
        attributes["context"] = _context(step, net)

    def call(*tensors: Tensor) -> Any:
        full = list(template)
        for place, tensor in zip(places, tensors, strict=True):
            full[place] = tensor
        result = function(*full, **attributes)
        values = result if type(result) is tuple else (result,)
        if not plain:
            values = tuple(widened(value, dtype) for value in values)
        return values[0] if one else values

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
