"""Which number is explained? A class by index or label, or any scalar expression of the outputs."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inspector.errors import BadInput, UnknownName
from inspector.execution.labels import model_labels
from inspector.model import Model

__all__ = ["Target", "class_scores", "labelled", "outputs_read", "score_value", "scores_of", "settle_target"]

_SOFTMAX = ("Softmax", "LogSoftmax", "Sigmoid")
_TRANSPARENT = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Target:
    """The explained number of every row.

    `value` is the key of the value it is read from: the output itself, or the scores before its softmax.
    `index` is the class; `expression` is set instead for any other scalar of the outputs.
    """

    value: str
    index: int | None
    label: str = ""
    expression: str = ""
    logit: bool = False

    def __str__(self) -> str:
        """`tabby (281), logit`."""
        if self.expression:
            return self.expression
        named = f"{self.label} ({self.index})" if self.label else f"class {self.index}"
        return f"{named}, logit" if self.logit else named


def score_value(model: Model, output: str, *, logit: bool = True) -> tuple[str, bool]:
    """The value to read scores from, before the output's softmax or sigmoid when `logit`; whether it is."""
    if not logit:
        return output, False
    key, start = output, output
    while (node := model.producers.get(key)) is not None and not node.domain:
        if node.op in _SOFTMAX:
            return node.inputs[0], True
        if node.op not in _TRANSPARENT:
            break
        key = node.inputs[0]
    return start, False


def settle_target(
    model: Model,
    spec: int | str | Target | None,
    outputs: Mapping[str, Tensor],
    *,
    row: int = 0,
    logit: bool = True,
) -> Target:
    """The target that `spec` means: an index, a label, "top" or None for the best class, or an expression.

    An expression is arithmetic over outputs by name: `logits[281] - logits[282]`, `mask[15, 10:20].mean()`;
    the row axis is left out.

    Raises:
        BadInput: an index outside the classes, a label of several, or an expression that is no scalar.
        UnknownName: no class has this label; near ones are listed.
    """
    if isinstance(spec, Target):
        return spec
    name = next(iter(outputs))
    if isinstance(spec, str) and spec not in ("", "top") and not spec.lstrip("-").isdigit():
        found = labelled(model, spec)
        read = outputs_read(spec, outputs) if found is None else []
        if read:
            return Target(read[0], None, expression=spec)
        if found is None:
            hint = f"An index works too, or an expression of the outputs: {', '.join(list(outputs)[:5])}."
            raise UnknownName.among("class", spec, model_labels(model), hint)
        spec = found
    scores = class_scores(outputs[name], name)
    count = scores.shape[1]
    index = int(scores[row].argmax()) if spec in (None, "", "top") else int(spec)  # pyright: ignore[reportArgumentType]
    if not -count <= index < count:
        raise BadInput(f"target {index}: output {name!r} has {count} classes, 0 to {count - 1}.")
    index %= count
    labels = model_labels(model)
    label = labels[index] if len(labels) == count else name if count == 1 else ""
    value, is_logit = score_value(model, name, logit=logit)
    return Target(value, index, label, logit=is_logit)


def scores_of(target: Target, values: Mapping[str, Tensor]) -> Tensor:
    """The explained number of every row, shape (n,)."""
    if target.expression:
        return _evaluate(target.expression, values)
    return class_scores(values[target.value], target.value)[:, target.index]


def class_scores(output: Tensor, name: str) -> Tensor:
    """(n, classes) of an output; trailing axes of size 1 are dropped, a plain vector is one class a row."""
    if output.ndim == 0:
        return output.reshape(1, 1)
    if math.prod(output.shape[2:]) not in (0, 1):
        shape = "×".join(map(str, output.shape))
        part = ", ".join(["0"] * (output.ndim - 3) + [f":{min(10, size)}" for size in output.shape[1:][-2:]])
        raise BadInput(
            f"output {name!r} is {shape}: not one score a class. Give the target as an expression, such as "
            f"'{name}[{part}].mean()' (without the row axis)."
        )
    return output.reshape(output.shape[0], -1)


