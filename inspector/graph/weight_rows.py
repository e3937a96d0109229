"""How are the weights of a file without a graph grouped? A table by the prefixes of their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from inspector.dtypes import is_floating, number_of
from inspector.graph.cost_rows import CostRow
from inspector.model import Model, Weight, format_shape

__all__ = ["weight_table"]

_ROWS = 60
"""Without a depth, groups open while the table has at most so many rows."""

_CUT = re.compile(r"[./]")


def weight_table(model: Model, depth: int | None = None) -> list[CostRow]:
    """Groups before their members, in file order; names are cut at dots and slashes.

    `depth` 1 shows the outermost groups; parameters are elements of floating type, `share` is of all of them.
    """
    weights = list(model.weights.values())
    total = sum(map(_parameters, weights)) or 1
    if depth is None:
        deepest = max((len(_CUT.split(w.name)) for w in weights), default=1)
        fitting = [d for d in range(1, deepest + 1) if len(_rows(weights, "", 0, d, total)) <= _ROWS]
        depth = max(fitting, default=1)
    return _rows(weights, "", 0, max(depth, 1), total)


def _rows(weights: Sequence[Weight], prefix: str, level: int, depth: int, total: int) -> list[CostRow]:
    groups: dict[str, list[Weight]] = {}
    for weight in weights:
        rest = weight.name[len(prefix) :]
        head = _CUT.split(rest, maxsplit=1)[0]
        groups.setdefault(head, []).append(weight)
    found: list[CostRow] = []
    for head, members in groups.items():
        leaf = len(members) == 1 and members[0].name == prefix + head
        is_open = not leaf and level + 1 < depth
        found.append(_row(head, prefix + head, members, level, total, leaf, is_open))
        if is_open:
            inner = prefix + head + members[0].name[len(prefix + head) :][:1]
            found += _rows(members, inner, level + 1, depth, total)
    return found


def _row(
    label: str, key: str, members: list[Weight], level: int, total: int, leaf: bool, is_open: bool
) -> CostRow:
    parameters = sum(map(_parameters, members))
    dtypes = tuple(dict.fromkeys(w.dtype for w in members))
    count = f"{len(members)} weight{'s' * (len(members) > 1)}"
    shape = format_shape(members[0].shape) if leaf else count
    return CostRow(
        depth=level,
        key=key,
        label=label,
        kind="weight" if leaf else "weights",
        operators=dtypes,
        output=shape,
        parameters=parameters,
        macs=0,
        share=parameters / total,
        repeat=1,
        nodes=0,
        open=is_open,
    )


def _parameters(weight: Weight) -> int:
    return weight.size if weight.dtype and is_floating(number_of(weight.dtype)) else 0
