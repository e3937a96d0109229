"""Which tensor of the file is which weight of which layer? Stores of the Keras 3 and Keras 2 layouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from converters.errors import BadFile

__all__ = ["Branch", "ListBranch", "TreeBranch", "TreeNode", "Variable", "snake_case"]


@dataclass(frozen=True, eq=False)
class Variable:
    """A tensor of the source: where it lies and how to read it."""

    key: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray[Any, Any]]


class Branch(Protocol):
    """The weights of one layer and of what it contains."""

    def own(self, names: Sequence[str]) -> dict[str, Variable]:
        """The layer's own variables, given their names in order of creation."""
        ...

    def child(self, name: str, *attributes: str) -> Branch:
        """What a contained layer owns, by its name and the attributes that may hold it."""
        ...

    def layers(self, members: Sequence[tuple[str, str]]) -> dict[str, Branch]:
        """Branches of a model's layers, given (class name, layer name) in order."""
        ...

    def everything(self) -> Iterator[tuple[str, Variable]]:
        """All variables at and below this branch with their path relative to it."""
        ...


@dataclass(frozen=True, eq=False)
class TreeNode:
    """A group of a `.weights.h5` file: its `vars`, the layer name recorded beside them, its children."""

    variables: tuple[Variable, ...]
    layer_name: str
    children: dict[str, TreeNode]


_EMPTY = TreeNode((), "", {})
_LAYER_GROUPS = ("layers", "_layer_checkpoint_dependencies", "_self_tracked_trackables")


@dataclass(frozen=True, eq=False)
class TreeBranch:
    """Keras 3 layout: groups by attribute and class, variables numbered."""

    node: TreeNode
    path: str = ""

    def own(self, names: Sequence[str]) -> dict[str, Variable]:
        """Number to name, in order of creation."""
        found = self.node.variables
        if len(found) != len(names):
            raise BadFile(
                f"layer {self.path or 'model'!r}: its configuration asks for {len(names)} weights "
                f"({', '.join(names) or 'none'}), the file holds {len(found)}. "
                "Configuration and weights do not belong together."
            )
        return dict(zip(names, found, strict=True))

    def child(self, name: str, *attributes: str) -> Branch:
        """By attribute; by the recorded layer name where no attribute fits."""
        for attribute in attributes:
            node = self.node.children.get(attribute)
            if node is not None:
                return TreeBranch(node, f"{self.path}/{name}")
        for node in self.node.children.values():
            if name and node.layer_name == name:
                return TreeBranch(node, f"{self.path}/{name}")
        return TreeBranch(_EMPTY, f"{self.path}/{name}")

    def layers(self, members: Sequence[tuple[str, str]]) -> dict[str, Branch]:
        """Replays Keras' counter per class name."""
        group = next((self.node.children[g] for g in _LAYER_GROUPS if g in self.node.children), _EMPTY)
        by_name = {node.layer_name: node for node in group.children.values() if node.layer_name}
        used: dict[str, int] = {}
        found: dict[str, Branch] = {}
        for class_name, name in members:
            kind = snake_case(class_name)
            count = used.get(kind, -1) + 1
            used[kind] = count
            node = group.children.get(f"{kind}_{count}" if count else kind, _EMPTY)
            if node.layer_name != name and name in by_name:
                node = by_name[name]
            found[name] = TreeBranch(node, f"{self.path}/{name}".lstrip("/"))
        return found

    def everything(self) -> Iterator[tuple[str, Variable]]:
        """Depth first, in file order."""
        yield from _below(self.node, "")


def _below(node: TreeNode, path: str) -> Iterator[tuple[str, Variable]]:
    for number, variable in enumerate(node.variables):
        yield f"{path}{number}", variable
    for name, child in node.children.items():
        if name in _LAYER_GROUPS:
            for kind, layer in child.children.items():
                yield from _below(layer, f"{path}{layer.layer_name or kind}/")
        else:
            yield from _below(child, f"{path}{name}/")


@dataclass(frozen=True, eq=False)
class ListBranch:
    """Keras 2 layout (and a live model): a flat list of named weights for each layer of the model."""

    variables: tuple[tuple[str, Variable], ...]
    path: str = ""
    top: dict[str, ListBranch] | None = None

    def own(self, names: Sequence[str]) -> dict[str, Variable]:
        """By the last part of the weight's name; by order where names do not fit."""
        leaves: dict[str, Variable] = {}
        for name, variable in self.variables:
            leaves.setdefault(_leaf(name), variable)
        if all(name in leaves for name in names):
            return {name: leaves[name] for name in names}
        if len(self.variables) != len(names):
            raise BadFile(
                f"layer {self.path!r}: its configuration asks for {len(names)} weights ({', '.join(names)}), "
                f"the file holds {len(self.variables)} ({', '.join(n for n, _ in self.variables)})."
            )
        return dict(zip(names, (v for _, v in self.variables), strict=True))

    def child(self, name: str, *attributes: str) -> Branch:
        """Weights whose path goes through the contained layer's name or attribute."""
        for part in (name, *attributes):
            inside = tuple(row for row in self.variables if part and part in row[0].split("/")[:-1])
            if inside:
                return ListBranch(inside, f"{self.path}/{name}")
        return ListBranch((), f"{self.path}/{name}")

    def layers(self, members: Sequence[tuple[str, str]]) -> dict[str, Branch]:
        """The top level by group; nested models by name."""
        if self.top is not None:
            return {name: self.top.get(name, ListBranch((), name)) for _, name in members}
        return {name: self.child(name) for _, name in members}

    def everything(self) -> Iterator[tuple[str, Variable]]:
        """In file order."""
        if self.top is not None:
            for name, branch in self.top.items():
                for inner, variable in branch.variables:
                    yield inner if inner.startswith(name + "/") else f"{name}/{inner}", variable
        yield from self.variables


def _leaf(name: str) -> str:
    return name.rsplit("/", 1)[-1].split(":")[0]


def snake_case(class_name: str) -> str:
    """The group name that Keras makes from a class name."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
