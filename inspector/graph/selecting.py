"""Which nodes are meant? A pattern over keys, scopes and operators, and the part of the tree around them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate

from inspector.errors import BadInput, UnknownName
from inspector.graph.digraph import links
from inspector.graph.hierarchy import Block
from inspector.graph.scopes import places
from inspector.model import Model

__all__ = ["Selection", "matching_nodes", "select_nodes"]


@dataclass(frozen=True)
class Selection:
    """The part of the tree that holds the selected nodes and their neighbours."""

    tree: Block
    neighbours: frozenset[str]


def matching_nodes(model: Model, pattern: str) -> list[str]:
    """Keys of the nodes whose key, scope path or operator matches.

    The pattern is a glob over the whole text, or a regular expression found anywhere when it starts with
    `re:`. A scope matches with all that lies in it.

    Raises:
        UnknownName: nothing matches.
        BadInput: the regular expression is none.
    """
    matches = _matcher(pattern)
    found = places(model)
    scopes: dict[tuple[str, ...], bool] = {}

    def in_scope(path: tuple[str, ...]) -> bool:
        known = scopes.get(path)
        if known is None:
            text = "/".join(path)
            known = (
                matches(text) or matches(text.replace("/", ".")) or (len(path) > 1 and in_scope(path[:-1]))
            )
            scopes[path] = known
        return known

    keys = [
        node.key
        for node in model.nodes.values()
        if matches(node.key) or matches(node.op) or (node.key in found and in_scope(found[node.key].path))
    ]
    if not keys:
        near = sorted({node.op for node in model.nodes.values()}) + list(model.nodes)
        raise UnknownName.among(
            "node, scope or operator", pattern, near, "A glob matches the whole name: *conv*."
        )
    return keys


def _matcher(pattern: str) -> Callable[[str], bool]:
    try:
        if pattern.startswith("re:"):
            expression = re.compile(pattern.removeprefix("re:"))
            return lambda text: bool(text) and expression.search(text) is not None
        whole = re.compile(translate(pattern))
    except re.error as cause:
        raise BadInput(f"the pattern {pattern!r} is no regular expression: {cause}.") from None
    return lambda text: bool(text) and whole.match(text) is not None


def select_nodes(model: Model, tree: Block, pattern: str) -> Selection:
    """The blocks around the matching nodes and the nodes next to them; everything else is left out."""
    chosen = set(matching_nodes(model, pattern))
    near: set[str] = set()
    for link in links(model):
        if link.source in chosen and link.target in model.nodes:
            near.add(link.target)
        if link.target in chosen and link.source in model.nodes:
            near.add(link.source)
    return Selection(_pruned(tree, chosen | near) or tree, frozenset(near - chosen))


def _pruned(block: Block, keep: set[str]) -> Block | None:
    members: list[str | Block] = []
    for member in block.members:
        if isinstance(member, str):
            if member in keep:
                members.append(member)
        elif (inner := _pruned(member, keep)) is not None:
            members.append(inner)
    if not members:
        return None
    whole = len(members) == len(block.members) and all(
        a is b for a, b in zip(members, block.members, strict=True)
    )
    if whole:
        return block
    kind = "scope" if block.kind in ("repeat", "similar") else block.kind
    return Block(block.key, block.label, tuple(members), kind, block.source_class, 1, block.depth)