def labelled(model: Model, name: str) -> int | None:
    """The class whose label is `name`, upper or lower case; None where no label is.

    Raises:
        BadInput: several classes have this label; their indices are listed.
    """
    found = [i for i, label in enumerate(model_labels(model)) if label.casefold() == name.casefold()]
    if len(found) > 1:
        indices = ", ".join(map(str, found))
        raise BadInput(f"{len(found)} classes are called {name!r}: {indices}. Give the index instead.")
    return found[0] if found else None


_METHODS = {"mean", "sum", "max", "min", "norm", "abs", "log", "exp", "square"}
_OPERATIONS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def outputs_read(text: str, outputs: Collection[str]) -> list[str]:
    """The outputs that an expression reads, in its order; none where it is no expression of them."""
    try:
        tree = ast.parse(_quoted(text, outputs), mode="eval")
    except SyntaxError:
        return []
    known = {name: name for name in outputs if name.isidentifier()}
    known |= {f"_output_{i}": name for i, name in enumerate(sorted(outputs, key=len, reverse=True))}
    return [known[node.id] for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in known]


def _quoted(text: str, outputs: Iterable[str]) -> str:
    """The expression with output names that are no identifiers replaced by ones that are."""
    for position, name in enumerate(sorted(outputs, key=len, reverse=True)):
        if not name.isidentifier():
            text = text.replace(name, f"_output_{position}")
    return text


def _evaluate(text: str, values: Mapping[str, Tensor]) -> Tensor:
    named = {n: v for n, v in values.items() if n.isidentifier()}
    for position, name in enumerate(sorted(values, key=len, reverse=True)):
        named[f"_output_{position}"] = values[name]
    rows = next(iter(values.values())).shape[0]
    tree = ast.parse(_quoted(text, values), mode="eval").body
    named = {n: v for n, v in named.items() if v.ndim and v.shape[0] == rows}
    found = [_walk(tree, {n: v[row] for n, v in named.items()}, text) for row in range(rows)]
    for number in found:
        if not isinstance(number, Tensor) or number.numel() != 1:
            shape = tuple(number.shape) if isinstance(number, Tensor) else type(number).__name__
            raise BadInput(f"target {text!r} gives {shape}, expected one number: add .sum() or an index.")
    return torch.stack([number.reshape(()) for number in found])


def _walk(node: ast.AST, names: Mapping[str, Any], text: str) -> Any:
    """Evaluate a small arithmetic language; nothing else of Python is reachable."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            if name not in names:
                raise UnknownName.among("output", name, names)
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_walk(inner, names, text)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            return _OPERATIONS[type(operation)](_walk(left, names, text), _walk(right, names, text))
        case ast.Subscript(value=inner, slice=place):
            return _taken(_walk(inner, names, text), _place(place, text), text)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=[], keywords=[]) if name in _METHODS:
            return getattr(_walk(inner, names, text), name)()
        case _:
            raise BadInput(
                f"target {text!r}: only output names, numbers, + - * / **, indices and "
                f"{', '.join(sorted(_METHODS))} are understood."
            )


def _taken(value: Any, place: Any, text: str) -> Any:
    if not isinstance(value, Tensor):
        raise BadInput(f"target {text!r}: a number has no index.")
    if not value.ndim:
        raise BadInput(f"target {text!r}: without the row axis this is one number: leave the index out.")
    try:
        return value[place]
    except IndexError as error:
        shape = "×".join(map(str, value.shape))
        raise BadInput(f"target {text!r}: {error}; without the row axis the value is {shape}.") from None


def _place(node: ast.AST, text: str) -> Any:
    match node:
        case ast.Tuple(elts=parts):
            return tuple(_place(part, text) for part in parts)
        case ast.Slice(lower=lower, upper=upper, step=step):
            return slice(*(None if part is None else _place(part, text) for part in (lower, upper, step)))
        case ast.Constant(value=int() | None as number):
            return number
        case ast.Constant(value=value) if value is Ellipsis:
            return ...
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
            return -number
        case _:
            raise BadInput(f"target {text!r}: an index must be whole numbers and slices.")
