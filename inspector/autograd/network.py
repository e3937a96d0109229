"""How do you get a torch module from an ONNX model, run it, tap it and override its operators?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto, numpy_helper
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor  # vmap knows one memory format
from torch.nn import functional

from inspector import autograd  # its lazy `verify` needs ONNX Runtime, a net does not
from inspector.autograd import checkpointing, fast, narrow
from inspector.autograd.compiler import Compiler, Scope
from inspector.autograd.interpreter import State, Watch, describe
from inspector.autograd.planning import Planner
from inspector.autograd.precision import steady
from inspector.autograd.products import quick
from inspector.autograd.program import Block
from inspector.autograd.registry import canonical
from inspector.errors import BadFile, BadInput, NoGradientPath, UnknownName

if TYPE_CHECKING:
    from inspector.autograd.verification import Agreement

__all__ = ["Network", "Run", "to_torch"]


Override = Callable[..., Any] | Tensor
STATISTICS = {"BatchNormalization": (3, 4)}
"""Inputs that are statistics, not weights: buffers, as in torch.nn."""

SMALL = 1024
"""Integer tensors up to this many elements are shape arithmetic: they stay on the CPU."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run gave: the outputs in graph order and the tapped values, all still differentiable.

    A value made several times (in a `Loop` body) is a list in `taps`, one entry a time. `cuts` names the
    nodes where a gradient ended in this run: the operator has none by nature or gives integers.
    """

    outputs: tuple[Any, ...]
    taps: dict[str, Any]
    cuts: tuple[str, ...] = ()

    def __iter__(self) -> Any:
        return iter(self.outputs)


class Network(nn.Module):
    """A differentiable ONNX graph. Calling it takes the inputs in graph order and returns a tuple.

    Initializers and constants of floating type are parameters under their ONNX names (value keys inside
    subgraphs), integers, booleans and constants of one number are buffers; `weights` maps every key to its
    value, also those torch cannot hold in a module (strings, sub-byte types).
    """

    def __init__(
        self,
        block: Block,
        weights: Mapping[str, Any],
        graph: onnx.GraphProto,
        *,
        fast: bool = False,
        segments: int | None = None,
        straight_through: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.block = block
        self.graph = graph
        self.seed = seed
        self.straight_through = straight_through
        self._segments = segments
        self._fast = fast
        self._probe = torch.zeros((), dtype=torch.float32)
        self._others: dict[str, Any] = {}
        self._host = _host_weights(block, weights)
        self._statistics = _statistics(block)
        self._planner: Planner | None = None
        for key, value in weights.items():
            self._hold(key, value)
        self.input_names = tuple(n for n in block.inputs if n not in weights)
        self.output_names = tuple(value.name for value in graph.output)

    def _hold(self, key: str, value: Any) -> None:
        real = isinstance(value, Tensor) and value.dtype.is_floating_point and value.dtype.itemsize > 1
        if real and key not in self._statistics and key not in self.block.numbers:
            self._parameters[key] = value if isinstance(value, nn.Parameter) else nn.Parameter(value)
        elif isinstance(value, Tensor):
            self._buffers[key] = value
        else:
            self._others[key] = value

    @property
    def weights(self) -> dict[str, Any]:
        """Every initializer and constant by its key: parameters, buffers and what torch cannot hold."""
        return {**self._parameters, **self._buffers, **self._others}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._probe.device

    @property
    def dtype(self) -> torch.dtype:
        """What ONNX FLOAT means here: float32, or float64 after `double()`."""
        return self._probe.dtype

    @property
    def value_names(self) -> tuple[str, ...]:
        """Every value key that can be tapped, in order of execution."""
        keys: dict[str, None] = dict.fromkeys(self.block.inputs)
        keys.update(dict.fromkeys(self.weights))
        for step in self.block.every_step():
            for inner in step.blocks:
                keys.update(dict.fromkeys(inner.inputs))
            keys.update(dict.fromkeys(key for key in step.outputs if key))
        return tuple(keys)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Every node key, in order of execution."""
        return tuple(step.key for step in self.block.every_step())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        held = {**self._parameters, **self._buffers}
        host = {id(held[key]) for key in self._host & held.keys()}

        def moved(value: Tensor) -> Tensor:
            return fn(value).cpu() if id(value) in host else fn(value)

        super()._apply(moved, recurse)
        self._planner = None
        self._probe = fn(self._probe)
        return self

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: Any,
        unexpected_keys: Any,
        error_msgs: Any,
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        self._planner = None
        unexpected: list[str] = unexpected_keys
        held = {prefix + key for key in (*self._parameters, *self._buffers)}
        unexpected[:] = [key for key in unexpected if key not in held]  # torch takes "a.b" for a submodule

    def forward(self, *inputs: Any) -> tuple[Any, ...]:
        """The outputs in graph order, for inputs in graph order."""
        return self._run(self._named(inputs), None)

    def run(
        self,
        feeds: Mapping[str, Any] | Sequence[Any],
        taps: Sequence[str] = (),
        overrides: Mapping[Any, Override] | None = None,
    ) -> Run:
        """Run with taps and overrides.

        A feed may name an initializer too. `overrides` maps an operator type ("Relu"), a node or a value to a
        function. For an operator or node it replaces the function: it gets the inputs, and those attributes,
        `original` (the replaced function) and `context` that it names as keyword-only parameters. For a value
        it maps the value to another one; a tensor replaces it. Where a name is both, the order is operator,
        node, value; ("operator" | "node" | "value", name) says it exactly.
        """
        if not isinstance(feeds, Mapping):
            feeds = self._named(tuple(feeds))
        watch = self._watch(taps, overrides or {})
        outputs = self._run(feeds, watch)
        for key in watch.taps & self.weights.keys():
            watch.tapped.setdefault(key, [feeds.get(key, self.weights[key])])
        missing = [name for name in taps if name not in watch.tapped]
        if missing:
            raise UnknownName(f"value {missing[0]!r} was not computed in this run (a branch not taken)")
        tapped = {n: v[0] if len(v) == 1 else list(v) for n, v in ((n, watch.tapped[n]) for n in taps)}
        cuts = tuple(f"{step.node.op_type} {key!r}" for key, step in watch.cuts.items())
        return Run(outputs, tapped, cuts)

    def gradient(self, of: Tensor, run: Run, names: Sequence[str]) -> tuple[Tensor, ...]:
        """D `of` / d each tapped value; raises NoGradientPath naming the nodes where it ended."""
        where = f"; a gradient ends at {', '.join(run.cuts)}" if run.cuts else ""
        if not of.requires_grad:
            raise NoGradientPath(f"the score has no gradient{where}. Feed inputs that require one.")
        for name in names:
            if not run.taps[name].requires_grad:
                raise NoGradientPath(f"value {name!r} does not require a gradient; feed inputs that do")
        with steady() if of.is_cuda else nullcontext():
            found = list[Tensor | None](
                torch.autograd.grad(of, [run.taps[n] for n in names], retain_graph=True, allow_unused=True)
            )
        for name, gradient in zip(names, found, strict=True):
            if gradient is None:
                raise NoGradientPath(f"the score has no gradient with respect to value {name!r}{where}")
        return tuple(g for g in found if g is not None)

    def verify(self, model: Any, inputs: Sequence[Any] | Mapping[str, Any]) -> Agreement:
        """Compare every value with ONNX Runtime's; `model` is what the net was made from."""
        return autograd.verify(self, model, inputs)

    def _named(self, inputs: tuple[Any, ...]) -> dict[str, Any]:
        every = self.block.inputs
        names = every if len(inputs) == len(every) else self.input_names
        if len(inputs) != len(names):
            raise BadInput(
                f"{len(inputs)} inputs given, the model has {len(names)}: {', '.join(names) or 'none'}"
            )
        return dict(zip(names, inputs, strict=True))

    def _watch(self, taps: Sequence[str], overrides: Mapping[Any, Override]) -> Watch:
        values, nodes = set(self.value_names), set(self.node_names)
        for name in taps:
            if name not in values:
                raise UnknownName.among("value", name, self.value_names)
        types = {step.node.op_type for step in self.block.every_step()}
        known = {"operator": types, "node": nodes, "value": values}
        chosen: dict[str, dict[str, Any]] = {kind: {} for kind in known}
        for name, replacement in overrides.items():
            kinds = [name[0]] if isinstance(name, tuple) else list(known)
            name = name[1] if isinstance(name, tuple) else name
            if not callable(replacement):
                kinds = ["value"]
            fitting = [kind for kind in kinds if name in known[kind]]
            if not fitting:
                raise UnknownName.among("operator, node or value", name, sorted(types | nodes | values))
            chosen[fitting[0]][name] = replacement
        return Watch(chosen["operator"], chosen["node"], chosen["value"], frozenset(taps))

    def _run(self, feeds: Mapping[str, Any], watch: Watch | None) -> tuple[Any, ...]:
        state = self.state(feeds, watch)
        with steady() if self.device.type == "cuda" else nullcontext():
            if self._segments and torch.is_grad_enabled():
                checkpointing.run_segments(self.block, state, self._segments)
            else:
                if self._planner is None:
                    self._planner = self.planner(self.block)
                self._planner.run(state)
        return tuple(None if key is None else state.env[key] for key in self.block.outputs)

    def planner(self, block: Block) -> Planner:
        """What finds the shortest way through a block with the weights of this net."""
        joins = self.dtype == torch.float32
        attention = joins and self.device.type == "cpu"
        product = quick if self._fast else functional.linear
        held = {**self.weights, **block.constants}
        return Planner(block, held, joins=joins, attention=attention, product=product)

    def state(self, feeds: Mapping[str, Any], watch: Watch | None) -> State:
        """The environment a run starts with: weights and checked inputs."""
        env: dict[str, Any] = self.weights
        if watch is not None:
            for key in watch.values.keys() & env.keys():
                env[key] = watch.bind(key, env[key])
        for name in feeds:
            if name not in self.block.inputs and name not in env:
                raise UnknownName.among("input", name, self.block.inputs)
        for name in self.input_names:
            if name not in feeds:
                raise BadInput(f"input {name!r} is missing; the model has: {', '.join(self.input_names)}")
        declared = {value.name: value.type for value in self.graph.input}
        for name, value in feeds.items():
            value = self._fitting(name, value, declared.get(name))
            env[name] = value if watch is None else watch.bind(name, value)
        generator = torch.Generator(device="cpu")
        generator.manual_seed(self.seed)
        altered = watch is not None and bool(watch.operators or watch.nodes or watch.values)
        altered = altered or not feeds.keys() <= set(self.block.inputs)
        return State(env, generator, self.device, self.dtype, self.straight_through, watch, altered)

    def _fitting(self, name: str, value: Any, declared: onnx.TypeProto | None) -> Any:
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "O":
            value = narrow.to_value(value)
        if not isinstance(value, Tensor) or declared is None or not declared.HasField("tensor_type"):
            return value
        kind = declared.tensor_type.elem_type
        short = (TensorProto.FLOAT16, TensorProto.BFLOAT16) if self.dtype == torch.float64 else ()
        own = kind == TensorProto.FLOAT or kind in short
        wanted = self.dtype if own else narrow.TORCH_TYPES.get(kind, value.dtype)
        if value.dtype != wanted:
            if not (value.dtype.is_floating_point and wanted.is_floating_point):
                raise BadInput(f"input {name!r}: expected {wanted}, got {describe(value)}")
            value = value.to(wanted)
        shape = declared.tensor_type.shape.dim if declared.tensor_type.HasField("shape") else None
        if shape is not None and len(shape) != value.ndim:
            raise BadInput(f"input {name!r}: expected {len(shape)} axes, got {describe(value)}")
        if self._fast and value.ndim == 4 and not is_functorch_wrapped_tensor(value):
            value = value.contiguous(memory_format=torch.channels_last)
        return value


