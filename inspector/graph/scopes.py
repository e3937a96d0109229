"""Which layer of the source does a node belong to? Scope paths from what exporters leave in a file."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.model import Model, Node

__all__ = ["Place", "places"]

_TRUSTED_SHARE = 0.3
"""Node names are read as paths when at least this share of them has a scope: one `/` is no hierarchy."""


@dataclass(frozen=True)
class Place:
    """The path of modules around a node, outermost first, and the class of each (`""` where not recorded)."""

    path: tuple[str, ...]
    classes: tuple[str, ...] = ()


def places(model: Model) -> dict[str, Place]:
    """The place of each top-level or body node by key; empty when the file records no hierarchy.

    Nodes without a record of their own take the common path of their consumers, else of their producers.
    """
    found = {node.key: place for node in model.nodes.values() if (place := _recorded(node)) is not None}
    if not any(place.path for place in found.values()):
        named = {
            n.key: place for n in model.nodes.values() if (place := _from_name(n.proto.name)) is not None
        }
        compute = [n for n in model.nodes.values() if n.op != "Constant"]
        scoped = sum(1 for n in compute if n.key in named and named[n.key].path)
        if scoped < _TRUSTED_SHARE * max(len(compute), 1):
            return {}
        found = named
    _fill(model, found)
    return found


def _recorded(node: Node) -> Place | None:
    if node.scope:
        path = _split(node.scope.strip("/").split("/"))
        return Place(path, ("",) * (len(path) - 1) + (node.source_class,) if path else ())
    props = {entry.key: entry.value for entry in node.proto.metadata_props}
    if "pkg.torch.onnx.name_scopes" in props:
        scopes = _listed(props["pkg.torch.onnx.name_scopes"])
        classes = _listed(props.get("pkg.torch.onnx.class_hierarchy", "[]"))
        return _torch_place(scopes[:-1], classes)
    return None


def _listed(text: str) -> list[str]:
    """A Python list literal of strings, as torch writes it; empty when it is not one."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(part) for part in found] if isinstance(found, list) else []


def _torch_place(scopes: Sequence[str], classes: Sequence[str]) -> Place:
    """Names are cumulative (`features`, `features.9`): each step keeps what it adds."""
    path: list[str] = []
    kinds: list[str] = []
    outer = ""
    for index, scope in enumerate(scopes):
        step = scope.removeprefix(outer + ".") if outer else scope
        if not step:
            continue
        parts = [part for part in step.split(".") if part]
        path += parts
        kinds += [""] * (len(parts) - 1) + [classes[index] if index < len(classes) else ""]
        outer = scope
    return Place(tuple(path), tuple(kinds))


def _from_name(name: str) -> Place | None:
    """`/features/features.9/squeeze/Conv` lies in features, 9, squeeze; of `a/b;c/d` the first counts."""
    name = name.split(";", 1)[0].strip("/")
    if not name:
        return None
    parts = [part for part in name.split("/") if part]
    return Place(_split(parts[:-1]))


def _split(parts: Sequence[str]) -> tuple[str, ...]:
    path: list[str] = []
    outer = ""
    for part in parts:
        step = part.removeprefix(outer + ".") if outer else part
        path += [piece for piece in _PIECES.split(step) if piece]
        outer = part
    return tuple(path)


_PIECES = re.compile(r"\.(?=[A-Za-z0-9_]|$)")


def _fill(model: Model, found: dict[str, Place]) -> None:
    """Give nodes without a record the common path of their consumers, then of their producers."""
    for node in reversed(list(model.nodes.values())):
        if node.key not in found or (node.op == "Constant" and not node.body):
            uses = (r.key for key in node.outputs for r in model.consumers.get(key, ()))
            readers = [found[key] for key in uses if key in found]
            if readers:
                found[node.key] = _common(readers)
    for node in model.nodes.values():
        if node.key not in found:
            makers = [p for key in node.inputs if (p := model.producers.get(key)) is not None]
            known = [found[maker.key] for maker in makers if maker.key in found]
            found[node.key] = _common(known) if known else Place(())


def _common(rows: Sequence[Place]) -> Place:
    shortest = min(rows, key=lambda place: len(place.path))
    depth = 0
    for depth, parts in enumerate(zip(*(place.path for place in rows), strict=False), start=1):
        if any(part != parts[0] for part in parts):
            depth -= 1
            break
    return Place(shortest.path[:depth], shortest.classes[:depth])


def class_names(places_: Mapping[str, Place]) -> dict[tuple[str, ...], str]:
    """The recorded class of each scope path, short (`Conv2d`), where one is recorded."""
    found: dict[tuple[str, ...], str] = {}
    for place in places_.values():
        for depth, name in enumerate(place.classes, start=1):
            if name:
                found.setdefault(place.path[:depth], name.rpartition(".")[2])
    return found
