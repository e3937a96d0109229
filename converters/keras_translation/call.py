"""What does a layer's translator get to work with? One call, its tensors, weights and graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

from converters.errors import BadFile, InspectorError
from converters.keras_translation.builder import Builder
from converters.keras_translation.config import LayerSpec
from converters.keras_translation.tensor import (
    Dim,
    Tensor,
    Value,
    element_type,
    first_to_last,
    last_to_first,
)
from converters.keras_translation.variables import Branch, Variable

__all__ = ["Call", "CannotTranslate"]


class CannotTranslate(InspectorError):
    """This layer, configured like this, has no translation: it becomes an opaque node."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one layer."""

    g: Builder
    spec: LayerSpec
    path: str
    branch: Branch
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    run: Callable[[LayerSpec, str, Branch, tuple[Any, ...], Mapping[str, Any]], Any]
    """Translates a contained layer: specification, path, weights, arguments."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The layer's own configuration."""
        return self.spec.config

    @property
    def first_argument(self) -> Any:
        """The first argument: a tensor, a list or a dictionary of tensors."""
        return self.args[0] if self.args else next(iter(self.kwargs.values()), None)

    @property
    def x(self) -> Tensor:
        """The only or first input."""
        first = self.first_argument
        while isinstance(first, (list, tuple)) and len(first) == 1:
            first = first[0]
        if not isinstance(first, Tensor):
            raise CannotTranslate(f"its first input is no tensor ({type(first).__name__})")
        return first

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors of the first argument, or of all arguments."""
        return [t for arg in self.args for t in flatten(arg)]

    @property
    def mask(self) -> Tensor | None:
        """The mask given by the caller, else the one the first input carries."""
        given = self.kwargs.get("mask")
        if isinstance(given, Tensor):
            return given
        return self.x.mask

    def get(self, key: str, default: Any = None) -> Any:
        """A configuration entry; None counts as missing."""
        value = self.config.get(key)
        return default if value is None else value

    def child(self, spec: LayerSpec, attributes: Sequence[str], *args: Any, **kwargs: Any) -> Any:
        """Translate a contained layer."""
        inside = self.branch.child(spec.name, *attributes)
        return self.run(spec, f"{self.path}/{spec.name}", inside, args, kwargs)

    # weights

    def own(self, *names: str) -> dict[str, Variable]:
        """The layer's variables, given all their names in order of creation."""
        return self.branch.own(names)

    def weight(
        self,
        name: str,
        variable: Variable,
        *,
        transpose: Sequence[int] | None = None,
        reshape: Sequence[int] | None = None,
        compute: bool = True,
    ) -> Value:
        """An initializer, cast to the computing type where the policy is mixed."""
        value = self.g.weight(f"{self.path}/{name}", variable, transpose=transpose, reshape=reshape)
        return self.computed(value) if compute else value

    def computed(self, value: Value) -> Value:
        """A floating-point value in the computing type of the layer's policy."""
        policy = self.spec.policy
        if not value.is_float or policy.compute not in _FLOAT_NAMES:
            return value
        if policy.compute == "bfloat16":
            return self.rounded(value)
        return self.cast(value, policy.compute)

    def rounded(self, value: Value) -> Value:
        """A float32 value holding only numbers that bfloat16 can hold."""
        half = self.cast(value, "bfloat16")
        return self.cast(half, "float32")

    def cast(self, value: Value, dtype: str) -> Value:
        """The value as another element type."""
        target = element_type(dtype)
        return value if value.type == target else self.g.op("Cast", value, to=target)

    # axis order

    def plain(self, tensor: Tensor) -> Value:
        """The value in Keras' axis order."""
        if not tensor.moved:
            return tensor.value
        return self.transpose(tensor.value, first_to_last(tensor.rank))

    def first(self, tensor: Tensor) -> Value:
        """The value with the last Keras axis at position 1."""
        if tensor.moved or tensor.rank < 3:
            return tensor.value
        return self.transpose(tensor.value, last_to_first(tensor.rank))

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """A Transpose, or a Reshape where the moved axes have size one."""
        if list(order) == list(range(len(order))):
            return value
        return self.g.transposed(value, order)

    def spatial(self, tensor: Tensor) -> Value:
        """The value with channels at position 1, whatever the layer's `data_format`."""
        return tensor.value if self.channels_first and not tensor.moved else self.first(tensor)

    def from_spatial(self, value: Value) -> Tensor:
        """A result with channels at position 1."""
        return Tensor(value, moved=not self.channels_first and value.rank > 2)

    @property
    def channels_first(self) -> bool:
        """The layer's `data_format`."""
        return self.config.get("data_format") == "channels_first"

    def align(self, tensors: Sequence[Tensor]) -> tuple[list[Value], bool]:
        """Values of equal axis order, and whether it is the moved one (cheapest that fits all)."""
        ranks = {t.rank for t in tensors if t.rank}
        moved = sum(t.moved for t in tensors)
        if moved and len(ranks) == 1 and moved * 2 >= sum(t.rank > 2 for t in tensors):
            return [self.first(t) if t.rank else t.value for t in tensors], True
        return [self.plain(t) for t in tensors], False

    # shapes

    def size(self, tensor: Tensor, axis: int) -> int:
        """A size that must be known.

        Raises:
            CannotTranslate: it is dynamic.
        """
        dim = tensor.shape[axis]
        if not isinstance(dim, int):
            raise CannotTranslate(f"axis {axis} of its input must have a known size")
        return dim

    def dims(self, value: Value, parts: Sequence[int | tuple[Value, int]]) -> Value:
        """A shape vector from sizes and (value, axis) pairs read at run time."""
        if all(isinstance(p, int) for p in parts):
            return self.g.ints(*(p for p in parts if isinstance(p, int)))
        pieces: list[Value] = []
        for part in parts:
            if isinstance(part, int):
                pieces.append(self.g.ints(part))
                continue
            source, axis = part
            known = source.shape[axis] if source.shape is not None else None
            if isinstance(known, int):
                pieces.append(self.g.ints(known))
            else:
                pieces.append(self.g.op("Shape", source, start=axis, end=axis + 1))
        return pieces[0] if len(pieces) == 1 else self.g.op("Concat", *pieces, axis=0)

    def reshape(self, value: Value, parts: Sequence[int | tuple[Value, int]]) -> Value:
        """A Reshape whose dynamic sizes are read at run time, with a single one left to ONNX."""
        known: list[Dim] = [p if isinstance(p, int) else (p[0].shape or ())[p[1]] for p in parts]
        dynamic = [i for i, d in enumerate(known) if not isinstance(d, int)]
        if len(dynamic) == 1 and all(d != -1 for d in known):
            target = [d if isinstance(d, int) else -1 for d in known]
            if 0 not in target:
                return self.g.op("Reshape", value, self.g.ints(*target), shape=known)
        shape = [None if d == -1 else d for d in known]
        return self.g.op("Reshape", value, self.dims(value, parts), shape=shape if -1 in known else known)

    def numbers(self, array: Any, like: Value) -> Value:
        """A constant of the element type of another value."""
        return self.g.const(np.asarray(array, helper.tensor_dtype_to_np_dtype(like.type)))

    def need(self, condition: bool, reason: str) -> None:
        """Give up on this configuration, with the reason.

        Raises:
            CannotTranslate: the condition does not hold.
        """
        if not condition:
            raise CannotTranslate(reason)

    def wrong(self, message: str) -> BadFile:
        """An error about the configuration of this layer."""
        return BadFile(f"layer {self.path!r} ({self.spec.class_name}): {message}")


_FLOAT_NAMES = frozenset({"float16", "bfloat16", "float32", "float64"})


def flatten(item: Any) -> list[Tensor]:
    """All tensors of a nested structure, in order."""
    if isinstance(item, Tensor):
        return [item]
    if isinstance(item, (list, tuple)):
        return [t for i in item for t in flatten(i)]
    if isinstance(item, dict):
        return [t for i in item.values() for t in flatten(i)]
    return []
