"""What is the model built of? A tree of blocks: recorded scopes, else regions; equal neighbours folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from inspector.graph.drafts import Draft, Kind
from inspector.graph.regions import structured
from inspector.graph.repeats import Run, Signatures, find_runs
from inspector.graph.scopes import Place, class_names, places
from inspector.graph.untangling import in_flow_order, untangle
from inspector.model import Model, Node

__all__ = ["Block", "blocks", "static_nodes"]

_MANY = 64
"""A block with more members than this is cut into sections, so that any graph can be looked at."""

_PARALLEL = 4
"""From so many on, equal copies fold even where none feeds the next."""

_DEEPEST = 24
"""Scope paths longer than this keep their tail as one step: such a name is damaged or hostile."""


@dataclass(frozen=True, eq=False)
class Block:
    """A group of nodes that belong together.

    `members` are node keys and smaller blocks in graph order; every node of the model is in exactly one
    place. `kind` tells what made the block (`inspector.graph.drafts.Kind`). Where `kind` is "repeat", the
    members are `repeat` blocks of equal structure, and each holds its nodes in the same order.
    """

    key: str
    label: str
    members: tuple[str | Block, ...]
    kind: Kind
    source_class: str = ""
    repeat: int = 1
    depth: int = 0

    @property
    def nodes(self) -> tuple[str, ...]:
        """The direct members that are nodes."""
        return tuple(member for member in self.members if isinstance(member, str))

    @property
    def children(self) -> tuple[Block, ...]:
        """The direct members that are blocks."""
        return tuple(member for member in self.members if isinstance(member, Block))

    @cached_property
    def all_nodes(self) -> tuple[str, ...]:
        """Every node below, in member order."""
        found: list[str] = []
        stack: list[str | Block] = list(reversed(self.members))
        while stack:
            member = stack.pop()
            if isinstance(member, Block):
                stack.extend(reversed(member.members))
            else:
                found.append(member)
        return tuple(found)

    def walk(self) -> Iterator[Block]:
        """This block and every block below, outermost first, in graph order."""
        stack: list[Block] = [self]
        while stack:
            block = stack.pop()
            yield block
            stack.extend(reversed(block.children))

    def find(self, key: str) -> Block | None:
        """The block with this key, or None."""
        return next((block for block in self.walk() if block.key == key), None)


def blocks(model: Model) -> Block:
    """The tree of blocks; the root holds the whole model.

    Scopes recorded by an exporter make the tree; graphs without them are cut into single-entry single-exit
    regions. Equal neighbours fold into a block of kind "repeat". Time is linear in the number of nodes.
    """
    found = places(model)
    by_body: dict[str, list[Node]] = {}
    for node in model.nodes.values():
        by_body.setdefault(node.body, []).append(node)
    signs = Signatures(model)
    static = static_nodes(model)
    root = Draft("model", model.name)
    root.members = _graph(model, "", by_body, found, signs, static)
    untangle(model, root)
    _fold(model, root, signs)
    _section(model, root, static)
    return _freeze(root, "", 0)


def _graph(
    model: Model,
    body: str,
    by_body: Mapping[str, Sequence[Node]],
    found: Mapping[str, Place],
    signs: Signatures,
    static: frozenset[str],
    outer: int = 0,
) -> list[str | Draft]:
    nodes = by_body.get(body, ())
    members: dict[str, str | Draft] = {}
    for node in nodes:
        inner = [a.name for a in node.proto.attribute if a.HasField("g")]
        if not inner:
            members[node.key] = node.key
            continue
        depth = len(found[node.key].path) if node.key in found else 0
        control = Draft("control", node.proto.name.rpartition("/")[2] or node.key, [])
        for name in inner:
            content = _graph(model, f"{node.key}.{name}/", by_body, found, signs, static, max(outer, depth))
            if content:
                control.members.append(Draft("body", name, content))
        control.members.append(node.key)
        members[node.key] = control if len(control.members) > 1 else node.key
    paths = {node.key: found[node.key].path[outer:] for node in nodes if node.key in found}
    if any(paths.values()):
        return _scope_tree(nodes, members, paths, class_names(found), outer, found)
    return _without_scopes(model, nodes, members, signs, static)


def _scope_tree(
    nodes: Sequence[Node],
    members: Mapping[str, str | Draft],
    paths: Mapping[str, tuple[str, ...]],
    classes: Mapping[tuple[str, ...], str],
    outer: int,
    found: Mapping[str, Place],
) -> list[str | Draft]:
    root = Draft("scope", "")
    drafts: dict[tuple[str, ...], Draft] = {(): root}
    for node in nodes:
        path = paths.get(node.key, ())
        if len(path) > _DEEPEST:
            path = (*path[:_DEEPEST], "/".join(path[_DEEPEST:]))
        parent = root
        for depth in range(1, len(path) + 1):
            scope = path[:depth]
            draft = drafts.get(scope)
            if draft is None:
                whole = found[node.key].path[: outer + depth]
                draft = drafts[scope] = Draft("scope", scope[-1], source_class=classes.get(whole, ""))
                parent.members.append(draft)
            parent = draft
        parent.members.append(members[node.key])
    _simplify(root)
    return root.members


def _simplify(root: Draft) -> None:
    """A scope around a single node dissolves; a scope around a single scope joins it."""
    order: list[Draft] = [root]
    for draft in order:
        order.extend(member for member in draft.drafts() if member.kind == "scope")
    for draft in reversed(order):
        tidy: list[str | Draft] = []
        for member in draft.members:
            if isinstance(member, Draft) and member.kind == "scope" and len(member.members) == 1:
                only = member.members[0]
                if isinstance(only, Draft) and only.kind == "scope":
                    only.label = f"{member.label}/{only.label}"
                    only.source_class = only.source_class or member.source_class
                tidy.append(only)
            else:
                tidy.append(member)
        draft.members = tidy


def _without_scopes(
    model: Model,
    nodes: Sequence[Node],
    members: Mapping[str, str | Draft],
    signs: Signatures,
    static: frozenset[str],
) -> list[str | Draft]:
    """Regions over the nodes that compute; what depends on constants alone joins its first reader."""
    order = [node.key for node in nodes if node.key not in static]
    if not order:
        return [members[node.key] for node in nodes]
    grouped = structured(model, [members[key] for key in order], signs)
    home: dict[str, list[str]] = {}
    here = {node.key for node in nodes}
    for node in reversed(nodes):
        if node.key in static:
            readers = (r.key for key in node.outputs for r in model.consumers.get(key, ()) if r.key in here)
            home.setdefault(next(readers, order[-1]), []).append(node.key)
    return _rehome(grouped, home)


def static_nodes(model: Model) -> frozenset[str]:
    """Nodes that depend on stored constants alone: they are weights in the making, not computation."""
    weights = model.weights
    found: set[str] = set()
    made: set[str] = set()
    for node in model.nodes.values():
        if node.op in _RANDOM or any(a.HasField("g") for a in node.proto.attribute):
            continue
        if all(not key or key in weights or key in made for key in node.inputs):
            found.add(node.key)
            made.update(node.outputs)
    return frozenset(found)


_RANDOM = frozenset(("RandomNormal", "RandomUniform"))


def _rehome(members: Sequence[str | Draft], home: Mapping[str, list[str]]) -> list[str | Draft]:
    """Put each static node right before the node that reads it, in whatever block that is."""
    found: list[str | Draft] = []
    for member in members:
        if isinstance(member, Draft):
            member.members = _rehome(member.members, home)
            found.append(member)
            continue
        pending = [member]
        chain: list[str] = []
        while pending:
            key = pending.pop()
            chain.append(key)
            pending.extend(home.get(key, ()))
        found.extend(reversed(chain))
    return found


def _fold(model: Model, root: Draft, signs: Signatures) -> None:
    """Innermost first, put neighbours of equal structure into one block of kind "repeat".

    Copies must follow one another: two or three parallel copies (query, key, value) say more side by side.
    """

    def chained(members: Sequence[str | Draft], run: Run) -> bool:
        if run.count >= _PARALLEL:
            return True
        first, second = members[run.start], members[run.start + 1]
        keys = set(first.nodes()) if isinstance(first, Draft) else {first}
        made = {value for key in keys for value in model.nodes[key].outputs}
        following = second.nodes() if isinstance(second, Draft) else (second,)
        return any(value in made for key in following for value in model.nodes[key].inputs)

    order: list[Draft] = [root]
    for draft in order:
        order.extend(draft.drafts())
    for draft in reversed(order):
        if len(draft.members) < 2 or draft.kind == "control":
            continue
        row = [
            signs.of(member) if isinstance(member, Draft) else -1 - i
            for i, member in enumerate(draft.members)
        ]
        starts = [isinstance(member, Draft) for member in draft.members]
        runs = [run for run in find_runs(row, longest=1, starts=starts) if chained(draft.members, run)]
        if not runs:
            continue
        if runs[0].count == len(draft.members) and draft.kind in ("similar", "scope"):
            draft.kind, draft.repeat = "repeat", runs[0].count
        else:
            draft.members = _with_runs(draft.members, runs)


def _with_runs(members: Sequence[str | Draft], runs: Sequence[Run]) -> list[str | Draft]:
    found: list[str | Draft] = []
    done = 0
    for run in runs:
        copies = list(members[run.start : run.stop])
        first, last = copies[0], copies[-1]
        if not isinstance(first, Draft) or not isinstance(last, Draft):
            continue
        label = first.label if first.label == last.label else f"{first.label} … {last.label}"
        found += members[done : run.start]
        found.append(Draft("repeat", label, copies, first.source_class, run.count))
        done = run.stop
    return found + list(members[done:])


def _section(model: Model, root: Draft, static: frozenset[str]) -> None:
    """Cut long lists of members into sections of about the square root of their number."""
    order: list[Draft] = [root]
    for draft in order:
        order.extend(draft.drafts())
    for draft in order:
        while draft.kind != "repeat":
            shown = [i for i, m in enumerate(draft.members) if not isinstance(m, str) or m not in static]
            if len(shown) <= _MANY:
                break
            draft.members = in_flow_order(model, draft.members)
            shown = [i for i, m in enumerate(draft.members) if not isinstance(m, str) or m not in static]
            size = max(16, min(_MANY, round(len(shown) ** 0.5)))
            cuts = [0, *(shown[i - 1] + 1 for i in range(size, len(shown), size)), len(draft.members)]
            parts = [draft.members[a:b] for a, b in pairwise(cuts)]
            draft.members = [
                Draft("section", f"part {i} of {len(parts)}", part) for i, part in enumerate(parts, 1)
            ]


_STEP: dict[Kind, str] = {
    "region": "region",
    "unit": "unit",
    "similar": "group",
    "section": "part",
}
"""How blocks without a recorded name are called in keys, with a number behind."""


def _freeze(draft: Draft, key: str, depth: int) -> Block:
    members: list[str | Block] = []
    names: dict[str, int] = {}
    for member in draft.members:
        if isinstance(member, str):
            members.append(member)
            continue
        prefix = _STEP.get(member.kind)
        first = member.members[0] if member.members else ""
        if member.kind == "repeat" and isinstance(first, Draft) and first.kind in _STEP:
            prefix = "group"
        name = prefix or member.label
        names[name] = names.get(name, 0) + 1
        step = f"{prefix}_{names[name]}" if prefix else name if names[name] == 1 else f"{name}#{names[name]}"
        members.append(_freeze(member, f"{key}/{step}" if key else step, depth + 1))
    return Block(key, draft.label, tuple(members), draft.kind, draft.source_class, draft.repeat, depth)