def _host_weights(block: Block, weights: Mapping[str, Any]) -> set[str]:
    """Weights that are shape arithmetic: small integers, and what comes to nothing but a shape."""
    data = {key for inner in (block, *_inner(block)) for key in inner.outputs if key}
    read: set[str] = set()
    for step in reversed(block.every_step()):
        host = step.operator.host if step.operator is not None else ()
        whole = bool(step.blocks) or any(key in data for key in step.outputs)
        for position, key in enumerate(step.inputs):
            if key is not None:
                read.add(key)
                if whole and position not in host:
                    data.add(key)
    small = {
        k
        for k, v in weights.items()
        if isinstance(v, Tensor) and not v.is_floating_point() and v.numel() <= SMALL
    }
    scalars = {key for key in block.numbers & weights.keys() if weights[key].ndim == 0}
    return small | scalars | (read & weights.keys()) - data


def _inner(block: Block) -> list[Block]:
    return [inner for step in block.every_step() for inner in step.blocks]


def _statistics(block: Block) -> set[str]:
    return {
        step.inputs[position] or ""
        for step in block.every_step()
        for position in STATISTICS.get(step.node.op_type, ())
        if position < len(step.inputs)
    }


def to_torch(
    model: ModelProto | Any,
    *,
    mode: Literal["exact", "fast"] = "exact",
    checkpoint: int | None = None,
    straight_through: bool = False,
    prefer_bodies: bool = False,
    seed: int = 0,
    folder: Path | str = ".",
) -> Network:
    """A differentiable torch module from a Model or an onnx.ModelProto.

    `mode="fast"` folds BatchNorm into convolutions, evaluates constant subgraphs once, runs chains that are
    attention, Gelu, LayerNorm or a biased product as one function, uses channels_last and the products of
    oneDNN; values inside what was joined can no longer be tapped. `checkpoint=n` cuts the graph into n
    segments whose inner values are recomputed in the backward pass. `straight_through` lets gradients pass
    quantisation inside the clip range. `prefer_bodies` runs ONNX function bodies where there are two
    implementations. `folder` is where a ModelProto's external data lies.
    """
    proto, load = _parts(model, Path(folder))
    compiler = Compiler(
        {canonical(item.domain): item.version for item in proto.opset_import},
        {(canonical(f.domain), f.name, f.overload): f for f in proto.functions},
        load,
        prefer_bodies,
    )
    block = compiler.graph(proto.graph, Scope(""))
    block = dataclasses.replace(block, numbers=frozenset(compiler.numbers))
    weights = compiler.weights
    if mode == "fast":
        block, weights = fast.optimised(block, weights)
    return Network(
        block,
        weights,
        proto.graph,
        fast=mode == "fast",
        segments=checkpoint,
        straight_through=straight_through,
        seed=seed,
    ).eval()


def _parts(model: Any, folder: Path) -> tuple[ModelProto, Callable[[TensorProto], np.ndarray[Any, Any]]]:
    if not isinstance(model, ModelProto):
        return model.proto, model.load

    def load(tensor: TensorProto) -> np.ndarray[Any, Any]:
        try:
            return numpy_helper.to_array(tensor, base_dir=str(folder))
        except onnx.checker.ValidationError as error:
            raise BadFile(f"weight {tensor.name!r}: {error}. Pass the model's folder=.") from error
        except ValueError as error:
            raise BadFile(f"weight {tensor.name!r}: {error}. `inspector check` lists all faults.") from error

    return model, load
