"""Which torch function computes an ONNX operator at a given opset?

An operator is a plain function in `inspector/autograd/ops/<family>.py`; adding a family is adding a file.

    @operator("Clip", since=11)
    def clip(x, lo=None, hi=None): ...

Tensors are positional in the order of the ONNX schema (an absent optional input is None), attributes are
keyword-only in ONNX spelling. Attribute defaults come from `onnx.defs` (see `attributes.py`), so a function
writes none for domains that onnx knows; an optional attribute without a default arrives as None. A function
with the keyword-only parameter `context` also gets a `Context`. It returns one value or a tuple of outputs.
Inner code raises ValueError with the short fact; the interpreter adds node, opset and shapes.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import onnx
import torch

__all__ = ["Context", "Operator", "find", "operator", "operators"]

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Context:
    """What an operator may ask about its surroundings.

    `run_graph(body, *inputs)` runs a graph attribute (`Loop`'s `body`, `If`'s `then_branch`) and returns the
    tuple of its outputs; it sees the values of the outer scope. `outputs` are the node's output names, ""
    for one that nobody wants. `generator` is seeded once a run. `device` is where the net's weights live and
    `dtype` what ONNX FLOAT means in this net (float64 after `net.double()`).
    """

    node: onnx.NodeProto
    name: str
    opset: int
    outputs: tuple[str, ...]
    generator: torch.Generator
    run_graph: Callable[..., tuple[Any, ...]]
    device: torch.device
    dtype: torch.dtype
    straight_through: bool = False
    opsets: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Operator:
    """One registered version of an operator.

    `host` are the input positions that hold shape arithmetic and stay on the CPU; `differentiable` is False
    where the operator has no derivative by nature.
    """

    name: str
    domain: str
    since: int
    function: Callable[..., Any]
    host: tuple[int, ...]
    differentiable: bool
    parameters: tuple[str, ...]
    takes_any: bool

    @property
    def takes_context(self) -> bool:
        """Whether the function wants a `Context`."""
        return "context" in self.parameters


_operators: dict[tuple[str, str], dict[int, Operator]] = {}
_discovered: list[str] = []


def canonical(domain: str) -> str:
    """The domain as the registry spells it: "ai.onnx" is ""."""
    return "" if domain == "ai.onnx" else domain


def operator(
    name: str,
    *,
    since: int,
    domain: str = "",
    host: tuple[int, ...] = (),
    differentiable: bool = True,
) -> Callable[[Function], Function]:
    """Register a function for an operator from opset `since` on; stackable."""

    def register(function: Function) -> Function:
        versions = _operators.setdefault((canonical(domain), name), {})
        if since in versions:
            raise ValueError(f"{domain or 'ai.onnx'}::{name} since {since} is registered twice")
        known = inspect.signature(function).parameters.values()
        keywords = tuple(p.name for p in known if p.kind is p.KEYWORD_ONLY)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in known)
        versions[since] = Operator(
            name, canonical(domain), since, function, host, differentiable, keywords, takes_any
        )
        return function

    return register


def find(name: str, domain: str, opset: int) -> Operator | None:
    """The registered operator with the largest `since` that is at most the opset, or None."""
    _discover()
    versions = _operators.get((canonical(domain), name), {})
    fitting = [since for since in versions if since <= opset]
    return versions[max(fitting)] if fitting else None


def operators() -> tuple[Operator, ...]:
    """Every registered version, by domain, name and opset."""
    _discover()
    return tuple(version for key in sorted(_operators) for _, version in sorted(_operators[key].items()))


def _discover() -> None:
    if _discovered:
        return
    package = importlib.import_module("inspector.autograd.ops")
    for module in pkgutil.iter_modules(package.__path__):
        _discovered.append(module.name)
        importlib.import_module(f"{package.__name__}.{module.name}")
