"""Which scopes were left and entered again? Their parts become separate blocks: no block feeds itself."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from inspector.graph.drafts import Draft
from inspector.model import Model

__all__ = ["in_flow_order", "untangle"]


def untangle(model: Model, root: Draft) -> None:
    """Split scopes that lie on a cycle of blocks into runs that follow one another in graph order.

    A module called twice, or a name shared by distant nodes, makes a block that other blocks both feed and
    read; drawn as one box it would point upwards.
    """
    order = {key: index for index, key in enumerate(model.nodes)}
    stack = [root]
    while stack:
        draft = stack.pop()
        for _ in range(_ROUNDS):
            tangled = _tangled(model, draft.members)
            if not tangled:
                break
            draft.members = _split(draft.members, tangled, order)
        stack.extend(member for member in draft.drafts() if member.kind in ("scope", "model"))


_ROUNDS = 3
"""Splitting may show another cycle; what is left after so many rounds stays one block."""


def in_flow_order(model: Model, members: Sequence[str | Draft]) -> list[str | Draft]:
    """The members so that each stands behind those that feed it, else as they were."""
    graph = _flow(model, members)
    graph.add_nodes_from(range(len(members)))
    if not nx.is_directed_acyclic_graph(graph):
        return list(members)
    return [members[index] for index in nx.lexicographical_topological_sort(graph, key=int)]


def _tangled(model: Model, members: Sequence[str | Draft]) -> set[int]:
    """Indices of the members that lie on a cycle with another member."""
    if not any(isinstance(member, Draft) for member in members):
        return set()
    found: set[int] = set()
    for component in nx.strongly_connected_components(_flow(model, members)):
        if len(component) > 1:
            found |= component
    return found


def _flow(model: Model, members: Sequence[str | Draft]) -> nx.DiGraph[int]:
    """Which member feeds which, by index."""
    place: dict[str, int] = {}
    for index, member in enumerate(members):
        for key in (member,) if isinstance(member, str) else member.nodes():
            place[key] = index
    graph: nx.DiGraph[int] = nx.DiGraph()
    for key, target in place.items():
        for value in model.nodes[key].inputs:
            producer = model.producers.get(value)
            source = place.get(producer.key) if producer is not None else None
            if source is not None and source != target:
                graph.add_edge(source, target)
    return graph


def _split(members: Sequence[str | Draft], tangled: set[int], order: dict[str, int]) -> list[str | Draft]:
    """Cut the tangled drafts where a node of another tangled member comes in between."""
    events: list[tuple[int, int, str | Draft]] = []
    for index in sorted(tangled):
        member = members[index]
        parts = member.members if isinstance(member, Draft) and member.kind == "scope" else [member]
        events += [(_first(part, order), index, part) for part in parts]
    events.sort(key=lambda event: event[:2])
    runs: list[tuple[int, str | Draft]] = []
    last = -1
    for place, index, part in events:
        source = members[index]
        if not isinstance(source, Draft) or part is source:
            runs.append((place, part))
        elif index == last and runs and isinstance(runs[-1][1], Draft):
            runs[-1][1].members.append(part)
        else:
            runs.append((place, Draft("scope", source.label, [part], source.source_class)))
        last = index
    kept = [(_first(member, order), member) for i, member in enumerate(members) if i not in tangled]
    whole = sorted([*kept, *(_unwrapped(run) for run in runs)], key=lambda pair: pair[0])
    return [member for _, member in whole]


def _unwrapped(run: tuple[int, str | Draft]) -> tuple[int, str | Draft]:
    place, member = run
    if isinstance(member, Draft) and member.kind == "scope" and len(member.members) == 1:
        return place, member.members[0]
    return run


def _first(member: str | Draft, order: dict[str, int]) -> int:
    return order[member] if isinstance(member, str) else min(order[key] for key in member.nodes())
